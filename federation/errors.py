"""Expected failures of joint training. Facts are identifiers and counts: never a client's value, never a key."""

from privacy.errors import Failure, Kind


class PlanInvalid(Failure):
    code = "PLAN_INVALID"
    kind = Kind.INVALID
    en = "the training plan's {field} is not valid: {why}"
    zh = "训练方案的 {field} 无效：{why}"


class LocalNoiseRequired(Failure):
    code = "LOCAL_NOISE_REQUIRED"
    kind = Kind.REFUSED
    en = "the sum of two partners shows each the other's update ({partners}); add privacy noise or a third partner"
    zh = "仅两家参与时，聚合结果会让双方推知对方的更新（{partners}）；请启用差分隐私噪声或增加第三家"


class HiddenAlignmentRefused(Failure):
    code = "HIDDEN_ALIGNMENT_REFUSED"
    kind = Kind.REFUSED
    en = "a scorecard discloses scores, so it needs an alignment of common clients, not a hidden one ({mode})"
    zh = "评分卡会披露得分，须使用共同客户对齐，不能使用隐藏对齐（{mode}）"


class ColumnMissing(Failure):
    code = "COLUMN_MISSING"
    kind = Kind.NOT_FOUND
    en = "column {column} is not in the table; map it or propose a plan without it"
    zh = "数据表中没有列 {column}；请先映射该列，或提交不含该列的方案"


class ColumnNotNumeric(Failure):
    code = "COLUMN_NOT_NUMERIC"
    kind = Kind.INVALID
    en = "column {column} holds {dtype}, numbers are expected; encode it as numbers first"
    zh = "列 {column} 的类型为 {dtype}，应为数值；请先编码为数值"


class ColumnNotText(Failure):
    code = "COLUMN_NOT_TEXT"
    kind = Kind.INVALID
    en = "column {column} holds {dtype}, text is expected; propose it as a number or map it to text first"
    zh = "列 {column} 的类型为 {dtype}，应为文本；请作为数值列提交，或先映射为文本"


class ValueTooLarge(Failure):
    code = "VALUE_TOO_LARGE"
    kind = Kind.INVALID
    en = "column {column} holds a number of 2^28 or more; propose it with the transform signed_log"
    zh = "列 {column} 含有不小于 2^28 的数值；请在方案中使用 signed_log 变换"


class LabelUnknown(Failure):
    code = "LABEL_UNKNOWN"
    kind = Kind.INVALID
    en = "the label column {column} holds {count} values that are none of the plan's classes"
    zh = "标签列 {column} 有 {count} 个值不属于方案列出的类别"


class ColumnHasGaps(Failure):
    code = "COLUMN_HAS_GAPS"
    kind = Kind.INVALID
    en = "column {column} has {count} missing values; fill them, take the column as `binned`, or leave it out"
    zh = "列 {column} 有 {count} 个缺失值；请补全、将其列入 binned，或剔除该列"


class ColumnInfinite(Failure):
    code = "COLUMN_INFINITE"
    kind = Kind.INVALID
    en = "column {column} has {count} infinite values; correct them or leave the column out"
    zh = "列 {column} 有 {count} 个无穷值；请更正或剔除该列"


class RowsDiffer(Failure):
    code = "ROWS_DIFFER"
    kind = Kind.INVALID
    en = "{what} has {found} rows, {expected} are expected"
    zh = "{what} 有 {found} 行，应为 {expected} 行"


class NoUsableColumns(Failure):
    code = "NO_USABLE_COLUMNS"
    kind = Kind.REFUSED
    en = "none of the {count} columns may be used: each sets too few clients apart ({rare_rows} rows are needed)"
    zh = "{count} 列均不可用：每列区分出的客户都少于 {rare_rows} 个"


class TooFewRows(Failure):
    code = "TOO_FEW_ROWS"
    kind = Kind.REFUSED
    en = "{count} {what} rows, the plan needs {minimum}"
    zh = "{what} 行数为 {count}，方案要求至少 {minimum}"


class SumsTellRows(TooFewRows):
    code = "SUMS_TELL_ROWS"
    kind = Kind.REFUSED
    en = (
        "{count} train rows are too few for the sums that {trees} trees of depth {depth} in {variants} variants ask of "
        "{partner}: {minimum} are needed, or fewer trees, less depth or fewer variants"
    )
    zh = (
        "训练行数为 {count}，不足以支持 {variants} 组各 {trees} 棵深度 {depth} 的树向 {partner} 查询的求和："
        "至少需要 {minimum} 行，或减少树的数量、深度或组数"
    )


