"""The position between periods: one value, one digest, refused in any other form."""

import pytest

from revenue_share.errors import PositionInvalid
from revenue_share.position import Position
from tests.support.revenue import Months, event, referral, rule, terms

VALUE = {"version": 1, "marks": {}, "open": {}, "used": {}, "points": {}, "carried": {}, "seen": {}}
TOKEN, DIGEST, TIME = "01" * 16, "ab" * 32, "2026-10-05T06:00:00Z"
OPEN = [TOKEN, "r", DIGEST, TIME, "2026-11-05T06:00:00Z", 100, 5, "CNY"]


def test_an_empty_position_has_a_digest_of_its_own():
    assert Position.empty().to_value() == VALUE
    assert Position.from_value(VALUE) == Position.empty()
    assert Position.empty().digest != Position.from_value(VALUE | {"carried": {"CNY": 1}}).digest


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        VALUE | {"more": {}},
        VALUE | {"version": 2},
        VALUE | {"version": True},
        VALUE | {"marks": []},
        VALUE | {"marks": {"r/x": "1"}},
        VALUE | {"marks": {"r/x": True}},
        VALUE | {"open": {"e": OPEN[:-1]}},
        VALUE | {"open": {"e": [*OPEN[:3], "yesterday", *OPEN[4:]]}},
        VALUE | {"open": {"e": ["x", *OPEN[1:]]}},
        VALUE | {"open": {"e": [*OPEN[:2], "x", *OPEN[3:]]}},
        VALUE | {"open": {"e": [OPEN[0], 5, *OPEN[2:]]}},
        VALUE | {"points": {"r/x": [["e", TIME]]}},
        VALUE | {"points": {"r/x": [[1, TIME, 5]]}},
        VALUE | {"seen": {"e": "2026-02-30T00:00:00Z"}},
        VALUE | {"carried": {"CNY": 1.5}},
    ],
    ids=lambda value: str(value)[-60:],
)
def test_another_form_is_refused(value):
    with pytest.raises(PositionInvalid):
        Position.from_value(value)


def test_every_part_comes_back_as_it_was():
    assert Position.from_value(VALUE | {"open": {"e": OPEN}, "points": {"r/x": [["e", TIME, 5]]}}).open["e"].until
    books = Months(
        terms(
            rule(
                "percent_of_base",
                "commission",
                rate="1/3",
                clawback={"window_days": 90, "mode": "full"},
                cap={"lifetime": 9},
            ),
            rule("points", "friend", points=10, redeem_event="redeem", expires_months=6),
            rule("share_of_increment", "aum", rate="1/100", start="zero"),
            late_days=31,
            minimum_payout_minor=1_000,
        ),
        [referral(1)],
    )
    books.close(
        "2026-10", event("a", 1, 100), event("b", 1, 0, kind="friend"), event("c", 1, 0, kind="aum", level_minor=7)
    )
    assert all(getattr(books.position, name) for name in VALUE if name != "version")
