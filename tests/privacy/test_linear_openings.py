"""What the encryptor decrypts, and what happens when it alters it: the check columns, each with its rule taken out."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from privacy import linear
from privacy.linear import errors, wire
from privacy.linear.columns import Columns
from privacy.linear.parameters import CHECK_COLUMNS
from privacy.ring import Ints, centred
from tests.privacy.linear_session import (
    CONTEXT,
    SEED,
    Session,
    opened_values,
    random_matrix,
    random_vectors,
    ready,
    reframed,
)
from tests.support.entropy import SeededEntropy


def altered(message: bytes, offset: Ints, plain_bits: int) -> bytes:
    values = (opened_values(message) + offset) & ((1 << plain_bits) - 1)
    return reframed(message, wire.pack_plain(values))


def opened_by_liar(offset: Callable[[linear.Parameters, int], Ints]) -> tuple[Session, bytes]:
    session = ready({"bank": random_matrix(400, 3, 1)}, x_max=1, r_max=10)
    reply = session.holders["bank"].multiply(session.encryptor.encrypt(random_vectors(1, 400, 5)))
    opened = session.encryptor.decrypt("bank", reply)
    return session, altered(opened, offset(session.parameters, 3 + CHECK_COLUMNS), session.parameters.plain_bits)


OFFSETS: dict[str, Callable[[linear.Parameters, int], Ints]] = {
    "all by one": lambda p, columns: np.ones(columns, np.int64),
    "one by one": lambda p, columns: np.eye(columns, dtype=np.int64)[2],
    "all by half the modulus": lambda p, columns: np.full(columns, 1 << (p.plain_bits - 1)),
    "a ramp": lambda p, columns: np.arange(columns),
    "one by a lot": lambda p, columns: np.eye(columns, dtype=np.int64)[0] << (p.plain_bits - 2),
}


@pytest.mark.parametrize("name", OFFSETS)
def test_an_altered_opening_is_caught_and_ends_the_session(name: str) -> None:
    session, lie = opened_by_liar(OFFSETS[name])
    holder = session.holders["bank"]
    with pytest.raises(errors.EncryptorCheated):
        holder.open(lie)
    with pytest.raises(errors.ProductOutOfOrder, match="closed"):
        holder.open(lie)
    restarted = linear.Multiplier.load(
        holder.dump(), session.parameters, SEED, "bank", session.matrices["bank"], CONTEXT, SeededEntropy(b"x")
    )
    with pytest.raises(errors.ProductOutOfOrder, match="closed"):
        restarted.multiply(session.encryptor.encrypt(random_vectors(1, 400, 5)))


def test_without_the_checks_an_altered_opening_would_steer_the_holder(monkeypatch: pytest.MonkeyPatch) -> None:
    def trusting(columns: Columns, sent: Ints) -> Ints:
        internal = np.empty_like(sent)
        internal[:, columns._order] = sent
        return centred(internal[:, : columns.real], columns._parameters.plain_bits)

    session, lie = opened_by_liar(OFFSETS["all by one"])
    monkeypatch.setattr(Columns, "restore", trusting)
    steered = session.holders["bank"].open(lie)
    assert (steered == random_vectors(1, 400, 5) @ session.matrices["bank"] + 1).all()


def honest_opening(columns: Columns, vectors: Ints, matrix: Ints, plain_bits: int) -> Ints:
    """The residues an honest encryptor's opening leaves after the pads are gone, in sent order."""
    products = vectors @ matrix
    return (np.concatenate([products, products @ columns._weights.T], axis=1) & ((1 << plain_bits) - 1))[
        :, columns._order
    ]


def test_random_offsets_are_caught_by_the_combinations_alone() -> None:
    """Offsets inside the size bound, under 600 secret draws: one passes a check with chance 1/255 at most."""
    p = linear.parameters(50, 3, 1, 1000, 4)
    matrix, vectors = random_matrix(50, 3, 1), random_vectors(1, 50, 2)
    draws = np.random.default_rng(8)
    for attempt in range(600):
        columns = Columns(p, attempt.to_bytes(32, "big"), matrix)
        honest = honest_opening(columns, vectors, matrix, p.plain_bits)
        assert (columns.restore(honest) == vectors @ matrix).all()
        offset = draws.integers(-3, 4, honest.shape[1])
        if not offset.any():
            continue
        with pytest.raises(errors.EncryptorCheated, match="combination"):
            columns.restore((honest + offset) & ((1 << p.plain_bits) - 1))


def test_a_tight_plain_modulus_would_let_half_the_modulus_pass_every_even_weight() -> None:
    """Why t has eight bits of room: with none, an offset of t/2 passes a check with chance 1/2, all five with 1/32."""

    def passing(p: linear.Parameters) -> int:
        passed = 0
        for attempt in range(1000):
            columns = Columns(p, attempt.to_bytes(32, "big"), np.ones((64, 1), np.int64))
            vectors = np.full((1, 64), -1)
            honest = honest_opening(columns, vectors, np.ones((64, 1), np.int64), p.plain_bits)
            offset = np.zeros(honest.shape[1], np.int64)
            offset[int(np.flatnonzero(columns._order == 0)[0])] = 1 << (p.plain_bits - 1)  # even knowing the order
            try:
                columns.restore((honest + offset) & ((1 << p.plain_bits) - 1))
            except errors.EncryptorCheated:
                continue
            passed += 1
        return passed

    p = linear.parameters(64, 1, 1, 1, 4)
    assert passing(p) == 0
    tight = replace(p, plain_bits=7)  # 2 * 64 * 1 * 1: just enough for the values -64..63
    assert 10 < passing(tight) < 60


def test_what_is_decrypted_is_uniform_whatever_the_matrix() -> None:
    """Two very different columns and one vector: the padded values spread evenly over the plain modulus for both."""
    for matrix in (np.zeros((200, 1), np.int64), np.ones((200, 1), np.int64)):
        session = ready({"bank": matrix}, x_max=1, r_max=1, messages=512)
        reply = session.holders["bank"].multiply(session.encryptor.encrypt(np.ones((512, 200), np.int64)))
        values = opened_values(session.encryptor.decrypt("bank", reply)).reshape(-1)
        counts = np.bincount(values >> (session.parameters.plain_bits - 4), minlength=16)
        assert ((counts - 192) ** 2 / 192).sum() < 15 + 6 * np.sqrt(30)  # 512 * 6 values in 16 cells


def test_the_encryptor_sees_columns_in_a_secret_order() -> None:
    p, matrix = linear.parameters(300, 3, 1, 1, 4), random_matrix(300, 3, 1)
    orders = {tuple(Columns(p, bytes([i]) * 32, matrix)._order.tolist()) for i in range(20)}
    assert len(orders) == 20
