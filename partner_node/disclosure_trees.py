"""Who learns what where trees are grown, said by this node from the plan that people approve."""

from typing import TypeAlias

from federation.plan import TrainingPlan
from federation.plan_models import Scoring, Split

Pair: TypeAlias = tuple[str, str]  # English, Chinese


def sentences(plan: TrainingPlan) -> list[Pair]:
    """What stands in place of moments and score shares. plan: of model trees."""
    assert plan.trees is not None, "the plan's model is trees"
    label, holders, options = plan.label_holder, ", ".join(plan.holders), plan.trees
    return [
        *_variants(plan),
        (
            f"up to {options.trees} trees of depth {options.depth} are grown: for each node {label} learns sums of its "
            f"loss's derivatives over groups of neighbouring bins of {holders} (at most {plan.bins} bins a column), "
            f"each group of at least {plan.rare_rows} train clients of the node",
            f"最多生成 {options.trees} 棵深度 {options.depth} 的树：对每个节点，{label} 获知其损失的导数在 {holders} "
            f"各列相邻分箱组上的和（每列至多 {plan.bins} 箱），每组至少含该节点 {plan.rare_rows} 名训练客户",
        ),
        (
            f"where a column of {holders} splits a node, {label} learns which column, and of every aligned client of "
            f"the node, test clients too, whether it goes left: up to {options.depth} bits of a client in each tree, "
            "which over many trees tell nearly every client's bin in the columns that split; never an edge. Each "
            f"tree counts as one of the {plan.score_budget} score vectors that may be shown",
            f"当 {holders} 的某列用于分裂节点时，{label} 获知是哪一列，以及该节点内每名对齐客户（含测试客户）走哪一支："
            f"每棵树每名客户至多 {options.depth} 比特；多棵树累计可得知几乎每名客户在这些列上所处的分箱，"
            "但不获知切分值。"
            f"每棵树计为 {plan.score_budget} 个得分向量额度中的一个",
        ),
        (
            f"{holders} learn sums of both derivatives, which depend on the label {plan.label_column} and the scores "
            "so far, over their own bins in each node asked for, and which clients are in the nodes that their own "
            "columns split: of a client alone in a bin of such a node, the label itself",
            f"{holders} 获知被查询的每个节点中两阶导数（取决于标签 {plan.label_column} 与当前得分）在自有分箱上的和，"
            "以及由自有列分裂的节点包含哪些客户；若某客户在此类节点的某分箱中仅有其一人，则可得知其标签本身",
        ),
        (
            f"{label} is trusted to encrypt true derivatives: if it deviates, it can ask about the bins of few clients",
            f"信任 {label} 加密真实的导数：若其违反协议，可能借此探知少数客户所在的分箱",
        ),
    ]


def scoring(plan: TrainingPlan, limits: Scoring) -> Pair:
    """What single scores show after the run."""
    label, holders, days, most = plan.label_holder, ", ".join(plan.holders), plan.valid_days, limits.clients_per_day
    trees = plan.trees.trees if plan.trees else 0
    return (
        f"for {days} days after the run {label} may ask for the score of single clients of the alignment by the "
        f"columns as they are then, and learns of each of {holders} which side the client takes at those of its splits "
        "that the client may come to, never an edge; if it deviates, at all of its splits. Each answers for at most "
        f"{most} clients a day, only while the client's consent holds there, and learns which client was asked for, "
        f"when, and which of its splits may be on the way; the first answer counts as up to {trees} more of "
        f"{plan.score_budget} score vectors; the hub learns that a client was asked for",
        f"训练完成后 {days} 天内，{label} 可按届时的字段值逐一查询对齐客户的评分，"
        f"并获知该客户在 {holders} 各方可能到达的分裂处走哪一支（不获知切分值）；"
        f"若其违反协议，则可获知该方全部分裂处的走向。各方每日至多应答 {most} 名客户，"
        "且仅在该客户的同意有效时；各方获知查询的是哪位客户、时间及其哪些分裂可能在路径上；"
        f"首次应答计为至多 {trees} 个得分向量（额度 {plan.score_budget} 个）；枢纽获知发生过查询",
    )


def split(plan: TrainingPlan, split: Split) -> Pair:
    """What people at the label holder are shown by side; its node has the sides of splits anyway."""
    label, holders, step, most = (
        plan.label_holder,
        ", ".join(plan.holders),
        f"2^{split.step_log2}",
        split.clients_per_day,
    )
    return (
        f"for at most {most} of these clients a day, and over the run's lifetime at most as often as it has clients, "
        f"people at {label} may see what the splits of each of {holders} add to a score, in multiples of {step} "
        f"log-odds, never by column or split; each of {holders} counts these, together as one more of "
        f"{plan.score_budget} score vectors",
        f"对其中每日至多 {most} 名客户（整个任务期内总次数不超过任务客户数），{label} 的人员可查看 {holders} 各方的分裂"
        f"对评分的合计影响，取 {step} 对数几率的整数倍，不按字段或分裂给出；{holders} 各自计数，"
        f"合计为 {plan.score_budget} 个得分向量额度中的一个",
    )


def _variants(plan: TrainingPlan) -> list[Pair]:
    """What is shown again because the model is compared with others."""
    count = plan.variants_with(plan.holders[0])
    if count == 1:
        return []
    label, holders, trees = plan.label_holder, ", ".join(plan.holders), plan.score_vectors(plan.holders[0])
    sets = "; ".join(" + ".join(one) for one in plan.variants()[1:])
    return [
        (
            f"trees are grown {len(plan.variants()) - 1} times over the same clients, {label} with each of: {sets}. "
            f"All that is said below of trees holds of each, so that each of {holders} shows up to {trees} score "
            f"vectors in {count} variants; where a variant has one of them alone, all that {label} learns of splits by "
            "others is of that one, and of more clients it learns the label",
            f"在相同客户上共生成 {len(plan.variants()) - 1} 组树，由 {label} 分别与以下各方组合：{sets}。"
            f"下述关于树的各项对每一组均成立：{holders} 各自在 {count} 组中至多披露 {trees} 个得分向量；"
            f"若某组仅含其中一方，则 {label} 获知的他方分裂均来自该方，且该方可得知更多客户的标签",
        )
    ]
