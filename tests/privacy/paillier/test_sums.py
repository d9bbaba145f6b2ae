"""Sums open to what plain integers give, from any answers; the same as the other engine's; readable to a peer."""

import hashlib

import gmpy2
import numpy as np
import phe
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.aggregation import Engine, RosterInvalid, RoundVoid
from privacy.ids import PartnerId
from privacy.paillier import Paillier, PaillierMissing, gmp, keys, primes, vectors
from privacy.paillier.wire import Form
from privacy.ring import Stream
from privacy.threshold import Threshold
from tests.privacy.paillier.support import (
    BITS,
    SLOT,
    answers_of,
    dealt,
    hide,
    make_engine,
    make_roster,
    random_lanes,
    seeded,
    small_keys,
    total_of,
)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 9), st.integers(1, 40), st.data())
def test_a_cohorts_sum_is_exact_from_any_threshold_of_answers(size: int, count: int, data: st.DataObject) -> None:
    made, dealing = dealt(size)
    cohort = data.draw(st.integers(1, size))
    lanes = [random_lanes(made, count, data.draw(st.integers(0, 1 << 30))) for _ in range(cohort)]
    answering = data.draw(st.permutations(made.roster.partners))[: made.roster.threshold]
    total = total_of(made, dealing, lanes)
    opened = made.open(total, count, cohort, answers_of(made, dealing, total, list(answering)))
    assert np.array_equal(opened.lanes, sum(lanes)) and opened.wrong == ()


def test_the_extreme_lanes_of_a_whole_roster_fit() -> None:
    made, dealing = dealt(9)
    most = np.full(31, (1 << made.value_bits) - 1)
    total = total_of(made, dealing, [most] * 9)
    assert made.value_bits == 28
    opened = made.open(total, 31, 9, answers_of(made, dealing, total, list(made.roster.partners)))
    assert np.array_equal(opened.lanes, most * 9)


def test_ten_thousand_lanes_sum_as_the_other_engine_and_plain_integers_do() -> None:
    """The reference: `threshold` and `paillier` agree with integers bit for bit."""
    made, dealing = dealt(4)
    other = Threshold(made.roster, bytes(32))
    assert other.value_bits == made.value_bits
    lanes = [random_lanes(made, 10_000, seed) for seed in range(4)]
    total = total_of(made, dealing, lanes)
    mine = made.open(total, 10_000, 4, answers_of(made, dealing, total, list(made.roster.partners[:3]))).lanes

    dealings = {name: other.deal(name, seeded(name)) for name in made.roster.partners}
    adder = other.adder(10_000, SLOT)
    for name, values in zip(made.roster.partners, lanes, strict=True):
        adder.add(other.encrypt(dealings[name].secret, values, SLOT, name, seeded(name)), name)
    answers = {
        holder: other.answer([dealings[dealer].shares[holder] for dealer in made.roster.partners], b"")
        for holder in made.roster.partners
    }
    theirs = other.open(adder.total(), 10_000, 4, answers).lanes
    assert mine.tobytes() == theirs.tobytes() == np.asarray(sum(lanes)).tobytes()


def test_a_peer_reads_our_ciphertexts_and_we_add_a_peers() -> None:
    """phe, an independent Paillier, with the factors that the dealer forgets."""
    made = make_engine(3)
    material = keys.make(Stream(bytes(32), "peer"), bits=BITS, holders=3, threshold=3, context=made._context)
    p, q = (int(factor) for factor in material.factors)
    peer_public = phe.PaillierPublicKey(p * q)
    peer = phe.PaillierPrivateKey(peer_public, p, q)
    lanes = random_lanes(made, 40, 5)
    one, other = made.roster.partners[:2]
    read = vectors.read(made.encrypt(material.public, lanes, SLOT, one, seeded("a")), Form.CIPHERTEXT, BITS)
    assert [peer.raw_decrypt(int(number)) for number in read.numbers] == vectors.pack(lanes, BITS)

    theirs = [gmpy2.mpz(peer_public.raw_encrypt(number)) for number in vectors.pack(lanes, BITS)]
    adder = made.adder(40, SLOT, material.public)
    adder.add(made.encrypt(material.public, lanes, SLOT, other, seeded("b")), other)
    mine = vectors.read(adder.total(), Form.TOTAL, BITS).numbers
    added = [a * b % (read.n * read.n) for a, b in zip(theirs, mine, strict=True)]
    total = vectors.write(Form.TOTAL, BITS, read.key, 40, read.n, added)
    answers = {PartnerId(f"bank-{i}"): made.answer([material.shares[i + 1]], total) for i in range(3)}
    assert np.array_equal(made.open(total, 40, 2, answers).lanes, 2 * lanes)


