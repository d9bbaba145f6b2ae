"""What a horizontal plan does and who learns what, said by this node from the fields of the body it obeys."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from federation.plan_horizontal import HorizontalPlan
from partner_node.budget import to_text
from privacy import noise

Pair: TypeAlias = tuple[str, str]  # English, Chinese


def sentences(body: Mapping[str, Any], me: str) -> list[Pair]:
    """The sentences of a plan whose body passed the review. Raises AccountantMissing for a plan with noise."""
    plan = HorizontalPlan.from_body(body)
    return [*_brings(plan, me), *_sums(plan), _engine(plan), _noise(plan), *_figures(plan)]


def _brings(plan: HorizontalPlan, me: str) -> list[Pair]:
    asset, label = plan.party(me).asset, plan.label_column
    columns = ", ".join(column.name for column in plan.columns)
    return [
        (
            f"{me} trains on the rows of {asset} whose clients consented to the purpose, if {plan.minimum_rows} or "
            f"more are train rows: label {label}, columns {columns}",
            f"{me} 使用 {asset} 中已同意该用途客户的数据训练（训练行数不少于 {plan.minimum_rows}）：标签 {label}，"
            f"字段 {columns}",
        ),
        (
            "rows, ids and this node's own model updates do not leave it readable",
            "数据行、客户标识及本节点的模型更新均不以可读形式离开本节点",
        ),
    ]


def _sums(plan: HorizontalPlan) -> list[Pair]:
    roster, rounds = plan.roster, plan.training.rounds
    least, bound = roster.minimum, max(2 * roster.threshold - roster.size - 1, 0)
    loss, loss_zh = ("", "") if plan.privacy else (" and their mean loss", "与平均损失")
    said: list[Pair] = [
        (
            f"in each of up to {rounds} rounds the hub and every party learn the sum of the updates of {least} parties "
            f"or more, the number of their train rows{loss}; the trained model is theirs too",
            f"在至多 {rounds} 轮的每一轮中，枢纽与各方获知不少于 {least} 方的更新之和、训练行数之和{loss_zh}；"
            "训练所得模型亦为各方所有",
        )
    ]
    if plan.standardise:
        said.append(
            (
                f"before the first round they learn of {least} parties or more together how many values each column "
                "and level has, with exact mean and variance, and how many rows each class",
                f"首轮之前，枢纽与各方获知不少于 {least} 方合计的各字段与取值数量、精确均值与方差，以及各类别行数",
            )
        )
    if roster.size == 2:
        said.append(
            (
                "THERE ARE TWO PARTIES: each takes its own update off the sum and sees the other's; only the noise "
                "stands between",
                "仅有两方：各方从总和中减去自身更新即可得到对方的更新，仅由噪声保护",
            )
        )
        return said
    said.append(
        (
            f"one party's own update stays hidden while at most {plan.colluders} other "
            f"{'party works' if plan.colluders == 1 else 'parties work'} together with the hub "
            f"(the construction holds up to {bound}); those together learn the sum of the rest",
            f"只要与枢纽合谋的其他方不超过 {plan.colluders} 个（构造上限为 {bound}），单方更新即保持隐藏；"
            "合谋者可得知其余各方之和",
        )
    )
    return said


def _engine(plan: HorizontalPlan) -> Pair:
    if plan.engine.dealer is None:
        return (
            "sums open with the answers of "
            f"{plan.roster.threshold} of {plan.roster.size} parties; nobody ever holds a key to a single update",
            f"总和需 {plan.roster.size} 方中 {plan.roster.threshold} 方应答方可解开；任何人都不持有单方更新的密钥",
        )
    dealer = plan.engine.dealer
    return (
        f"THERE IS A DEALER, {dealer}: it makes the key alone, is sent every round's updates as a holder, and can read "
        "each of them",
        f"密钥分发方为 {dealer}：密钥由其单独生成；作为持有方它会收到每轮的各方更新，并能逐一解密",
    )


def _noise(plan: HorizontalPlan) -> Pair:
    if plan.privacy is None:
        return (
            "NO NOISE is added: the sums are exact, and sums of rounds or runs over nearly the same clients can be "
            "subtracted. A hub that cheats, alone, needs two rounds with almost the same weights and one party's "
            "absence in one of them to read that party's update",
            "不加噪声：总和为精确值，客户几乎相同的多轮或多次训练之和可以相减。枢纽若作弊，无须任何一方配合，"
            "只需两轮几乎相同的参数及某一方缺席其中一轮，即可读出该方的更新",
        )
    rounds, delta = plan.training.rounds, plan.privacy.delta_log10
    release = noise.Release(noise_multiplier_milli=plan.privacy.noise_multiplier_milli, count=rounds)
    total = to_text(noise.epsilon([release], delta))
    return (
        f"every update carries noise: {rounds} rounds tell about one train row at most epsilon {total} at delta "
        f"10^{delta}, booked on the asset's lifetime budget; a repeated attempt, or one that this node refuses once it "
        "has read rows, costs as much as a round",
        f"每次更新均加噪声：{rounds} 轮对单行训练数据的泄露至多为 ε={total}（δ=10^{delta}），计入数据资产的终身预算；"
        "重试一次，或读取数据后拒绝一次，与一轮花费相同",
    )


def _figures(plan: HorizontalPlan) -> list[Pair]:
    if plan.privacy is not None:
        return [
            (
                "at the end the hub and every party learn this node's numbers of rows, signed, and nothing else of "
                "them: its figures, which carry no noise, are for its own people",
                "结束时枢纽与各方仅获知本节点签名的行数；各项指标不含噪声，只供本方人员查看",
            )
        ]
    return [
        (
            "at the end the hub and every party learn this node's own figures, signed: numbers of rows, AUC and log "
            "loss on its test rows of its own model, the joint one and the adjusted one, and how many values were "
            "missing",
            "结束时枢纽与各方获知本节点签名的自有指标：行数，本地、联合与个性化模型在测试行上的 AUC 及对数损失，"
            "以及缺失值数量",
        ),
        (
            "and a histogram of the joint model's scores on the test rows of all parties together",
            "并获知联合模型在各方测试行上的合计得分直方图",
        ),
    ]
