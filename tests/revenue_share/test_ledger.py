import pytest
from hypothesis import given
from hypothesis import strategies as st

from revenue_share.accounts import CHART, PARTNER_SHARE, VAT_IN, accrued, holds, payable
from revenue_share.errors import EntryTransition
from revenue_share.ledger import (
    Balance,
    Dated,
    EntryState,
    JournalEntry,
    Posting,
    Side,
    as_of,
    from_transfers,
    points_owed,
    transfer,
    transfers,
    trial_balance,
)
from revenue_share.ledger import accrual as accrual_of
from revenue_share.money import AMOUNT_FEN_MAX
from revenue_share.periods import parse_time
from revenue_share.points_book import Moves

OCTOBER = "2026-10"
OWED = payable("platform-a")
AMOUNTS = st.integers(-AMOUNT_FEN_MAX, AMOUNT_FEN_MAX).filter(bool)


def accrual(minor=6073, entry_id="e1"):
    return transfer(entry_id, "statement", "accrual", OCTOBER, PARTNER_SHARE, OWED, "CNY", minor)


def test_an_accrual_debits_expense_and_credits_the_payable():
    assert trial_balance([accrual().become(EntryState.POSTED)]) == (
        Balance(account=PARTNER_SHARE, asset="CNY", debit_minor=6073, credit_minor=0),
        Balance(account=OWED, asset="CNY", debit_minor=0, credit_minor=6073),
    )


def test_a_negative_accrual_swaps_the_sides():
    entry = accrual(-5)
    assert [(p.account, p.side) for p in entry.postings] == [(OWED, Side.DEBIT), (PARTNER_SHARE, Side.CREDIT)]


def test_pending_and_voided_entries_are_outside_the_balance():
    entries = [accrual(), accrual(entry_id="e2").become(EntryState.VOIDED)]
    assert trial_balance(entries) == ()
    assert len(trial_balance(entries, frozenset({EntryState.PENDING}))) == 2


@pytest.mark.parametrize("first", [EntryState.POSTED, EntryState.VOIDED])
@pytest.mark.parametrize("second", EntryState)
def test_an_entry_is_posted_or_voided_once(first, second):
    with pytest.raises(EntryTransition):
        accrual().become(first).become(second)


def test_a_pending_entry_cannot_be_reversed_only_voided():
    with pytest.raises(EntryTransition):
        accrual().reversing("e2", "wrong", OCTOBER)


def test_an_entry_that_does_not_balance_cannot_exist():
    debit = Posting(account=PARTNER_SHARE, asset="CNY", side=Side.DEBIT, amount_minor=2)
    credit = Posting(account=OWED, asset="CNY", side=Side.CREDIT, amount_minor=1)
    hkd = Posting(account=OWED, asset="HKD", side=Side.CREDIT, amount_minor=2)
    for postings in [(debit, credit), (debit, hkd), (debit,), ()]:
        with pytest.raises(AssertionError):
            JournalEntry(id="e1", subject="s", memo="m", period=OCTOBER, postings=postings)


@pytest.mark.parametrize("account", ["", "asset:bank", "liability:payable:", "liability:payable:Bank A", "expense"])
def test_an_account_outside_the_chart(account):
    with pytest.raises(AssertionError):
        Posting(account=account, asset="CNY", side=Side.DEBIT, amount_minor=1)


@pytest.mark.parametrize(
    ("account", "asset"),
    [
        (OWED, "POINTS"),
        (PARTNER_SHARE, "POINTS"),
        ("points:liability", "CNY"),
        ("asset:bank:ecny", "HKD"),
        ("asset:bank:cheque", "CNY"),
        (OWED, "XXX"),
    ],
)
def test_an_account_holds_its_own_assets_only(account, asset):
    with pytest.raises(AssertionError):
        Posting(account=account, asset=asset, side=Side.DEBIT, amount_minor=1)


