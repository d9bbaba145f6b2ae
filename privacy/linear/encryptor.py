"""The label holder's side (or another holder's, for cross products): encrypts vectors, decrypts padded products.

Sans I/O: methods take and give whole messages; the caller carries them in sealed, signed envelopes, stores `dump()`
in the same transaction as each message, once also each of the `pieces()`, and resends the stored bytes on a retry.
Encrypting the same vector again makes new keys.
"""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from privacy.linear import wire
from privacy.linear.columns import public_transform
from privacy.linear.errors import (
    ForeignProductMessage,
    HolderCheated,
    InputOutOfRange,
    MalformedProductMessage,
    MessagesSpent,
    ProductOutOfOrder,
)
from privacy.linear.parameters import CHECK_COLUMNS, ZERO_VECTORS, Parameters
from privacy.linear.state import COLUMNS_PER_BLOCK, VERSION, Holder, Sent, items, number, record, stored, unpacked_hint
from privacy.linear.wire import MessageKind
from privacy.packing import Packed, pack
from privacy.ring import SEED_BYTES, Entropy, Ints, Stream, exact_product


class Encryptor:
    """One party's vectors in one training, for all feature holders at once.

    Order: `take_hint` of every holder → `zero_test`, per holder `decrypt`, `verify_zero` → then per message `encrypt`
    and per holder `decrypt`. Nothing but zero is encrypted while a holder with a hint has not passed its zero test.
    """

    def __init__(self, parameters: Parameters, seed: bytes, context: bytes, entropy: Entropy) -> None:
        """seed: the joint seed; context: the same digests the Multipliers were made with."""
        self._parameters, self._entropy = parameters, entropy
        self._common = wire.binding(parameters, seed, context)
        self._public = public_transform(parameters, seed)
        self._holders: dict[str, Holder] = {}
        self._sent: dict[int, Sent] = {}
        self._next = 0
        self._used = 0
        self._zero_tests = 0

    def take_hint(self, holder: str, message: bytes) -> None:
        """Keep a holder's hint. The same bytes again are fine; another hint of a known holder is refused.

        Raises MalformedProductMessage, ForeignProductMessage, InputOutOfRange when more holders come than agreed.
        """
        hint_bound = wire.holder_binding(self._common, holder)
        _, sequence, columns, body = wire.read(message, (MessageKind.HINT,), hint_bound)
        p, ring = self._parameters, self._parameters.ring
        if sequence != 0 or not CHECK_COLUMNS < columns <= p.columns + CHECK_COLUMNS:
            raise MalformedProductMessage(why=f"{columns} columns where {p.columns} and the checks are agreed")
        wire.expect(body, columns * ring.degree * ring.coefficient_bytes)
        bound = wire.after_hint(hint_bound, message)
        known = self._holders.get(holder)
        if known is not None:
            if known.bound != bound:
                raise ForeignProductMessage(why=f"{holder} has sent another hint before")
            return
        if len(self._holders) == p.holders:
            raise InputOutOfRange(what="hint", why=f"{p.holders} holders are agreed")
        self._holders[holder] = Holder(bound=bound, hint=unpacked_hint(ring, body, columns))

    def zero_test(self) -> bytes:
        """A message that encrypts zero only, for every holder that has not passed yet. One a holder at most."""
        waiting = {name for name, holder in self._holders.items() if not (holder.proven or holder.cheated)}
        if not waiting:
            raise ProductOutOfOrder(why="no holder waits for a zero test")
        if self._zero_tests == self._parameters.holders:
            raise MessagesSpent(limit=self._parameters.holders * ZERO_VECTORS)
        self._zero_tests += 1
        zeros = np.zeros((ZERO_VECTORS, self._parameters.rows), np.int64)
        return self._send(MessageKind.ZERO, zeros, waiting)

    def encrypt(self, vectors: Ints) -> bytes:
        """One message for all holders with k vectors int64 (k, n), |r| <= r_max, each under its own fresh key.

        Raises ProductOutOfOrder before every holder's zero test has passed, InputOutOfRange, MessagesSpent.
        """
        p = self._parameters
        if vectors.dtype != np.int64 or vectors.ndim != 2 or vectors.shape[1] != p.rows or not len(vectors):
            raise InputOutOfRange(what="vector", why=f"int64 (k, {p.rows}) is expected")
        if vectors.max() > p.r_max or vectors.min() < -p.r_max:
            raise InputOutOfRange(what="vector", why=f"an entry beyond {p.r_max}")
        self._require_proven()
        if self._used + len(vectors) > p.messages:
            raise MessagesSpent(limit=p.messages)
        self._used += len(vectors)
        return self._send(MessageKind.PRODUCT, vectors, set(self._holders))

    def decrypt(self, holder: str, message: bytes) -> bytes:
        """What to send back to the holder: its products, still under its pads. Once per holder and message.

        A second, different reply would read the message's keys twice, so it is refused; resend the stored bytes on a
        retry.
        """
        known = self._known(holder)
        p, ring = self._parameters, self._parameters.ring
        kind, sequence, count, body = wire.read(message, (MessageKind.ZERO_REPLY, MessageKind.REPLY), known.bound)
        due = MessageKind.ZERO if kind is MessageKind.ZERO_REPLY else MessageKind.PRODUCT
        sent = self._sent.get(sequence)
        if sent is None or sent.kind is not due or sent.count != count or holder not in sent.waiting:
            raise ProductOutOfOrder(why=f"no answer of {holder} to message {sequence} is due")
        committed = 32 if due is MessageKind.ZERO else 0
        columns = known.columns
        wire.expect(body, committed + count * columns * ring.coefficient_bytes)
        masked = ring.unpack(body[committed:], count, columns)
        values = ring.top(ring.normalise(masked + self._hint_times_keys(known, sequence, sent)), p.plain_bits)
        sent.waiting.discard(holder)
        if not sent.waiting:
            del self._sent[sequence]  # the keys are no longer derivable from the state
        if due is MessageKind.ZERO:
            known.claimed, known.zeros, known.zero_sequence = bytes(body[:committed]), values, sequence
            return wire.frame(MessageKind.ZERO_OPENED, known.bound, sequence, count, wire.pack_plain(values))
        return wire.frame(MessageKind.OPENED, known.bound, sequence, count, wire.pack_plain(values))

    def verify_zero(self, holder: str, message: bytes) -> None:
        """Raises HolderCheated unless the holder's committed pads are exactly what its zero test decrypted to.

        A hint other than sum a_i X_ij + p u_j + e_j adds a value that depends on the fresh key, which the holder
        could not know when it committed.
        """
        known = self._known(holder)
        _, sequence, count, body = wire.read(message, (MessageKind.ZERO_PROOF,), known.bound)
        if known.zeros is None or sequence != known.zero_sequence or count != len(known.zeros):
            raise ProductOutOfOrder(why=f"no zero test of {holder} waits for its proof")
        salt, tops = bytes(body[: wire.SALT_BYTES]), bytes(body[wire.SALT_BYTES :])
        shape = (known.zeros.shape[0], known.zeros.shape[1])
        opened = wire.unpack_plain(memoryview(tops), shape, self._parameters.plain_bits)
        held = wire.pad_commitment(known.bound, sequence, salt, tops) == known.claimed
        if not held or (opened != known.zeros).any():
            known.cheated = True
            raise HolderCheated(holder=holder)
        known.proven, known.zeros, known.claimed = True, None, b""

    def pieces(self) -> dict[str, Callable[[], bytes]]:
        """What is needed beside `dump` and never changes under its name: the hints, packed when asked for."""
        ring = self._parameters.ring
        return {known.hint_name: partial(known.packed_hint, ring) for known in self._holders.values()}

    def dump(self) -> bytes:
        """Everything but the pieces that is needed to go on after a crash. Secret: it stays in this party's store."""
        holders: dict[str, Packed] = {name: known.packed() for name, known in self._holders.items()}
        sent: list[Packed] = [
            {"sequence": sequence, "message": message.packed()} for sequence, message in sorted(self._sent.items())
        ]
        return pack(
            {
                "version": VERSION,
                "common": self._common,
                "next": self._next,
                "used": self._used,
                "zero_tests": self._zero_tests,
                "holders": holders,
                "sent": sent,
            }
        )

    @classmethod
    def load(
        cls,
        data: bytes,
        pieces: Mapping[str, bytes],
        parameters: Parameters,
        seed: bytes,
        context: bytes,
        entropy: Entropy,
    ) -> "Encryptor":
        """The Encryptor whose `dump` and `pieces` were stored, with the arguments it was made with.

        Raises ForeignProductMessage where these are others.
        """
        state = stored(data)
        made = cls(parameters, seed, context, entropy)
        if state["common"] != made._common:
            raise ForeignProductMessage(why="the stored session is of another training")
        made._next, made._used = number(state["next"]), number(state["used"])
        made._zero_tests = number(state["zero_tests"])
        for name, known in record(state["holders"]).items():
            made._holders[name] = Holder.of(known, parameters.ring, pieces)
        for entry in map(record, items(state["sent"])):
            made._sent[number(entry["sequence"])] = Sent.of(entry["message"])
        return made

    def _require_proven(self) -> None:
        for name, known in self._holders.items():
            if known.cheated:
                raise HolderCheated(holder=name)
        if not self._holders or not all(known.proven for known in self._holders.values()):
            raise ProductOutOfOrder(why="every holder's hint and zero test come first")

    def _known(self, holder: str) -> Holder:
        known = self._holders.get(holder)
        if known is None:
            raise ProductOutOfOrder(why=f"{holder} has not sent its hint")
        if known.cheated:
            raise HolderCheated(holder=holder)
        return known

    def _send(self, kind: MessageKind, vectors: Ints, waiting: set[str]) -> bytes:
        sent = Sent(kind=kind, count=len(vectors), key_seed=self._entropy(SEED_BYTES), waiting=waiting)
        sequence = self._next
        body = b"".join(self._encrypt_one(sequence, sent, i, vector) for i, vector in enumerate(vectors))
        self._sent[sequence] = sent
        self._next += 1
        return wire.frame(kind, self._common, sequence, len(vectors), body)

    def _encrypt_one(self, sequence: int, sent: Sent, index: int, vector: Ints) -> bytes:
        """b_i = -a_i s + e_i + Delta r_i (the n used coefficients) and B = -p s + e', packed."""
        p, ring = self._parameters, self._parameters.ring
        stream = Stream(sent.key_seed, f"vector {sequence} {index}")
        key = stream.ternary(ring.degree)
        element = -ring.inverse(self._public * ring.forward(key))
        element[0] += stream.errors(p.blocks + 1, ring.degree)
        plain = np.zeros((p.blocks + 1) * ring.degree, np.int64)
        plain[: p.rows] = vector
        ring.add_shifted(element, plain.reshape(p.blocks + 1, ring.degree), p.delta_bits)
        flat = ring.normalise(element).reshape(ring.digits, -1)
        return ring.pack(np.concatenate([flat[:, : p.rows], flat[:, p.blocks * ring.degree :]], axis=1))

    def _hint_times_keys(self, known: Holder, sequence: int, sent: Sent) -> Ints:
        """coeff_{N-1}(h_j s) for every vector's key: (digits, count, m + 5). Sums below N 2^w are exact."""
        ring = self._parameters.ring
        labels = [f"vector {sequence} {index}" for index in range(sent.count)]
        keys = np.stack([Stream(sent.key_seed, label).ternary(ring.degree)[::-1] for label in labels], axis=1)
        turned = keys.astype(np.float64)
        parts = []
        for first in range(0, known.hint.shape[1], COLUMNS_PER_BLOCK):
            parts.append(exact_product(known.hint[:, first : first + COLUMNS_PER_BLOCK], turned))
        return np.concatenate(parts, axis=1).transpose(0, 2, 1)
