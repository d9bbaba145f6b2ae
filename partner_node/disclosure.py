"""What a job does and who learns what, said by this node from the body that people approve by its digest.

A proposal carries sentences of its proposer too. Nothing keeps those from being false; these are computed from the
fields that this node obeys, and they are what a person should approve by.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

from ecowire.documents import Body
from federation import bands
from federation.plan import TrainingPlan, read
from federation.plan_horizontal import HorizontalPlan
from federation.plan_models import Fairness, Logistic, Scoring, Split
from partner_node import disclosure_horizontal, disclosure_trees
from privacy.psi import learns
from privacy.psi.job import MatchJob
from revenue_share import agreement_words
from revenue_share.agreement import Agreement

Pair: TypeAlias = tuple[str, str]  # English, Chinese


def sentences(kind: str, body: Body, me: str) -> list[Pair]:
    """What `me` approves with a job of this kind, whose body passed this node's review of it."""
    return {"match": of_match, "train": of_training, "agreement": of_agreement}[kind](body, me)


def of_match(body: Mapping[str, Any], me: str) -> list[Pair]:
    """The sentences of a match whose body passed the review."""
    job = MatchJob.from_body(body)
    asset, kind = job.party(me).asset, job.id_type
    own = (
        f"{me} enters its clients of {asset} who consented to the purpose, by {kind}",
        f"{me} 以 {kind} 提交 {asset} 中已同意该用途的客户",
    )
    return [own, *learns.sentences(job)]


def of_training(body: Mapping[str, Any], me: str) -> list[Pair]:
    """The sentences of a plan whose body passed the review."""
    plan = read(body)
    if isinstance(plan, HorizontalPlan):
        return disclosure_horizontal.sentences(body, me)
    own, label = plan.party(me), plan.label_holder
    columns = ", ".join(own.columns)
    said: list[Pair] = [
        (
            f"{me} brings these columns of {own.asset}: {columns}",
            f"{me} 提供 {own.asset} 的以下字段：{columns}",
        ),
        (
            f"the clients are those of the alignment {plan.alignment[:16]}",
            f"客户范围为对齐任务 {plan.alignment[:16]} 的共同客户",
        ),
        *(disclosure_trees.sentences(plan) if plan.trees else _moments(plan)),
        (
            "the hub learns the signed figures of the results: measures over all test clients, and rates of bands of "
            f"at least {max(bands.ROWS_MIN, plan.rare_rows)} of them, {bands.CLASS_ROWS_MIN} of each class",
            f"枢纽获知已签名的结果指标：全部测试客户上的度量，以及每组至少 {max(bands.ROWS_MIN, plan.rare_rows)} 名"
            f"测试客户（各类别至少 {bands.CLASS_ROWS_MIN} 名）的比率",
        ),
    ]
    if plan.positive is not None:
        said.append(
            (
                f"one class against the rest is predicted: a client counts as 1 where {label}'s column "
                f"{plan.label_column} holds {plan.positive}, as 0 where it holds anything else; all parties and the "
                "hub learn this class by its name",
                f"预测一个类别（相对其余）：{label} 的字段 {plan.label_column} 取值为 {plan.positive} 的客户记为 1，"
                "其余记为 0；各方与枢纽获知该类别名称",
            )
        )
    weights = plan.survey_weights
    if weights:
        said.append(
            (
                f"{label} measures with the survey weights in its column {weights}",
                f"{label} 以字段 {weights} 中的抽样权重计算度量",
            )
        )
    said += _bins(plan)
    if plan.validation:
        said.append(
            (
                f"moments are shown of each of {plan.validation.folds} folds of the train clients, each of at least "
                f"{plan.part_rows}, in place of all at once",
                f"矩按训练客户的 {plan.validation.folds} 折分别给出（每折至少 {plan.part_rows} 名），而非一次给出全部",
            )
        )
    if plan.fairness:
        said.append(_fairness(plan, plan.fairness))
    if plan.contribution:
        said.append(_contribution(plan))
    if plan.logistic:
        said += _rounds(plan, plan.logistic)
    if plan.scoring:
        said.append(_scoring(plan, plan.scoring))
        if plan.scoring.split:
            said.append(_split(plan, plan.scoring.split))
    return said


