"""Caps and floors by scope: never exceeded, in whole units, over all periods."""

from hypothesis import given
from hypothesis import strategies as st

from tests.support.revenue import Months, amended, event, referral, rule, terms

OCT, NOV, DEC = "2026-10", "2026-11", "2026-12"
N_TIME = "2026-11-05T06:00:00Z"


def months(rate="1/3", **fields):
    return Months(terms(rule("percent_of_base", "commission", rate=rate, **fields)), [referral(n) for n in range(1, 5)])


def test_a_cap_for_each_event_holds_for_both_signs():
    books = months(cap={"event": 100})
    assert books.amounts(OCT, event("a", 1, 301), event("b", 1, 299), event("c", 1, -1000)) == {
        "a": 100,
        "b": 100,
        "c": -100,
    }


def test_a_floor_for_each_event_raises_what_is_not_zero():
    books = months(floor={"event": 50})
    assert books.amounts(OCT, event("a", 1, 30), event("b", 1, 0), event("c", 1, -30)) == {"a": 50, "b": 0, "c": -50}


def test_a_cap_for_each_client_holds_over_months():
    """1/3 x 150 = 50 and 1/3 x 240 = 80: 100 is reached with 50 + 50; the second client has its own 100."""
    books = months(cap={"client": 100})
    assert books.amounts(OCT, event("a", 1, 150), event("b", 2, 240)) == {"a": 50, "b": 80}
    assert books.position.used == {
        "commission-rule/client/" + "1".zfill(32): 50,
        "commission-rule/client/" + "2".zfill(32): 80,
    }
    assert books.amounts(NOV, event("c", 1, 240, N_TIME), event("d", 2, 240, N_TIME)) == {"c": 50, "d": 20}


def test_a_cap_for_the_period_gives_the_earlier_event_the_room_and_begins_anew():
    books = months(cap={"period": 100})
    early, late = event("z", 2, 240, "2026-10-04T06:00:00Z"), event("a", 1, 240)
    assert books.amounts(OCT, late, early) == {"z": 80, "a": 20}
    assert books.amounts(NOV, event("n", 1, 240, N_TIME)) == {"n": 80}


def test_a_cap_for_the_lifetime_is_used_up_once():
    books = months(cap={"lifetime": 100})
    assert books.amounts(OCT, event("a", 1, 240)) == {"a": 80}
    assert books.amounts(NOV, event("b", 2, 240, N_TIME)) == {"b": 20}
    assert books.amounts(DEC, event("c", 3, 240, "2026-12-05T06:00:00Z")) == {"c": 0}


def test_what_was_taken_back_is_free_again_in_the_next_month():
    books = months(cap={"lifetime": 100}, clawback={"window_days": 90, "mode": "full"})
    books.close(OCT, event("a", 1, 300))
    back = event("r", 1, 0, N_TIME, reverses="a")
    assert books.amounts(NOV, back, event("b", 1, 300, N_TIME)) == {"r": -100, "b": 0}
    assert books.amounts(DEC, event("c", 1, 300, "2026-12-05T06:00:00Z")) == {"c": 100}


def test_a_floor_of_the_period_is_reached_by_its_last_event():
    """1/3 x 30 + 1/3 x 60 = 30; the period pays at least 200: the last event has 20 + 170. Without events nothing."""
    books = months(floor={"period": 200})
    later = event("b", 2, 60, "2026-10-06T06:00:00Z")
    lines = {line.event: line for line in books.close(OCT, event("a", 1, 30), later)}
    assert {name: line.amount_minor for name, line in lines.items() if name} == {"a": 10, "b": 190}
    assert "the floor of 200 fen for the period (30 before) makes it 190 fen" in lines["b"].reason_en
    assert sum(line.amount_minor for line in books.close(NOV)) == 0


def test_a_floor_never_breaks_a_cap():
    books = months(floor={"client": 100}, cap={"period": 150})
    amounts = books.amounts(OCT, event("a", 1, 30), event("b", 2, 30), event("c", 3, 30))
    assert sum(amounts.values()) == 150
    assert sorted(amounts.values()) == [10, 40, 100]


def test_rounding_never_lifts_a_client_over_its_cap():
    """1/10: 33.3 + 33.3 + 33.3 + 0.1 = 100, the cap, and another client 5 x 0.2 = 1. Rounded all in one the two units
    that are missing would go to two of the 0.3, and the first client would have 101."""
    books = months("1/10", cap={"client": 100})
    own = [event(f"a{i}", 1, base) for i, base in enumerate((333, 333, 333, 1))]
    other = [event(f"b{i}", 2, 2) for i in range(5)]
    amounts = books.amounts(OCT, *own, *other)
    assert sum(amounts[f"a{i}"] for i in range(4)) == 100
    assert sum(amounts[f"b{i}"] for i in range(5)) == 1


