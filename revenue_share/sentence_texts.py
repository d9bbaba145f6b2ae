"""The texts that `sentences` fills: one pair (English, Chinese) for each verdict."""

from revenue_share.referral import Verdict
from revenue_share.rules.base import Pair

BETWEEN: dict[Verdict | None, Pair] = {
    Verdict.COUNTED: (
        "The {kind} of {time} lies between the referral of {referred} and the window's end of {end} (excluded): ",
        "{time} 的 {kind} 处于转介时间 {referred} 与窗口截止 {end}（不含）之间：",
    ),
    Verdict.COUNTED_REVERSAL: (
        "The {kind} of {time} is a reversal (negative base) between the referral of {referred} and the window's end of "
        "{end} (excluded): ",
        "{time} 的 {kind} 为冲减（基数为负），处于转介时间 {referred} 与窗口截止 {end}（不含）之间：",
    ),
    None: (
        "The {kind} of {time} is of no single client and lies within the agreement's validity: ",
        "{time} 的 {kind} 不涉及单个客户，处于协议有效期内：",
    ),
}
TAIL: Pair = (
    ", which is {amount} {unit} ({currency} {money}) after rounding over the whole statement.",
    "，按整张结算单舍入后为 {amount} {unit}（{currency} {money}）。",
)
NO_REFERRAL: dict[Verdict, Pair] = {
    Verdict.OUTSIDE_VALIDITY: (
        "The {kind} of {time} is outside the agreement's validity from {valid_from} to {valid_until}.",
        "{time} 的 {kind} 不在协议有效期（{valid_from} 至 {valid_until}）内。",
    ),
    Verdict.POINTS_EXPIRED: (
        "{positive} points expired on {time} without being redeemed.",
        "{positive} 积分于 {time} 到期，未兑换。",
    ),
}
TEXTS: dict[Verdict, Pair] = {
    Verdict.NO_EVENT: (
        "The client was referred on {referred}; no event of this client was reported for {period}.",
        "该客户于 {referred} 转介；{period} 期间没有上报该客户的收入事件。",
    ),
    Verdict.UNKNOWN_TOKEN: (
        "The {kind} of {time} names a client that was not referred under this agreement.",
        "{time} 的 {kind} 所指客户未在本协议下转介。",
    ),
    Verdict.DUPLICATE_EVENT: (
        "An event with this id already stands on this statement; it counts once.",
        "本结算单中已有相同编号的事件，只计一次。",
    ),
    Verdict.WRONG_KIND: (
        "No rule of this agreement prices events of the kind {kind}.",
        "本协议没有适用于 {kind} 类事件的规则。",
    ),
    Verdict.OUTSIDE_PERIOD: (
        "The {kind} of {time} is outside {period} in the agreement's time zone ({zone}).",
        "{time} 的 {kind} 按协议时区（{zone}）不在 {period} 期间内。",
    ),
    Verdict.OUTSIDE_VALIDITY: (
        "The client was referred on {referred}; the agreement is valid from {valid_from} to {valid_until} only.",
        "该客户于 {referred} 转介，不在协议有效期（{valid_from} 至 {valid_until}）内。",
    ),
    Verdict.BEFORE_REFERRAL: (
        "The {kind} of {time} happened before the referral of {referred}.",
        "{time} 的 {kind} 发生在转介时间 {referred} 之前。",
    ),
    Verdict.AFTER_WINDOW: (
        "The {kind} of {time} is not before the window's end of {end} (referral of {referred}; {months} calendar "
        "month(s), at most {days} days).",
        "{time} 的 {kind} 不早于窗口截止时间 {end}（转介于 {referred}；{months} 个自然月，至多 {days} 天）。",
    ),
    Verdict.AFTER_RUN_OFF: (
        "The {kind} of {time} is not before the end of the run-off, {run_off}; the agreement ended on {valid_until}.",
        "{time} 的 {kind} 不早于协议终止（{valid_until}）后的结算过渡期截止时间 {run_off}。",
    ),
    Verdict.OTHER_REFERRER: (
        "The client of the {kind} of {time} was referred on {referred}; another referrer's claim goes before it.",
        "{time} 的 {kind} 的客户于 {referred} 转介；另一转介方的主张优先。",
    ),
    Verdict.SELF_REFERRAL: (
        "The {kind} of {time} names the client as its own friend: a referral of oneself does not count.",
        "{time} 的 {kind} 中推荐人与被推荐人相同：自我推荐不计。",
    ),
    Verdict.FACTS_WRONG: (
        "The {kind} of {time} lacks facts its rule needs (-) or has others (+): {faults}.",
        "{time} 的 {kind} 缺少规则所需事实（-）或含有无关事实（+）：{faults}。",
    ),
    Verdict.BASE_SIGN: (
        "The {kind} of {time} has a base of {base}: its sign does not fit; a reversal names its original.",
        "{time} 的 {kind} 的基数为 {base}，符号不符；冲销须指明原事件。",
    ),
    Verdict.RATE_MISSING: (
        "The base of the {kind} of {time} is in {currency}, for which the agreement has no rate on that date.",
        "{time} 的 {kind} 的基数币种为 {currency}，协议在该日期没有对应汇率。",
    ),
    Verdict.SHARE_TOO_LARGE: (
        "The {kind} of {time} would earn more than a line can hold, {limit}; it does not count, report it in parts.",
        "{time} 的 {kind} 的分润超过单行上限 {limit}，不计入；请拆分上报。",
    ),
    Verdict.TAKEN_BACK: (
        "The {kind} of {time} takes back the event {original} (reason: {reason}), before {until}: of "
        "{paid}{asset_unit} left of what rule {rule} of version {version} paid, for a base of {left}, {positive} "
        "for a base of {base}: {amount}.",
        "{time} 的 {kind} 追回事件 {original}（原因：{reason}），早于 {until}：规则 {rule}（第 {version} 版）已付剩余 "
        "{paid}{asset_unit}（基数 {left}），按基数 {base} 追回 {positive}：{amount}。",
    ),
    Verdict.ORIGINAL_UNKNOWN: (
        "The {kind} of {time} names the event {original}: no counted event of this client that could be taken back, or "
        "no longer.",
        "{time} 的 {kind} 所指原事件 {original} 不是该客户可追回的已计事件，或已过追回期。",
    ),
    Verdict.ORIGINAL_SPENT: (
        "The {kind} of {time} names the event {original}, of which nothing is left to take back.",
        "{time} 的 {kind} 所指原事件 {original} 已无可追回金额。",
    ),
    Verdict.TAKEN_BACK_LATE: (
        "The {kind} of {time} names the event {original}, which could be taken back before {until} only.",
        "{time} 的 {kind} 所指原事件 {original} 仅可在 {until} 之前追回。",
    ),
    Verdict.REASON_NOT_AGREED: (
        "The {kind} of {time} would take back the event {original} for the reason {reason}; agreed are: {reasons}.",
        "{time} 的 {kind} 以原因 {reason} 追回事件 {original}；约定的原因为：{reasons}。",
    ),
    Verdict.REDEEMED: (
        "The client redeemed {points} points with the {kind} of {time}: {amount}.",
        "客户于 {time} 以 {kind} 兑换 {points} 积分：{amount}。",
    ),
    Verdict.POINTS_SHORT: (
        "The {kind} of {time} would redeem {points} points, more than the client has.",
        "{time} 的 {kind} 拟兑换 {points} 积分，超过客户余额。",
    ),
    Verdict.POINTS_EXPIRED: (
        "{positive} points of the client expired on {time} without being redeemed.",
        "客户的 {positive} 积分于 {time} 到期，未兑换。",
    ),
}
