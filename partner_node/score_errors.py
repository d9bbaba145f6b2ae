"""What a node refuses when single clients are scored. A feature holder's refusal tells no more than that it is its."""

from privacy.errors import Failure, Kind


class ScoringNotInPlan(Failure):
    code = "SCORING_NOT_IN_PLAN"
    kind = Kind.REFUSED
    en = "the plan of {job} has no `scoring`: its parties approved a label matrix, and no later score of one client"
    zh = "任务 {job} 的方案没有 `scoring`：各方仅批准标签矩阵，未批准之后对单个客户评分"


class SplitNotInPlan(Failure):
    code = "SPLIT_NOT_IN_PLAN"
    kind = Kind.REFUSED
    en = "the plan of {job} has no `scoring.split`: {partner} gives no share of its own of a score, only the masked one"
    zh = "任务 {job} 的方案没有 `scoring.split`：{partner} 只提供带掩码的份额，不单独给出自身份额"


class SplitBudgetSpent(Failure):
    code = "SPLIT_BUDGET_SPENT"
    kind = Kind.REFUSED
    en = (
        "{partner} has shown its own share of {most} clients of {job} on {day} (UTC), as many as the plan allows in a "
        "day: ask without --split"
    )
    zh = (
        "{partner} 在 {day}（UTC）已就任务 {job} 给出 {most} 名客户的自身份额，达到方案规定的每日上限："
        "请去掉 --split 查询"
    )


class SplitsOver(Failure):
    code = "SPLITS_OVER"
    kind = Kind.REFUSED
    en = (
        "{partner} has shown its own shares of {job} {most} times, as often as the run has clients: no more in the "
        "run's lifetime; ask without --split"
    )
    zh = "{partner} 已就任务 {job} 给出 {most} 次自身份额，达到任务客户数，该任务不再给出：请去掉 --split 查询"


class OwnSidesChanged(Failure):
    code = "OWN_SIDES_CHANGED"
    kind = Kind.CONFLICT
    en = "this side's own data of the client changed while {job} was being asked: ask again"
    zh = "查询任务 {job} 期间，本方该客户的数据已变化：请重新查询"


class ClientOptedOut(Failure):
    code = "CLIENT_OPTED_OUT"
    kind = Kind.REFUSED
    en = "this client wants no labels (`ecohub partner labels opt-out`): no score was asked for"
    zh = "该客户已拒绝标签（`ecohub partner labels opt-out`）：未查询评分"


class RunNotCompleted(Failure):
    code = "RUN_NOT_COMPLETED"
    kind = Kind.CONFLICT
    en = "{job} is {state} here: clients are scored by a run that is COMPLETED and left its result"
    zh = "任务 {job} 在本节点状态为 {state}：仅已完成并留下结果的任务可用于评分"


class ModelPartMissing(Failure):
    code = "MODEL_PART_MISSING"
    kind = Kind.NOT_FOUND
    en = "{partner} has no part of the model of {job} any more: train again, or put {file} back into its results"
    zh = "{partner} 已没有任务 {job} 的模型部分：请重新训练，或将 {file} 放回 results 文件夹"


class ClientNotAligned(Failure):
    code = "CLIENT_NOT_ALIGNED"
    kind = Kind.NOT_FOUND
    en = "the client of the ask is none of the alignment of {job} at {partner}"
    zh = "所查询的客户不在 {partner} 处任务 {job} 的对齐结果中"


class OwnConsentMissing(Failure):
    code = "OWN_CONSENT_MISSING"
    kind = Kind.REFUSED
    en = "no consent of this client to {purpose} holds here now: nothing was asked of others"
    zh = "该客户在本节点对 {purpose} 的同意当前无效：未向其他方发出查询"


class ClientNotScored(Failure):
    code = "CLIENT_NOT_SCORED"
    kind = Kind.REFUSED
    en = "{partner} gives no share of this client's score now, for want of consent or of data"
    zh = "{partner} 目前不提供该客户的评分份额（缺少有效同意或数据）"


class ScoringBudgetSpent(Failure):
    code = "SCORING_BUDGET_SPENT"
    kind = Kind.REFUSED
    en = "{partner} has answered for {most} clients of {job} on {day} (UTC), as many as the plan allows in a day"
    zh = "{partner} 在 {day}（UTC）已为任务 {job} 应答 {most} 名客户，达到方案规定的每日上限"


class ScoreAskOver(Failure):
    code = "SCORE_ASK_OVER"
    kind = Kind.CONFLICT
    en = "the ask was over at {until} before {partner} could answer: ask again"
    zh = "{partner} 应答前查询已于 {until} 失效：请重新查询"


class ScoreAskDiffers(Failure):
    code = "SCORE_ASK_DIFFERS"
    kind = Kind.INTEGRITY
    en = "the ask is not what was announced or answered before under its name ({what})"
    zh = "查询与此前以同一编号公布或应答的内容不符（{what}）"


class ScoreAskUnknown(Failure):
    code = "SCORE_ASK_UNKNOWN"
    kind = Kind.NOT_FOUND
    en = "this node asked for no such score ({ask})"
    zh = "本节点没有发出该评分查询（{ask}）"


class ScorePending(Failure):
    code = "SCORE_PENDING"
    kind = Kind.UNAVAILABLE
    en = (
        "no score within {seconds} s: the hub or one of {holders} does not answer. The same command waits for the same "
        "ask until {until}, and nothing is counted twice"
    )
    zh = "{seconds} 秒内未得到评分：枢纽或 {holders} 之一未应答。在 {until} 前重复命令即等待同一查询，不会重复计数"


class ModelServesOthers(Failure):
    code = "MODEL_SERVES_OTHERS"
    kind = Kind.REFUSED
    en = "the release of {job} does not reach this client: the model that does is another one of {name}"
    zh = "{job} 的发布范围不含该客户：服务该客户的是 {name} 的另一个模型"
