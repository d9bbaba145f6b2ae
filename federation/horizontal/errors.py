"""Expected failures of a secure sum. Facts are names, slots and counts: never a value of an update, never a key."""

from privacy.errors import Failure, Kind


class QuorumMissing(Failure):
    code = "QUORUM_MISSING"
    kind = Kind.UNAVAILABLE
    en = (
        "{what} needs {needed} partners and has {have}; missing: {missing}; start their nodes, then resume; "
        "a code in brackets is that node's refusal: mend it there, or propose another plan"
    )
    zh = (
        "{what} 需要 {needed} 个参与方，当前 {have} 个；缺少：{missing}；请启动其节点后恢复任务；"
        "括号内代码为该节点的拒绝原因：请在该处修正，或另行提案"
    )


class StrategyNotAveraging(Failure):
    code = "STRATEGY_NOT_AVERAGING"
    kind = Kind.INVALID
    en = "{strategy} can't run on a sum that hides its parts: {why}; take FedAvg, FedProx, FedAvgM, FedAdam, FedYogi …"
    zh = "{strategy} 无法在隐藏各方更新的求和上运行：{why}；请使用 FedAvg、FedProx、FedAvgM、FedAdam、FedYogi 等"


class SlotStale(Failure):
    code = "SLOT_STALE"
    kind = Kind.CONFLICT
    en = "this node is at round {latest} already and does nothing for round {slot}"
    zh = "本节点已处于第 {latest} 轮，不再处理第 {slot} 轮"


class KeyDealtBefore(Failure):
    code = "KEY_DEALT_BEFORE"
    kind = Kind.CONFLICT
    en = "{partner} has dealt the key of this {key}, and it is in use; it is not dealt again"
    zh = "{partner} 已分发该 {key} 的密钥且已投入使用；不再重新分发"


class KeyMissing(Failure):
    code = "KEY_MISSING"
    kind = Kind.NOT_FOUND
    en = "there is no unused {what} of {partner} for round {key} at this node"
    zh = "本节点没有 {partner} 第 {key} 轮可用的{what}"


class KeySpent(Failure):
    """Rule b: a key is opened once, whoever asks."""

    code = "KEY_SPENT"
    kind = Kind.REFUSED
    en = "this node has answered in round {slot} with the key of {partner}; a key is opened once"
    zh = "本节点在第 {slot} 轮已使用 {partner} 的密钥分片应答；每个密钥只能打开一次"


class ShareForeign(Failure):
    """Rule d: what was dealt for another key, holder or run is not held."""

    code = "SHARE_FOREIGN"
    kind = Kind.INTEGRITY
    en = "the share of {dealer} for round {key} is refused: {why}"
    zh = "拒绝 {dealer} 第 {key} 轮的密钥分片：{why}"


class InputsDiffer(Failure):
    """Rule a: one input for all, or no answer."""

    code = "INPUTS_DIFFER"
    kind = Kind.INTEGRITY
    en = "{partner} was given other weights in round {slot} than this node; no sum of this round is opened here"
    zh = "第 {slot} 轮中 {partner} 收到的模型参数与本节点不同；本节点不参与打开该轮的和"


class InputNotGiven(Failure):
    code = "INPUT_NOT_GIVEN"
    kind = Kind.CONFLICT
    en = "this node was not asked to take part in round {slot}, so it can't check what the others were given"
    zh = "本节点未参与第 {slot} 轮，无法核对其他参与方收到的内容"


class CohortInvalid(Failure):
    """Rule c: partners of the roster, each once, enough of them."""

    code = "COHORT_INVALID"
    kind = Kind.REFUSED
    en = "the sum of round {slot} is not opened: {why}"
    zh = "不打开第 {slot} 轮的和：{why}"


class CohortChanged(Failure):
    """Two sums over one input that differ by a member are that member's update (decision 0004)."""

    code = "COHORT_CHANGED"
    kind = Kind.REFUSED
    en = "this node has opened a sum over the same weights for other partners; the same weights need the same partners"
    zh = "本节点已针对相同参数为另一组参与方打开过和；相同参数只能对应相同的参与方"


class RowsChanged(Failure):
    """Two sums over one input and one cohort that differ by a client's row are that row."""

    code = "ROWS_CHANGED"
    kind = Kind.CONFLICT
    en = (
        "the rows behind this node's part of round {slot} have changed since it gave a part for the same weights, and "
        "a second one would show by what; where the others can't do without this node, propose the run again"
    )
    zh = (
        "本节点第 {slot} 轮的数据行在其针对相同参数上传之后已发生变化，再次上传会暴露差异；"
        "若其余各方无法在缺少本节点时继续，请重新发起该任务"
    )


class UploadMalformed(Failure):
    code = "UPLOAD_MALFORMED"
    kind = Kind.INVALID
    en = "the upload of {partner} in round {slot} is not taken: {why}"
    zh = "不接受 {partner} 第 {slot} 轮的上传：{why}"


class UpdateRefused(Failure):
    code = "UPDATE_REFUSED"
    kind = Kind.INVALID
    en = "the local application's update does not leave this node: {why}"
    zh = "本地应用产生的更新不予上传：{why}"


class PhaseMalformed(Failure):
    code = "PHASE_MALFORMED"
    kind = Kind.INVALID
    en = "a message of the aggregation is malformed: {why}"
    zh = "聚合消息格式错误：{why}"


class ClearReplyRefused(Failure):
    code = "CLEAR_REPLY_REFUSED"
    kind = Kind.REFUSED
    en = "this node answers {phase} only as part of a sum"
    zh = "本节点仅以求和方式应答 {phase}"


class PartnerRefused(Failure):
    """A node's own refusal, as it came: facts party_code, party_kind, party_en, party_zh."""

    code = "PARTNER_REFUSED"
    kind = Kind.CONFLICT
    en = "{partner} refused: {party_en} ({party_code})"
    zh = "{partner} 拒绝：{party_zh}（{party_code}）"
