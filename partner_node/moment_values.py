"""Whether a value of a client is the one of an earlier run: keyed tags, so that no value is kept.

A tag is the upper half of key · bits modulo 2^64 with an odd secret key (Dietzfelbinger et al., J. Algorithms 25,
1997): of two different values both have one tag with a chance of 2^-30 at most.
"""

import hashlib
import hmac
from collections.abc import Mapping
from itertools import groupby
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from federation.features import Floats
from partner_node.tables_moments import MomentColumnRow, MomentValuesRow

Tags: TypeAlias = NDArray[np.uint32]  # (clients of the alignment,), in its order; GONE where there is no client
GONE = 0


def key_of(secret: bytes) -> int:
    """This node's key of tags, odd, of 64 bits."""
    return int.from_bytes(hmac.digest(secret, b"ecohub/value-tags/v1", "sha256")[:8], "big") | 1


def tags(values: Floats, key: int) -> Tags:
    """(rows,) tags, none of them GONE. values: (rows,), NaN where missing; -0 counts as 0."""
    bits = np.where(np.isnan(values), np.nan, values + 0.0).view(np.uint64)
    return np.asarray((bits * np.uint64(key) >> np.uint64(32)).astype(np.uint32) | np.uint32(1))


def digest_of(found: Tags) -> bytes:
    return hashlib.sha256(found.astype("<u4").tobytes()).digest()


def book(session: Session, run: str, columns: Mapping[str, Tags], now: str) -> None:
    """Enter the values that a run takes moments of, once; values that stood still are kept once."""
    for column, found in columns.items():
        digest = digest_of(found)
        if session.get(MomentColumnRow, (run, column)) is None:
            session.add(MomentColumnRow(run=run, column=column, digest=digest, time=now))
        if session.get(MomentValuesRow, digest) is None:
            session.add(MomentValuesRow(digest=digest, tags=found.astype("<u4").tobytes()))
        session.flush()


def of_run(session: Session, run: str) -> dict[str, bytes]:
    """The digests of what was entered of a run, by column; empty of one that began before there were entries."""
    query = select(MomentColumnRow.column, MomentColumnRow.digest).where(MomentColumnRow.run == run)
    return {str(column): bytes(digest) for column, digest in session.execute(query)}


def ledger(session: Session) -> list[tuple[str, str, list[str]]]:
    """Every run that told of own columns, oldest first: run, time, columns."""
    rows = session.scalars(select(MomentColumnRow).order_by(MomentColumnRow.time, MomentColumnRow.run))
    return [
        (run, of_run[0].time, [*sorted(row.column for row in of_run)])
        for run, group in groupby(rows, key=lambda row: row.run)
        for of_run in [list(group)]
    ]


def load(session: Session, digest: bytes) -> Tags:
    """The tags that were entered under a digest."""
    return np.frombuffer(session.get_one(MomentValuesRow, digest).tags, "<u4").astype(np.uint32)
