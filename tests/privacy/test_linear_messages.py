"""The encrypted product refuses: steps out of order, inputs out of bounds, and every message that is not its own."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from privacy import linear
from privacy.errors import Failure
from privacy.linear import errors, wire
from privacy.ring import Ints
from tests.privacy.linear_session import (
    CONTEXT,
    SEED,
    SMALL,
    Session,
    body_of,
    random_matrix,
    random_vectors,
    ready,
    reframed,
    small_session,
)
from tests.support.entropy import SeededEntropy

VECTORS = Path(__file__).parents[1] / "vectors" / "linear.json"


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


@pytest.mark.parametrize("others", [(), ("platform",)])
def test_a_second_reply_to_one_message_is_not_decrypted(others: tuple[str, ...]) -> None:
    """It would read the keys twice; while another holder has not answered they are still there to be read."""
    matrices = {name: random_matrix(200, 3, 1) for name in ("bank", *others)}
    session = ready(matrices, **SMALL)
    reply = session.holders["bank"].multiply(session.encryptor.encrypt(np.ones((1, 200), np.int64)))
    session.encryptor.decrypt("bank", reply)
    assert bool(session.encryptor._sent) == bool(others)
    for second in (reply, reframed(reply, bytes(len(body_of(reply))))):
        with pytest.raises(errors.ProductOutOfOrder):
            session.encryptor.decrypt("bank", second)


def test_a_holder_gets_no_endless_zero_tests_to_pass_by_luck() -> None:
    session = Session(linear.parameters(200, 3, 1, 1, 8), {"bank": random_matrix(200, 3, 1)}, SeededEntropy(b"endless"))
    session.take_hints().encryptor.zero_test()
    with pytest.raises(errors.MessagesSpent):
        session.encryptor.zero_test()


def test_a_hint_has_one_form() -> None:
    session = Session(linear.parameters(200, 3, 1, 1, 8), {"bank": random_matrix(200, 3, 1)}, SeededEntropy(b"form"))
    hint = session.holders["bank"].hint()
    with pytest.raises(errors.MalformedProductMessage):
        session.encryptor.take_hint("bank", reframed(hint, bytes(body_of(hint)), sequence=1))


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
    """Ciphertext bodies are not authenticated here (envelopes are): a liar changes its own r, no more."""
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
