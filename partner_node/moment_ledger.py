"""The ledger of released moments at this node: what a plan would tell beside earlier runs, before and as it begins.

Before a person approves, the values of own columns that an earlier run took are compared with those of now, by tags
that the vault makes under an inspection grant. When the run begins, the values that it read are compared; before its
first message that tells of them leaves they are compared again and entered, in the transaction that lets it out. A run
that ends before then has told nothing and is in no ledger.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import numpy as np
from sqlalchemy.orm import Session

from federation.plan import TrainingPlan
from federation.vertical import Table
from partner_node import moment_values, moments, sessions
from partner_node.consent import ConsentDesk
from partner_node.disclosure import Pair
from partner_node.grants import Grant
from partner_node.moment_values import Tags
from partner_node.moments import Change
from partner_node.node import Node


class Reader(Protocol):
    """What of the vault is needed here."""

    def tags(
        self, grant: Grant, columns: Collection[str], row_keys: Sequence[bytes], key: int, now: datetime
    ) -> dict[str, Tags]: ...

    def stamp(self, asset: str) -> tuple[int, ...] | None: ...


class Moments:
    """The ledger of one node."""

    def __init__(self, node: Node, desk: ConsentDesk, vault: Reader) -> None:
        self._node = node
        self._desk = desk
        self._vault = vault
        self._source: tuple[object, dict[str, Tags]] | None = None  # what was read last for an approval
        self._key = moment_values.key_of(node.keys.consent)
        self._values: dict[str, dict[str, Tags]] = {}  # of the run that was read last
        self._passed: tuple[object, list[Change]] | None = None  # the last look that refused nothing, and its basis

    def changes(self, plan: TrainingPlan) -> list[Change]:
        """What changed since earlier runs; a label of several classes is looked at when it is read.

        Raises RunsTooAlike, BinsTooAlike, ValuesChanged, RunsTogetherTell, MomentsTellRows, SmallCellsFollow, and what
        `Vault.tags` raises.
        """
        me, now = self._node.settings.partner, self._node.clock()
        known = self._node.database.read(lambda session: moments.known_before(session, plan, me))
        columns = [name for name in moments.columns_of(plan, me) if name in known]
        if plan.positive is not None:
            columns = [name for name in columns if name != moments.label_name(plan)]
        tags = self._tags_now(plan, columns, now) if columns else {}
        return self._look(plan, tags)

    def _look(self, plan: TrainingPlan, now: Mapping[str, Tags]) -> list[Change]:
        """`moments.check`, not once more while all that it rests on is as it was when it refused nothing."""
        me = self._node.settings.partner

        def look(session: Session) -> list[Change]:
            basis, passed = moments.basis(session, plan, me, now), self._passed
            if passed is None or passed[0] != basis:
                passed = self._passed = basis, moments.check(session, plan, me, now)
            return passed[1]

        return self._node.database.read(look)

    def _tags_now(self, plan: TrainingPlan, columns: Sequence[str], now: datetime) -> dict[str, Tags]:
        """Of these own columns of the aligned clients as the source has them; read once while its file is the same."""
        asset = plan.party(self._node.settings.partner).asset
        stamp = self._vault.stamp(asset)
        wanted = (stamp, asset, plan.alignment, tuple(columns))
        if self._source is None or stamp is None or self._source[0] != wanted:
            aligned = self._node.database.read(lambda session: sessions.alignment(session, plan.alignment))
            grant, keys = self._desk.inspection(asset, now), [row.row_key for row in aligned]
            self._source = wanted, self._vault.tags(grant, columns, keys, self._key, now)
        return self._source[1]

    def remarks(self, plan: TrainingPlan) -> list[Pair]:
        """What changed, for the person who approves. Raises as `changes`."""
        return [
            (
                f"values of {one.column} are others for {one.count} of the clients than in the run {one.run}: the two "
                f"results together tell about these {one.count}, by their difference, and old and new values count as "
                "told",
                f"与任务 {one.run} 相比，{one.column} 有 {one.count} 名客户的取值已改变：两次结果相减会反映这 "
                f"{one.count} 名客户整体的变化，新旧取值均计入已披露",
            )
            for one in self.changes(plan)
        ]

    def take(self, plan: TrainingPlan, table: Table) -> None:
        """Keep the tags of what a run has read until they are entered."""
        values = dict(table.columns)
        if table.label is not None:
            values[moments.label_name(plan)] = table.label
        made = {
            name: moment_values.tags(np.asarray(values[name], np.float64), self._key)
            for name in moments.columns_of(plan, self._node.settings.partner)
            if values[name].dtype.kind in "biuf"  # of anything else the session says that it is no number
        }
        self._values = {plan.digest: made}

    def check(self, plan: TrainingPlan) -> dict[str, Tags]:
        """The values that a run has read, to be entered where it may tell of them. Raises as `changes`."""
        values = self._values[plan.digest]
        self._look(plan, values)
        return values
