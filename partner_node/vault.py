"""The only reader of raw data. Every read takes a grant; out come only granted columns of rows with consent.

Sources: CSV and CSV.gz (UTF-8), Parquet, or an SQLAlchemy URL with a table. Ids are read as text and normalised
(privacy.normalise). Counts of what was left out are returned with what was read, never the values themselves.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import numpy as np

from partner_node import moment_values, sources
from partner_node.errors import AlignmentTooOld, AssetUnknown, GrantRefused, NoConsent, SourceDuplicateIds
from partner_node.grants import INSPECTION, Gate, Grant
from partner_node.moment_values import Tags
from partner_node.readings import Clients, Columns, ConsentedRows, Identifiers, Inspection, Rejected
from partner_node.settings import Asset
from privacy.normalise import IdRejected, Normalised, normalise, normalise_column
from privacy.psi.oprf import PackedIdentifiers

T = TypeVar("T")


class Vault:
    """Reads the assets of one node through its consent gate."""

    def __init__(self, assets: Sequence[Asset], gate: Gate) -> None:
        self._assets = {asset.name: asset for asset in assets}
        self._gate = gate

    def identifiers(self, grant: Grant, now: datetime) -> Identifiers:
        """All distinct ids with consent, in the source's order.

        Raises GrantRefused, NoConsent, and the failures of `sources` (file, column, empty table, unreadable).
        """
        asset = self._asset(grant, now)
        found = _normalised(asset, sources.load(asset))
        consents = self._gate.consents(grant.purpose, now)
        keys = self._gate.row_keys(found.ids)
        kept = [(client, key) for client, key in zip(found.ids, keys, strict=True) if key in consents]
        if not kept:
            raise NoConsent(asset=asset.name, purpose=grant.purpose)
        return Identifiers(
            ids=PackedIdentifiers.of(client for client, _ in kept),
            row_keys=PackedIdentifiers.of(key for _, key in kept),
            rejected={reason.value: count for reason, count in found.rejected.items()},
            duplicates=found.duplicates,
            without_consent=len(found.ids) - len(kept),
            unknown_region=found.unknown_region,
            until=min(consents[key] for _, key in kept),
        )

    def features(self, grant: Grant, row_keys: Sequence[bytes], now: datetime) -> Columns:
        """The granted columns as float64 (missing: NaN), one row for each row key, in that order.

        Raises GrantRefused, AlignmentTooOld where a client is gone or has no consent now, SourceDuplicateIds,
        SourceColumnNotNumeric, and the failures of `sources`.
        """
        asset = self._asset(grant, now)
        table = sources.load(asset, grant.columns)
        rows, _ = self._rows(asset, table, grant.purpose, row_keys, now)
        return {name: sources.numbers(asset, table, name)[rows] for name in grant.columns}

    def texts(self, grant: Grant, row_keys: Sequence[bytes], now: datetime) -> dict[str, list[str]]:
        """The granted columns as text ("" where a value is missing), one for each row key, in that order.

        Raises as `features`, whatever a column holds.
        """
        asset = self._asset(grant, now)
        table = sources.load(asset, grant.columns, grant.columns)
        rows, _ = self._rows(asset, table, grant.purpose, row_keys, now)
        found = {name: sources.cells(asset, table, name) for name in grant.columns}
        return {name: [cells[row] for row in rows.tolist()] for name, cells in found.items()}

    def rows(self, grant: Grant, texts: Collection[str], now: datetime) -> ConsentedRows:
        """The granted columns of every client with consent now; `texts` names those read as text, the rest are float64.

        Raises GrantRefused, NoConsent, SourceDuplicateIds, SourceColumnNotNumeric, and the failures of `sources`.
        """
        asset = self._asset(grant, now)
        wanted = [name for name in grant.columns if name in texts]
        table = sources.load(asset, grant.columns, wanted)
        found = _normalised(asset, table)
        if found.duplicates:
            raise SourceDuplicateIds(asset=asset.name)
        consents = self._gate.consents(grant.purpose, now)
        keys = self._gate.row_keys(found.ids)
        place = {key: row for key, row in zip(keys, found.rows.tolist(), strict=True) if key in consents}
        if not place:
            raise NoConsent(asset=asset.name, purpose=grant.purpose)
        ordered = sorted(place)
        rows = np.array([place[key] for key in ordered], dtype=np.int64)
        read = {True: sources.texts, False: sources.numbers}
        return ConsentedRows(
            row_keys=tuple(ordered),
            columns={name: read[name in wanted](asset, table, name)[rows] for name in grant.columns},
            without_consent=len(keys) - len(ordered),
            until=min(consents[key] for key in ordered),
        )

    def stamp(self, asset: str) -> tuple[int, ...] | None:
        """What is another once the source's file has changed; None where that can't be told. Raises AssetUnknown."""
        if asset not in self._assets:
            raise AssetUnknown(asset=asset[:80])
        return sources.stamp(self._assets[asset])

    def clients(self, grant: Grant, row_keys: Sequence[bytes], now: datetime) -> Clients:
        """The clients behind row keys, in that order, for this partner's own result files. Raises as `features`."""
        asset = self._asset(grant, now)
        table = sources.load(asset)
        rows, until = self._rows(asset, table, grant.purpose, row_keys, now)
        texts = sources.identifiers(asset, table)
        found = tuple(str(texts[row]) for row in rows)
        return Clients(client_ids=found, rows=tuple(rows.tolist()), until=until)

    def inspect(self, grant: Grant, now: datetime) -> Inspection:
        """Counts of a whole source, under an inspection grant. Raises GrantRefused and the failures of `sources`."""
        asset = self._checked(grant, now)
        if grant.job != INSPECTION:
            raise GrantRefused(why="an inspection needs a grant of its own")
        profile = sources.profile(asset)
        found = _normalised(asset, sources.load(asset))
        keys = set(self._gate.row_keys(found.ids))
        return Inspection(
            rows=profile.rows,
            types=profile.types,
            missing=profile.missing,
            identifiers=len(found.ids),
            rejected={reason.value: count for reason, count in found.rejected.items()},
            duplicates=found.duplicates,
            unknown_region=found.unknown_region,
            consents={purpose: len(keys & self._gate.consents(purpose, now).keys()) for purpose in asset.purposes},
        )

    def survey(self, grant: Grant, measures: Mapping[str, Callable[[list[str]], T]], now: datetime) -> dict[str, T]:
        """What each measure says of its column's cells (as text, "" where missing), under an inspection grant.

        A measure counts: it must hand out nothing that tells of single rows. Raises as `inspect`.
        """
        asset = self._checked(grant, now)
        if grant.job != INSPECTION:
            raise GrantRefused(why="an inspection needs a grant of its own")
        table = sources.load(asset, list(measures), list(measures))
        return {name: measure(sources.cells(asset, table, name)) for name, measure in measures.items()}

    def tags(
        self, grant: Grant, columns: Collection[str], row_keys: Sequence[bytes], key: int, now: datetime
    ) -> dict[str, Tags]:
        """Of each column a tag a row key: whether it is the value of before, and nothing else (partner_node.
        moment_values), under an inspection grant; GONE where the client is no more. Raises as `inspect`, and
        SourceColumnNotNumeric.
        """
        asset = self._checked(grant, now)
        if grant.job != INSPECTION:
            raise GrantRefused(why="an inspection needs a grant of its own")
        table = sources.load(asset, list(columns))
        found = _normalised(asset, table)
        place = dict(zip(self._gate.row_keys(found.ids), found.rows.tolist(), strict=True))
        rows = np.array([place.get(one, -1) for one in row_keys], dtype=np.int64)
        made = {name: moment_values.tags(sources.numbers(asset, table, name), key)[rows] for name in columns}
        return {name: np.where(rows < 0, np.uint32(moment_values.GONE), tags) for name, tags in made.items()}

    def rejected(self, grant: Grant, now: datetime) -> tuple[Rejected, ...]:
        """The rows whose id is malformed, under an inspection grant, for this node's own people to mend.

        Raises as `inspect`.
        """
        asset = self._checked(grant, now)
        if grant.job != INSPECTION:
            raise GrantRefused(why="an inspection needs a grant of its own")
        found = []
        for row, raw in enumerate(sources.identifiers(asset, sources.load(asset))):
            try:
                normalise(asset.id_type, raw)
            except IdRejected as failure:
                found.append(Rejected(row=row, reason=failure.reason.value, value="" if raw is None else str(raw)))
        return tuple(found)

    def _asset(self, grant: Grant, now: datetime) -> Asset:
        asset = self._checked(grant, now)
        if grant.job == INSPECTION:
            raise GrantRefused(why="an inspection grant reads no rows")
        return asset

    def _checked(self, grant: Grant, now: datetime) -> Asset:
        name = grant.asset if isinstance(grant, Grant) else ""
        self._gate.check(grant, name, now)
        if name not in self._assets:
            raise AssetUnknown(asset=name[:80])
        return self._assets[name]

    def _rows(
        self, asset: Asset, table: Any, purpose: str, row_keys: Sequence[bytes], now: datetime
    ) -> tuple[np.ndarray[Any, np.dtype[np.int64]], tuple[str, ...]]:
        """Row numbers of the clients behind `row_keys`, and until when each one's consent holds."""
        found = _normalised(asset, table)
        if found.duplicates:
            raise SourceDuplicateIds(asset=asset.name)
        consents = self._gate.consents(purpose, now)
        place = dict(zip(self._gate.row_keys(found.ids), found.rows.tolist(), strict=True))
        lost = sum(key not in place or key not in consents for key in row_keys)
        if lost:
            raise AlignmentTooOld(count=lost)
        return np.array([place[key] for key in row_keys], dtype=np.int64), tuple(consents[key] for key in row_keys)


def _normalised(asset: Asset, table: Any) -> Normalised:
    return normalise_column(asset.id_type, sources.identifiers(asset, table))
