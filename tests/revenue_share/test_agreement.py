from fractions import Fraction

import pytest

from ecowire import documents
from revenue_share.agreement import Agreement
from revenue_share.errors import AgreementInvalid, RuleKindUnknown
from revenue_share.rules.percent import PercentOfBase
from tests.support.revenue import PAYER, REFERRER, agreement, agreement_body, instant, party_value

RULE = agreement_body()["rules"][0]
PARTIES = agreement_body()["parties"]
SETTLEMENT = agreement_body()["settlement"]


def test_the_demo_agreement_is_read():
    terms = agreement()
    assert (terms.payer.partner, terms.referrer.partner) == (PAYER, REFERRER)
    assert terms.rules[0].kind == PercentOfBase(rate=Fraction(1, 20))
    assert terms.party("broker") == terms.payer
    assert terms.party("bank-a") is None
    assert terms.digest == documents.digest("agreement", agreement_body())


def test_an_agreement_without_an_end_is_open():
    assert agreement(valid_until=None).covers(instant("2099-01-01T00:00:00Z"))


def test_validity_counts_dates_of_the_agreements_zone_both_included():
    terms = agreement(valid_from="2026-03-01", valid_until="2026-03-31")
    assert not terms.covers(instant("2026-02-28T15:59:59Z"))
    assert terms.covers(instant("2026-02-28T16:00:00Z"))  # 1 March 00:00 +08:00
    assert terms.covers(instant("2026-03-31T15:59:59Z"))
    assert not terms.covers(instant("2026-03-31T16:00:00Z"))


@pytest.mark.parametrize(
    ("referred", "end"),
    [
        ("2026-10-01T01:00:00Z", "2026-11-01T01:00:00Z"),
        ("2026-01-31T02:00:00Z", "2026-02-28T02:00:00Z"),  # February has no 31st
        ("2028-01-31T02:00:00Z", "2028-02-29T02:00:00Z"),  # a leap year
        ("2026-01-30T17:00:00Z", "2026-02-27T17:00:00Z"),  # 31 January 01:00 +08:00 -> 28 February 01:00 +08:00
        ("2026-12-15T00:00:00Z", "2027-01-15T00:00:00Z"),
    ],
)
def test_the_window_ends_one_calendar_month_later(referred, end):
    terms = agreement(valid_until=None)
    assert terms.window_end(terms.rules[0], instant(referred)) == instant(end)


def test_the_attribution_days_cut_a_longer_window():
    terms = agreement(attribution_days=10)
    assert terms.window_end(terms.rules[0], instant("2026-10-01T01:00:00Z")) == instant("2026-10-11T01:00:00Z")


def test_a_zone_with_summer_time_keeps_the_wall_clock():
    terms = agreement(time_zone="Europe/Zurich")
    end = terms.window_end(terms.rules[0], instant("2026-03-01T11:00:00Z"))  # 12:00 +01:00
    assert end == instant("2026-04-01T10:00:00Z")  # 12:00 +02:00


def without(name):
    body = agreement_body()
    del body[name]
    return body


BAD = {
    "unknown field": (agreement_body(bonus=1), "bonus"),
    "missing field": (without("rules"), "rules"),
    "kind": (agreement_body(kind="match"), "kind"),
    "version zero": (agreement_body(version=0), "version"),
    "version boolean": (agreement_body(version=True), "version"),
    "empty title": (agreement_body(title=""), "title"),
    "disclosure": (agreement_body(disclosure="all"), "disclosure"),
    "currency": (agreement_body(currency="RMB"), "currency"),
    "zone": (agreement_body(time_zone="Asia/Atlantis"), "time_zone"),
    "zone path": (agreement_body(time_zone="../etc/passwd"), "time_zone"),
    "zone folder": (agreement_body(time_zone="Asia"), "time_zone"),
    "date": (agreement_body(valid_from="2026-02-30"), "valid_from"),
    "date form": (agreement_body(valid_from="1.1.2026"), "valid_from"),
    "dates crossed": (agreement_body(valid_until="2025-12-31"), "valid_until"),
    "attribution": (agreement_body(attribution_days=0), "attribution_days"),
    "nonce": (agreement_body(nonce="abc"), "nonce"),
    "one party": (agreement_body(parties=PARTIES[:1]), "parties"),
    "two payers": (agreement_body(parties=[PARTIES[0], PARTIES[1] | {"role": "payer"}]), "parties"),
    "third role": (agreement_body(parties=[PARTIES[0], PARTIES[1] | {"role": "arbiter"}]), "parties[1].role"),
    "no keys": (agreement_body(parties=[{"partner": "broker", "role": "payer"}, PARTIES[1]]), "parties[0]"),
    "same account": (
        agreement_body(parties=[PARTIES[0], PARTIES[1] | {"chain": PARTIES[0]["chain"]}]),
        "parties.chain",
    ),
    "same partner": (
        agreement_body(parties=[PARTIES[0], party_value("broker", "referrer", "0x" + "22" * 20)]),
        "parties.partner",
    ),
    "partner id": (agreement_body(parties=[PARTIES[0] | {"partner": "The Broker"}, PARTIES[1]]), "parties[0].partner"),
    "short key": (agreement_body(parties=[PARTIES[0] | {"signing": "ab"}, PARTIES[1]]), "parties[0].signing"),
    "no rules": (agreement_body(rules=[]), "rules"),
    "rule without kind": (agreement_body(rules=[{"id": "x"}]), "rules[0]"),
    "rule fields": (agreement_body(rules=[RULE | {"bonus": 1}]), "rules[0]"),
    "rate of zero": (agreement_body(rules=[RULE | {"rate": "0/1"}]), "rules[0].rate"),
    "rate over one": (agreement_body(rules=[RULE | {"rate": "21/20"}]), "rules[0].rate"),
    "rate as decimal": (agreement_body(rules=[RULE | {"rate": "0.05"}]), "rules[0].rate"),
    "rate as number": (agreement_body(rules=[RULE | {"rate": 5}]), "rules[0].rate"),
    "months": (agreement_body(rules=[RULE | {"months_from_referral": 0}]), "rules[0].months_from_referral"),
    "two rules, one event": (agreement_body(rules=[RULE, RULE | {"id": "other"}]), "rules.event"),
    "two rules, one id": (agreement_body(rules=[RULE, RULE | {"event": "fee"}]), "rules.id"),
    "chain id": (agreement_body(settlement=SETTLEMENT | {"chain_id": 0}), "settlement.chain_id"),
    "contract": (agreement_body(settlement=SETTLEMENT | {"contract": "0x12"}), "settlement.contract"),
    "window": (agreement_body(settlement=SETTLEMENT | {"window_seconds": 0}), "settlement.window_seconds"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_wrong_agreement_is_refused_by_the_name_of_its_field(name):
    body, field = BAD[name]
    with pytest.raises(AgreementInvalid) as caught:
        Agreement.from_body(body)
    assert caught.value.facts["field"] == field
    assert str(caught.value.facts["field"]) in caught.value.message("zh")


def test_a_rule_this_version_cannot_compute_says_so():
    with pytest.raises(RuleKindUnknown) as caught:
        Agreement.from_body(agreement_body(rules=[RULE | {"kind": "percent_of_mood"}]))
    assert caught.value.facts["kind"] == "percent_of_mood"
