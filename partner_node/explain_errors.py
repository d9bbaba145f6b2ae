"""What is refused where a run's contributions and scores are explained."""

from privacy.errors import Failure, Kind


class ContributionMissing(Failure):
    code = "CONTRIBUTION_MISSING"
    kind = Kind.NOT_FOUND
    en = "there is no receipt of contributions of {job} here: its plan asks for none, or the run has not ended"
    zh = "本节点没有任务 {job} 的贡献回执：方案未要求，或任务尚未结束"


class ExplanationMissing(Failure):
    code = "EXPLANATION_MISSING"
    kind = Kind.NOT_FOUND
    en = "there is nothing here to explain {job} by ({file}): it is no scorecard, it has not ended, or a file was moved"
    zh = "本节点没有解释任务 {job} 所需的内容（{file}）：不是评分卡、尚未结束，或文件已被移走"


class ExplanationUnreadable(Failure):
    code = "EXPLANATION_UNREADABLE"
    kind = Kind.INTEGRITY
    en = "{file} is not what this node wrote of the run ({why}); restore it from a backup"
    zh = "{file} 不是本节点为该任务写出的文件（{why}）；请从备份恢复"


class OwnValuesChanged(Failure):
    code = "OWN_VALUES_CHANGED"
    kind = Kind.CONFLICT
    en = "this client's own values are others than when {job} was run: its score there can't be explained by them"
    zh = "该客户的自有数据在任务 {job} 之后已变化：无法据其解释当时的评分"


class ColumnNotActionable(Failure):
    code = "COLUMN_NOT_ACTIONABLE"
    kind = Kind.REFUSED
    en = "nothing is said about a change of {column}: {why}"
    zh = "无法就 {column} 给出变化建议：{why}"
