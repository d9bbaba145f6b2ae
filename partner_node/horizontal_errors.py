"""Why a node keeps out of a horizontal run, or of a round of it."""

from privacy.errors import Failure, Kind


class BudgetNotSet(Failure):
    code = "BUDGET_NOT_SET"
    kind = Kind.REFUSED
    en = (
        "the plan adds noise that is booked against a privacy budget, and {asset} has none: write "
        'privacy_budget = {{epsilon = "8", delta_log10 = -6}} under its [[asset]] in node.toml and restart the node'
    )
    zh = (
        "该方案的噪声须计入隐私预算，而 {asset} 未设预算：请在 node.toml 的 [[asset]] 下写入 "
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
        "the privacy budget of {asset} is epsilon {limit} at delta 10^{delta}: {spent} is spent, and {rounds} more "
        "noisy updates would make it {needed}; ask for fewer rounds or more noise. It never resets by itself "
        "(`ecohub partner budget`)"
    )
    zh = (
        "{asset} 的隐私预算为 ε={limit}（δ=10^{delta}）：已用 {spent}，再发布 {rounds} 次加噪更新将达到 {needed}；"
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
        "round {round} of {job} came with other weights before: one round is one set of weights, or a run would tell "
        "more than its plan says; propose it anew"
    )
    zh = "任务 {job} 的第 {round} 轮此前收到的模型参数不同：每轮只有一组参数，否则泄露将超出方案；请重新发起"
