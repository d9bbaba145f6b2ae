"""Whole sums: exact for every roster, count and set of answers; forms checked byte by byte; fixed vectors."""

import hashlib
from itertools import combinations

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.aggregation import AnswerMalformed, CiphertextMalformed, Engine
from privacy.ids import Digest
from privacy.threshold import public_seed
from privacy.threshold.errors import AnswerRefused
from privacy.threshold.wire import HEADER_BYTES
from tests.privacy.threshold.support import (
    JOB,
    SLOT,
    Aggregation,
    banks,
    engine,
    entropy,
    hide,
    negacyclic,
    random_lanes,
)

N = 2048
KNOWN = {
    "secret": "1c4ed95932ec12c8",
    "public": "b90a95479a71a8b7",
    "share": "c962a057c1b916b7",
    "ciphertext": "567ec593f88d3b96",
    "total": "ce5bb47fc2ff0ecb",
    "answer": "65f35b1fef9b0bb5",
}  # first 8 bytes of SHA-256


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 64), st.sampled_from([1, 3, 2043, 2044, 2045, 5000]), st.data())
def test_sums_are_exact(count: int, lanes: int, data: st.DataObject) -> None:
    """Any roster, any cohort of it, any answers of at least the threshold, with lanes at both ends as well."""
    setup = engine(count, 0 if count == 2 else data.draw(st.integers(1, count - 2)))
    size = data.draw(st.integers(1, min(count, 6)))
    cohort = data.draw(st.lists(st.sampled_from(banks(count)), min_size=size, max_size=size, unique=True))
    top = (1 << setup.value_bits) - 1
    vectors = [random_lanes(setup, lanes, i) for i in range(size)]
    vectors[0][0] = top
    vectors[-1][-1] = 0
    run = Aggregation(setup, cohort, vectors)
    m = data.draw(st.integers(setup.roster.threshold, count))
    holders = data.draw(st.lists(st.sampled_from(banks(count)), min_size=m, max_size=m, unique=True))
    opened = setup.open(run.total(), lanes, size, run.answers(holders))
    assert opened.lanes.dtype == np.int64 and opened.lanes.shape == (lanes,)
    assert (opened.lanes == run.expected).all() and opened.wrong == ()


def test_the_whole_roster_at_its_largest_lanes_is_exact() -> None:
    setup = engine(64, 20)
    run = Aggregation(setup, banks(64), [np.full(700, (1 << 26) - 1)] * 64)
    opened = setup.open(run.total(), 700, 64, run.answers(banks(64)[5:60]))
    assert (opened.lanes == 64 * ((1 << 26) - 1)).all()


def test_every_subset_of_answers_opens_the_same() -> None:
    setup = engine(5)
    run = Aggregation(setup, banks(5)[1:], [random_lanes(setup, 10, i) for i in range(4)])
    total = run.total()
    for holders in combinations(banks(5), setup.roster.threshold):
        assert (setup.open(total, 10, 4, run.answers(holders)).lanes == run.expected).all()


@pytest.mark.parametrize("lanes", [1, 8 * N - 4, 8 * N - 3, 20_000])
def test_lengths_around_polynomials_and_blocks(lanes: int) -> None:
    setup = engine(3)
    run = Aggregation(setup, banks(3), [random_lanes(setup, lanes, i) for i in range(3)])
    assert len(run.total()) == HEADER_BYTES + 6 * max(N, lanes + 4)
    assert (setup.open(run.total(), lanes, 3, run.answers(banks(3))).lanes == run.expected).all()


def test_a_shorter_vector_uses_a_prefix() -> None:
    """Under one key the coefficients of a vector are the first ones of any longer vector that begins with it."""
    setup, lanes = engine(3), random_lanes(engine(3), 30_000)
    key = setup.deal("bank-1", entropy("prefix")).secret
    long = hide(setup, key, lanes)
    for count in (2_044, 9_000):
        short = hide(setup, key, lanes[:count])
        for start, width in ((0, 4), (4, 2)):
            one, two = (
                data[HEADER_BYTES + start * (size + 4) :][: width * (count + 4)]
                for data, size in ((short, count), (long, 30_000))
            )
            assert one == two


def test_encryption_is_repeatable_and_draws_nothing() -> None:
    setup = engine(3)
    key = setup.deal("bank-1", entropy("repeat")).secret
    lanes = random_lanes(setup, 3000)
    assert hide(setup, key, lanes) == hide(engine(3), key, lanes)


def keystream(seed: bytes, label: str, count: int) -> bytes:
    key = HKDF(SHA256(), 32, None, b"ecohub ring v1 " + label.encode()).derive(seed)
    return Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor().update(bytes(count))


