"""The encrypted product: exact results, parameters, keys, restarts, known answers, the hint's own check."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy import linear
from privacy.linear import errors, wire
from privacy.linear.parameters import FAILURE_LOG2_MAX
from privacy.ring import ERROR_VARIANCE, MODULUS_BITS_MAX, Ints, Ring, centred
from tests.privacy.linear_session import (
    CONTEXT,
    SEED,
    SMALL,
    Session,
    body_of,
    known_answers,
    random_matrix,
    random_vectors,
    ready,
    reload_all,
    restarted,
    small_session,
)
from tests.support.entropy import SeededEntropy

VECTORS = Path(__file__).parents[1] / "vectors" / "linear.json"


# --- exact results


@pytest.mark.parametrize(
    ("rows", "columns", "x_max", "r_max", "vectors"),
    [
        (1, 1, 1, 1, 1),
        (300, 3, 1, 1, 5),  # less than N
        (4096, 2, 1, 1, 2),  # exactly N
        (5000, 3, 1, 63, 3),  # more than N, not a multiple
        (1600, 4, 2047, (1 << 20) - 1, 3),  # N = 8192
        (9000, 2, 2047, 2047, 2),  # N = 8192, two blocks
    ],
)
def test_products_equal_integer_arithmetic(rows: int, columns: int, x_max: int, r_max: int, vectors: int) -> None:
    matrix, drawn = random_matrix(rows, columns, x_max), random_vectors(vectors, rows, r_max)
    session = ready({"bank": matrix}, x_max=x_max, r_max=r_max, messages=32)
    assert (session.product(drawn)["bank"] == drawn @ matrix).all()
    extremes = np.stack([np.full(rows, r_max), np.full(rows, -r_max), np.zeros(rows, np.int64), drawn[0]])
    assert (session.product(extremes)["bank"] == extremes @ matrix).all()


@pytest.mark.parametrize("sign", [1, -1])
def test_extreme_matrices_and_vectors_are_exact(sign: int) -> None:
    matrix = np.full((3000, 3), sign * 2047)
    matrix[::2, 1] *= -1
    vectors = np.stack([np.full(3000, 2047), np.where(np.arange(3000) % 2, 2047, -2047)])
    session = ready({"bank": matrix}, x_max=2047, r_max=2047)
    assert (session.product(vectors)["bank"] == vectors @ matrix).all()


def test_one_upload_serves_every_holder() -> None:
    matrices = {"bank": random_matrix(500, 3, 1), "platform": random_matrix(500, 1, 1, seed=5)}
    session = ready(matrices, **SMALL)
    vectors = random_vectors(3, 500, 1)
    results = session.product(vectors)
    for name, matrix in matrices.items():
        assert (results[name] == vectors @ matrix).all()
    assert session.messages["reply bank"] != session.messages["reply platform"]


@given(st.data())
@settings(max_examples=15, deadline=None)
def test_any_matrix_and_vectors_multiply_exactly(data: st.DataObject) -> None:
    rows, columns, count = (data.draw(st.integers(1, limit)) for limit in (600, 3, 3))
    x_max, r_max = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 40))
    entries = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    matrix = entries.integers(-x_max, x_max + 1, (rows, columns))
    vectors = entries.integers(-r_max, r_max + 1, (count, rows))
    session = ready({"bank": matrix}, x_max=x_max, r_max=r_max, entropy_seed=data.draw(st.binary(max_size=8)))
    assert (session.product(vectors)["bank"] == vectors @ matrix).all()


def test_the_paillier_reference_agrees() -> None:
    paillier = pytest.importorskip("phe.paillier", reason="phe (GPLv3, optional extra paillier) is not installed")
    matrix, vectors = random_matrix(12, 3, 2047), random_vectors(1, 12, 1023)
    public, private = paillier.generate_paillier_keypair(n_length=1024)
    encrypted = [public.encrypt(value) for value in vectors[0].tolist()]
    sums = [sum(c * x for c, x in zip(encrypted, column, strict=True)) for column in matrix.T.tolist()]
    session = ready({"bank": matrix}, x_max=2047, r_max=1023)
    assert session.product(vectors)["bank"][0].tolist() == [private.decrypt(total) for total in sums]


def test_known_answers() -> None:
    recorded = json.loads(VECTORS.read_text())
    assert json.loads(json.dumps(known_answers())) == recorded["cases"]


# --- parameters


def test_parameters_stay_inside_the_table_and_the_failure_bound() -> None:
    for rows in (10, 1600, 30_000, 100_000):
        for x_max, r_max in ((1, 1), (2047, 2047), (2047, (1 << 20) - 1)):
            p = linear.parameters(rows, 60, x_max, r_max, 450)
            assert p.modulus_bits <= MODULUS_BITS_MAX[p.degree]
            assert p.failure_log2 <= FAILURE_LOG2_MAX
            assert 4 * 127 * rows * x_max * r_max < 1 << p.plain_bits
            assert (rows * x_max + p.degree) * 2**p.digit_bits <= 2**53


def test_the_failure_bound_counts_every_value_of_the_training() -> None:
    p = linear.parameters(1600, 60, 2047, 2047, 450)
    plain = math.sqrt(ERROR_VARIANCE * (1600 * 2047**2 + 2 * p.degree))
    check = math.sqrt(ERROR_VARIANCE * (1600 * (127 * 60 * 2047) ** 2 + 2 * p.degree))
    expected = (450 + 4) * (60 * plain + 5 * check) / 2.0**p.delta_bits
    assert p.failure_log2 == pytest.approx(math.log2(expected))
    three = linear.parameters(1600, 60, 2047, 2047, 450, holders=3)
    noisy = 3 * (450 + 3 * 4) * (60 * plain + 5 * check)
    assert three.failure_log2 == pytest.approx(math.log2(noisy / 2.0**three.delta_bits))


def test_many_links_share_the_failure_bound() -> None:
    for links in (2, 11, 55, 1024):
        for messages in range(10, 400, 13):
            p = linear.parameters(2_000, 40, 2047, 2047, messages, 1, links)
            assert links * 2.0**p.failure_log2 <= 2.0**FAILURE_LOG2_MAX


def test_measured_noise_is_what_the_bound_assumes() -> None:
    """Without pads, what decrypts from encryptions of zero is the noise alone; its spread is predicted."""
    matrix = random_matrix(1000, 2, 1)
    session = ready({"bank": matrix}, **SMALL, messages=400)
    ring = session.parameters.ring
    holder, encryptor = session.holders["bank"], session.encryptor
    vectors = np.zeros((400, 1000), np.int64)
    body = body_of(encryptor.encrypt(vectors))
    products = holder._columns.product(ring.unpack(bytes(body), 400, 1000 + ring.degree))
    (sequence, sent), known = next(iter(encryptor._sent.items())), encryptor._holders["bank"]
    values = ring.normalise(products + encryptor._hint_times_keys(known, sequence, sent))
    balanced = ring.balanced(values).astype(float)
    noise = np.tensordot(2.0 ** (ring.digit_bits * np.arange(ring.digits)), balanced, axes=1)
    weights, order = holder._columns._weights, holder._columns._order
    internal = np.concatenate([matrix, matrix @ weights.T], axis=1)[:, order]
    predicted = np.sqrt(ERROR_VARIANCE * ((internal.astype(float) ** 2).sum(0) + 2 * ring.degree * 2 / 3))
    assert noise.std(0) == pytest.approx(predicted, rel=0.2)


def test_values_are_off_by_one_as_often_as_the_bound_says() -> None:
    """With Delta cut to 2^15 carries are common enough to count: their share is E|noise| / Delta for every column."""
    small = linear.parameters(200, 3, 1, 1, 2000)
    p = replace(small, modulus_bits=32, digit_bits=16)
    assert p.delta_bits == 15
    matrix, vectors = random_matrix(200, 3, 1), random_vectors(2000, 200, 1)
    session = Session(p, {"bank": matrix}, SeededEntropy(b"carries")).take_hints()
    session.encryptor._holders["bank"].proven = True  # a zero test would fail on a carry, as it should
    holder, columns = session.holders["bank"], session.holders["bank"]._columns
    opened = session.encryptor.decrypt("bank", holder.multiply(session.encryptor.encrypt(vectors)))
    sequence, pending, values = holder._read_opened(opened, wire.MessageKind.OPENED)
    internal = np.empty_like(values)
    internal[:, columns._order] = centred(holder._unmasked(sequence, pending, values), p.plain_bits)
    carries = internal[:, :3] - vectors @ matrix
    assert np.abs(carries).max() == 1
    spread = np.sqrt(ERROR_VARIANCE * ((matrix.astype(float) ** 2).sum(0) + 2 * p.degree * 2 / 3))
    expected = 2000 * (spread * math.sqrt(2 / math.pi)).sum() / 2.0**p.delta_bits
    assert abs(np.abs(carries).sum() - expected) < 6 * math.sqrt(expected)
    assert expected > 30


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((0, 1, 1, 1, 1), "rows"),
        ((1 << 21, 1, 1, 1, 1), "rows"),
        ((100, 0, 1, 1, 1), "columns"),
        ((100, 513, 1, 1, 1), "columns"),
        ((100, 1, 1 << 16, 1, 1), "x_max"),
        ((100, 1, 1, 1 << 32, 1), "r_max"),
        ((100, 1, 1, 1, 0), "messages"),
        ((100, 1, 1, 1, 1, 17), "holders"),
        ((1 << 20, 1, 1 << 15, 1 << 20, 1), "62 are possible"),
        ((30_000, 480, 1, 1 << 20, 450), "exceed N"),
    ],
)
def test_impossible_parameters_are_refused(arguments: tuple[int, ...], why: str) -> None:
    with pytest.raises(errors.ParametersImpossible, match=why):
        linear.parameters(*arguments)


def test_what_crafted_hints_could_read_of_a_key_is_capped() -> None:
    for holders in (1, 2, 3):
        p = linear.parameters(1600, 60, 2047, 2047, 450, holders=holders)
        assert (60 + linear.CHECK_COLUMNS) * p.plain_bits * holders <= p.degree


# --- seed


def test_the_joint_seed_needs_every_committed_nonce() -> None:
    nonces = [bytes([i]) * 32 for i in range(3)]
    commitments = [linear.commit(nonce) for nonce in nonces]
    for commitment, nonce in zip(commitments, nonces, strict=True):
        linear.verify_commitment(commitment, nonce)
    with pytest.raises(errors.BadNonce):
        linear.verify_commitment(commitments[0], nonces[1])
    seed = linear.joint_seed(nonces)
    for i in range(3):
        changed = [bytes([9]) * 32 if i == j else nonce for j, nonce in enumerate(nonces)]
        assert linear.joint_seed(changed) != seed
    for bad in ([nonces[0]], [nonces[0], nonces[0]], [nonces[0], b"short"], []):
        with pytest.raises(errors.BadNonce):
            linear.joint_seed(bad)


# --- keys


def test_no_two_vectors_share_a_key() -> None:
    session = small_session()
    zeros = np.zeros((3, 200), np.int64)
    ring = session.parameters.ring
    keyed: set[bytes] = set()
    for _ in range(2):
        body = bytes(body_of(session.encryptor.encrypt(zeros)))
        width = (200 + ring.degree) * ring.coefficient_bytes
        keyed |= {body[i * width + 200 * ring.coefficient_bytes : (i + 1) * width] for i in range(3)}
    assert len(keyed) == 6  # B = -p s + e' of every vector


def test_keys_differ_even_when_the_entropy_source_repeats() -> None:
    """A cloned machine repeats its entropy; the sequence number in the label still separates one session's keys."""
    session = Session(linear.parameters(200, 3, 1, 1, 8), {"bank": random_matrix(200, 3, 1)}, lambda n: b"\x07" * n)
    session.take_hints().prove()
    zeros = np.zeros((1, 200), np.int64)
    assert body_of(session.encryptor.encrypt(zeros)) != body_of(session.encryptor.encrypt(zeros))


