"""Failures of the revenue-share room. Verdicts on single events are values (`referral.Verdict`), not failures."""

from privacy.errors import Failure, Kind


class AmountMalformed(Failure):
    code = "AMOUNT_MALFORMED"
    kind = Kind.INVALID
    en = "{text!r} is not an amount of {currency}: plain digits with at most {digits} decimals are expected"
    zh = "{text!r} 不是合法的 {currency} 金额：应为纯数字，至多 {digits} 位小数"


class AmountTooLarge(Failure):
    code = "AMOUNT_TOO_LARGE"
    kind = Kind.INVALID
    en = "an amount of {minor} minor units is beyond the limit of {limit}"
    zh = "金额 {minor}（最小货币单位）超过上限 {limit}"


class CurrencyUnknown(Failure):
    code = "CURRENCY_UNKNOWN"
    kind = Kind.INVALID
    en = "the currency {currency!r} is not supported; known are {known}"
    zh = "不支持币种 {currency!r}，可用币种：{known}"


class CurrencyMismatch(Failure):
    code = "CURRENCY_MISMATCH"
    kind = Kind.INVALID
    en = "{one} and {other} cannot be added: amounts of two currencies never mix"
    zh = "{one} 与 {other} 不能相加：不同币种的金额不得混合"


class RatioMalformed(Failure):
    code = "RATIO_MALFORMED"
    kind = Kind.INVALID
    en = "{text!r} is not a ratio: write two whole numbers as in 1/20"
    zh = "{text!r} 不是合法的比率：请写成两个整数之比，例如 1/20"


class WeightsInvalid(Failure):
    code = "WEIGHTS_INVALID"
    kind = Kind.INVALID
    en = "the weights of a split are wrong: {why}"
    zh = "分摊权重有误：{why}"


class AgreementInvalid(Failure):
    code = "AGREEMENT_INVALID"
    kind = Kind.INVALID
    en = "the agreement's field {field} is wrong: {why}"
    zh = "协议字段 {field} 有误：{why}"


class RuleKindUnknown(Failure):
    code = "RULE_KIND_UNKNOWN"
    kind = Kind.INVALID
    en = "rule {rule} is of the kind {kind!r}, which this version cannot compute; known are {known}"
    zh = "规则 {rule} 的类型 {kind!r} 本版本无法计算，可用类型：{known}"


class ReportInvalid(Failure):
    code = "REPORT_INVALID"
    kind = Kind.INVALID
    en = "the {report} report is wrong in {field}: {why}"
    zh = "{report} 报告的 {field} 有误：{why}"


class EventsTooMany(Failure):
    code = "EVENTS_TOO_MANY"
    kind = Kind.INVALID
    en = "{count} lines for one statement are beyond the limit of {limit}"
    zh = "单张结算单 {count} 行，超过上限 {limit}"


class StatementTransition(Failure):
    code = "STATEMENT_TRANSITION"
    kind = Kind.CONFLICT
    en = "a statement that is {state} cannot become {target}; from here it may become: {legal}"
    zh = "结算单当前为 {state}，不能变为 {target}；可变为：{legal}"


class StatementDiffers(Failure):
    code = "STATEMENT_DIFFERS"
    kind = Kind.INTEGRITY
    en = "the statement does not hold: {what} differs from what its lines and salts give"
    zh = "结算单校验不通过：{what} 与明细和盐值的计算结果不一致"


class EntryTransition(Failure):
    code = "ENTRY_TRANSITION"
    kind = Kind.CONFLICT
    en = "journal entry {entry} is {state} and cannot become {target}: post or void happens once, corrections reverse"
    zh = "会计分录 {entry} 当前为 {state}，不能变为 {target}：过账或作废只能一次，更正须用冲正分录"


class AmendmentInvalid(Failure):
    code = "AMENDMENT_INVALID"
    kind = Kind.INVALID
    en = "the version {version} does not follow the terms: {why}"
    zh = "协议版本 {version} 无法衔接原协议：{why}"


class PositionInvalid(Failure):
    code = "POSITION_INVALID"
    kind = Kind.INVALID
    en = "this is no position between two periods: {why}"
    zh = "不是合法的期间结转状态：{why}"
