"""Data assets: what this partner offers, and a report on its data for its own people.

Published are schema, classes, types, purposes, standard features that columns were mapped to, and a band of the row
count; never a row, never an exact count. Every column of a source must have a class (JR/T 0171-2020: C1 internal, C2
personal and financial, C3 authentication and biometric) before anything of that source is published.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from ecowire import documents
from ecowire.documents import Body
from ecowire.stream import Message
from federation.schema.measure import Figures
from partner_node import approvals, files, store, times
from partner_node.arguments import optional_text, text
from partner_node.consent import ConsentDesk
from partner_node.errors import SourceColumnMissing, SourceColumnUnclassified
from partner_node.mappings import Mappings
from partner_node.node import Commands, Node
from partner_node.readings import Inspection
from partner_node.settings import Asset
from partner_node.vault import Vault
from privacy import canonical

BANDS = (0, 100, 500, 1_000, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000, 5_000_000, 10_000_000)


class Catalogue:
    """Publishes and checks the assets in this node's settings."""

    def __init__(self, node: Node, desk: ConsentDesk, vault: Vault) -> None:
        self._node = node
        self._desk = desk
        self._vault = vault
        self._mappings = Mappings(node, self._inspect, self._survey)

    def commands(self) -> Commands:
        own: Commands = {"publish": self.publish, "check-data": self.check_data, "rejected": self.rejected}
        return {**own, **self._mappings.commands()}

    def publish(self, _: Mapping[str, Any]) -> Body:
        """Sign the list of assets and queue it for the hub.

        Raises SourceColumnUnclassified, SourceColumnMissing, the rule that an asset's mapping breaks by now, and what
        the vault raises; then nothing is published.
        """
        node = self._node
        now = times.to_text(node.clock())
        entries: list[canonical.Value] = [self._entry(asset) for asset in node.settings.assets]
        body: Body = {"partner": node.settings.partner, "assets": entries, "time": now}
        signed = documents.sign("assets", body, node.settings.partner, node.keys.signing)
        request = Message(id=f"assets/{signed.digest}", kind="assets", head={"assets": signed.to_value()})
        node.database.write("publish", lambda session: store.enqueue(session, request, now))
        return {"digest": signed.digest, "assets": entries}

    def check_data(self, arguments: Mapping[str, Any]) -> Body:
        """Counts of one asset, or of all: rows, ids by reason of rejection, missing values, consent by purpose.

        Raises AssetUnknown and what the vault raises.
        """
        name = optional_text(arguments, "asset")
        assets = [self._node.settings.asset(name)] if name else list(self._node.settings.assets)
        return {"assets": [self._report(asset) for asset in assets]}

    def rejected(self, arguments: Mapping[str, Any]) -> Body:
        """How many ids of an asset are malformed, by reason; with `file`, their rows (row, reason, value) as a table.

        of: an asset, or a job that this partner's asset takes part in. The file is for this node's own people: nothing
        of it is ever sent. Raises UnknownJob, AmbiguousJob, OutputExists, and what the vault raises.
        """
        name, file, now = text(arguments, "of"), optional_text(arguments, "file"), self._node.clock()
        if name not in [asset.name for asset in self._node.settings.assets]:
            proposal = self._node.database.read(lambda session: store.proposal(session, name))
            name = str(approvals.party(proposal.body, self._node.settings.partner)["asset"])
        found = self._vault.rejected(self._desk.inspection(name, now), now)
        if file is not None:
            columns = {part: [getattr(item, part) for item in found] for part in ("row", "reason", "value")}
            files.write_table(Path(file), columns)
        counts = _counts(Counter(item.reason for item in found))
        return {"asset": name, "rejected": counts, "rows": len(found), "file": file}

    def _entry(self, asset: Asset) -> Body:
        found = self._inspect(asset)
        check_columns(asset, found)
        offered = {name: kind for name, kind in found.types.items() if name != asset.id_column}
        return {
            "name": asset.name,
            "id_column": asset.id_column,
            "id_type": asset.id_type,
            "columns": {name: asset.columns[name] for name in offered},
            "types": {**offered},
            "rows": band(found.rows),
            "purposes": list(asset.purposes),
            **self._mappings.offer(asset, found),
        }

    def _report(self, asset: Asset) -> Body:
        found = self._inspect(asset)
        unclassified = [name for name in found.types if name != asset.id_column and name not in asset.columns]
        return {
            "name": asset.name,
            "rows": found.rows,
            "identifiers": found.identifiers,
            "duplicates": found.duplicates,
            "rejected": _counts(found.rejected),
            "unknown_region": found.unknown_region,
            "missing": _counts(found.missing),
            "consents": _counts(found.consents),
            "unclassified": [*unclassified],
            "absent": [name for name in asset.columns if name not in found.types],
        }

    def _inspect(self, asset: Asset) -> Inspection:
        now = self._node.clock()
        return self._vault.inspect(self._desk.inspection(asset.name, now), now)

    def _survey(self, asset: Asset, measures: Mapping[str, Callable[[list[str]], Figures]]) -> dict[str, Figures]:
        now = self._node.clock()
        return self._vault.survey(self._desk.inspection(asset.name, now), measures, now)


def check_columns(asset: Asset, found: Inspection) -> None:
    """Raises SourceColumnUnclassified or SourceColumnMissing unless settings and source name the same columns."""
    for name in found.types:
        if name != asset.id_column and name not in asset.columns:
            raise SourceColumnUnclassified(asset=asset.name, column=name)
    for name in asset.columns:
        if name not in found.types:
            raise SourceColumnMissing(asset=asset.name, column=name)


def band(rows: int) -> str:
    """The band a row count falls in: "1000-4999"; the last is open: "10000000+"."""
    for low, high in pairwise(BANDS):
        if rows < high:
            return f"{low}-{high - 1}"
    return f"{BANDS[-1]}+"


def _counts(found: Mapping[str, int]) -> dict[str, canonical.Value]:
    return {name: count for name, count in sorted(found.items()) if count}