def test_keys_are_gone_from_the_state_once_every_answer_is_in() -> None:
    session = small_session()
    session.product(np.ones((1, 200), np.int64))
    assert not session.encryptor._sent
    assert not session.holders["bank"]._pending


# --- restarts


def test_a_restart_between_any_two_steps_changes_no_byte() -> None:
    matrices = {"bank": random_matrix(300, 2, 1), "platform": random_matrix(300, 3, 1, seed=4)}
    parameters = linear.parameters(300, 3, 1, 1, 8, holders=2)
    vectors = random_vectors(2, 300, 1)
    runs = []
    for between in (lambda session: None, reload_all):
        session = Session(parameters, matrices, SeededEntropy(b"restart"), between=between)
        results = session.take_hints().prove().product(vectors)
        runs.append((session.messages, {name: values.tolist() for name, values in results.items()}))
    assert runs[0] == runs[1]
    assert len(runs[0][0]) == 2 + 1 + 6 + 1 + 4


def test_a_restarted_holder_gives_the_same_hint() -> None:
    session = Session(linear.parameters(200, 3, 1, 1, 8), {"bank": random_matrix(200, 3, 1)}, SeededEntropy(b"h"))
    first = session.holders["bank"].hint()
    reload_all(session)
    assert session.holders["bank"].hint() == first


