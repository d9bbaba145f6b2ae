import pytest
from hypothesis import given
from hypothesis import strategies as st

from revenue_share.errors import EntryTransition
from revenue_share.ledger import (
    CLEARING,
    REVENUE_SHARE,
    Balance,
    EntryState,
    JournalEntry,
    Posting,
    Side,
    from_transfers,
    payable,
    transfer,
    transfers,
    trial_balance,
)
from revenue_share.money import AMOUNT_FEN_MAX

OWED = payable("platform-a")
AMOUNTS = st.integers(-AMOUNT_FEN_MAX, AMOUNT_FEN_MAX).filter(bool)


def accrual(minor=6073, entry_id="e1"):
    return transfer(entry_id, "statement", "accrual", REVENUE_SHARE, OWED, "CNY", minor)


def test_an_accrual_debits_expense_and_credits_the_payable():
    assert trial_balance([accrual().become(EntryState.POSTED)]) == (
        Balance(account=REVENUE_SHARE, asset="CNY", debit_minor=6073, credit_minor=0),
        Balance(account=OWED, asset="CNY", debit_minor=0, credit_minor=6073),
    )


def test_a_negative_accrual_swaps_the_sides():
    entry = accrual(-5)
    assert [(p.account, p.side) for p in entry.postings] == [(OWED, Side.DEBIT), (REVENUE_SHARE, Side.CREDIT)]


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
        accrual().reversing("e2", "wrong")


def test_an_entry_that_does_not_balance_cannot_exist():
    debit = Posting(account=REVENUE_SHARE, asset="CNY", side=Side.DEBIT, amount_minor=2)
    credit = Posting(account=OWED, asset="CNY", side=Side.CREDIT, amount_minor=1)
    hkd = Posting(account=OWED, asset="HKD", side=Side.CREDIT, amount_minor=2)
    for postings in [(debit, credit), (debit, hkd), (debit,), ()]:
        with pytest.raises(AssertionError):
            JournalEntry(id="e1", subject="s", memo="m", postings=postings)


@pytest.mark.parametrize("account", ["", "asset:bank", "liability:payable:", "liability:payable:Bank A", "expense"])
def test_an_account_outside_the_chart(account):
    with pytest.raises(AssertionError):
        Posting(account=account, asset="CNY", side=Side.DEBIT, amount_minor=1)


@pytest.mark.parametrize("minor", [0, -1, AMOUNT_FEN_MAX + 1])
def test_a_posting_is_positive_and_limited(minor):
    with pytest.raises(AssertionError):
        Posting(account=OWED, asset="CNY", side=Side.DEBIT, amount_minor=minor)


@given(st.lists(st.tuples(AMOUNTS, st.sampled_from(["CNY", "HKD"]), st.booleans()), max_size=20))
def test_the_trial_balance_is_zero_and_reversing_everything_restores_it(moves):
    entries = [
        transfer(f"e{i}", "s", "m", REVENUE_SHARE if flag else CLEARING, OWED, asset, minor).become(EntryState.POSTED)
        for i, (minor, asset, flag) in enumerate(moves)
    ]
    balances = trial_balance(entries)
    for asset in ("CNY", "HKD"):
        assert sum(b.net_minor for b in balances if b.asset == asset) == 0
    assert trial_balance(reversed(entries)) == balances
    undone = [entry.reversing(entry.id + "-r", "undo").become(EntryState.POSTED) for entry in entries]
    assert all(entry.reverses for entry in undone)
    assert all(balance.net_minor == 0 for balance in trial_balance(entries + undone))


@given(st.lists(st.tuples(st.integers(1, 10**6), st.sampled_from(["CNY", "HKD"])), min_size=1, max_size=8), st.data())
def test_an_entry_of_many_postings_is_kept_as_transfers_with_the_same_balances(debits, data):
    postings = []
    for minor, asset in debits:
        postings.append(Posting(account=REVENUE_SHARE, asset=asset, side=Side.DEBIT, amount_minor=minor))
        cut = data.draw(st.integers(0, minor))
        for part, account in ((cut, OWED), (minor - cut, CLEARING)):
            if part:
                postings.append(Posting(account=account, asset=asset, side=Side.CREDIT, amount_minor=part))
    entry = JournalEntry(id="e", subject="s", memo="m", postings=tuple(postings), state=EntryState.POSTED)
    again = JournalEntry(
        id="e", subject="s", memo="m", postings=from_transfers(transfers(entry)), state=EntryState.POSTED
    )
    assert trial_balance([again]) == trial_balance([entry])