def test_a_lower_cap_of_a_later_version_takes_nothing_back():
    """100 were paid under a cap of 100; under 50 nothing more is due, and nothing less either."""
    first = rule("percent_of_base", "commission", rate="1/3", cap={"lifetime": 100})
    later = amended(terms(first), rules=[first | {"cap": {"lifetime": 50}}], effective_from="2026-11-01")
    books = Months(later, [referral(1)])
    assert books.amounts(OCT, event("a", 1, 300)) == {"a": 100}
    assert books.amounts(NOV, event("b", 1, 300, N_TIME), event("c", 1, -30, N_TIME)) == {"b": 0, "c": -10}


EVENTS = st.lists(
    st.tuples(st.integers(1, 4), st.integers(-5_000, 20_000), st.integers(0, 59), st.sampled_from(["10", "11", "12"])),
    max_size=25,
)
CAPS = st.fixed_dictionaries({}, optional={s: st.integers(1, 3_000) for s in ("event", "client", "period", "lifetime")})


@given(EVENTS, CAPS.filter(bool), st.sampled_from(["1/3", "1/7", "2/11"]))
def test_no_cap_is_ever_exceeded(rows, caps, rate):
    books = months(rate, cap=caps)
    of_client, whole = {}, 0
    for period in ("10", "11", "12"):
        events = [
            event(f"e{place}", number, base, f"2026-{month}-05T06:00:{second:02}Z")
            for place, (number, base, second, month) in enumerate(rows)
            if month == period
        ]
        lines = [line for line in books.close(f"2026-{period}", *events) if line.event]
        total = sum(line.amount_minor for line in lines)
        whole += total
        for line in lines:
            of_client[line.token] = of_client.get(line.token, 0) + line.amount_minor
            assert abs(line.amount_minor) <= caps.get("event", 10**9)
        assert abs(total) <= caps.get("period", 10**9)
        assert abs(whole) <= caps.get("lifetime", 10**9)
        assert all(abs(amount) <= caps.get("client", 10**9) for amount in of_client.values())


BOUNDS = st.dictionaries(
    st.sampled_from(["event", "client", "period", "lifetime"]),
    st.tuples(st.integers(1, 400), st.integers(0, 3_000)),
    min_size=1,
)


@given(EVENTS, BOUNDS, st.lists(st.tuples(st.integers(0, 24), st.integers(1, 3)), max_size=12))
def test_floors_and_clawbacks_break_no_cap_either(rows, bounds, backs):
    """A floor is at most its cap. What is taken back lowers a sum, and is free again only in the next month."""
    caps = {scope: floor + more for scope, (floor, more) in bounds.items()}
    clawback = {"window_days": 90, "mode": "full"}
    books = months("1/7", cap=caps, floor={scope: floor for scope, (floor, _) in bounds.items()}, clawback=clawback)
    of_client, whole = {}, 0
    for month in (10, 11, 12):
        events = [
            event(f"e{place}", number, abs(base), f"2026-{month}-05T06:00:{second:02}Z")
            for place, (number, base, second, at) in enumerate(rows)
            if int(at) == month
        ]
        events += [
            event(f"r{place}", rows[original][0], 0, f"2026-{month}-25T06:00:00Z", reverses=f"e{original}")
            for place, (original, later) in enumerate(backs)
            if original < len(rows) and 9 + later == month
        ]
        lines = [line for line in books.close(f"2026-{month}", *events) if line.event]
        paid = [line.amount_minor for line in lines if line.verdict.value == "COUNTED"]
        assert sum(paid) <= caps.get("period", 10**9)
        assert all(0 <= amount <= caps.get("event", 10**9) for amount in paid)
        for line in lines:
            of_client[line.token] = of_client.get(line.token, 0) + line.amount_minor
        whole += sum(line.amount_minor for line in lines)
        assert 0 <= whole <= caps.get("lifetime", 10**9)
        assert all(0 <= amount <= caps.get("client", 10**9) for amount in of_client.values())


@given(EVENTS, st.sampled_from(["1/3", "1/7", "2/11"]))
def test_a_cap_beyond_reach_changes_no_total(rows, rate):
    events = [event(f"e{i}", n, base, f"2026-10-05T06:00:{second:02}Z") for i, (n, base, second, _) in enumerate(rows)]
    plain, capped = months(rate), months(rate, cap={"lifetime": 10**9})
    amounts = [sum(books.amounts(OCT, *events).values()) for books in (plain, capped)]
    assert amounts[0] == amounts[1]
