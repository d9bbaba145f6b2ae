"""Attacks on the encrypted product. Each works when its rule is taken out and fails while the rule is in.

Rules here: the fresh blinding p u_j of the hint; a fresh key for every vector; the zero test (both ways round); the cap
on what crafted hints could read. The check columns are in test_linear_openings.py.
"""

from dataclasses import replace

import numpy as np
import pytest

from privacy import linear
from privacy.linear import errors, wire
from privacy.linear.columns import Columns, public_transform
from privacy.linear.parameters import CHECK_COLUMNS, ZERO_VECTORS
from privacy.linear.state import Sent
from privacy.ring import Ints, Ring, Stream, centred
from tests.privacy.linear_session import (
    CONTEXT,
    SEED,
    Session,
    body_of,
    opened_values,
    random_matrix,
    random_vectors,
    ready,
    restarted,
)
from tests.support.entropy import SeededEntropy

LOW_BITS = 12  # the read-back works modulo 2^12: more than twice the largest entry of the attacked matrices


# --- 1. without p u_j the public a_i give the matrix away


def multiply_low(ring: Ring, x: Ints, y: Ints) -> Ints:
    product = ring.inverse(ring.forward(centred(x, LOW_BITS)) * ring.forward(centred(y, LOW_BITS)))
    return product & ((1 << LOW_BITS) - 1)


def inverse_low(ring: Ring, unit: Ints) -> Ints:
    """1 / a modulo 2^12. Modulo 2, X^N + 1 = (X + 1)^N: a^N = a(1) = 1 and 1 / a = a^(N-1); then Newton steps."""
    result, square = np.zeros(ring.degree, np.int64), unit & 1
    result[0] = 1
    for _ in range(ring.degree.bit_length() - 1):
        result = multiply_low(ring, result, square) & 1
        doubled = np.zeros(ring.degree, np.int64)
        np.add.at(doubled, (2 * np.arange(ring.degree)) % ring.degree, square)  # a(X)^2 = a(X^2) modulo 2
        square = doubled & 1
    for _ in range(4):  # 1 -> 2 -> 4 -> 8 -> 16 bits
        correction = -multiply_low(ring, unit, result)
        correction[0] += 2
        result = multiply_low(ring, result, correction & ((1 << LOW_BITS) - 1))
    return result


def read_back(ring: Ring, first_public: Ints, polynomial: Ints) -> Ints:
    """The column X of a polynomial believed to be a_1 X, as its rows."""
    low = polynomial[0] & ((1 << LOW_BITS) - 1)
    return centred(multiply_low(ring, low, inverse_low(ring, first_public)), LOW_BITS)[::-1]


def unit_seed(p: linear.Parameters) -> tuple[bytes, Ints]:
    """A joint seed whose a_1 is a unit (half of all are), and a_1 modulo 2^12."""
    for counter in range(64):
        seed = linear.joint_seed([bytes([counter]) * 32, b"b" * 32])
        drawn = p.ring.uniform(Stream(seed, "public"), p.blocks + 1, p.ring.degree)
        first: Ints = drawn[0, 0] & ((1 << LOW_BITS) - 1)
        if first.sum() & 1:
            return seed, first
    raise AssertionError("no unit among 64 seeds")


def test_a_hint_without_blinding_would_be_read_back_and_ours_is_not() -> None:
    rows = 4096
    p = linear.parameters(rows, 1, 100, 1, 4)
    assert p.degree == rows
    seed, first = unit_seed(p)
    matrix = random_matrix(rows, 1, 100)
    ring, columns = p.ring, Columns(p, b"h" * 32, matrix)
    unblinded = ring.normalise(ring.inverse(columns._times_public(public_transform(p, seed), slice(0, 1))))
    assert (read_back(ring, first, unblinded[:, 0]) == matrix[:, 0]).all()  # every entry, in milliseconds
    hint = ring.unpack(columns.hint(seed), columns.total, ring.degree)
    for column in range(columns.total):
        agreeing = int((read_back(ring, first, hint[:, column]) == matrix[:, 0]).sum())
        assert agreeing < 30  # chance alone: 4096 entries of 1 in 4096


# --- 2. a key used twice shows the difference of the vectors


class KeyReuser(linear.Encryptor):
    """Takes the fresh key away: every vector is encrypted as if it were the first of the first message."""

    def _encrypt_one(self, sequence: int, sent: Sent, index: int, vector: Ints) -> bytes:
        return super()._encrypt_one(0, replace(sent, key_seed=b"k" * 32), 0, vector)


def difference_read(session: Session, first: Ints, second: Ints) -> Ints:
    """What a holder reads as r - r' from two messages: the rounded top of b - b'."""
    p, ring = session.parameters, session.parameters.ring
    width = p.rows + ring.degree
    one, two = (ring.unpack(bytes(body_of(session.encryptor.encrypt(v[None]))), width) for v in (first, second))
    difference = one - two
    ring.add_shifted(difference, np.ones(width, np.int64), p.delta_bits - 1)  # rounds
    return centred(ring.top(ring.normalise(difference), p.plain_bits), p.plain_bits)[: p.rows]


