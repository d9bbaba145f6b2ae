"""What rules give and refuse: nobody above their class, nobody who opted out, and every bound where it says."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.labels import Client, Outcome, Reason, Rules, apply, parse
from tests.federation.labels.test_parse import EXAMPLE

MADE = datetime(2026, 10, 1, 8, tzinfo=UTC)
NOW = MADE + timedelta(days=3)
RULES = parse(EXAMPLE.read_bytes(), EXAMPLE.name)
ENDS = st.integers(-100, 400).map(lambda days: NOW + timedelta(days=days))


@st.composite
def clients(draw: st.DrawFn) -> list[Client]:
    keys = draw(st.lists(st.text("0123456789abcdef", min_size=4, max_size=4), unique=True, max_size=12))
    return [
        Client(
            key=key,
            score=draw(st.floats(-6, 6)),
            chance=draw(st.floats(0, 1)),
            decile=draw(st.integers(1, 10)),
            valid_until=draw(ENDS),
            consent_until=draw(st.none() | ENDS),
            risk_class=draw(st.none() | st.integers(1, 5)),
            opted_out=draw(st.booleans()),
        )
        for key in keys
    ]


def one(**changes: object) -> Client:
    """A client of class 5 in decile 10, with consent and chance 0.9."""
    later = NOW + timedelta(days=300)
    client = Client(
        key="a", score=2.0, chance=0.9, decile=10, valid_until=later, consent_until=later, risk_class=5, opted_out=False
    )
    return replace(client, **changes)  # type: ignore[arg-type]


def outcome(client: Client, rules: Rules = RULES, now: datetime = NOW) -> Outcome:
    return apply(rules, [client], made=MADE, now=now)


def names(found: Outcome) -> list[tuple[str, int | None]]:
    return [(row.label.name, row.class_) for row in found.given]


def written(when: str, risk_level: int = 1) -> Rules:
    """Rules of one label."""
    return parse(
        f'format = 1\nname = "r"\nversion = 1\nrisk_classes = {{A = 1}}\n[[labels]]\nname = "l"\nen = "L"\nzh = "标"\n'
        f"valid_days = 30\nrisk_level = {risk_level}\nwhen = {{ {when} }}\n".encode(),
        "rules.toml",
    )


@given(clients())
def test_no_label_above_a_clients_class_none_without_class_consent_or_after_an_opt_out(found: list[Client]) -> None:
    by_key = {client.key: client for client in found}
    for row in apply(RULES, found, made=MADE, now=NOW).given:
        client = by_key[row.key]
        (grade,) = [grade for grade in row.label.grades if grade.class_ == row.class_]
        assert client.risk_class is not None and client.risk_class >= grade.risk_level
        assert grade.when.holds(decile=client.decile, chance=client.chance, score=client.score)
        assert not client.opted_out
        assert client.consent_until is not None and client.consent_until > NOW
        assert NOW < row.valid_until <= min(client.valid_until, client.consent_until)
        assert row.valid_until <= MADE + timedelta(days=row.label.valid_days)


@given(clients())
def test_every_label_whose_condition_holds_is_given_or_refused_with_its_reason(found: list[Client]) -> None:
    result = apply(RULES, found, made=MADE, now=NOW)
    told = {(row.key, row.label.name) for row in result.given} | {
        (row.key, row.label) for row in result.refused if row.label
    }
    closed = {row.key for row in result.refused if row.label is None}
    assert len(told) + len(closed) == len(result.given) + len(result.refused), "nothing is told twice"
    assert not closed & {key for key, _ in told}
    for client in found:
        for label in RULES.labels:
            grade = label.grade(decile=client.decile, chance=client.chance, score=client.score)
            assert ((client.key, label.name) in told) == (grade is not None and client.key not in closed)


@given(clients(), st.randoms(use_true_random=False))
def test_the_order_of_the_clients_changes_nothing(found: list[Client], source: object) -> None:
    shuffled = sorted(found, key=lambda _: source.random())  # type: ignore[attr-defined]
    first, second = (apply(RULES, listed, made=MADE, now=NOW) for listed in (found, shuffled))
    assert (first, first.content) == (second, second.content)


@pytest.mark.parametrize(
    ("when", "changes", "holds"),
    [
        ("decile_from = 9", {"decile": 9}, True),
        ("decile_from = 9", {"decile": 8}, False),
        ("decile_to = 2", {"decile": 2}, True),
        ("decile_to = 2", {"decile": 3}, False),
        ('chance_from = "0.6"', {"chance": 0.6}, True),
        ('chance_from = "0.6"', {"chance": math.nextafter(0.6, 0)}, False),
        ('chance_below = "0.6"', {"chance": 0.6}, False),
        ('chance_below = "0.6"', {"chance": math.nextafter(0.6, 0)}, True),
        ('score_from = "-1.5"', {"score": -1.5}, True),
        ('score_from = "-1.5"', {"score": math.nextafter(-1.5, -2)}, False),
        ('score_below = "0"', {"score": 0.0}, False),
        ('score_below = "0"', {"score": math.nextafter(0.0, -1)}, True),
        ('decile_from = 9, chance_from = "0.6"', {"decile": 10, "chance": 0.5}, False),
    ],
)
def test_bounds(when: str, changes: dict[str, object], holds: bool) -> None:
    assert bool(outcome(one(**changes), written(when)).given) is holds


@pytest.mark.parametrize(("class_", "level", "is_given"), [(3, 3, True), (2, 3, False), (5, 5, True), (None, 1, False)])
def test_suitability_is_at_the_labels_level(class_: int | None, level: int, is_given: bool) -> None:
    found = outcome(one(risk_class=class_), written("decile_from = 1", level))
    assert bool(found.given) is is_given
    if not is_given:
        (row,) = found.refused
        assert (row.reason, row.label, row.risk_level, row.risk_class) == (Reason.SUITABILITY, "l", level, class_)


@pytest.mark.parametrize(("decile", "class_"), [(1, 1), (3, 2), (5, 3), (7, 3), (8, 4), (10, 5)])
def test_an_ordinal_label_has_the_class_of_its_decile(decile: int, class_: int) -> None:
    assert ("risk_appetite", class_) in names(outcome(one(decile=decile)))


def test_the_highest_class_counts_and_no_lower_one_takes_its_place() -> None:
    found = outcome(one(risk_class=4))
    assert [row.label for row in found.refused] == ["risk_appetite"]
    assert names(found) == [("high_net_worth_potential", None)]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"opted_out": True, "consent_until": None}, Reason.OPTED_OUT),
        ({"consent_until": None}, Reason.CONSENT_ENDED),
        ({"consent_until": NOW}, Reason.CONSENT_ENDED),
        ({"valid_until": NOW}, Reason.EXPIRED),
    ],
)
def test_a_client_who_is_closed_gets_nothing_and_no_rule_is_tried(changes: dict[str, object], reason: Reason) -> None:
    found = outcome(one(**changes))
    assert found.given == ()
    assert [(row.reason, row.label) for row in found.refused] == [(reason, None)]


def test_a_label_ends_with_the_first_of_its_days_the_score_and_the_consent() -> None:
    def ends(**changes: object) -> datetime:
        return outcome(one(**changes), written("decile_from = 1")).given[0].valid_until

    soon, sooner = NOW + timedelta(days=2), NOW + timedelta(days=1)
    assert ends() == MADE + timedelta(days=30)
    assert ends(valid_until=soon) == soon
    assert ends(valid_until=soon, consent_until=sooner) == sooner


def test_a_label_whose_own_days_are_over_is_refused_as_expired() -> None:
    late = outcome(one(), written("decile_from = 1"), now=MADE + timedelta(days=30))
    assert late.given == ()
    assert [(row.reason, row.label) for row in late.refused] == [(Reason.EXPIRED, "l")]


def test_the_hour_of_a_delivery_is_not_in_its_content() -> None:
    assert outcome(one()).content == outcome(one(), now=NOW + timedelta(days=1)).content
    assert outcome(one()).content != outcome(one(opted_out=True)).content
    assert outcome(one()).content != outcome(one(risk_class=4)).content


def test_the_reason_says_where_the_score_stands_and_the_rule() -> None:
    rules = written('decile_from = 9, chance_from = "0.6", score_below = "3"', 2)
    (row,) = outcome(one(chance=0.83124), rules).given
    assert row.en == (
        "decile 10, chance 0.8312, score 2.0000, risk class 5; "
        "rule: decile 9 to 10; chance from 0.6; score below 3; for clients of risk class 2 or above"
    )
    assert row.zh.startswith("十分位 10，概率 0.8312，得分 2.0000，风险等级 5 级；规则：十分位 9 至 10；概率不低于 0.6")


def test_a_reason_never_seems_to_stand_on_the_other_side_of_its_bound() -> None:
    (row,) = outcome(one(chance=0.59999999), written('chance_below = "0.6"')).given
    assert "chance 0.59999999," in row.en


def test_counts_are_by_label_class_and_reason() -> None:
    found = apply(
        RULES,
        [one(key="a"), one(key="b", risk_class=3), one(key="c", opted_out=True), one(key="d", decile=1, chance=0.1)],
        made=MADE,
        now=NOW,
    )
    assert found.labels() == [
        {"label": "high_net_worth_potential", "class": None, "clients": 2},
        {"label": "risk_appetite", "class": 1, "clients": 1},
        {"label": "risk_appetite", "class": 5, "clients": 1},
    ]
    assert found.refusals() == [
        {"reason": "OPTED_OUT", "label": None, "clients": 1},
        {"reason": "SUITABILITY", "label": "risk_appetite", "clients": 1},
    ]