def test_a_new_multiplier_has_a_new_hint_for_the_same_matrix() -> None:
    p, matrix, entropy = linear.parameters(200, 3, 1, 1, 8), random_matrix(200, 3, 1), SeededEntropy(b"n")
    hints = {linear.Multiplier(p, SEED, "bank", matrix, CONTEXT, entropy).hint() for _ in range(2)}
    assert len(hints) == 2


def test_a_stored_session_of_something_else_is_refused() -> None:
    session = small_session()
    p, entropy, matrix = session.parameters, session.entropy, session.matrices["bank"]
    holder = session.holders["bank"].dump()
    other_matrix = matrix.copy()
    other_matrix[7, 1] ^= 1
    other_parameters = linear.parameters(200, 3, 1, 1, 9)
    for arguments in (
        (p, SEED, "bank", other_matrix, CONTEXT),
        (p, SEED, "platform", matrix, CONTEXT),
        (p, SEED, "bank", matrix, b"other run"),
        (p, bytes(32), "bank", matrix, CONTEXT),
        (other_parameters, SEED, "bank", matrix, CONTEXT),
    ):
        with pytest.raises(errors.ForeignProductMessage):
            linear.Multiplier.load(holder, *arguments, entropy)
    for arguments in ((p, SEED, b"other run"), (p, bytes(32), CONTEXT), (other_parameters, SEED, CONTEXT)):
        with pytest.raises(errors.ForeignProductMessage):
            restarted(session.encryptor, *arguments, entropy)


