"""An oblivious key-value store over GF(2): three sparse slots and random dense slots a key.

`solve` finds slots P such that, for every key, P[a] ⊕ P[b] ⊕ P[c] ⊕ ⟨dense bits, dense slots of P⟩ is the key's value;
`look_up` computes this sum, and it is linear in P: what OT extension needs. Garimella, Pinkas, Rosulek, Trieu, Yanai,
Oblivious key-value stores and amplification for private set intersection, Crypto 2021 (3H-GCT): peel the keys that
are alone in a slot, solve what is left with the dense slots, substitute back. All steps run on whole rounds of keys.

What is left is solved by elimination over its sparse AND dense slots. So `solve` fails exactly if the keys' rows are
dependent, which `bounds.dependent_rows` bounds by proof, or if more than `core_max` keys are left. Slots that no key
determines are filled with given random bytes: without the keys, P is then as good as random for random values.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from privacy.psi.oprf.digests import Digests, Rows, Values

Bits: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]
Bytes: TypeAlias = np.ndarray[Any, np.dtype[np.uint8]]

SEED_BYTES = 16
BLOCK_KEYS = 8192  # keys looked up at a time, so that a block of results stays in the cache
_SHIFT = np.int64(40)  # a slot's state: number of keys above, sum of their positions below
_BELOW = (np.int64(1) << _SHIFT) - np.int64(1)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    column_slots: int  # in each of three columns
    dense_slots: int  # 8 … 64, a multiple of 8

    @property
    def slots(self) -> int:
        return 3 * self.column_slots + self.dense_slots


@dataclass(frozen=True, slots=True)
class Keys:
    """Where each key's row has ones: three sparse slots (n × 3), and a mask of the dense ones (n × bytes)."""

    sparse: Rows
    dense: Bytes