def test_a_reused_key_shows_the_difference_and_fresh_keys_do_not() -> None:
    session = ready({"bank": random_matrix(500, 2, 1)}, x_max=1, r_max=1000)
    first, second = random_vectors(2, 500, 1000)
    assert int((difference_read(session, first, second) == first - second).sum()) < 5
    session.encryptor.__class__ = KeyReuser
    assert (difference_read(session, first, second) == first - second).all()


def test_one_message_does_not_show_the_difference_of_its_own_vectors() -> None:
    session = ready({"bank": random_matrix(500, 2, 1)}, x_max=1, r_max=1000)
    vectors = random_vectors(2, 500, 1000)
    p, ring = session.parameters, session.parameters.ring
    elements = ring.unpack(bytes(body_of(session.encryptor.encrypt(vectors))), 2, p.rows + ring.degree)
    read = centred(ring.top(ring.normalise(elements[:, 0] - elements[:, 1]), p.plain_bits), p.plain_bits)[: p.rows]
    assert int((np.abs(read - (vectors[0] - vectors[1])) <= 1).sum()) < 5


# --- 3. a crafted hint reads the key, and with it every label


class CraftedHolder:
    """Sends h_j = p u_j + e_j + Delta * sum_i 3^i X^(N-1-c): the opened product is base-3 digits of the key."""

    def __init__(self, p: linear.Parameters, columns: int) -> None:
        self.p, self.columns, self.secret = p, columns, b"crafted".ljust(32)
        self.per_column = int((p.plain_bits - 1) / np.log2(3))
        self.blind = Stream(self.secret, "u").ternary(columns, p.degree)
        self.bound = b""

    def hint(self) -> bytes:
        p, ring = self.p, self.p.ring
        public = public_transform(p, SEED)[:, -1]
        noise = Stream(self.secret, "e").errors(self.columns, p.degree)
        packed = []
        for column in range(self.columns):
            element = ring.inverse(public * ring.forward(self.blind[column]))
            element[0] += noise[column]
            probe = np.zeros(p.degree, np.int64)
            for digit in range(self.per_column):
                coefficient = column * self.per_column + digit
                if coefficient < p.degree:
                    probe[p.degree - 1 - coefficient] = 3**digit
            ring.add_shifted(element, probe, p.delta_bits)
            packed.append(ring.pack(ring.normalise(element)))
        bound = wire.holder_binding(wire.binding(p, SEED, CONTEXT), "bank")
        message = wire.frame(wire.MessageKind.HINT, bound, 0, self.columns, b"".join(packed))
        self.bound = wire.after_hint(bound, message)
        return message

    def reply(self, message: bytes) -> tuple[bytes, Ints]:
        """coeff_{N-1}(B u_j) + Delta/2 + pad, as an honest holder's reply of that kind; and the pads' top bits."""
        p, ring = self.p, self.p.ring
        _, kind, _, sequence, count, _, _ = wire.HEADER.unpack_from(message)
        elements = ring.unpack(bytes(body_of(message)), count, p.rows + p.degree)
        blinding = elements[..., p.rows :].astype(float) @ self.blind[:, ::-1].T.astype(float)
        pads = ring.uniform(Stream(self.secret, f"pads {sequence}"), count, self.columns)
        tops = ring.top(pads, p.plain_bits)  # no flood below: the crafted holder wants exact digits, not safety
        values = np.rint(blinding).astype(np.int64)
        ring.add_shifted(values, tops, p.delta_bits)
        ring.add_shifted(values, np.ones((count, self.columns), np.int64), p.delta_bits - 1)  # rounds
        body = ring.pack(ring.normalise(values))
        if kind == wire.MessageKind.PRODUCT:
            return wire.frame(wire.MessageKind.REPLY, self.bound, sequence, count, body), tops
        commitment = wire.pad_commitment(self.bound, sequence, bytes(32), wire.pack_plain(tops))
        return wire.frame(wire.MessageKind.ZERO_REPLY, self.bound, sequence, count, commitment + body), tops

    def key(self, opened: Ints, tops: Ints) -> Ints:
        """The coefficients of the key that the opened products of one vector spell."""
        values = centred(opened - tops, self.p.plain_bits)
        digits = []
        for value in values.tolist():
            for _ in range(self.per_column):
                digit = (value + 1) % 3 - 1
                digits.append(digit)
                value = (value - digit) // 3
        return np.array(digits[: self.p.degree])


class Untested(linear.Encryptor):
    """Takes the zero test away."""

    def _require_proven(self) -> None:
        return