def test_every_class_of_the_chart_has_an_account_that_holds_its_asset():
    for one in CHART:
        name = one.name + {"": "", "partner": ":platform-a", "rail": ":transfer"}[one.each]
        assert holds(name, "POINTS") == name.startswith("points:")
        assert holds(name, "CNY") != name.startswith("points:")


def signed(entry):
    return {posting.account: posting.signed_minor for posting in entry.postings}


def test_a_statement_that_pays_what_it_counts_has_two_postings():
    made = accrual_of("aa" * 32, OCTOBER, "platform-a", "CNY", 6073)
    assert signed(made) == {PARTNER_SHARE: 6073, OWED: -6073}


def test_what_is_not_due_is_carried_and_taxes_have_their_accounts():
    made = accrual_of("aa" * 32, OCTOBER, "platform-a", "CNY", 10000, gross_minor=0)
    assert signed(made) == {PARTNER_SHARE: 10000, accrued("platform-a"): -10000}
    made = accrual_of("bb" * 32, OCTOBER, "platform-a", "CNY", -500, gross_minor=0)
    assert signed(made) == {PARTNER_SHARE: -500, accrued("platform-a"): 500}
    # 30.00 more with 95.00 brought forward: 125.00 are paid out, 6 % VAT besides, 10 % withheld
    made = accrual_of(
        "cc" * 32,
        OCTOBER,
        "platform-a",
        "CNY",
        3000,
        gross_minor=12500,
        vat_minor=750,
        withheld_minor=1250,
        paid_minor=12000,
    )
    assert signed(made) == {
        PARTNER_SHARE: 3000,
        "tax:vat_in": 750,
        "tax:withholding": -1250,
        OWED: -12000,
        accrued("platform-a"): 9500,
    }
    # 106.00 with 6 % VAT contained: 100.00 are an expense
    made = accrual_of(
        "dd" * 32, OCTOBER, "platform-a", "CNY", 10600, vat_minor=600, withheld_minor=1000, paid_minor=9600
    )
    assert signed(made) == {PARTNER_SHARE: 10000, "tax:vat_in": 600, "tax:withholding": -1000, OWED: -9600}


def moves(**fields):
    zero = dict.fromkeys(Moves.__slots__, 0)
    return Moves(**{**zero, **fields})


def test_points_have_their_own_accounts_beside_the_money():
    """100 open before, 300 earned; 50 redeemed, 40 taken back, 30 expired: 280 are owed, 180 more than before."""
    points = moves(brought_forward=100, earned=300, redeemed=50, taken_back=40, expired=30, carried_forward=280)
    assert points.hold
    made = accrual_of("aa" * 32, OCTOBER, "platform-a", "CNY", 6073, points=points)
    assert [(p.account, p.asset, p.signed_minor) for p in made.postings] == [
        (PARTNER_SHARE, "CNY", 6073),
        ("points:issued", "POINTS", 300),
        ("points:liability", "POINTS", 120),
        (OWED, "CNY", -6073),
        ("points:liability", "POINTS", -300),
        ("points:issued", "POINTS", -40),
        ("points:redeemed", "POINTS", -50),
        ("points:expired", "POINTS", -30),
    ]
    assert points_owed([made]) == 180
    assert from_transfers(transfers(made)) == made.postings  # as the database keeps it
    assert all(move.debit != move.credit for move in transfers(made))


def test_points_of_before_are_booked_once_by_an_entry_that_says_so():
    points = moves(opened=70, earned=5, expired=20, carried_forward=55)
    made = accrual_of("aa" * 32, OCTOBER, "platform-a", "CNY", 0, points=points)
    assert made.memo == "revenue share 2026-10; 70 points open from earlier months are booked with it"
    assert points_owed([made]) == 55 and {p.asset for p in made.postings} == {"POINTS"}


def test_nothing_moved_is_no_entry():
    assert accrual_of("aa" * 32, OCTOBER, "platform-a", "CNY", 0) is None
    still = moves(brought_forward=9, carried_forward=9)
    assert accrual_of("aa" * 32, OCTOBER, "platform-a", "CNY", 0, points=still) is None