def place(digests: Digests, seed: bytes, shape: Shape) -> Keys:
    """The rows of identifiers under a 16-byte public seed: AES-128 as Matyas-Meyer-Oseas, MMO(x) = AES(x) ⊕ x.

    Two blocks an identifier, of words 2 and 3 and of the same with the lowest bit flipped.
    """
    blocks = np.repeat(digests[:, None, 2:4], 2, axis=1)
    blocks[:, 1, 0] ^= np.uint64(1)
    encrypted = Cipher(algorithms.AES128(seed), modes.ECB()).encryptor().update(blocks.reshape(-1).view(np.uint8).data)  # noqa: S305
    hashed = np.frombuffer(encrypted, np.dtype("<u8")).reshape(-1, 4) ^ blocks.reshape(-1, 4)
    size = np.uint64(shape.column_slots)
    sparse = np.empty((len(digests), 3), np.int64)
    sparse[:, 0] = (hashed[:, 0] & _LOW) * size >> _HALF
    sparse[:, 1] = ((hashed[:, 0] >> _HALF) * size >> _HALF) + size
    sparse[:, 2] = ((hashed[:, 1] & _LOW) * size >> _HALF) + size + size
    dense = hashed[:, 2:].view(np.uint8).reshape(len(digests), 16)[:, : shape.dense_slots // 8]
    return Keys(sparse, np.ascontiguousarray(dense))


def solve(keys: Keys, values: Values, shape: Shape, filler: Values, core_max: int) -> Values | None:
    """Slots whose look-up at each key is its value; None if there are none, or if too many keys are left by peeling.

    values: 64-bit words, one a key (n) or several (n × words). filler: random words for all slots, of the same form;
    what no key determines keeps them.
    """
    slots = filler.copy()
    rounds, core = _peel(keys.sparse, shape.slots)
    if len(core) > core_max or (len(core) and not _eliminate(slots, keys, values, core, shape)):
        return None
    rest = values ^ _dense_sum(slots[-shape.dense_slots :], keys.dense)
    for rows, alone in reversed(rounds):
        slots[alone] = 0
        slots[alone] = rest[rows] ^ np.bitwise_xor.reduce(slots[keys.sparse[rows]], axis=1)
    return slots


def look_up(slots: Bytes, keys: Keys, shape: Shape) -> Bytes:
    """For each key the XOR of its slots. slots: one row of bytes a slot (slots × width); gives n × width bytes."""
    dense = slots[-shape.dense_slots :]
    out = np.empty((len(keys.sparse), slots.shape[1]), np.uint8)
    tables = _tables(dense)
    for start in range(0, len(out), BLOCK_KEYS):
        part = out[start : start + BLOCK_KEYS]
        sparse, bits = keys.sparse[start : start + BLOCK_KEYS], keys.dense[start : start + BLOCK_KEYS]
        np.take(slots, sparse[:, 0], axis=0, out=part, mode="clip")
        part ^= slots[sparse[:, 1]]
        part ^= slots[sparse[:, 2]]
        for table, column in zip(tables, bits.T, strict=True):
            part ^= table[column]
    return out


def _peel(sparse: Rows, slots: int) -> tuple[list[tuple[Rows, Rows]], Rows]:
    """(rounds, what is left): in each round the keys that are alone in a slot once the earlier rounds' are gone.

    A slot's state holds the number of its keys and the sum of their positions, which names the key that is alone.
    """
    keys = np.arange(len(sparse), dtype=np.int64)
    token = keys + (np.int64(1) << _SHIFT)
    state = np.zeros(slots, np.int64)
    for column in sparse.T:
        state += np.bincount(column, minlength=slots) << _SHIFT
        state += np.bincount(column, weights=keys, minlength=slots).astype(np.int64)
    rounds: list[tuple[Rows, Rows]] = []
    chosen = np.empty(len(sparse), np.int64)
    left = np.ones(len(sparse), np.bool_)
    alone = np.flatnonzero(state >> _SHIFT == 1)
    while len(alone):
        rows = state[alone] & _BELOW
        order = np.arange(len(rows))
        chosen[rows] = order  # a key that is alone in several slots is taken by the last of them
        last = chosen[rows] == order
        rows, alone = rows[last], alone[last]
        rounds.append((rows, alone))
        left[rows] = False
        touched = sparse[rows].ravel()
        np.subtract.at(state, touched, np.repeat(token[rows], 3))
        alone = touched[state[touched] >> _SHIFT == 1]
    return rounds, np.flatnonzero(left)


def _eliminate(slots: Values, keys: Keys, values: Values, core: Rows, shape: Shape) -> bool:
    """Solve the core's equations in its sparse slots and the dense ones, in place; False if they are dependent.

    A row is one integer, its unknowns' bits above its value. Every row is reduced by those with the same highest bit,
    so that a row's highest unknown is determined by lower ones, which are set before it.
    """
    unknowns = np.concatenate([np.arange(len(slots) - shape.dense_slots, len(slots)), np.unique(keys.sparse[core])])
    words = values.reshape(len(values), -1)
    width = 64 * words.shape[1]
    pivots: dict[int, int] = {}
    for key in core.tolist():
        row = int.from_bytes(keys.dense[key].tobytes(), "little")
        for place in np.searchsorted(unknowns[shape.dense_slots :], keys.sparse[key]).tolist():
            row ^= 1 << (shape.dense_slots + place)
        row = row << width | int.from_bytes(words[key].tobytes(), "little")
        while (highest := row.bit_length()) > width and highest in pivots:
            row ^= pivots[highest]
        if highest <= width:
            return False
        pivots[highest] = row
    found = slots[unknowns].reshape(len(unknowns), -1)
    for highest in sorted(pivots):
        row, unknown = pivots[highest], highest - width - 1
        value = np.frombuffer((row & ((1 << width) - 1)).to_bytes(width // 8, "little"), np.dtype("<u8"))
        packed = (row >> width).to_bytes(-(-len(unknowns) // 8), "little")
        bits = np.unpackbits(np.frombuffer(packed, np.uint8), bitorder="little")[:unknown].astype(np.bool_)
        found[unknown] = value ^ np.bitwise_xor.reduce(found[:unknown][bits], axis=0)
    slots[unknowns] = found.reshape(slots[unknowns].shape)
    return True


def _tables(dense: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
    """For every 8 dense slots the XOR of each of their 256 subsets."""
    tables = []
    for start in range(0, len(dense), 8):
        table = np.zeros((256, *dense.shape[1:]), dense.dtype)
        for bit in range(8):
            table[1 << bit : 2 << bit] = table[: 1 << bit] ^ dense[start + bit]
        tables.append(table)
    return tables


def _dense_sum(dense: Values, bits: Bytes) -> Values:
    """For each key the XOR of the dense slots of its mask."""
    first, *others = _tables(dense)
    total = first[bits[:, 0]]
    for table, column in zip(others, bits.T[1:], strict=True):
        total ^= table[column]
    return np.asarray(total, np.uint64)
