"""What the vault gives out, as values: whoever takes them need not know the vault, and can read nothing with them."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from privacy.psi.oprf import PackedIdentifiers

Columns: TypeAlias = dict[str, np.ndarray[Any, np.dtype[Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identifiers:
    """The distinct normalised ids of clients with consent, with the key that finds each row again.

    Packed by the vault: as single objects a million of them take 200 MB, and lie scattered among all that was read.
    """

    ids: PackedIdentifiers
    row_keys: PackedIdentifiers
    rejected: dict[str, int]  # rows whose id is malformed, by reason
    duplicates: int  # rows left out because their id stood in an earlier row
    without_consent: int
    unknown_region: int
    until: str  # when the first of these consents ends


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentedRows:
    """All rows with consent, in the order of their keys: the order tells nothing of the source's own."""

    row_keys: tuple[bytes, ...]
    columns: Columns  # float64 with NaN, or text with "" where a value is missing
    without_consent: int
    until: str  # when the first of these consents ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Clients:
    """The ids of aligned clients as this partner writes them, their rows in the source (from 0), and until when each
    one's consent holds.
    """

    client_ids: tuple[str, ...]
    rows: tuple[int, ...]
    until: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What this node's own people see of a source: names and counts, no value."""

    rows: int
    types: dict[str, str]  # column -> type, in the source's order
    missing: dict[str, int]  # column -> rows without a value
    identifiers: int  # distinct well-formed ids
    rejected: dict[str, int]
    duplicates: int
    unknown_region: int
    consents: dict[str, int]  # purpose -> distinct ids with consent now


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A row that can't be matched: its number in the source, from 0, why, and what stands there."""

    row: int
    reason: str
    value: str
