"""Dealt keys: any t shares give the key, fewer give nothing, and no dealer deals a wrong share unnoticed."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.aggregation import Dealing, RosterInvalid, ShareWrong
from privacy.threshold import Threshold, field
from privacy.threshold.dealing import Dealer, secret_polynomial
from privacy.threshold.field import Elements
from privacy.threshold.wire import HEADER_BYTES
from tests.privacy.threshold.support import JOB, banks, engine, entropy

N, MASKS = 2048, 5


def values(share: bytes) -> Elements:
    return np.frombuffer(share, "<u4", count=N + MASKS, offset=HEADER_BYTES).astype(np.uint64)


def key_of(setup: Threshold, dealing: Dealing) -> np.ndarray:
    return secret_polynomial(setup.parameters, dealing.secret[HEADER_BYTES:])


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 64), st.data())
def test_any_threshold_of_shares_gives_the_key(count: int, data: st.DataObject) -> None:
    colluders = 0 if count == 2 else data.draw(st.integers(1, count - 2))
    setup = engine(count, colluders)
    dealer = data.draw(st.sampled_from(banks(count)))
    dealing = setup.deal(dealer, entropy(f"{count} {colluders}"))
    t = setup.roster.threshold
    places = data.draw(st.lists(st.integers(1, count), min_size=t, max_size=t, unique=True))
    shares = np.stack([values(dealing.shares[banks(count)[place - 1]]) for place in places])
    key = field.centred(field.combine(field.lagrange(places, [0]), shares)[0])[:N]
    assert (key == key_of(setup, dealing)).all() and np.abs(key).max() <= 82
    for holder in banks(count):
        setup.accept(dealer, holder, dealing.public, dealing.shares[holder])


def test_what_colluders_see_fits_every_key_alike() -> None:
    """t - 1 shares and the public polynomials are the same for any other key with other polynomials and masks.

    The other key is added along the polynomial that is 1 at zero and 0 at the colluders, and the masks take it back:
    one to one, so colluders' views have one distribution for all keys.
    """
    setup = engine(5, 2)
    dealer, t = setup._dealer, setup.roster.threshold
    dealing = setup.deal("bank-1", entropy("hiding"))
    commitments, published = dealer._public(1, dealing.public)
    weights = dealer._weights(1, commitments)
    table = np.stack([values(dealing.shares[holder]) for holder in banks(5)])
    places, colluders = [1, 2, 3, 4, 5], list(range(1, t))
    turn = field.lagrange([0, *colluders], places)[:, :1]  # of the polynomial 1, 0, ..., 0 at every place
    assert (turn[: t - 1] == 0).all() and (turn[t - 1 :] != 0).all()
    other = secret_polynomial(setup.parameters, b"x" * 32)
    step = ((other - key_of(setup, dealing)) % field.P).astype(np.uint64)
    back = (field.P - field.combine(weights, step[:, None])[:, 0]) % np.uint64(field.P)
    moved = field.reduce(table + field.reduce(turn * np.concatenate([step, back])))
    assert (moved[: t - 1] == table[: t - 1]).all(), "the colluders' shares are the same"
    assert (moved[t - 1 :] != table[t - 1 :]).any(axis=1).all(), "the others' are not"
    found = field.combine(field.lagrange(places[:t], [0]), moved[:t])[0, :N]
    assert (field.centred(found) == other).all(), "and they are shares of the other key"
    assert (field.combine(field.lagrange(places[:t], places[t:]), moved[:t]) == moved[t:]).all()
    for place, row in zip(places, moved, strict=True):
        combined = field.reduce(field.combine(weights, row[:N, None])[:, 0] + row[N:])
        assert (combined == field.evaluate(published, [place])[0]).all(), "and the published polynomials are the same"


def test_one_key_dealt_twice_is_published_as_other_polynomials() -> None:
    setup = engine(4)
    first = setup.deal("bank-1", entropy("masks"))
    second = setup.deal("bank-1", replay_seed(entropy("masks"), entropy("other polynomials")))
    assert second.secret == first.secret
    one, two = (setup._dealer._public(1, dealing.public)[1] for dealing in (first, second))
    assert one.shape == (setup.roster.threshold, MASKS) and (one != two).all()


def replay_seed(first: Callable[[int], bytes], rest: Callable[[int], bytes]) -> Callable[[int], bytes]:
    supply = iter([first])
    return lambda count: next(supply, rest)(count)


def test_every_dealing_draws_its_own_entropy() -> None:
    """32 bytes for the key, 31-bit words for the polynomials, 32 bytes of salt for each holder; never a short cut."""
    asked: list[int] = []
    source = entropy("counted")

    def draw(count: int) -> bytes:
        asked.append(count)
        return source(count)

    first = engine(4).deal("bank-2", draw)
    assert asked == [32, 4 * 3 * (N + MASKS), 32, 32, 32, 32]
    second = engine(4).deal("bank-2", draw)
    assert first.secret != second.secret and first.public != second.public
    assert "secret" not in repr(first) and "shares" not in repr(first)


def test_a_stranger_deals_and_holds_nothing() -> None:
    setup = engine(3)
    dealing = setup.deal("bank-1", entropy("known"))
    with pytest.raises(RosterInvalid):
        setup.deal("bank-9", entropy("stranger"))
    with pytest.raises(RosterInvalid):
        setup.accept("bank-9", "bank-1", dealing.public, dealing.shares[banks(3)[0]])


def refused(setup: Threshold, dealer: str, holder: str, public: bytes, share: bytes) -> None:
    with pytest.raises(ShareWrong) as caught:
        setup.accept(dealer, holder, public, share)
    assert caught.value.facts == {"dealer": dealer, "holder": holder}


def test_every_changed_byte_of_a_share_is_noticed_and_its_dealer_named() -> None:
    setup = engine(4)
    dealing = setup.deal("bank-3", entropy("mutation"))
    share = dealing.shares[banks(4)[0]]
    assert len(share) == 32 + 4 * (N + MASKS) + 32 == 8276
    setup.accept("bank-3", "bank-1", dealing.public, share)
    body = np.random.default_rng(0).integers(HEADER_BYTES, len(share), 60).tolist()
    for position in [*range(HEADER_BYTES), *body, len(share) - 1]:
        changed = bytearray(share)
        changed[position] ^= 0x41
        refused(setup, "bank-3", "bank-1", dealing.public, bytes(changed))
    for other in (share[:-1], share + b"\0", b"", bytearray(share)):
        refused(setup, "bank-3", "bank-1", dealing.public, other)  # type: ignore[arg-type]


def test_every_changed_byte_of_the_public_part_is_noticed_by_some_holder() -> None:
    setup = engine(4)
    dealing = setup.deal("bank-3", entropy("mutation"))
    assert len(dealing.public) == 32 + 4 * 32 + 4 * MASKS * 3
    for position in range(len(dealing.public)):
        changed = bytearray(dealing.public)
        changed[position] ^= 0x01
        # a commitment of another holder moves the weights, so that everybody notices
        for holder in banks(4):
            refused(setup, "bank-3", holder, bytes(changed), dealing.shares[holder])
    refused(setup, "bank-3", "bank-1", dealing.public[:-1], dealing.shares[banks(4)[0]])


def test_a_share_of_another_dealer_holder_job_or_slot_is_refused() -> None:
    setup, first = engine(4), engine(4).deal("bank-1", entropy("first"))
    second = setup.deal("bank-2", entropy("second"))
    later = setup.deal("bank-1", entropy("later slot"))
    elsewhere = engine(4, job=type(JOB)("5b" * 32)).deal("bank-1", entropy("first"))
    mine = banks(4)[2]
    refused(setup, "bank-2", mine, first.public, first.shares[mine])
    refused(setup, "bank-1", mine, first.public, second.shares[mine])
    refused(setup, "bank-1", mine, first.public, first.shares[banks(4)[1]])
    refused(setup, "bank-1", mine, first.public, later.shares[mine])
    refused(setup, "bank-1", mine, later.public, first.shares[mine])
    refused(setup, "bank-1", mine, elsewhere.public, elsewhere.shares[mine])
    refused(engine(4, 2), "bank-1", mine, first.public, first.shares[mine])
    setup.accept("bank-1", mine, first.public, first.shares[mine])


def test_a_header_that_states_another_dealer_or_holder_is_refused() -> None:
    """The body is the right one; what its header says goes into answers, so it must be right too."""
    setup = engine(4)
    dealing = setup.deal("bank-1", entropy("header"))
    share, public = dealing.shares[banks(4)[1]], dealing.public
    of_holder_three = share[:6] + b"\3" + share[7:]
    of_dealer_two, of_two = (share[:15] + bytes([members]) + share[16:] for members in (2, 3))
    for other in (of_holder_three, of_dealer_two, of_two):
        refused(setup, "bank-1", "bank-2", public, other)
    for members in (2, 3):
        refused(setup, "bank-1", "bank-2", public[:15] + bytes([members]) + public[16:], share)


class CheatingDealer:
    """Deals with the product's own code, but moves what it evaluates before it commits."""

    def __init__(self, setup: Threshold, monkeypatch: pytest.MonkeyPatch) -> None:
        self.setup, self.patch = setup, monkeypatch

    def deal(self, move: Callable[[Elements], Elements], label: str = "cheat") -> Dealing:
        honest = field.evaluate
        with self.patch.context() as patch:
            patch.setattr(field, "evaluate", lambda terms, points: move(honest(terms, points)))
            return self.setup.deal("bank-1", entropy(label))

    def noticed(self, dealing: Dealing) -> list[str]:
        found = []
        for holder in self.setup.roster.partners:
            try:
                self.setup.accept("bank-1", holder, dealing.public, dealing.shares[holder])
            except ShareWrong:
                found.append(holder)
        return found


