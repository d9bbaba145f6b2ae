import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecowire import documents
from privacy import merkle
from privacy.ids import MalformedIdentifier
from revenue_share import statement
from revenue_share.errors import EventsTooMany, StatementDiffers, StatementTransition
from revenue_share.money import Money
from revenue_share.statement import NO_DIGEST, TRANSITIONS, Place, Salts, State
from tests.support.revenue import OCTOBER, agreement, allocate, event, referral, salts

TERMS = agreement()
LINES = allocate(TERMS, [referral(1), referral(2)], [event("e1", 1, 123457), event("e2", 1, -2000)], OCTOBER)
SALTS = salts(len(LINES))
MADE = statement.build(TERMS, OCTOBER, Place(), LINES, SALTS)


def test_the_id_is_the_digest_of_the_signed_document():
    assert MADE.id == documents.digest("statement", MADE.body)
    assert (MADE.total_minor, MADE.payable_minor, MADE.carried_forward_minor) == (6073, 6073, 0)
    assert MADE.period_number == 202610


def test_a_line_is_proven_under_the_root_with_its_salt():
    leaves = statement.leaf_hashes(LINES, SALTS)
    proof = merkle.inclusion_proof(leaves, 1)
    leaf = merkle.leaf_hash(SALTS.lines[1] + statement.leaf_data(LINES[1], b""))
    merkle.verify_inclusion(bytes.fromhex(MADE.lines_root), len(LINES), 1, leaf, proof)
    other = merkle.leaf_hash(statement.leaf_data(LINES[1], SALTS.lines[0]))
    with pytest.raises(merkle.BadProof):
        merkle.verify_inclusion(bytes.fromhex(MADE.lines_root), len(LINES), 1, other, proof)


def test_the_same_lines_under_other_salts_look_unrelated():
    other = statement.build(TERMS, OCTOBER, Place(), LINES, salts(len(LINES), b"other"))
    assert other.lines_root != MADE.lines_root
    assert other.total_commitment != MADE.total_commitment
    assert other.partner_commitment == MADE.partner_commitment  # one per agreement: the contract keeps a chain for it
    assert statement.partner_commitment(agreement(nonce="cd" * 32)) != MADE.partner_commitment


def test_the_total_commitment_binds_sign_amount_and_currency():
    made = {
        statement.total_commitment(Money(currency=currency, minor=minor), bytes(32))
        for currency, minor in [("CNY", 1), ("CNY", -1), ("CNY", 2), ("HKD", 1)]
    }
    assert len(made) == 4


def verify(body, lines=LINES):
    return statement.verify(TERMS, OCTOBER, Place(), body, lines, SALTS)


def test_verify_accepts_exactly_the_body_that_was_built():
    assert verify(MADE.body) == MADE


@pytest.mark.parametrize("field", sorted(MADE.body))
def test_verify_names_the_changed_field(field):
    value = MADE.body[field]
    changed = value + 1 if isinstance(value, int) else "0" * 63 + "1" if len(value) == 64 else value + "x"
    with pytest.raises(StatementDiffers) as caught:
        verify(MADE.body | {field: changed})
    assert caught.value.facts["what"] == field


@pytest.mark.parametrize("body", [None, {}, MADE.body | {"extra": 1}, MADE.body | {"version": True}])
def test_verify_refuses_other_shapes(body):
    with pytest.raises(StatementDiffers):
        verify(body)


def test_a_claimed_statement_is_read_back():
    assert statement.from_body(MADE.body) == MADE


def test_the_claimed_place_is_read():
    assert statement.read_place(MADE.body) == (OCTOBER, Place())


@pytest.mark.parametrize(
    "body",
    [
        None,
        {},
        MADE.body | {"sequence": "1"},
        MADE.body | {"sequence": True},
        MADE.body | {"previous": None},
        MADE.body | {"replaces": "0x"},
        MADE.body | {"period": "2026-00"},
        MADE.body | {"version": 2},
        MADE.body | {"version": True},
        MADE.body | {"kind": "invoice"},
        MADE.body | {"note": ""},
        MADE.body | {"currency": 156},
        MADE.body | {"payer": "The Broker"},
    ],
)
def test_a_malformed_place(body):
    with pytest.raises((StatementDiffers, MalformedIdentifier)):
        statement.read_place(body)


