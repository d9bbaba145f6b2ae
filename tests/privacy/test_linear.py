"""The encrypted product: exact results, bound messages, refusals, restarts, known answers."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy import linear
from privacy.errors import Failure
from privacy.linear import errors, wire
from privacy.linear.parameters import FAILURE_LOG2_MAX
from privacy.ring import ERROR_VARIANCE, TABLE_MODULUS_BITS_MAX, Ints, Ring
from tests.privacy.linear_session import (
    CONTEXT,
    SEED,
    Session,
    body_of,
    known_answers,
    random_matrix,
    random_vectors,
    ready,
    reframed,
    reload_all,
)
from tests.support.entropy import SeededEntropy

VECTORS = Path(__file__).parents[1] / "vectors" / "linear.json"
SMALL = {"x_max": 1, "r_max": 1}  # N = 4096: the fastest parameters


def small_session(**options: object) -> Session:
    return ready({"bank": random_matrix(200, 3, 1)}, **SMALL, **options)  # type: ignore[arg-type]


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
            assert p.modulus_bits <= TABLE_MODULUS_BITS_MAX[p.degree]
            assert p.degree != 4096 or p.modulus_bits <= 104
            assert p.failure_log2 <= FAILURE_LOG2_MAX
            assert 4 * 127 * rows * x_max * r_max < 1 << p.plain_bits
            assert (rows * x_max + p.degree) * 2**p.digit_bits <= 2**53


def test_the_failure_bound_counts_every_value_of_the_training() -> None:
    p = linear.parameters(1600, 60, 2047, 2047, 450)
    plain = math.sqrt(ERROR_VARIANCE * (1600 * 2047**2 + 2 * p.degree))
    check = math.sqrt(ERROR_VARIANCE * (1600 * (127 * 60 * 2047) ** 2 + 2 * p.degree))
    expected = (450 + 4) * (60 * plain + 5 * check) / 2.0**p.delta_bits
    assert p.failure_log2 == pytest.approx(math.log2(expected))
    more = linear.parameters(1600, 60, 2047, 2047, 4 * 450)
    assert more.failure_log2 + more.delta_bits > p.failure_log2 + p.delta_bits + 1.9


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
    holder, encryptor = session.holders["bank"].dump(), session.encryptor.dump()
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
            linear.Encryptor.load(encryptor, *arguments, entropy)


# --- order and limits


def test_nothing_but_zero_is_encrypted_before_every_zero_test_has_passed() -> None:
    matrices = {"bank": random_matrix(200, 3, 1), "platform": random_matrix(200, 3, 1, seed=4)}
    session = Session(linear.parameters(200, 3, 1, 1, 8, holders=2), matrices, SeededEntropy(b"z"))
    ones = np.ones((1, 200), np.int64)
    for step in (lambda: None, session.take_hints):
        step()
        with pytest.raises(errors.ProductOutOfOrder):
            session.encryptor.encrypt(ones)
    zero = session.encryptor.zero_test()
    for name in ("bank", "platform"):
        with pytest.raises(errors.ProductOutOfOrder):
            session.encryptor.encrypt(ones)
        opened = session.encryptor.decrypt(name, session.holders[name].multiply(zero))
        session.encryptor.verify_zero(name, session.holders[name].prove(opened))
    session.encryptor.encrypt(ones)
    with pytest.raises(errors.ProductOutOfOrder):
        session.encryptor.zero_test()


def test_steps_out_of_order_are_refused() -> None:
    p, matrix = linear.parameters(200, 3, 1, 1, 8), random_matrix(200, 3, 1)
    fresh = Session(p, {"bank": matrix}, SeededEntropy(b"o"))
    with pytest.raises(errors.ProductOutOfOrder):
        fresh.encryptor.zero_test()  # nobody to test
    session = small_session()
    ones = np.ones((1, 200), np.int64)
    session.product(ones)
    with pytest.raises(errors.ProductOutOfOrder):  # no hint yet
        fresh.holders["bank"].multiply(session.messages["product"])
    for step in (
        lambda: session.holders["bank"].multiply(session.messages["product"]),  # its sequence was answered
        lambda: session.holders["bank"].multiply(session.messages["zero"]),
        lambda: session.holders["bank"].open(session.messages["opened bank"]),
        lambda: session.holders["bank"].prove(session.messages["zero opened bank"]),
        lambda: session.encryptor.decrypt("bank", session.messages["reply bank"]),
        lambda: session.encryptor.verify_zero("bank", session.messages["zero proof bank"]),
        lambda: session.encryptor.decrypt("platform", session.messages["reply bank"]),
    ):
        with pytest.raises(errors.ProductOutOfOrder):
            step()
    assert (session.product(ones, " again")["bank"] == ones @ session.matrices["bank"]).all()


def test_a_sequence_is_answered_once_even_with_another_body() -> None:
    session = small_session()
    message = session.encryptor.encrypt(np.ones((1, 200), np.int64))
    other = session.encryptor.encrypt(np.zeros((1, 200), np.int64))
    session.holders["bank"].multiply(message)
    with pytest.raises(errors.ProductOutOfOrder):
        session.holders["bank"].multiply(reframed(other, bytes(body_of(other)), sequence=1))


def test_a_second_reply_to_one_message_is_not_decrypted() -> None:
    session = small_session()
    reply = session.holders["bank"].multiply(session.encryptor.encrypt(np.ones((1, 200), np.int64)))
    session.encryptor.decrypt("bank", reply)
    other = reframed(reply, bytes(len(body_of(reply))))
    with pytest.raises(errors.ProductOutOfOrder):
        session.encryptor.decrypt("bank", other)


def test_a_second_hint_of_one_holder_is_refused() -> None:
    session = small_session()
    session.encryptor.take_hint("bank", session.messages["hint bank"])  # the same bytes again: at least once delivery
    again = linear.Multiplier(
        session.parameters, SEED, "bank", session.matrices["bank"], CONTEXT, SeededEntropy(b"again")
    )
    with pytest.raises(errors.ForeignProductMessage):
        session.encryptor.take_hint("bank", again.hint())
    third = linear.Multiplier(
        session.parameters, SEED, "insurer", session.matrices["bank"], CONTEXT, SeededEntropy(b"third")
    )
    with pytest.raises(errors.InputOutOfRange, match="1 holders are agreed"):
        session.encryptor.take_hint("insurer", third.hint())


def test_spent_messages_are_refused_on_both_sides() -> None:
    session = small_session(messages=3)
    session.product(np.ones((2, 200), np.int64))
    with pytest.raises(errors.MessagesSpent):
        session.encryptor.encrypt(np.ones((2, 200), np.int64))
    message = session.encryptor.encrypt(np.ones((1, 200), np.int64))
    with pytest.raises(errors.MessagesSpent):  # an encryptor that does not count
        session.holders["bank"].multiply(reframed(message, bytes(body_of(message)) * 2, count=2))


@pytest.mark.parametrize(
    "vectors",
    [
        np.full((1, 200), 2),
        np.full((1, 200), -2),
        np.full((1, 200), np.iinfo(np.int64).min),
        np.ones((1, 199), np.int64),
        np.ones((0, 200), np.int64),
        np.ones(200, np.int64),
        np.ones((1, 200)),
    ],
)
def test_vectors_outside_the_agreed_bounds_are_refused(vectors: Ints) -> None:
    with pytest.raises(errors.InputOutOfRange):
        small_session().encryptor.encrypt(vectors)


@pytest.mark.parametrize(
    "matrix",
    [
        np.full((200, 3), 2),
        np.full((200, 3), np.iinfo(np.int64).min),
        np.ones((201, 3), np.int64),
        np.ones((200, 4), np.int64),
        np.ones((200, 0), np.int64),
        np.ones((200, 3)),
        np.ones(200, np.int64),
    ],
)
def test_matrices_outside_the_agreed_bounds_are_refused(matrix: Ints) -> None:
    with pytest.raises(errors.InputOutOfRange):
        linear.Multiplier(linear.parameters(200, 3, 1, 1, 8), SEED, "bank", matrix, CONTEXT, SeededEntropy(b"m"))


# --- messages


RECEIVERS: dict[str, Callable[[Session, bytes], object]] = {
    "hint bank": lambda session, message: session.encryptor.take_hint("bank", message),
    "zero": lambda session, message: session.holders["bank"].multiply(message),
    "zero reply bank": lambda session, message: session.encryptor.decrypt("bank", message),
    "zero opened bank": lambda session, message: session.holders["bank"].prove(message),
    "zero proof bank": lambda session, message: session.encryptor.verify_zero("bank", message),
    "product": lambda session, message: session.holders["bank"].multiply(message),
    "reply bank": lambda session, message: session.encryptor.decrypt("bank", message),
    "opened bank": lambda session, message: session.holders["bank"].open(message),
}


def step_with(name: str, attack: Callable[[Session, bytes], None]) -> Ints:
    """Runs a session and lets `attack` at its receiver just before message `name` is delivered; then goes on."""

    def between(session: Session) -> None:
        if next(reversed(session.messages)) == name:
            attack(session, session.messages[name])

    parameters = linear.parameters(200, 3, 1, 1, 8)
    session = Session(parameters, {"bank": random_matrix(200, 3, 1)}, SeededEntropy(b"attacked"), between=between)
    return session.take_hints().prove().product(random_vectors(2, 200, 1))["bank"]


@pytest.mark.parametrize("name", RECEIVERS)
def test_every_altered_byte_is_refused_and_the_true_message_still_works(name: str) -> None:
    refused = 0

    def attack(session: Session, message: bytes) -> None:
        nonlocal refused
        sampled = np.random.default_rng(2).integers(wire.HEADER.size, len(message), 40).tolist()
        for position in [*range(wire.HEADER.size), *sampled, len(message) - 1]:
            altered = bytearray(message)
            altered[position] ^= 1 << (position % 8)
            with pytest.raises(Failure):
                RECEIVERS[name](session, bytes(altered))
            refused += 1
        for cut in (b"", message[:50], message[:-1], message + b"\0"):
            with pytest.raises(errors.MalformedProductMessage):
                RECEIVERS[name](session, cut)

    result = step_with(name, attack)
    assert refused == wire.HEADER.size + 41
    assert (result == random_vectors(2, 200, 1) @ random_matrix(200, 3, 1)).all()


@pytest.mark.parametrize("name", RECEIVERS)
def test_a_body_of_another_length_or_count_is_refused_under_a_fitting_header(name: str) -> None:
    def attack(session: Session, message: bytes) -> None:
        body = bytes(body_of(message))
        _, _, _, _, count, _, _ = wire.HEADER.unpack_from(message)
        forgeries = [
            reframed(message, body[:-1]),
            reframed(message, body + b"\0"),
            reframed(message, b""),
            reframed(message, body, count=count + 1),
            reframed(message, body, count=(1 << 32) - 1),
            reframed(message, body, sequence=wire.SEQUENCE_MAX + 1),
        ]
        if name != "product":  # an encryptor may send as many vectors as it likes within the agreed number
            forgeries.append(reframed(message, body * 2, count=2 * count))
        for forged in forgeries:
            with pytest.raises(Failure):
                RECEIVERS[name](session, forged)

    step_with(name, attack)


@pytest.mark.parametrize("name", RECEIVERS)
def test_messages_of_another_seed_context_shape_holder_or_kind_are_refused(name: str) -> None:
    def attack(session: Session, message: bytes) -> None:
        p = session.parameters
        _, kind, _, sequence, count, _, _ = wire.HEADER.unpack_from(message)
        common = name in ("zero", "product")
        bound = wire.binding(p, SEED, CONTEXT)
        others = [
            wire.binding(p, bytes(32), CONTEXT),
            wire.binding(p, SEED, b"other run"),
            wire.binding(replace(p, rows=199), SEED, CONTEXT),
            wire.binding(replace(p, plain_bits=p.plain_bits + 1), SEED, CONTEXT),
        ]
        if not common:
            hint = session.messages["hint bank"]
            named = [wire.holder_binding(other, "bank") for other in others] + [wire.holder_binding(bound, "platform")]
            others = named if name == "hint bank" else [wire.after_hint(other, hint) for other in named]
            others.append(wire.after_hint(wire.holder_binding(bound, "bank"), hint[:-1] + b"\0"))
        body = bytes(body_of(message))
        for other in others:
            with pytest.raises(errors.ForeignProductMessage, match="binding"):
                RECEIVERS[name](session, wire.frame(wire.MessageKind(kind), other, sequence, count, body))
        own = wire.HEADER.unpack_from(message)[2]
        # an encryptor may name a message either way: zeros as a product harm nobody, and vectors as a zero test are an
        # attack of test_linear_attacks.py
        free = {wire.MessageKind.ZERO, wire.MessageKind.PRODUCT} if common else {kind}
        for other_kind in set(wire.MessageKind) - free:
            with pytest.raises(Failure):
                RECEIVERS[name](session, wire.frame(other_kind, own, sequence, count, body))

    step_with(name, attack)


def test_an_altered_ciphertext_is_another_vector_and_nothing_worse() -> None:
    """Ciphertext bodies are not authenticated here (envelopes are): a liar's change is a change of its own r, no more."""
    session = small_session()
    vectors, matrix, ring = random_vectors(1, 200, 0), session.matrices["bank"], session.parameters.ring
    message = session.encryptor.encrypt(vectors)
    element = ring.unpack(bytes(body_of(message)), 200 + ring.degree)
    change = np.zeros(200 + ring.degree, np.int64)
    change[17] = 1
    ring.add_shifted(element, change, session.parameters.delta_bits)
    reply = session.holders["bank"].multiply(reframed(message, ring.pack(ring.normalise(element))))
    opened = session.encryptor.decrypt("bank", reply)
    assert session.holders["bank"].open(opened).tolist() == [matrix[17].tolist()]
    random_body = SeededEntropy(b"noise")(len(body_of(message)))  # not a ciphertext at all
    reply = session.holders["bank"].multiply(reframed(session.encryptor.encrypt(vectors), random_body))
    with pytest.raises(errors.EncryptorCheated):
        session.holders["bank"].open(session.encryptor.decrypt("bank", reply))


def test_an_opened_value_outside_the_plain_modulus_is_refused() -> None:
    def attack(session: Session, message: bytes) -> None:
        for value in (1 << session.parameters.plain_bits, -1, np.iinfo(np.int64).min):
            body = body_of(message)
            body[8:16] = np.int64(value).tobytes()
            with pytest.raises(errors.MalformedProductMessage, match="plain modulus"):
                session.holders["bank"].open(reframed(message, bytes(body)))

    step_with("opened bank", attack)


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