class TooManyRows(Failure):
    code = "TOO_MANY_ROWS"
    kind = Kind.REFUSED
    en = "{count} train rows, the plan's examples_max is {maximum}; propose a plan with a larger one"
    zh = "训练行数为 {count}，方案的 examples_max 为 {maximum}；请提交更大的 examples_max"


class LabelNotBinary(Failure):
    code = "LABEL_NOT_BINARY"
    kind = Kind.INVALID
    en = "the label column {column} holds other values than 0 and 1"
    zh = "标签列 {column} 含有 0 和 1 以外的值"


class LabelClassAbsent(Failure):
    code = "LABEL_CLASS_ABSENT"
    kind = Kind.REFUSED
    en = "no aligned client has the class {positive} in the label column {column}; values are compared as text"
    zh = "对齐客户的标签列 {column} 中没有类别 {positive}；各值按文本比较"


class LabelTooRare(Failure):
    code = "LABEL_TOO_RARE"
    kind = Kind.REFUSED
    en = "the rarer label has {count} {what} rows, {minimum} are needed: figures would point at single clients"
    zh = "较少的一类标签在 {what} 行中只有 {count} 个，至少需要 {minimum} 个，否则统计量会指向个别客户"


class SurveyWeightsInvalid(Failure):
    code = "SURVEY_WEIGHTS_INVALID"
    kind = Kind.INVALID
    en = "the survey weights in {column} can't be used: {why}"
    zh = "{column} 中的抽样权重不可用：{why}"


class OrderDiffers(Failure):
    code = "ORDER_DIFFERS"
    kind = Kind.INTEGRITY
    en = "{partner} aligned other clients or another order; run the match again"
    zh = "{partner} 的对齐客户或顺序不同；请重新执行求交对齐"


class SeedCommitmentBroken(Failure):
    code = "SEED_COMMITMENT_BROKEN"
    kind = Kind.INTEGRITY
    en = "{partner} opened another value than it had committed to for the joint seed"
    zh = "{partner} 打开的联合种子与其承诺不符"


class StepMalformed(Failure):
    code = "STEP_MALFORMED"
    kind = Kind.INVALID
    en = "a training message of {partner} is malformed: {why}"
    zh = "{partner} 的训练消息格式错误：{why}"


class StepUnexpected(Failure):
    code = "STEP_UNEXPECTED"
    kind = Kind.CONFLICT
    en = "{partner} sent {step}, which is not expected from it or was sent before"
    zh = "{partner} 发送了 {step}，该消息不应由其发送或已发送过"


class StatisticsImplausible(Failure):
    code = "STATISTICS_IMPLAUSIBLE"
    kind = Kind.INTEGRITY
    en = (
        "the sum of the partners' statistics counts {rows} rows of {cohort} partners, which the plan does not allow; "
        "the run ends: have each partner check its rows, then propose the plan again"
    )
    zh = "各方统计量之和为 {cohort} 方共 {rows} 行，不符合方案约定；训练终止，请各方核对数据行后重新提交方案"


class MomentsImplausible(Failure):
    code = "MOMENTS_IMPLAUSIBLE"
    kind = Kind.INTEGRITY
    en = "the moments of {partner} cannot come from data: {why}"
    zh = "{partner} 的统计量不可能来自真实数据：{why}"


class DerivativesImplausible(Failure):
    code = "DERIVATIVES_IMPLAUSIBLE"
    kind = Kind.INTEGRITY
    en = "the sums of derivatives from {partner} cannot come from data: {why}"
    zh = "{partner} 给出的导数之和不可能来自真实数据：{why}"


class SplitRefused(Failure):
    code = "SPLIT_REFUSED"
    kind = Kind.REFUSED
    en = "the split that {partner} asks for is refused, no client is routed: {why}"
    zh = "拒绝 {partner} 要求的分裂，不给出任何客户的走向：{why}"


class ModelPartUnreadable(Failure):
    code = "MODEL_PART_UNREADABLE"
    kind = Kind.INTEGRITY
    en = "the model part cannot be read: {why}; take it from the results of its run again"
    zh = "无法读取模型部分：{why}；请从该次训练的结果中重新获取"


class WeightsRefused(Failure):
    code = "WEIGHTS_REFUSED"
    kind = Kind.REFUSED
    en = "the weights from {partner} are refused, no score leaves: {why}"
    zh = "拒绝 {partner} 给出的权重，不输出任何得分：{why}"