def test_one_fen_on_one_line_is_found():
    cheaper = allocate(TERMS, [referral(1), referral(2)], [event("e1", 1, 123400), event("e2", 1, -2000)], OCTOBER)
    with pytest.raises(StatementDiffers):
        verify(MADE.body, cheaper)


@pytest.mark.parametrize(
    ("base", "brought", "total", "payable", "carried"),
    [
        (2000, 0, 100, 100, 0),
        (-2000, 0, -100, 0, -100),
        (2000, -30, 100, 70, 0),
        (2000, -100, 100, 0, 0),
        (2000, -130, 100, 0, -30),
        (-2000, -30, -100, 0, -130),
        (0, 0, 0, 0, 0),
    ],
)
def test_a_negative_balance_is_carried_forward(base, brought, total, payable, carried):
    lines = allocate(TERMS, [referral(1)], [event("e1", 1, base)], OCTOBER)
    place = Place(sequence=2, previous="ab" * 32, brought_forward_minor=brought)
    made = statement.build(TERMS, OCTOBER, place, lines, salts(1))
    assert (made.total_minor, made.payable_minor, made.carried_forward_minor) == (total, payable, carried)
    assert total + brought == payable + carried


def test_an_empty_statement_has_the_empty_root():
    made = statement.build(TERMS, OCTOBER, Place(), (), salts(0))
    assert (made.lines, made.total_minor, made.lines_root) == (0, 0, merkle.EMPTY_ROOT.hex())


def test_salts_are_checked():
    with pytest.raises(StatementDiffers):
        statement.build(TERMS, OCTOBER, Place(), LINES, salts(len(LINES) - 1))
    with pytest.raises(StatementDiffers):
        Salts(lines=(bytes(32), bytes(32)), total=bytes([1]) * 32)
    with pytest.raises(StatementDiffers):
        Salts(lines=(bytes(31),), total=bytes([1]) * 32)


@pytest.mark.parametrize("place", [Place(sequence=0), Place(brought_forward_minor=1)])
def test_an_impossible_place(place):
    with pytest.raises(StatementDiffers):
        statement.build(TERMS, OCTOBER, place, LINES, SALTS)


def test_the_number_of_lines_is_limited(monkeypatch):
    monkeypatch.setattr(statement, "EVENTS_MAX", 1)
    with pytest.raises(EventsTooMany):
        statement.build(TERMS, OCTOBER, Place(), LINES, SALTS)


LEGAL = {
    ("DRAFT", "PROPOSED"),
    ("DRAFT", "DISPUTED"),
    ("DRAFT", "VOID"),
    ("PROPOSED", "DISPUTED"),
    ("PROPOSED", "FINAL"),
    ("DISPUTED", "PROPOSED"),
    ("DISPUTED", "VOID"),
    ("FINAL", "PAID"),
    ("PAID", "ACKED"),
}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("target", State)
def test_every_arrow_is_in_the_table_or_refused(state, target):
    if (state.value, target.value) in LEGAL:
        statement.check_transition(state, target)
        return
    with pytest.raises(StatementTransition) as caught:
        statement.check_transition(state, target)
    assert state.value in caught.value.message("zh")


def test_the_table_knows_every_state():
    assert set(TRANSITIONS) == set(State)
    assert NO_DIGEST == "00" * 32


@given(st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=12))
def test_the_total_is_the_sum_of_the_lines(bases):
    referrals = [referral(i) for i in range(len(bases))]
    events = [event(f"e{i}", i, base) for i, base in enumerate(bases)]
    lines = allocate(TERMS, referrals, events, OCTOBER)
    made = statement.build(TERMS, OCTOBER, Place(), lines, salts(len(lines)))
    assert made.total_minor == sum(line.amount_minor for line in lines)
    assert statement.verify(TERMS, OCTOBER, Place(), made.body, lines, salts(len(lines))) == made
