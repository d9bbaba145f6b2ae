"""The list of rows by which a leader tells who is shared: of each client what the recipient knows it by.

A head (status, number of rows), the rows, and empty rows up to what the smallest party could share: so the length tells
nothing. In an alignment a row ends with the client's random token, and rows stand in the order of tokens; in mode
`rows` they ascend. So the order tells nothing of the leader's own.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from privacy.psi.errors import BadRows
from privacy.psi.session import split
from privacy.psi.values import AlignResult, Outcome
from privacy.psi.wire import Listing

TOKEN_BYTES = 16
HEAD_BYTES = 8
_SHARED, _BELOW_MINIMUM = 0, 1


def listing(counts: Mapping[str, int], row_bytes: int) -> Listing:
    """One header row and as many rows as the smallest party could share."""
    assert row_bytes >= HEAD_BYTES, "the head takes a row"
    return Listing(phase="rows", count=1 + min(counts.values()), record_bytes=row_bytes)


def draw_tokens(read: Callable[[int], bytes], count: int) -> tuple[list[int], list[bytes]]:
    """(positions 0 … count - 1 in the order of their random tokens, the tokens ascending)."""
    tokens = split(read(TOKEN_BYTES * count), TOKEN_BYTES)
    assert len(set(tokens)) == len(tokens), "random tokens of 16 bytes differ"
    ranks = sorted(range(count), key=tokens.__getitem__)
    return ranks, [tokens[i] for i in ranks]


def pack(form: Listing, rows: Sequence[bytes], *, below: bool = False) -> list[bytes]:
    """The records of a list of this form. below: fewer are shared than agreed."""
    status, size = _BELOW_MINIMUM if below else _SHARED, form.record_bytes
    head = status.to_bytes(4, "big") + len(rows).to_bytes(4, "big") + bytes(size - HEAD_BYTES)
    return [head, *rows, *[bytes(size)] * (form.count - 1 - len(rows))]


def with_tokens(known: Sequence[bytes], tokens: Sequence[bytes]) -> list[bytes]:
    """Rows of an alignment. known: in the order of the tokens."""
    return [one + token for one, token in zip(known, tokens, strict=True)]


def unpack(records: Sequence[bytes], minimum: int, sender: str) -> list[bytes] | None:
    """The rows of a list; None where fewer are shared than agreed. Raises BadRows."""
    head, *rows = records
    status, length = int.from_bytes(head[:4], "big"), int.from_bytes(head[4:8], "big")
    empty = bytes(len(head))
    if head[HEAD_BYTES:] != empty[HEAD_BYTES:] or status not in (_SHARED, _BELOW_MINIMUM) or length > len(rows):
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
