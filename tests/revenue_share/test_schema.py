"""The JSON Schema of agreements and `Agreement.from_body` say the same of good and of bad examples."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hub import drafts_finance
from privacy.errors import Failure
from revenue_share.agreement import Agreement, agreement_schema
from sandbox import agreement_schema as written
from sandbox import month_file
from tests.revenue_share import test_agreement, test_rules
from tests.support.json_schema import holds
from tests.support.revenue import agreement_body, party_value, rule

ROOT = Path(__file__).resolve().parents[2] / "revenue_share"
SCHEMA = agreement_schema()
# what only `from_body` can say: several fields together, calendars, tables of zones, sizes of ratios
BEYOND = {
    *("zone", "zone path", "zone folder", "date", "dates crossed", "two payers", "same account", "same partner"),
    *("rate of zero", "rate over one", "two rules, one event", "two rules, one id"),
    *("floor over cap", "no base to take a part of", "tiers from one", "tiers falling", "milestones falling"),
    *(
        "steps falling",
        "a pool of clients",
        "months without referral",
        "points with a cap",
        "points redeemed by what earns",
    ),
}
BAD = {name: body for name, (body, _) in test_agreement.BAD.items()}
BAD |= {name: agreement_body(rules=[body]) for name, (body, _) in test_rules.BAD.items()}
BAD |= {
    "an unknown kind": agreement_body(rules=[rule("percent_of_mood", "x")]),
    "a minimum below zero": agreement_body(minimum_payout_minor=-1),
    "a tax of nothing": agreement_body(tax={}),
    "late days as text": agreement_body(late_days="3"),
    "credit of another kind": agreement_body(attribution={"credit": "best"}),
    "an amendment of no digest": agreement_body(amends="x", effective_from="2026-10-15"),
    "a document that is none": [],
}
EXAMPLES = sorted(path for path in (ROOT / "examples").glob("*.toml") if not path.stem.endswith(".worked"))


def test_the_committed_file_is_what_the_declarations_say():
    assert (ROOT / "schema" / "agreement.json").read_text(encoding="utf-8") == written.text(), "run `make docs`"
    assert json.loads(written.text()) == SCHEMA


def complete(path):
    given = month_file._toml(path)
    body = drafts_finance.agreement(given, month_file.CONTRACT, datetime(2026, 1, 1, tzinfo=UTC), bytes)
    roles = {"payer": "0x" + "11" * 20, "referrer": "0x" + "22" * 20}
    body["parties"] = [party_value(party["partner"], party["role"], roles[party["role"]]) for party in body["parties"]]
    return body


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_are_valid_by_both(path):
    body = complete(path)
    assert holds(body, SCHEMA, SCHEMA)
    assert Agreement.from_body(body).rules


@pytest.mark.parametrize("name", BAD)
def test_what_the_schema_refuses_is_refused_and_the_rest_is_named(name):
    body = BAD[name]
    with pytest.raises(Failure):
        Agreement.from_body(body)
    assert holds(body, SCHEMA, SCHEMA) == (name in BEYOND)


def test_each_needed_field_and_any_other_one_is_told_apart_by_both():
    for path in EXAMPLES:
        body = complete(path)
        for name in [*body, "more"]:
            changed = {key: value for key, value in body.items() if key != name} if name in body else body | {"more": 1}
            optional = name in {"minimum_payout_minor", "late_days", "tax", "exit", "attribution", "fx"}
            assert holds(changed, SCHEMA, SCHEMA) == optional, name