def binomials(raw: bytes) -> list[int]:
    words = [int.from_bytes(raw[8 * i : 8 * i + 8], "little").bit_count() for i in range(2 * N)]
    halves = [int.from_bytes(raw[16 * N + 4 * i : 16 * N + 4 * i + 4], "little").bit_count() for i in range(N)]
    nibbles = [(raw[20 * N + i % (N // 2)] >> (4 * (i >= N // 2)) & 15).bit_count() for i in range(N)]
    return [words[i] + words[N + i] + halves[i] + nibbles[i] - 82 for i in range(N)]


def test_a_ciphertext_is_what_the_definition_says() -> None:
    """The second polynomial of a ciphertext recomputed from key, seed and lanes with Python integers."""
    setup, lanes = engine(3), random_lanes(engine(3), 2 * N - 4)
    secret = setup.deal("bank-2", entropy("definition")).secret
    data = hide(setup, secret, lanes, "bank-2")[HEADER_BYTES:]
    seed = secret[HEADER_BYTES:]
    key = binomials(keystream(seed, "threshold key", 41_984))
    error = binomials(keystream(seed, "threshold error", 2 * 41_984)[41_984:])
    raw = keystream(public_seed(JOB), "threshold a 1", 8 * N)
    words = [int.from_bytes(raw[4 * i : 4 * i + 4], "little") & 0xFFFFFF for i in range(2 * N)]
    product = negacyclic([words[i] + (words[N + i] << 24) for i in range(N)], key)
    for k in range(N):
        low = int.from_bytes(data[4 * (N + k) :][:4], "little")
        high = int.from_bytes(data[4 * 2 * N + 2 * (N + k) :][:2], "little")
        expected = (product[k] + error[k] + (int(lanes[N + k - 4]) << 16)) % (1 << 48)
        assert low + (high << 32) == expected


def test_fixed_vectors() -> None:
    """Known answers: a change of any form, stream, weight or layout shows here, and needs a new version."""
    setup = engine(4)
    run = Aggregation(setup, banks(4)[:3], [np.arange(100, dtype=np.int64) * (i + 1) for i in range(3)])
    first = run.dealings[banks(4)[0]]
    found = {
        "secret": first.secret,
        "public": first.public,
        "share": first.shares[banks(4)[3]],
        "ciphertext": run.uploads[banks(4)[0]],
        "total": run.total(),
        "answer": run.answer(banks(4)[3]),
    }
    assert {name: hashlib.sha256(data).hexdigest()[:16] for name, data in found.items()} == KNOWN
    assert public_seed(JOB).hex()[:16] == "b2d7e5c18c100527"


def test_random_lanes_leave_random_bytes() -> None:
    """A ciphertext of zeros has no structure a byte count shows: chi-square over 256 values within 6 deviations."""
    setup = engine(3)
    data = hide(setup, setup.deal("bank-1", entropy("bytes")).secret, np.zeros(100_000, np.int64))
    counts = np.bincount(np.frombuffer(data, np.uint8)[HEADER_BYTES:], minlength=256)
    expected = counts.sum() / 256
    assert abs(((counts - expected) ** 2 / expected).sum() - 255) < 6 * 22.6


@pytest.mark.parametrize(
    "lanes",
    [
        np.array([-1]), np.array([1 << 30]), np.array([1.0]), np.array([[1]]), np.array([1], np.int32),
        np.zeros(0, np.int64),
    ],
)  # fmt: skip
def test_lanes_out_of_range_are_a_broken_promise_of_the_caller(lanes: np.ndarray) -> None:
    setup = engine(3)
    key = setup.deal("bank-1", entropy("range")).secret
    with pytest.raises(AssertionError):
        hide(setup, key, lanes)


def test_a_secret_of_another_job_or_form_is_a_broken_promise() -> None:
    setup = engine(3)
    dealing = setup.deal("bank-1", entropy("own"))
    other = engine(3, job=Digest("00" * 32)).deal("bank-1", entropy("own"))
    for key in (other.secret, dealing.public, dealing.secret[:-1], b""):
        with pytest.raises(AssertionError):
            hide(setup, key, np.zeros(5, np.int64))


def test_a_key_in_anothers_name_is_a_broken_promise() -> None:
    setup = engine(3)
    with pytest.raises(AssertionError):
        hide(setup, setup.deal("bank-1", entropy("own")).secret, np.zeros(5, np.int64), "bank-2")


def mutations(data: bytes) -> list[bytes]:
    """Every header byte changed, and other lengths."""
    changed = []
    for position in range(HEADER_BYTES):
        copy = bytearray(data)
        copy[position] ^= 0x80
        changed.append(bytes(copy))
    return [*changed, data[:-1], data + b"\0", data[:HEADER_BYTES], b""]


def test_a_malformed_upload_is_refused_and_leaves_the_sum_alone() -> None:
    setup = engine(4)
    run = Aggregation(setup, banks(4), [random_lanes(setup, 50, i) for i in range(4)])
    adder = setup.adder(50, SLOT)
    first, *rest = run.uploads.values()
    adder.add(first, banks(4)[0])
    foreign = engine(4, job=Digest("00" * 32))
    longer = hide(setup, run.dealings[banks(4)[1]].secret, random_lanes(setup, 51), banks(4)[1])
    stranger = Aggregation(foreign, banks(4)[1:2], [random_lanes(foreign, 50)]).uploads[banks(4)[1]]
    bad = [first, longer, stranger, run.total(), run.answer(banks(4)[0]), *mutations(rest[0])]
    bad += [rest[0][:15] + b"\6" + rest[0][16:]]  # says it is the vector of two dealers
    bad += [entropy("junk")(len(first)), bytes(len(first)), bytearray(rest[0])]  # type: ignore[list-item]
    for upload in bad:
        with pytest.raises(CiphertextMalformed):
            adder.add(upload, banks(4)[1])
    for partner, upload in zip(banks(4)[1:], rest, strict=True):
        adder.add(upload, partner)
    assert adder.total() == run.total()


def test_an_upload_in_anothers_name_is_refused() -> None:
    """Its own bit in the header, or the place of a partner that is in the cohort or away: the cheat is refused."""
    setup = engine(4)
    run = Aggregation(setup, banks(3), [random_lanes(setup, 50, i) for i in range(3)])
    adder = setup.adder(50, SLOT)
    cheat = banks(4)[0]
    for place in (2, 3, 4):
        upload = bytearray(run.uploads[cheat])
        upload[8:16] = (1 << (place - 1)).to_bytes(8, "big")
        with pytest.raises(CiphertextMalformed, match="another partner's"):
            adder.add(bytes(upload), cheat)
    for partner, honest in run.uploads.items():
        adder.add(honest, partner)
    assert adder.total() == run.total()


def test_any_body_is_one_vector() -> None:
    """There is no second encoding: bodies are added as what they are, modulo 2^48."""
    setup = engine(3)
    run = Aggregation(setup, banks(3), [random_lanes(setup, 8, i) for i in range(3)])
    adder = setup.adder(8, SLOT)
    for partner, upload in run.uploads.items():
        adder.add(upload[:HEADER_BYTES] + b"\xff" * (len(upload) - HEADER_BYTES), partner)
    low = np.frombuffer(adder.total(), "<u4", count=N, offset=HEADER_BYTES)
    high = np.frombuffer(adder.total(), "<u2", count=N, offset=HEADER_BYTES + 4 * N)
    assert (low == 2**32 - 3).all() and (high == 2**16 - 1).all()


def test_an_empty_sum_has_no_total() -> None:
    with pytest.raises(AssertionError):
        engine(3).adder(5, SLOT).total()


def test_a_malformed_answer_is_refused() -> None:
    setup = engine(4)
    run = Aggregation(setup, banks(4), [random_lanes(setup, 50, i) for i in range(4)])
    answer = run.answer(banks(4)[1])
    assert len(answer) == 8224
    setup.check_answer(answer, 50)
    too_large = answer[:HEADER_BYTES] + ((1 << 31) - 1).to_bytes(4, "little") + answer[HEADER_BYTES + 4 :]
    of_nobody = answer[:6] + b"\0" + answer[7:]
    of_place_five = answer[:6] + b"\5" + answer[7:]
    of_fifth_dealer = answer[:8] + (31).to_bytes(8, "big") + answer[16:]
    bad = [too_large, of_nobody, of_place_five, of_fifth_dealer, run.total(), run.dealings[banks(4)[0]].public]
    for malformed in [*bad, answer[:-1], answer + b"\0", b"", entropy("junk")(8224)]:
        with pytest.raises(AnswerMalformed):
            setup.check_answer(malformed, 50)
        with pytest.raises(AnswerMalformed):
            setup.open(run.total(), 50, 4, run.answers(banks(4)[:3]) | {banks(4)[3]: malformed})


def test_a_holder_answers_for_different_dealers_and_for_itself_only() -> None:
    setup = engine(4)
    run = Aggregation(setup, banks(4), [random_lanes(setup, 5, i) for i in range(4)])
    mine = [dealing.shares[banks(4)[0]] for dealing in run.dealings.values()]
    theirs = run.dealings[banks(4)[1]].shares[banks(4)[1]]
    for shares in ([], [mine[0], mine[0]], [*mine, mine[2]], [mine[0], theirs], [mine[0], mine[1][:-1]], [b""]):
        with pytest.raises(AnswerRefused):
            setup.answer(shares, b"")
    with pytest.raises(AssertionError):
        setup.answer(mine, run.total())
    assert setup.answer(mine[::-1], b"") == setup.answer(mine, b"")


def test_it_is_an_engine() -> None:
    setup: Engine = engine(3)
    assert (setup.name, setup.every_slot, setup.answers_total, setup.dealers) == ("threshold", True, False, banks(3))
