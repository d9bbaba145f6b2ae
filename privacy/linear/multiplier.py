"""The feature holder's side: multiplies its plain matrix with vectors it cannot read.

Sans I/O: methods take and give whole messages; the caller carries them in sealed, signed envelopes, stores `dump()`
in the same transaction as each reply, and resends stored bytes on a retry instead of asking for the step again.
"""

import numpy as np

from privacy import canonical
from privacy.linear import wire
from privacy.linear.columns import Columns
from privacy.linear.errors import (
    EncryptorCheated,
    ForeignProductMessage,
    MalformedProductMessage,
    MessagesSpent,
    ProductOutOfOrder,
)
from privacy.linear.parameters import ZERO_VECTORS, Parameters
from privacy.linear.state import VERSION, Pending, items, number, octets, record, stored
from privacy.linear.wire import MessageKind
from privacy.packing import Packed, pack
from privacy.ring import SEED_BYTES, Entropy, Ints, Stream

VECTORS_PER_BLOCK = 4  # vectors multiplied at once: bounds memory, not the result


class Multiplier:
    """One holder's matrix in one training.

    Order: `hint` → (zero message) `multiply`, `prove` → then per message `multiply`, `open`. u_j, e_j, check weights
    and column order come from fresh entropy here, so a Multiplier made anew has a new hint; `load` continues with the
    old one.
    """

    def __init__(
        self, parameters: Parameters, seed: bytes, holder: str, matrix: Ints, context: bytes, entropy: Entropy
    ) -> None:
        """matrix: int64 (n, m), m <= columns, |X| <= x_max, rows in the common order; else InputOutOfRange.

        seed: the joint seed; holder: this party's id as the encryptor knows it; context: digests that name run and
        order.
        """
        self._begin(parameters, seed, holder, matrix, context, entropy, entropy(SEED_BYTES))

    def _begin(
        self,
        parameters: Parameters,
        seed: bytes,
        holder: str,
        matrix: Ints,
        context: bytes,
        entropy: Entropy,
        secret: bytes,
    ) -> None:
        self._parameters, self._seed, self._entropy, self._secret = parameters, seed, entropy, secret
        self._columns = Columns(parameters, secret, matrix)
        self._matrix_digest = _matrix_digest(matrix)
        self._common = wire.binding(parameters, seed, context)
        self._hint_bound = wire.holder_binding(self._common, holder)
        self._bound = b""  # of everything after the hint; set with it
        self._last = -1
        self._used = 0
        self._pending: dict[int, Pending] = {}
        self._closed = False

    def hint(self) -> bytes:
        """The once-per-training message. Computed anew at every call, always the same bytes (0.3 s at 30,000 x 60).

        Raises HintSelfCheckFailed when the machine computed it wrongly.
        """
        body = self._columns.hint(self._seed)
        message = wire.frame(MessageKind.HINT, self._hint_bound, 0, self._columns.total, body)
        self._bound = wire.after_hint(self._hint_bound, message)
        return message

    def multiply(self, message: bytes) -> bytes:
        """The reply to encrypted vectors: a padded number of Z_q a vector and column; for a zero test a commitment too.

        Raises ProductOutOfOrder before the hint, after an EncryptorCheated, or for a sequence that is not larger than
        every earlier one; MessagesSpent; MalformedProductMessage or ForeignProductMessage.
        """
        self._require_ready()
        kind, sequence, count, body = wire.read(message, (MessageKind.ZERO, MessageKind.PRODUCT), self._common)
        wire.expect(body, self._parameters.message_bytes(count))
        if kind is MessageKind.ZERO and count != ZERO_VECTORS:
            raise MalformedProductMessage(why=f"a zero test has {ZERO_VECTORS} vectors")
        if sequence <= self._last:
            raise ProductOutOfOrder(why=f"sequence {sequence} after {self._last}; resend the stored reply on a retry")
        if self._used + count > self._parameters.vectors_max:
            raise MessagesSpent(limit=self._parameters.vectors_max)
        pending = Pending(
            kind=kind, count=count, pad_seed=self._entropy(SEED_BYTES), salt=self._entropy(wire.SALT_BYTES)
        )
        reply = self._masked(sequence, pending, body)
        self._pending[sequence] = pending
        self._last, self._used = sequence, self._used + count
        if kind is MessageKind.PRODUCT:
            return wire.frame(MessageKind.REPLY, self._bound, sequence, count, reply)
        tops = wire.pack_plain(self._pad_tops(sequence, pending))
        commitment = wire.pad_commitment(self._bound, sequence, pending.salt, tops)
        return wire.frame(MessageKind.ZERO_REPLY, self._bound, sequence, count, commitment + reply)

    def open(self, message: bytes) -> Ints:
        """The exact products X^T r of an answered message: int64 (k, m), columns in the matrix's order.

        Raises EncryptorCheated when a value breaks its bound or a check column, and refuses everything afterwards.
        """
        sequence, pending, values = self._read_opened(message, MessageKind.OPENED)
        try:
            products = self._columns.restore(self._unmasked(sequence, pending, values))
        except EncryptorCheated:
            self._closed = True
            raise
        del self._pending[sequence]
        return products

    def prove(self, message: bytes) -> bytes:
        """The opening of a zero test's commitment, given only when the test really was of zero.

        An encryptor that put its own vector in the test would read the products from the opened pads: it would have
        to know them to get past the comparison here. Raises EncryptorCheated then, and refuses everything afterwards.
        """
        sequence, pending, values = self._read_opened(message, MessageKind.ZERO_OPENED)
        tops = self._pad_tops(sequence, pending)
        if (values != tops).any():
            self._closed = True
            raise EncryptorCheated(why="the zero test was not of zero")
        del self._pending[sequence]
        body = pending.salt + wire.pack_plain(tops)
        return wire.frame(MessageKind.ZERO_PROOF, self._bound, sequence, pending.count, body)

    def dump(self) -> bytes:
        """Everything but the matrix that is needed to go on after a crash. Secret: keep it in this party's store."""
        pending: list[Packed] = [
            {"sequence": sequence, "pending": pending.packed()} for sequence, pending in sorted(self._pending.items())
        ]
        return pack(
            {
                "version": VERSION,
                "hint_bound": self._hint_bound,
                "bound": self._bound,
                "secret": self._secret,
                "matrix": self._matrix_digest,
                "last": self._last,
                "used": self._used,
                "closed": self._closed,
                "pending": pending,
            }
        )

    @classmethod
    def load(
        cls,
        data: bytes,
        parameters: Parameters,
        seed: bytes,
        holder: str,
        matrix: Ints,
        context: bytes,
        entropy: Entropy,
    ) -> "Multiplier":
        """The Multiplier that `dump` stored, with the same arguments it was made with.

        Raises ForeignProductMessage when the matrix, parameters, seed, holder or context are others than before.
        """
        state = stored(data)
        made = cls.__new__(cls)
        made._begin(parameters, seed, holder, matrix, context, entropy, octets(state["secret"]))
        if state["hint_bound"] != made._hint_bound or state["matrix"] != made._matrix_digest:
            raise ForeignProductMessage(why="the stored session is of another matrix, training or holder")
        made._bound, made._closed = octets(state["bound"]), bool(state["closed"])
        made._last, made._used = number(state["last"]), number(state["used"])
        for entry in map(record, items(state["pending"])):
            made._pending[number(entry["sequence"])] = Pending.of(entry["pending"])
        return made

    def _require_ready(self) -> None:
        if self._closed:
            raise ProductOutOfOrder(why="this session was closed after a failed check")
        if not self._bound:
            raise ProductOutOfOrder(why="the hint comes first")

    def _masked(self, sequence: int, pending: Pending, body: memoryview) -> bytes:
        """Products of every vector plus its pad, packed: (count, m + 5) elements."""
        ring = self._parameters.ring
        width = self._parameters.rows + ring.degree
        pads = self._pads(sequence, pending)
        out: list[bytes] = []
        for first in range(0, pending.count, VECTORS_PER_BLOCK):
            last = min(first + VECTORS_PER_BLOCK, pending.count)
            part = body[first * width * ring.coefficient_bytes : last * width * ring.coefficient_bytes]
            products = self._columns.product(ring.unpack(part, last - first, width))
            out.append(ring.pack(ring.normalise(products + pads[:, first:last])))
        return b"".join(out)

    def _pads(self, sequence: int, pending: Pending) -> Ints:
        """Pads uniform over all of Z_q: (digits, count, m + 5). What the encryptor decrypts is then exactly uniform."""
        stream = Stream(pending.pad_seed, f"pads {sequence}")
        return self._parameters.ring.uniform(stream, pending.count, self._columns.total)

    def _pad_tops(self, sequence: int, pending: Pending) -> Ints:
        return self._parameters.ring.top(self._pads(sequence, pending), self._parameters.plain_bits)

    def _unmasked(self, sequence: int, pending: Pending, values: Ints) -> Ints:
        return (values - self._pad_tops(sequence, pending)) & ((1 << self._parameters.plain_bits) - 1)

    def _read_opened(self, message: bytes, kind: MessageKind) -> tuple[int, Pending, Ints]:
        self._require_ready()
        _, sequence, count, body = wire.read(message, (kind,), self._bound)
        expected = MessageKind.ZERO if kind is MessageKind.ZERO_OPENED else MessageKind.PRODUCT
        pending = self._pending.get(sequence)
        if pending is None or pending.kind is not expected or pending.count != count:
            raise ProductOutOfOrder(why=f"no answered message {sequence} of this kind waits to be opened")
        return sequence, pending, wire.unpack_plain(body, (count, self._columns.total), self._parameters.plain_bits)


def _matrix_digest(matrix: Ints) -> bytes:
    return canonical.digest_bytes("ecohub linear matrix v1", np.ascontiguousarray(matrix, "<i8").tobytes())
