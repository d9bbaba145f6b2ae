"""The sentence of an accrual line, in English and Chinese, with every number needed to check it by hand."""

from fractions import Fraction

from privacy.ids import Period
from revenue_share import currencies, money, periods
from revenue_share.items import ONE, Item
from revenue_share.referral import Referral, RevenueEvent, Verdict
from revenue_share.rules import Rule
from revenue_share.rules.base import Case, Pair, plain, ratio
from revenue_share.sentence_texts import BETWEEN, NO_REFERRAL, TAIL, TEXTS
from revenue_share.terms import Terms

_UNITS: dict[str, Pair] = {"CNY": ("fen", "分")}
_MINOR: Pair = ("minor units", "最小货币单位")
_SCOPES: dict[str, Pair] = {
    "event": ("for the event", "每笔"),
    "client": ("for the client", "每名客户"),
    "period": ("for the period", "每期"),
    "lifetime": ("for the agreement's life", "协议期内"),
}


class Writer:
    """Writes the sentences of one period's items; keeps what several lines say alike."""

    def __init__(self, terms: Terms, period: Period) -> None:
        self._terms, self._period = terms, period
        self._start = periods.period_bounds(period, terms.zone)[0]
        self._units = _UNITS.get(terms.root.currency, _MINOR)
        self._referral: Referral | None = None
        self._referred: dict[tuple[str, str], tuple[str, str]] = {}

    def explain(self, item: Item) -> Pair:
        """(English, Chinese). Times are wall clock of the agreement's zone, amounts in minor units and as decimals."""
        if item.verdict in (Verdict.COUNTED, Verdict.COUNTED_REVERSAL):
            return self._counted(item)
        facts = self._facts(item)
        en, zh = TEXTS[item.verdict]
        if item.referral is None and item.verdict in NO_REFERRAL:
            en, zh = NO_REFERRAL[item.verdict]
        return en.format(unit=self._units[0], **facts), zh.format(unit=self._units[1], **facts)

    def _facts(self, item: Item) -> dict[str, str | int]:
        version, event, rule = item.version, item.event, item.rule
        facts: dict[str, str | int] = {
            "period": self._period,
            "zone": version.zone.key,
            "days": version.attribution_days,
            "valid_from": str(version.valid_from),
            "valid_until": str(version.valid_until or "..."),
        }
        if event is not None:
            facts |= {"kind": event.kind, "time": periods.local_text(event.time, version.zone)}
        if item.expired is not None:
            facts["time"] = periods.local_text(item.expired, version.zone)
        if item.referral is not None:
            facts["referred"], facts["end"] = self._window(item.referral, item)
            facts["months"] = rule.months_from_referral or 0 if rule else 0
        if item.verdict not in _PLAIN:
            facts |= self._particular(item)
        return facts

    def _window(self, referral: Referral, item: Item) -> tuple[str, str]:
        """Texts of the referral's instant and of the window's end (empty without a rule of referred clients)."""
        if referral is not self._referral:
            self._referral, self._referred = referral, {}
        version, rule = item.version, item.rule
        key = (version.digest, rule.id if rule else "")
        found = self._referred.get(key)
        if found is None:
            has_end = rule is not None and rule.referred
            end = periods.local_text(version.window_end(rule, referral.time), version.zone) if rule and has_end else ""
            found = self._referred[key] = periods.local_text(referral.time, version.zone), end
        return found

    def _particular(self, item: Item) -> dict[str, str | int]:
        """What single verdicts say besides."""
        event, rule, version = item.event, item.rule, item.version
        facts: dict[str, str | int] = {"amount": item.amount, "positive": -item.amount, "version": version.version}
        facts["limit"] = money.AMOUNT_FEN_MAX
        if event is not None:
            facts |= {"base": event.base_minor, "points": event.fact("points") or 0}
            facts |= {"original": event.fact("reverses") or "", "reason": event.fact("reason") or "-"}
            facts |= {"faults": rule.facts_fault(event) if rule else "", "currency": event.fact("currency") or ""}
        if (run_off := version.run_off_end()) is not None:
            facts["run_off"] = periods.local_text(run_off, version.zone)
        entry = item.state.original if item.state else None
        if entry is not None and rule is not None and rule.clawback is not None:
            facts |= {"paid": entry.amount_minor, "left": entry.base_minor}
            facts |= {"until": periods.local_text(entry.until, version.zone), "rule": rule.id}
            facts |= {"reasons": ", ".join(rule.clawback.reasons) or "-"}
            facts["asset_unit"] = "" if entry.asset == version.currency else f" {entry.asset}"
        return facts

    # --- what counts

    def _counted(self, item: Item) -> Pair:
        event, rule, referral = item.event, item.rule, item.referral
        assert event is not None and rule is not None, "only an event with a rule counts"
        facts = {"kind": event.kind, "time": periods.local_text(event.time, item.version.zone)}
        head = BETWEEN[None]
        if rule.referred and referral is not None:
            head = BETWEEN[item.verdict]
            facts["referred"], facts["end"] = self._window(referral, item)
        middle, tail, notes = self._arithmetic(item, event, rule), self._rounded(item, rule), self._notes(item, event)
        return (
            head[0].format_map(facts) + middle[0] + tail[0] + notes[0],
            head[1].format_map(facts) + middle[1] + tail[1] + notes[1],
        )

    def _rounded(self, item: Item, rule: Rule) -> Pair:
        """The end of the sentence: the amount after rounding; points are whole."""
        if rule.asset is not None:
            return f". ({rule.asset})", f"。（{rule.asset}）"
        currency = item.version.currency
        decimal = money.decimal_text(item.amount, money.decimals(currency))
        facts = {"amount": item.amount, "currency": currency, "money": decimal}
        return TAIL[0].format(unit=self._units[0], **facts), TAIL[1].format(unit=self._units[1], **facts)

    def _arithmetic(self, item: Item, event: RevenueEvent, rule: Rule) -> Pair:
        state = item.state
        if state is None:
            return rule.kind.arithmetic(Case(event=event, base=Fraction(event.base_minor)), self._units)
        assert state.base is not None, "what is priced has a base"
        case = Case(event=event, base=state.base, mark=state.mark)
        en, zh = rule.kind.arithmetic(case, self._units)
        if rule.kind.BASED and event.base_minor != state.base:
            told = self._converted(item, event, state.base)
            en, zh = told[0] + en, told[1] + zh
        unit = self._units
        if state.credit != ONE:
            share = plain(state.earned * state.credit)
            en += f"; shared with other referrers: x {ratio(state.credit)} = {share} {unit[0]}"
            zh += f"；与其他转介方共享：× {ratio(state.credit)} = {share} {unit[1]}"
        for cut in state.cuts:
            scope, after, taken = _SCOPES[cut.scope], plain(cut.after), plain(cut.taken)
            word = ("floor", "下限") if cut.floor else ("cap", "上限")
            en += f"; the {word[0]} of {cut.bound} {unit[0]} {scope[0]} ({taken} before) makes it {after} {unit[0]}"
            zh += f"；{scope[1]}{word[1]} {cut.bound} {unit[1]}（此前 {taken}），计为 {after} {unit[1]}"
        return en, zh

    def _converted(self, item: Item, event: RevenueEvent, base: Fraction) -> Pair:
        """How the base comes about where it is not the event's own number."""
        scale, named = event.fact("scale") or 0, event.fact("currency")
        text = f"{event.base_minor}" + (f" x 1/{10 ** int(scale)}" if scale else "")
        if named is not None and named != item.version.currency:
            rate = currencies.rate(item.version, event)
            assert rate is not None, "what counts has a rate"
            power = money.decimals(item.version.currency) - money.decimals(str(named))
            text += f" ({named}) x {ratio(rate)}" + (f" x {ratio(Fraction(10) ** power)}" if power else "")
        sum_ = f"{text} = {plain(base)}"
        return f"base {sum_} {self._units[0]}; ", f"基数 {sum_.replace(' x ', ' × ')} {self._units[1]}；"

    def _notes(self, item: Item, event: RevenueEvent) -> Pair:
        """That a line is late, and by which later version it is priced."""
        en = zh = ""
        if event.time < self._start:
            en += f" It was reported late and is booked in {self._period}."
            zh += f"该事件迟报，计入 {self._period}。"
        if item.version.effective_from is not None:
            number, day = item.version.version, item.version.effective_from
            en += f" Priced by version {number} of the terms, in force from {day}."
            zh += f"按协议第 {number} 版（自 {day} 起生效）计价。"
        return en, zh


_PLAIN = (  # verdicts whose texts say nothing particular of the event
    *(Verdict.NO_EVENT, Verdict.UNKNOWN_TOKEN, Verdict.DUPLICATE_EVENT, Verdict.WRONG_KIND, Verdict.OUTSIDE_PERIOD),
    *(Verdict.OUTSIDE_VALIDITY, Verdict.BEFORE_REFERRAL, Verdict.AFTER_WINDOW),
)