def _moments(plan: TrainingPlan) -> list[Pair]:
    label, holders, step = plan.label_holder, ", ".join(plan.holders), f"2^{plan.score_step_log2}"
    return [
        (
            f"{label} learns moments of all parties' columns over at least {plan.minimum_rows} clients, "
            f"cells below {plan.cell_minimum} not exactly",
            f"{label} 获知各方字段在至少 {plan.minimum_rows} 名客户上的矩，小于 {plan.cell_minimum} 的格不精确给出",
        ),
        (
            f"{label} learns a share of each client's score from {holders}, in steps of {step} log-odds: of each "
            "alone for test clients, of all together (of one holder: its own) for every client; "
            f"at most {plan.score_budget} such vectors",
            f"{label} 获知 {holders} 对每名客户评分的份额（步长 {step} 对数几率）：测试客户为各方单独份额，"
            f"全部客户为合计份额（仅一方时即其自身份额）；此类向量至多 {plan.score_budget} 个",
        ),
        (
            f"{holders} learn moments of their own columns with the label {plan.label_column} and with the columns "
            "of those before them",
            f"{holders} 获知自有字段与标签 {plan.label_column} 及排序在前各方字段之间的矩",
        ),
    ]


def _scoring(plan: TrainingPlan, limits: Scoring) -> Pair:
    label, holders, step = plan.label_holder, ", ".join(plan.holders), f"2^{plan.score_step_log2}"
    days, most = plan.valid_days, limits.clients_per_day
    if plan.trees:
        return disclosure_trees.scoring(plan, limits)
    return (
        f"for {days} days after the run {label} may ask for the score of single clients of the alignment by the "
        f"columns as they are then, and learns the sum of the shares of {holders} (of one holder: its own) in steps of "
        f"{step} log-odds; each answers for at most {most} clients a day, only while the client's consent holds there, "
        "and learns which client was asked for and when; the hub learns that one was",
        f"训练完成后 {days} 天内，{label} 可按届时的字段值逐一查询对齐客户的评分，获知 {holders} 的合计份额"
        f"（仅一方时即其自身份额，步长 {step} 对数几率）；各方每日至多应答 {most} 名客户，且仅在该客户的同意有效时；"
        "各方获知查询的是哪位客户及时间，枢纽获知发生过查询",
    )


def _split(plan: TrainingPlan, split: Split) -> Pair:
    if plan.trees:
        return disclosure_trees.split(plan, split)
    label, holders, step = plan.label_holder, ", ".join(plan.holders), f"2^{split.step_log2}"
    most = split.clients_per_day
    return (
        f"for at most {most} of these clients a day, and over the run's lifetime at most as often as it has clients, "
        f"{label} may ask for the split of a score and learns the share of each of {holders} alone in multiples of "
        f"{step} log-odds; beside the sum of all shares this may tell some shares to the score's own step; the splits "
        f"of the run count as one more of {plan.score_budget} score vectors",
        f"对其中每日至多 {most} 名客户（整个任务期内总次数不超过任务客户数），{label} 可查询评分的分解，"
        f"单独获知 {holders} 各方的份额，取 {step} 对数几率的整数倍；结合合计份额，个别份额可能被还原至评分自身的步长；"
        f"本任务的分解计为 {plan.score_budget} 个得分向量额度中的一个",
    )


def _fairness(plan: TrainingPlan, limits: Fairness) -> Pair:
    label, columns, least = plan.label_holder, ", ".join(limits.groups), bands.CLASS_ROWS_MIN
    return (
        f"{label} measures gaps between groups of test clients by its columns {columns}; all parties and the hub learn "
        f"the figures of groups of at least {limits.group_rows} clients, {least} of each class; a model above the "
        "limits is not released",
        f"{label} 按字段 {columns} 度量测试客户各群体之间的差距；各方与枢纽获知至少 {limits.group_rows} 名客户"
        f"（各类别至少 {least} 名）的群体指标；超出限值的模型不予发布",
    )