def test_a_hint_is_a_piece_that_keeps_its_name_and_its_bytes() -> None:
    """So that it is stored once: what is stored with every message is small, and does not hold it."""
    session = small_session()
    (before,) = session.encryptor.pieces()
    session.product(np.ones((1, session.parameters.rows), np.int64))
    ((after, piece),) = session.encryptor.pieces().items()
    assert after == before and piece() in session.messages["hint bank"]
    assert len(session.encryptor.dump()) < 1000 < len(piece())


# --- the hint's own check


@pytest.mark.parametrize("digit", [0, 2])
def test_a_hint_computed_wrongly_is_not_sent(digit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    p = linear.parameters(200, 3, 1, 1, 8)
    holder = linear.Multiplier(p, SEED, "bank", random_matrix(200, 3, 1), CONTEXT, SeededEntropy(b"self-check"))
    right = Ring.inverse
    calls = 0

    def wrong_once(
        ring: Ring, values: np.ndarray
    ) -> Ints:  # one coefficient of the real columns' transform is off by one
        nonlocal calls
        calls += 1
        result = right(ring, values)
        if values.shape[1] == 3:
            result[digit, 1, 77] += 1
        return result

    monkeypatch.setattr(Ring, "inverse", wrong_once)
    with pytest.raises(errors.HintSelfCheckFailed):
        holder.hint()
    assert calls > 2
    monkeypatch.undo()
    holder.hint()


@pytest.mark.parametrize(
    ("rows", "x_max", "holders"), [(1600, 2047, 1), (30_000, 2047, 2), (100_000, 1, 4), (500, 1, 1)]
)
def test_as_many_columns_as_the_caps_allow_have_parameters(rows: int, x_max: int, holders: int) -> None:
    most = linear.columns_max(rows, x_max, 2047, holders)
    assert linear.parameters(rows, most, x_max, 2047, 600, holders).columns == most
    with pytest.raises(errors.ParametersImpossible):
        linear.parameters(rows, most + 1, x_max, 2047, 600, holders)