def test_an_entry_as_it_stood_before_and_after_it_was_decided():
    posted = accrual().become(EntryState.POSTED)
    first, fifth = parse_time("2026-11-01T00:00:00Z"), parse_time("2026-11-05T00:00:00Z")
    dated = Dated(entry=posted, recorded_at=first, decided_at=fifth)
    assert as_of([dated], parse_time("2026-10-31T23:59:59Z")) == ()
    assert as_of([dated], parse_time("2026-11-04T23:59:59Z")) == (accrual(),)
    assert as_of([dated], fifth) == as_of([dated], None) == (posted,)
    assert as_of([dated], None, "2026-09") == ()


@pytest.mark.parametrize("minor", [0, -1, AMOUNT_FEN_MAX + 1])
def test_a_posting_is_positive_and_limited(minor):
    with pytest.raises(AssertionError):
        Posting(account=OWED, asset="CNY", side=Side.DEBIT, amount_minor=minor)


@given(st.lists(st.tuples(AMOUNTS, st.sampled_from(["CNY", "HKD"]), st.booleans()), max_size=20))
def test_the_trial_balance_is_zero_and_reversing_everything_restores_it(moves):
    entries = [
        transfer(f"e{i}", "s", "m", OCTOBER, PARTNER_SHARE if flag else VAT_IN, OWED, asset, minor).become(
            EntryState.POSTED
        )
        for i, (minor, asset, flag) in enumerate(moves)
    ]
    balances = trial_balance(entries)
    for asset in ("CNY", "HKD"):
        assert sum(b.net_minor for b in balances if b.asset == asset) == 0
    assert trial_balance(reversed(entries)) == balances
    undone = [entry.reversing(entry.id + "-r", "undo", OCTOBER).become(EntryState.POSTED) for entry in entries]
    assert all(entry.reverses for entry in undone)
    assert all(balance.net_minor == 0 for balance in trial_balance(entries + undone))


@given(st.lists(st.tuples(st.integers(1, 10**6), st.sampled_from(["CNY", "HKD"])), min_size=1, max_size=8), st.data())
def test_an_entry_of_many_postings_is_kept_as_transfers_with_the_same_balances(debits, data):
    postings = []
    for minor, asset in debits:
        postings.append(Posting(account=PARTNER_SHARE, asset=asset, side=Side.DEBIT, amount_minor=minor))
        cut = data.draw(st.integers(0, minor))
        for part, account in ((cut, OWED), (minor - cut, VAT_IN)):
            if part:
                postings.append(Posting(account=account, asset=asset, side=Side.CREDIT, amount_minor=part))
    entry = JournalEntry(
        id="e", subject="s", memo="m", period=OCTOBER, postings=tuple(postings), state=EntryState.POSTED
    )
    again = JournalEntry(
        id="e",
        subject="s",
        memo="m",
        period=OCTOBER,
        postings=from_transfers(transfers(entry)),
        state=EntryState.POSTED,
    )
    assert trial_balance([again]) == trial_balance([entry])


@pytest.mark.parametrize(
    "points",
    [None, Moves(opened=0, brought_forward=0, earned=9, redeemed=3, taken_back=2, expired=1, carried_forward=3)],
)
@pytest.mark.parametrize(("vat", "tax"), [(0, 0), (6, 0), (6, 4)])
def test_an_entry_and_what_takes_it_back_are_kept_as_they_are(points, vat, tax):
    taxes = {"gross_minor": 100, "vat_minor": vat, "withheld_minor": tax, "paid_minor": 100 + vat - tax}
    made = accrual_of("00" * 32, OCTOBER, "platform-a", "CNY", 130, points=points, **taxes)
    back = made.become(EntryState.POSTED).reversing("back", "taken back", OCTOBER)
    for entry in (made, back):
        assert from_transfers(transfers(entry)) == entry.postings