def _rounds(plan: TrainingPlan, options: Logistic) -> list[Pair]:
    label, holders, rounds = plan.label_holder, ", ".join(plan.holders), options.rounds
    vectors, budget, step = plan.score_vectors(plan.holders[0]), plan.score_budget, f"2^{plan.score_step_log2}"
    said = [
        (
            f"the scorecard is refined in up to {rounds} rounds: in each {label} learns a share of each train client's "
            f"score from {holders} together (of one holder: its own), in steps of {step} log-odds; with these the run "
            f"shows up to {vectors} of a lifetime budget of {budget} score vectors",
            f"评分卡至多经 {rounds} 轮精调：每轮 {label} 获知 {holders} 对每名训练客户评分的合计份额"
            f"（仅一方时即其自身份额），步长 {step} 对数几率；"
            f"本次连同这些至多披露 {vectors} 个得分向量，终身额度为 {budget} 个",
        ),
        (
            f"{holders} learn in every round exact moments of their own columns with what the score leaves of the "
            f"label {plan.label_column}, in each part of the clients",
            f"{holders} 每轮获知自有字段与标签 {plan.label_column} 残差在各部分客户上的精确矩",
        ),
    ]
    tracks = sum(plan.holders[0] in one for one in plan.refined)
    if tracks > 1:
        sets, alone = "; ".join(" + ".join(one) for one in plan.refined), " or ".join(plan.holders)
        said.append(
            (
                f"up to {rounds} rounds of its own are run for {label} with each of: {sets}; of {alone} alone in a set "
                f"{label} learns that side's own share of each train client's score in every round, not a sum: each of "
                f"{holders} takes part in up to {tracks * rounds} rounds",
                f"{label} 与以下各组合分别进行至多 {rounds} 轮：{sets}；若某组合仅含 {alone} 一方，"
                f"则 {label} 每轮获知该方自身对每名训练客户评分的份额，而非合计；"
                f"{holders} 各至多参与 {tracks * rounds} 轮",
            )
        )
    if few := [name for name in plan.holders if 2 * rounds * tracks > len(plan.party(name).columns)]:
        names = ", ".join(few)
        said.append(
            (
                f"these rounds are more than half of the columns of {names}: after as many rounds as a side has "
                f"columns {label} may rebuild the columns themselves",
                f"轮数超过 {names} 列数的一半：轮数达到一方的列数后，{label} 可能还原这些列本身",
            )
        )
    return said


def _bins(plan: TrainingPlan) -> list[Pair]:
    """What every party's binned columns show: each reads this of the others' too."""
    return [
        (
            f"{party.partner} takes {', '.join(party.binned)} as at most {plan.bins} bins, the missing as one more: "
            f"others learn how many clients are in each ({plan.rare_rows} or more) and its moments, not where it ends",
            f"{party.partner} 将 {'、'.join(party.binned)} 分为至多 {plan.bins} 箱，缺失另成一箱：他方获知每箱客户数"
            f"（至少 {plan.rare_rows}）及其矩，不获知分界",
        )
        for party in plan.parties
        if party.binned
    ]


def _contribution(plan: TrainingPlan) -> Pair:
    label, holders = plan.label_holder, ", ".join(plan.holders)
    if plan.by_scores:
        return (
            "contribution is measured: the hub and all parties learn the error, on held-out clients, of the model with "
            f"every subset of {holders}, which {label} measures by the scores it has of them, and signs",
            f"度量贡献：枢纽与各方获知 {holders} 任一子集所得模型在留出客户上的误差，"
            f"由 {label} 以其已有的得分测得并签名",
        )
    return (
        f"contribution is measured: {label} and {holders} learn their moments over the held-out clients too, "
        f"and the hub and all parties learn the held-out error with the columns of every subset of {holders}",
        f"度量贡献：{label} 与 {holders} 还获知留出客户上的矩；枢纽与各方获知 {holders} 任一子集字段下的留出误差",
    )


def of_agreement(body: Body, me: str) -> list[Pair]:
    """The sentences of an agreement whose body passed the review."""
    terms = Agreement.from_body(body)
    payer, referrer = terms.payer.partner, terms.referrer.partner
    until = terms.valid_until.isoformat() if terms.valid_until else "-"
    said: list[Pair] = []
    for rule in terms.rules:
        en, zh = agreement_words.of_rule(terms, rule)
        currency = terms.currency
        said.append((f"{payer} pays {referrer} in {currency}: {en}", f"{payer} 以 {currency} 支付 {referrer}：{zh}"))
    said += agreement_words.besides(terms)
    return [
        *said,
        (
            f"for referrals from {terms.valid_from.isoformat()} to {until}",
            f"适用于 {terms.valid_from.isoformat()} 至 {until} 的转介",
        ),
        (
            f"settled by contract {terms.contract} on chain {terms.chain_id}, {terms.window_seconds} s for objections",
            f"由链 {terms.chain_id} 上的合约 {terms.contract} 结算，异议期 {terms.window_seconds} 秒",
        ),
        (
            f"the hub and both parties learn token, time and amount of each referral and event that {me} reports",
            f"枢纽与双方获知 {me} 上报的每笔转介和收入事件的凭证、时间与金额",
        ),
    ]
