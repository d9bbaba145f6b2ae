"""Why a node keeps out of a horizontal run, or of a round of it."""

from privacy.errors import Failure, Kind


class BudgetNotSet(Failure):
    code = "BUDGET_NOT_SET"
    kind = Kind.REFUSED
    en = (
        "the job adds noise that is booked against a privacy budget, and {asset} has none: write "
        'privacy_budget = {{epsilon = "8", delta_log10 = -6}} under its [[asset]] in node.toml and restart the node'
    )
    zh = (
        "该任务的噪声须计入隐私预算，而 {asset} 未设预算：请在 node.toml 的 [[asset]] 下写入 "
        'privacy_budget = {{epsilon = "8", delta_log10 = -6}} 并重启节点'
    )


class BudgetNeedsNoise(Failure):
    code = "BUDGET_NEEDS_NOISE"
    kind = Kind.REFUSED
    en = (
        "{asset} has a privacy budget and the plan adds no noise: its sums would tell without limit; "
        "ask for a plan with [privacy]"
    )
    zh = "{asset} 设有隐私预算，而该方案不加噪声，其泄露没有上限：请要求带 [privacy] 的方案"


class BudgetExhausted(Failure):
    code = "BUDGET_EXHAUSTED"
    kind = Kind.REFUSED
    en = (
        "the privacy budget of {asset} is epsilon {limit} at delta 10^{delta}: {spent} is spent, and with {rounds} "
        "more noisy releases it would be {needed}; ask for fewer rounds or more noise. It never resets by itself "
        "(`ecohub partner budget`)"
    )
    zh = (
        "{asset} 的隐私预算为 ε={limit}（δ=10^{delta}）：已用 {spent}，再发布 {rounds} 次加噪结果将达到 {needed}；"
        "请减少轮数或加大噪声。预算不会自动重置（`ecohub partner budget`）"
    )


class RoundNotInPlan(Failure):
    code = "ROUND_NOT_IN_PLAN"
    kind = Kind.REFUSED
    en = "the approved plan of {job} has no {work} in round {round}: nothing leaves this node for it"
    zh = "任务 {job} 已批准的方案在第 {round} 轮没有 {work}：本节点不为其提供任何内容"


class RoundGivenBefore(Failure):
    code = "ROUND_GIVEN_BEFORE"
    kind = Kind.REFUSED
    en = (
        "round {round} of {job} came with other weights or settings before: one round is one input, or a run would "
        "tell more than its plan says; propose it anew"
    )
    zh = "任务 {job} 的第 {round} 轮此前收到的模型参数或设置不同：每轮只有一份输入，否则泄露将超出方案；请重新发起"


class ScalingGivenBefore(Failure):
    code = "SCALING_GIVEN_BEFORE"
    kind = Kind.REFUSED
    en = (
        "round {round} of {job} comes with another scaling than the run had before: a run has one, or it would tell "
        "more than its plan says; propose it anew"
    )
    zh = "任务 {job} 第 {round} 轮的标准化参数与此前不同：一次训练只有一组标准化参数，否则泄露将超出方案；请重新发起"


class KeysTooFarAhead(Failure):
    code = "KEYS_TOO_FAR_AHEAD"
    kind = Kind.REFUSED
    en = "more keys of {dealer} than the {most} that the plan prepares ahead are neither made nor held here"
    zh = "方案提前准备的密钥为 {most} 个；本节点不生成也不保存 {dealer} 超出此数的密钥"


class NotToldWithNoise(Failure):
    """With noise a reason would be an exact answer about rows, so there is one for all."""

    code = "NOT_TOLD_WITH_NOISE"
    kind = Kind.REFUSED
    en = (
        "this node gives nothing in round {round} of {job}; where noise protects rows the reason is not told, and the "
        "round is booked on the privacy budget all the same; its own people find the reason in the node's log"
    )
    zh = (
        "本节点在任务 {job} 第 {round} 轮不提供结果；数据受噪声保护时不说明原因，该轮仍计入隐私预算；"
        "本方人员可在节点日志中查看原因"
    )