def move_one(holder: int, coordinate: int, by: int) -> Callable[[Elements], Elements]:
    def move(shares: Elements) -> Elements:
        shares[holder, coordinate] = (int(shares[holder, coordinate]) + by) % field.P
        return shares

    return move


@pytest.mark.parametrize("coordinate", [0, 1000, N - 1, N, N + MASKS - 1])
def test_one_share_off_its_polynomial_is_noticed_by_its_holder(
    coordinate: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commitment is to the wrong share, so only the polynomial test can tell."""
    cheat = CheatingDealer(engine(4), monkeypatch)
    for by in (1, field.P - 1, 1 << 30):
        assert cheat.noticed(cheat.deal(move_one(2, coordinate, by))) == ["bank-3"]


def test_a_second_form_of_a_field_element_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """v + P is committed to and fits every polynomial; two forms of one share would be two shares to a log."""
    setup = engine(4)

    def lift(shares: Elements) -> Elements:
        shares[1, 5] += np.uint64(field.P)
        return shares

    cheat = CheatingDealer(setup, monkeypatch)
    assert cheat.noticed(cheat.deal(lift)) == ["bank-2"]
    honest = setup.deal("bank-1", entropy("form"))
    word = int.from_bytes(honest.public[-4:], "little") + field.P
    doubled = honest.public[:-4] + word.to_bytes(4, "little")
    refused(setup, "bank-1", "bank-2", doubled, honest.shares[banks(4)[1]])


def test_a_polynomial_of_too_high_degree_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shares on a polynomial of one term more: every subset would open another key."""
    setup = engine(4)
    cheat = CheatingDealer(setup, monkeypatch)

    def lift(shares: Elements) -> Elements:
        shares[:, 7] = (shares[:, 7] + np.arange(1, 5, dtype=np.uint64) ** np.uint64(3)) % np.uint64(field.P)
        return shares

    assert cheat.noticed(cheat.deal(lift)) == ["bank-1", "bank-2", "bank-3", "bank-4"]


def test_weights_known_in_advance_would_hide_a_wrong_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six coordinates can be moved so that five known combinations cancel; weights drawn from the commitments cannot.

    With the weights made independent of the commitments the same cheat passes: the test sees what the hash prevents.
    """
    setup = engine(4)
    cheat = CheatingDealer(setup, monkeypatch)
    honest = Dealer._weights
    known = honest(setup._dealer, 1, b"")
    kernel = cancelling(known[:, : MASKS + 1])

    def move(shares: Elements) -> Elements:
        for coordinate, by in enumerate(kernel):
            shares = move_one(2, coordinate, by)(shares)
        return shares

    assert cheat.noticed(cheat.deal(move)) == ["bank-3"]
    with monkeypatch.context() as patch:
        patch.setattr(Dealer, "_weights", lambda self, dealer, commitments: known)
        assert cheat.noticed(cheat.deal(move)) == []


def cancelling(weights: Elements) -> list[int]:
    """A vector that is not zero with weights @ vector = 0: Gauss elimination of (r, r + 1) with Python integers."""
    rows = [[int(v) for v in row] for row in weights]
    for i in range(len(rows)):
        inverse = pow(rows[i][i], -1, field.P)
        rows[i] = [v * inverse % field.P for v in rows[i]]
        for j in range(len(rows)):
            if j != i:
                rows[j] = [(a - rows[j][i] * b) % field.P for a, b in zip(rows[j], rows[i], strict=True)]
    return [-row[-1] % field.P for row in rows] + [1]


def test_the_weights_depend_on_every_commitment_the_dealer_and_the_job() -> None:
    setup = engine(3)
    weights = setup._dealer._weights
    base = weights(1, bytes(96))
    others = [weights(2, bytes(96)), engine(3, job=type(JOB)("00" * 32))._dealer._weights(1, bytes(96))]
    others += [weights(1, bytes(i) + b"\1" + bytes(95 - i)) for i in (0, 31, 32, 95)]
    assert base.shape == (MASKS, N) and base.max() < field.P
    for one, two in itertools.combinations([base, *others], 2):
        assert (one != two).mean() > 0.999
