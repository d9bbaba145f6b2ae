"""One client's own columns as they are now, for the score of that client alone.

A source is read under a grant of the consent desk and kept in memory for the run's clients with consent, until its file
or the consent records change; a source that can't tell that it changed is read for every ask. Whether this client's
consent holds now is asked again where the answer is committed: an end that comes by the clock changes no record.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np

from federation.features import Columns
from partner_node import sessions
from partner_node.consent import ConsentDesk
from partner_node.errors import NoConsent
from partner_node.node import Node
from partner_node.score_run import KEPT, ScoredRun
from partner_node.vault import Vault

Stamp = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """What was read for one run. stamp: of the source's file before it was read; revision: of the consent records."""

    stamp: Stamp | None
    revision: int
    places: dict[bytes, int] = field(repr=False)  # by row key
    columns: Columns = field(repr=False)


class ScoreRows:
    """The tables read lately. `of` may be called from any thread."""

    def __init__(self, node: Node, desk: ConsentDesk, vault: Vault) -> None:
        self._node = node
        self._desk = desk
        self._vault = vault
        self._lock = threading.Lock()
        self._tables: OrderedDict[str, _Table] = OrderedDict()

    def of(self, run: ScoredRun, key: bytes) -> Columns | None:
        """The client's columns, one value each; None where its row is gone or had no consent when it was read.

        Raises what the desk and the vault raise.
        """
        with self._lock:
            table = self._current(run)
        place = table.places.get(key)
        if place is None:
            return None
        return {name: values[place : place + 1] for name, values in table.columns.items()}

    def _current(self, run: ScoredRun) -> _Table:
        asset = run.plan.party(self._node.settings.partner).asset
        stamp, revision = self._vault.stamp(asset), self._desk.revision()
        known = self._tables.get(run.job)
        if known is not None and stamp is not None and (known.stamp, known.revision) == (stamp, revision):
            return known
        made = self._read(run, asset, stamp, revision)
        self._tables[run.job] = made
        while len(self._tables) > KEPT:
            self._tables.popitem(last=False)
        return made

    def _read(self, run: ScoredRun, asset: str, stamp: Stamp | None, revision: int) -> _Table:
        now = self._node.clock()
        grant = self._desk.score_grant(run.job, asset=asset, columns=run.part.columns, until=run.until, now=now)
        aligned = {row.row_key for row in self._node.database.read(lambda s: sessions.alignment(s, run.plan.alignment))}
        try:
            rows = self._vault.rows(grant, (), now)
        except NoConsent:
            return _Table(stamp=stamp, revision=revision, places={}, columns={})
        kept = [place for place, key in enumerate(rows.row_keys) if key in aligned]
        return _Table(
            stamp=stamp,
            revision=revision,
            places={rows.row_keys[place]: new for new, place in enumerate(kept)},
            columns={name: np.asarray(values)[kept] for name, values in rows.columns.items()},
        )