class ScoresImplausible(Failure):
    code = "SCORES_IMPLAUSIBLE"
    kind = Kind.INTEGRITY
    en = "the scores of {partner} are out of range; a party answered other weights than the rest"
    zh = "{partner} 的得分超出范围；有参与方使用了不一致的权重"


class ScoreBudgetExceeded(Failure):
    code = "SCORE_BUDGET_EXCEEDED"
    kind = Kind.REFUSED
    en = "this run discloses {needed} score vectors, {spent} of {budget} are spent; only a new approval raises it"
    zh = "本次将披露 {needed} 个得分向量，额度 {budget} 已用 {spent}；须重新审批才能提高额度"


class RoundsBeyondCap(Failure):
    code = "ROUNDS_BEYOND_CAP"
    kind = Kind.REFUSED
    en = (
        "{rounds} rounds of scores over {columns} columns of {partner}: at most half as many, {most}, unless the plan "
        "says beyond_cap and its owner approves that"
    )
    zh = (
        "{partner} 仅有 {columns} 列，却要求 {rounds} 轮得分：至多为列数的一半（{most}），"
        "除非方案写明 beyond_cap 并经其所有者批准"
    )


class ColumnsTellRows(Failure):
    code = "COLUMNS_TELL_ROWS"
    kind = Kind.REFUSED
    en = (
        "{count} columns and bins of {partner} are too many for {rows} {part} rows, at most {limit}: a column of "
        "another party could be solved for by its moments with them; propose fewer columns, bins or folds"
    )
    zh = (
        "{partner} 的列与分箱共 {count} 个，对 {part} 的 {rows} 行过多，最多 {limit} 个："
        "由其与他方某列的矩可解出该列的值；请减少列、分箱或折数"
    )


class TooManyColumns(Failure):
    code = "TOO_MANY_COLUMNS"
    kind = Kind.REFUSED
    en = (
        "the columns and bins of a feature holder are {count}, at most {limit} keep the encryption's guard against "
        "crafted answers; propose fewer columns, bins or partners"
    )
    zh = "一个特征方的列与分箱共 {count} 个，最多 {limit} 个才能保证对恶意应答的防护；请减少列、分箱或参与方"


class SessionUnreadable(Failure):
    code = "SESSION_UNREADABLE"
    kind = Kind.INTEGRITY
    en = "the stored training session cannot be continued: {why}"
    zh = "已保存的训练会话无法继续：{why}"


class NotConverged(Failure):
    code = "NOT_CONVERGED"
    kind = Kind.UNAVAILABLE
    en = "logistic regression did not converge in {iterations} iterations"
    zh = "逻辑回归在 {iterations} 次迭代内未收敛"


class FlowerContentMalformed(Failure):
    code = "FLOWER_CONTENT_MALFORMED"
    kind = Kind.INVALID
    en = "the Flower message is malformed: {why}"
    zh = "Flower 消息格式错误：{why}"


class PartyFailed(Failure):
    code = "PARTY_FAILED"
    kind = Kind.REFUSED
    en = "{partner} ended the run in round {round}: {party_code}: {party_en}"
    zh = "{partner} 在第 {round} 轮终止训练：{party_code}：{party_zh}"


class RoundTimedOut(Failure):
    code = "ROUND_TIMED_OUT"
    kind = Kind.UNAVAILABLE
    en = "round {round} got no answer from {partners} within {seconds} s"
    zh = "第 {round} 轮在 {seconds} 秒内未收到 {partners} 的应答"


class RoundReplyMalformed(Failure):
    code = "ROUND_REPLY_MALFORMED"
    kind = Kind.INVALID
    en = "the answer of {partner} in round {round} is malformed: {why}"
    zh = "{partner} 在第 {round} 轮的应答格式错误：{why}"


class RunStalled(Failure):
    code = "RUN_STALLED"
    kind = Kind.INTEGRITY
    en = "the run cannot go on after round {round}: {why}"
    zh = "第 {round} 轮之后训练无法继续：{why}"


class ContributionInvalid(Failure):
    code = "CONTRIBUTION_INVALID"
    kind = Kind.INTEGRITY
    en = "the record of contributions does not hold: {why}"
    zh = "贡献记录不成立：{why}"


class BoundsInvalid(Failure):
    code = "BOUNDS_INVALID"
    kind = Kind.INVALID
    en = "column {column} can't change between {least} and {most}: give the smaller bound first, with a value between"
    zh = "列 {column} 无法在 {least} 与 {most} 之间变化：请先给出较小的界限，且其间须有可取值"
