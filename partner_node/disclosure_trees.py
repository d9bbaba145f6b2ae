"""Who learns what where trees are grown, said by this node from the plan that people approve."""

from typing import TypeAlias

from federation.plan import TrainingPlan

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