def without_the_cap(rows: int) -> linear.Parameters:
    """A small ring with as many columns as reading a whole key takes; `parameters` would choose a larger ring."""
    p = linear.parameters(rows, 1, 1, 1, 4)
    columns = -(-p.degree // int((p.plain_bits - 1) / np.log2(3)))
    assert (columns + CHECK_COLUMNS) * p.plain_bits > p.degree
    assert linear.parameters(rows, columns, 1, 1, 4).degree > p.degree
    return replace(p, columns=columns)


def test_a_crafted_hint_reads_every_label_when_nothing_is_tested() -> None:
    p = without_the_cap(rows=300)
    holder = CraftedHolder(p, p.columns + CHECK_COLUMNS)
    encryptor = Untested(p, SEED, CONTEXT, SeededEntropy(b"untested"))
    encryptor.take_hint("bank", holder.hint())
    labels = random_vectors(1, 300, 1)
    message = encryptor.encrypt(labels)
    reply, tops = holder.reply(message)
    key = holder.key(opened_values(encryptor.decrypt("bank", reply))[0], tops[0])
    ring = p.ring
    product = ring.inverse(public_transform(p, SEED) * ring.forward(key))[:, : p.blocks].reshape(ring.digits, -1)
    plain = ring.unpack(bytes(body_of(message)), p.rows + p.degree)[:, : p.rows] + product[:, : p.rows]
    ring.add_shifted(plain, np.ones(p.rows, np.int64), p.delta_bits - 1)
    read = centred(ring.top(ring.normalise(plain), p.plain_bits), p.plain_bits)
    assert (read == labels[0]).all()


def test_the_zero_test_catches_the_crafted_hint() -> None:
    p = without_the_cap(rows=300)
    holder = CraftedHolder(p, p.columns + CHECK_COLUMNS)
    encryptor = linear.Encryptor(p, SEED, CONTEXT, SeededEntropy(b"tested"))
    encryptor.take_hint("bank", holder.hint())
    reply, tops = holder.reply(encryptor.zero_test())
    opened = opened_values(encryptor.decrypt("bank", reply))
    wrong = (opened != tops).any(0)
    assert wrong[: p.columns].all()  # every crafted column, not just one of them
    proof = wire.frame(wire.MessageKind.ZERO_PROOF, holder.bound, 0, ZERO_VECTORS, bytes(32) + wire.pack_plain(tops))
    with pytest.raises(errors.HolderCheated, match="bank"):
        encryptor.verify_zero("bank", proof)
    for step in (lambda: encryptor.encrypt(np.ones((1, 300), np.int64)), lambda: encryptor.decrypt("bank", reply)):
        with pytest.raises(errors.HolderCheated):
            step()
    with pytest.raises(errors.ProductOutOfOrder):  # it is not tested again until it passes by luck
        encryptor.zero_test()
    again = restarted(encryptor, p, SEED, CONTEXT, SeededEntropy(b"x"))
    with pytest.raises(errors.HolderCheated):
        again.encrypt(np.ones((1, 300), np.int64))


def test_a_holder_that_opens_what_it_did_not_commit_to_is_caught() -> None:
    """The crafted holder learns the opened values before it must show its pads: the commitment makes that too late."""
    p = without_the_cap(rows=300)
    holder = CraftedHolder(p, p.columns + CHECK_COLUMNS)
    encryptor = linear.Encryptor(p, SEED, CONTEXT, SeededEntropy(b"late"))
    encryptor.take_hint("bank", holder.hint())
    opened = opened_values(encryptor.decrypt("bank", holder.reply(encryptor.zero_test())[0]))
    proof = wire.frame(wire.MessageKind.ZERO_PROOF, holder.bound, 0, ZERO_VECTORS, bytes(32) + wire.pack_plain(opened))
    with pytest.raises(errors.HolderCheated):
        encryptor.verify_zero("bank", proof)


# --- 4. an encryptor that puts its own vector into the zero test


class NotZero(linear.Encryptor):
    """Sends vectors of its choice as the zero test, to read the products from the opened pads."""

    vectors: Ints

    def _send(self, kind: wire.MessageKind, vectors: Ints, waiting: set[str]) -> bytes:
        return super()._send(kind, self.vectors if kind is wire.MessageKind.ZERO else vectors, waiting)


def not_zero_session() -> tuple[Session, bytes]:
    matrix = random_matrix(300, 3, 1)
    session = Session(linear.parameters(300, 3, 1, 1, 4), {"bank": matrix}, SeededEntropy(b"not zero")).take_hints()
    session.encryptor.__class__ = NotZero
    session.encryptor.vectors = np.eye(300, dtype=np.int64)[:ZERO_VECTORS]  # four single clients' rows
    reply = session.holders["bank"].multiply(session.encryptor.zero_test())
    return session, session.encryptor.decrypt("bank", reply)


def test_a_zero_test_of_something_else_is_not_opened() -> None:
    session, opened = not_zero_session()
    with pytest.raises(errors.EncryptorCheated, match="not of zero"):
        session.holders["bank"].prove(opened)
    with pytest.raises(errors.ProductOutOfOrder, match="closed"):
        session.holders["bank"].prove(opened)


def test_without_the_holders_check_the_zero_test_would_show_its_rows() -> None:
    session, opened = not_zero_session()
    holder = session.holders["bank"]
    (sequence, pending) = next(iter(holder._pending.items()))
    tops = holder._pad_tops(sequence, pending)  # what an unconditional proof would show
    products = centred(opened_values(opened) - tops, session.parameters.plain_bits)
    internal = np.empty_like(products)
    internal[:, holder._columns._order] = products
    assert (internal[:, :3] == session.matrices["bank"][:ZERO_VECTORS]).all()
