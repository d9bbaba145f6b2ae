"""Mapping of this node's columns to the standard features of the alliance: check, keep, show, suggest, publish.

Checks read the source in place, inside the vault; what comes out are counts, and they stay with this node's own people.
Published are features with column, class and purposes.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from ecowire.documents import Body
from federation.schema import check, coverage, offer, standard, suggest
from federation.schema.errors import FeatureUnknown, MappingUnreadable
from federation.schema.mapping import BYTES_MAX, Entry, Finding, near, parse
from federation.schema.measure import Figures, measure
from partner_node import store_mappings, times
from partner_node.arguments import flag, optional_text, text
from partner_node.node import Commands, Node
from partner_node.readings import Inspection
from partner_node.settings import Asset
from partner_node.store_mappings import Stored
from privacy import canonical

Inspect: TypeAlias = Callable[[Asset], Inspection]
Survey: TypeAlias = Callable[[Asset, Mapping[str, Callable[[list[str]], Figures]]], dict[str, Figures]]


class Mappings:
    """`inspect` and `survey` are the vault's, each under an inspection grant."""

    def __init__(self, node: Node, inspect: Inspect, survey: Survey) -> None:
        self._node = node
        self._inspect = inspect
        self._survey = survey
        self._catalogue = standard.load()

    def commands(self) -> Commands:
        return {"mapping.check": self.check, "mapping.show": self.show, "mapping.suggest": self.suggest}

    def check(self, arguments: Mapping[str, Any]) -> Body:
        """Check a mapping file against an asset's source; keep it where nothing stops it, unless `dry_run`. Coverage is
        of the columns that nothing stops.

        Raises AssetUnknown, MappingUnreadable, MappingMalformed, MappingOtherCatalogue and what the vault raises; all
        that is wrong with single columns is listed as findings.
        """
        asset, dry = self._node.settings.asset(text(arguments, "asset")), flag(arguments, "dry_run")
        entries, findings = self._read(Path(text(arguments, "file")))
        figures, found = self._measured(asset, entries)
        listed = sorted([*findings, *found], key=lambda finding: int(finding.failure.facts.get("line", 0)))
        stopped = any(finding.stops for finding in listed)
        wrong = {finding.failure.facts.get("column") for finding in listed if finding.stops}
        if not dry and not stopped:
            stored = self._stored(asset, entries)
            self._node.database.write("keep mapping", lambda session: store_mappings.keep(session, stored))
        columns: list[canonical.Value] = [
            {"column": entry.column, "feature": entry.feature.name, "line": entry.line, **measured(figures, entry)}
            for entry in entries
        ]
        return {
            "asset": asset.name,
            **self._head(),
            "stored": not dry and not stopped,
            "stopped": stopped,
            "columns": columns,
            "findings": [finding.to_value() for finding in listed],
            "coverage": self._coverage({entry.feature.name for entry in entries if entry.column not in wrong}),
        }

    def show(self, arguments: Mapping[str, Any]) -> Body:
        """The mapping kept for an asset, or for all, and which standard features they offer. Raises AssetUnknown."""
        name = optional_text(arguments, "asset")
        names = [self._node.settings.asset(name).name] if name else [a.name for a in self._node.settings.assets]
        kept = [stored for stored in self._node.database.read(store_mappings.every) if stored.asset in names]
        mappings: list[canonical.Value] = [
            {"asset": stored.asset, "catalogue": stored.catalogue, "time": stored.time, "columns": stored.columns}
            for stored in kept
        ]
        offered = {str(entry["feature"]) for stored in kept for entry in stored.columns.values()}
        return {**self._head(), "mappings": mappings, "coverage": self._coverage(offered)}

    def suggest(self, arguments: Mapping[str, Any]) -> Body:
        """A mapping file by the names and types of an asset's columns, for people to mend. Raises AssetUnknown."""
        asset = self._node.settings.asset(text(arguments, "asset"))
        lang = optional_text(arguments, "lang") or "en"
        types = {name: kind for name, kind in self._inspect(asset).types.items() if name != asset.id_column}
        found = suggest.suggest(types, self._catalogue)
        return {
            "asset": asset.name,
            **self._head(),
            "suggested": {item.column: item.feature.name for item in found},
            "toml": suggest.toml(found, list(types), self._catalogue, lang),
        }

    def offer(self, asset: Asset, found: Inspection) -> Body:
        """What is published of the asset's mapping, {} where it has none.

        Settings and source may have changed since it was kept. Raises the failure of the first rule that it breaks now,
        and FeatureUnknown where this program's catalogue has lost a feature.
        """
        stored = self._node.database.read(lambda session: store_mappings.find(session, asset.name))
        if stored is None:
            return {}
        names = {column: str(spec["feature"]) for column, spec in stored.columns.items()}
        for column, name in names.items():
            broken = check.rule(self._known(column, name, int(stored.columns[column]["line"])), _view(asset, found))
            if broken is not None:
                raise broken.failure
        columns = {name: column for column, name in names.items()}
        return {offer.KEY: offer.make(stored.catalogue, stored.digest, columns, asset.columns, asset.purposes)}

    def _known(self, column: str, name: str, line: int) -> Entry:
        feature = self._catalogue.find(name)
        if feature is None:
            close = near(name, tuple(known.name for known in self._catalogue.features))
            raise FeatureUnknown(line=line, column=column, feature=name, near=close)
        return Entry(column=column, feature=feature, line=line)

    def _read(self, file: Path) -> tuple[tuple[Entry, ...], tuple[Finding, ...]]:
        try:
            with file.open("rb") as opened:
                data = opened.read(BYTES_MAX + 1)
        except OSError as error:
            raise MappingUnreadable(file=str(file), why=error.strerror or type(error).__name__) from None
        return parse(data, str(file), self._catalogue)

    def _measured(self, asset: Asset, entries: tuple[Entry, ...]) -> tuple[dict[str, Figures], list[Finding]]:
        """Figures of each column that the rules let through, and the findings of rules and figures."""
        view = _view(asset, self._inspect(asset))
        broken = {entry.column: check.rule(entry, view) for entry in entries}
        sound = [entry for entry in entries if broken[entry.column] is None]
        figures = self._survey(asset, {entry.column: partial(measure, entry) for entry in sound}) if sound else {}
        findings = [finding for finding in broken.values() if finding is not None]
        return figures, [*findings, *(f for entry in sound for f in check.counts(entry, figures[entry.column]))]

    def _stored(self, asset: Asset, entries: tuple[Entry, ...]) -> Stored:
        return Stored(
            asset=asset.name,
            catalogue=self._catalogue.version,
            digest=self._catalogue.digest,
            columns={entry.column: entry.to_value() for entry in entries},
            time=times.to_text(self._node.clock()),
        )

    def _head(self) -> Body:
        return {"catalogue": self._catalogue.version, "digest": self._catalogue.digest}

    def _coverage(self, offered: set[str]) -> canonical.Value:
        return [part.to_value() for part in coverage.of(self._catalogue, offered)]


def measured(figures: Mapping[str, Figures], entry: Entry) -> Body:
    """An entry's figures, {} where a rule kept its column from being read."""
    return figures[entry.column].to_value() if entry.column in figures else {}


def _view(asset: Asset, found: Inspection) -> check.AssetView:
    return check.AssetView(
        name=asset.name,
        id_column=asset.id_column,
        present=tuple(found.types),
        classes=asset.columns,
        purposes=asset.purposes,
    )
