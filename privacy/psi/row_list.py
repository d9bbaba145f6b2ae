"""The list of rows that ends an alignment: of each common client what the recipient knows it by, and its token.

A head (status, number of rows), the rows in the order of their random tokens, and empty rows up to what the smallest
party could share. So the length tells nothing, and the order nothing of the leader's own.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from privacy.psi.errors import BadRows
from privacy.psi.session import split
from privacy.psi.values import AlignResult, Outcome
from privacy.psi.wire import Listing

TOKEN_BYTES = 16
_SHARED, _BELOW_MINIMUM = 0, 1


def listing(counts: Mapping[str, int], known_bytes: int) -> Listing:
    """One header row and as many rows as the smallest party could share; known_bytes: of what a client is known by."""
    return Listing(phase="rows", count=1 + min(counts.values()), record_bytes=known_bytes + TOKEN_BYTES)


def draw_tokens(read: Callable[[int], bytes], count: int) -> tuple[list[int], list[bytes]]:
    """(positions 0 … count - 1 in the order of their random tokens, the tokens ascending)."""
    tokens = split(read(TOKEN_BYTES * count), TOKEN_BYTES)
    assert len(set(tokens)) == len(tokens), "random tokens of 16 bytes differ"
    ranks = sorted(range(count), key=tokens.__getitem__)
    return ranks, [tokens[i] for i in ranks]


def pack(form: Listing, known: Sequence[bytes], tokens: Sequence[bytes], *, below: bool = False) -> list[bytes]:
    """The records of a list of this form. known: in the order of the tokens. below: fewer are shared than agreed."""
    size = form.record_bytes
    head = (_BELOW_MINIMUM if below else _SHARED).to_bytes(4, "big") + len(tokens).to_bytes(4, "big") + bytes(size - 8)
    rows = [one + token for one, token in zip(known, tokens, strict=True)]
    return [head, *rows, *[bytes(size)] * (form.count - 1 - len(rows))]


def unpack(records: Sequence[bytes], minimum: int, sender: str) -> list[bytes] | None:
    """The rows of a list; None where fewer are shared than agreed. Raises BadRows."""
    head, *rows = records
    status, length = int.from_bytes(head[:4], "big"), int.from_bytes(head[4:8], "big")
    empty = bytes(len(head))
    if head[8:] != empty[8:] or status not in (_SHARED, _BELOW_MINIMUM) or length > len(rows):
        raise BadRows(sender=sender, why="its head is malformed")
    if any(row != empty for row in rows[length:]):
        raise BadRows(sender=sender, why="its padding is not empty")
    if status == _BELOW_MINIMUM:
        if length:
            raise BadRows(sender=sender, why="it is below the minimum and yet has rows")
        return None
    if length < minimum:
        raise BadRows(sender=sender, why="it has fewer rows than the agreed minimum")
    return rows[:length]


def tokens_of(rows: Sequence[bytes], sender: str) -> list[bytes]:
    """The tokens at the ends of rows. Raises BadRows unless they ascend."""
    tokens = [row[-TOKEN_BYTES:] for row in rows]
    if any(low >= high for low, high in pairwise(tokens)):
        raise BadRows(sender=sender, why="its tokens do not ascend")
    return tokens


def below_minimum() -> AlignResult:
    return AlignResult(outcome=Outcome.BELOW_MINIMUM, rows=np.empty(0, np.int64), tokens=())