def test_the_primes_are_safe_and_of_full_size() -> None:
    for label in range(4):
        prime = primes.safe_prime(Stream(bytes(32), f"prime {label}"), 128)
        assert gmpy2.is_prime(prime) and gmpy2.is_prime(prime >> 1) and prime >> 126 == 3


def test_the_sieve_removes_what_has_small_factors_and_nothing_else() -> None:
    start = gmpy2.mpz(3 << 100 | 1)
    alive = primes._survivors(start)
    for step in range(400):
        q = start + 2 * step
        smooth = any(q % s == 0 or (2 * q + 1) % s == 0 for s in primes.SIEVED)
        assert alive[step] == (not smooth)


def test_uniform_numbers_stay_below_their_bound_and_reach_all_of_it() -> None:
    draws = [int(primes.below(Stream(bytes(32), "below"), gmpy2.mpz(1))) for _ in range(3)]
    stream = Stream(bytes(32), "many")
    counts = np.bincount([int(primes.below(stream, gmpy2.mpz(5))) for _ in range(5000)])
    assert draws == [0, 0, 0] and len(counts) == 5 and counts.min() > 850


KNOWN = ["87198d86b22ad860", "84c25af65d7c2e63", "716c40e6bb1f817a"]


def test_known_answers() -> None:
    """A fixed seed gives this key and this ciphertext: another result is another format or another draw."""
    made, dealing = dealt(3, "known")
    ciphertext = hide(made, dealing, np.arange(20), PartnerId("bank-0"))
    answer = made.answer([dealing.shares[PartnerId("bank-1")]], total_of(made, dealing, [np.arange(20)]))
    digests = [hashlib.sha256(data).hexdigest()[:16] for data in (dealing.public, ciphertext, answer)]
    assert digests == KNOWN


def test_an_upload_is_drawn_anew_each_time() -> None:
    made, dealing = dealt(3)
    lanes = np.arange(5)
    one = PartnerId("bank-0")
    assert hide(made, dealing, lanes, one, "a") != hide(made, dealing, lanes, one, "b")


def test_too_few_answers_open_nothing() -> None:
    made, dealing = dealt(5)
    total = total_of(made, dealing, [np.arange(5)] * 3)
    few = answers_of(made, dealing, total, list(made.roster.partners[: made.roster.threshold - 1]))
    with pytest.raises(RoundVoid, match="right answers are needed"):
        made.open(total, 5, 3, few)


def test_the_engine_has_the_common_interface() -> None:
    made: Engine = dealt(3)[0]
    assert (made.name, made.every_slot, made.answers_total) == ("paillier", False, True)
    assert made.dealers == (PartnerId("bank-2"),)


@pytest.mark.parametrize("bits", [512, 2048, 3000, 3073, 1 << 20])
def test_a_key_too_small_or_odd_is_refused(bits: int) -> None:
    roster = make_roster(3)
    with pytest.raises(RosterInvalid):
        Paillier(roster, roster.partners[0], bits)


def test_a_dealer_is_one_of_the_partners_and_only_it_deals() -> None:
    roster = make_roster(3)
    with small_keys(), pytest.raises(RosterInvalid):
        Paillier(roster, PartnerId("stranger"), BITS)
    with pytest.raises(RosterInvalid):
        make_engine(3).deal("bank-0", seeded("x"))


def test_nothing_secret_stays_with_the_dealer_or_shows_in_a_message() -> None:
    _, dealing = dealt(3)
    assert dealing.secret == b""
    share = keys.Share(public=None, holder=1, value=gmpy2.mpz(123456789))  # type: ignore[arg-type]
    assert "123456789" not in repr(share)


def test_without_the_extra_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gmp, "gmpy2", None)
    with pytest.raises(PaillierMissing, match="paillier"):
        Paillier(make_roster(3), PartnerId("bank-0"))
