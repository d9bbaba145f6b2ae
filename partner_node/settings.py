"""A node's settings from one TOML file. Every key is known or an error; paths are relative to the file's folder."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from partner_node import executors, match_rules
from partner_node.errors import AssetUnknown, SettingsInvalid
from partner_node.match_rules import MatchRules
from privacy.errors import Failure
from privacy.ids import PartnerId, parse_partner_id
from privacy.normalise import UnknownIdType, normalise_column

DELTA_LEAST, DELTA_MOST = -30, -3
_DECIMAL = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?", re.ASCII)
CLASSES = ("C1", "C2", "C3")  # JR/T 0171-2020: C3 (authentication, biometrics) never enters a job


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacyBudget:
    """How much noisy training may tell about one row of an asset over the asset's lifetime: (epsilon, delta)."""

    epsilon: Decimal
    delta_log10: int  # delta = 10^this


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One table this partner offers. `source`: a path (.csv, .csv.gz, .parquet) or an SQLAlchemy URL with `table`."""

    name: str
    source: str
    table: str | None
    id_column: str
    id_type: str
    purposes: tuple[str, ...]
    columns: Mapping[str, str] = field(hash=False)  # name -> "C1" | "C2" | "C3"; the id column is not among them
    privacy_budget: PrivacyBudget | None = None
    registered: int | None = None  # clients that are registered: a source with more never enters a match


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What node.toml says. `folder` holds keys, database, socket and results of this node."""

    partner: PartnerId
    name: str
    folder: Path
    hub: str
    enrol: str
    authority: Path
    chain_id: int
    contract: str
    genesis: str  # digest of the chain's genesis document, or empty until the parties agreed on one
    assets: tuple[Asset, ...]
    matching: MatchRules = field(default_factory=MatchRules)
    executor: str = executors.PROCESSES  # where matches are computed

    @property
    def keys(self) -> Path:
        return self.folder / "keys"

    @property
    def database(self) -> Path:
        return self.folder / "node.db"

    @property
    def socket(self) -> Path:
        return self.folder / "node.sock"

    @property
    def results(self) -> Path:
        return self.folder / "results"

    def asset(self, name: object) -> Asset:
        """The asset of this name. Raises AssetUnknown."""
        for asset in self.assets:
            if asset.name == name:
                return asset
        raise AssetUnknown(asset=str(name)[:80])


def load(path: Path) -> Settings:
    """The settings of a TOML file. Raises SettingsInvalid, naming the key: unknown, missing or misshapen."""
    reader = _Reader(path)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsInvalid(file=str(path), why=str(error)) from None
    reader.known(document, "", {"node", "chain", "asset", "matching"})
    node = reader.table(document, "node")
    reader.known(node, "node.", {"partner", "name", "dir", "hub", "enrol", "authority"})
    chain = reader.table(document, "chain") if "chain" in document else {}
    reader.known(chain, "chain.", {"chain_id", "contract", "genesis"})
    try:
        partner = parse_partner_id(node.get("partner"))
    except Failure as failure:
        raise SettingsInvalid(file=str(path), why=f"node.partner: {failure.message()}") from None
    rules = reader.table(document, "matching") if "matching" in document else {}
    assets = tuple(reader.asset(i, value) for i, value in enumerate(reader.tables(document, "asset")))
    if len({asset.name for asset in assets}) != len(assets):
        raise SettingsInvalid(file=str(path), why="two [[asset]] tables have one name")
    return Settings(
        partner=partner,
        name=reader.text(node, "node.name"),
        folder=reader.path(node, "node.dir"),
        hub=reader.text(node, "node.hub"),
        enrol=reader.text(node, "node.enrol"),
        authority=reader.path(node, "node.authority"),
        chain_id=reader.number(chain, "chain.chain_id"),
        contract=reader.text(chain, "chain.contract", default=""),
        genesis=reader.text(chain, "chain.genesis", default=""),
        assets=assets,
        matching=match_rules.parse({name: rules[name] for name in rules if name != "executor"}, reader.fail),
        executor=reader.text(rules, "matching.executor", default=executors.PROCESSES),
    )


class _Reader:
    """Reads typed keys; every failure names the file and the key."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def fail(self, why: str) -> SettingsInvalid:
        return SettingsInvalid(file=str(self._path), why=why)

    def known(self, table: Mapping[str, Any], prefix: str, names: set[str]) -> None:
        for key in table:
            if key not in names:
                raise self.fail(f"unknown key {prefix}{key}")

    def table(self, document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
        value = document.get(name)
        if not isinstance(value, dict):
            raise self.fail(f"the table [{name}] is missing")
        return value

    def tables(self, document: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
        value = document.get(name, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.fail(f"[[{name}]] must be an array of tables")
        return value

    def text(self, table: Mapping[str, Any], key: str, *, default: str | None = None) -> str:
        value = table.get(key.rpartition(".")[2], default)
        if not isinstance(value, str) or (default is None and not value):
            raise self.fail(f"{key} must be text")
        return value

    def number(self, table: Mapping[str, Any], key: str) -> int:
        value = table.get(key.rpartition(".")[2], 0)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self.fail(f"{key} must be a whole number")
        return value

    def path(self, table: Mapping[str, Any], key: str) -> Path:
        return (self._path.parent / self.text(table, key)).resolve()

    def asset(self, index: int, table: Mapping[str, Any]) -> Asset:
        prefix = f"asset[{index}]."
        names = {"name", "source", "table", "id_column", "id_type", "purposes", "columns"}
        self.known(table, prefix, names | {"privacy_budget", "registered"})
        source = self.text(table, prefix + "source")
        id_column, id_type = self.text(table, prefix + "id_column"), self.text(table, prefix + "id_type")
        purposes, columns = table.get("purposes"), table.get("columns")
        if ("://" in source) != ("table" in table):
            raise self.fail(f"{prefix}table goes with a source that is an SQLAlchemy URL, and such a source needs it")
        try:
            normalise_column(id_type, ())
        except UnknownIdType as failure:
            raise self.fail(f"{prefix}id_type: {failure.message()}") from None
        if not isinstance(purposes, list) or not purposes or not all(isinstance(p, str) and p for p in purposes):
            raise self.fail(f"{prefix}purposes must list at least one purpose")
        if not isinstance(columns, dict):
            raise self.fail(f"{prefix}columns must give each column its class")
        for name, class_ in columns.items():
            if class_ not in CLASSES:
                raise self.fail(f"{prefix}columns.{name} must be C1, C2 or C3")
        if id_column in columns:
            raise self.fail(f"{prefix}columns names the id column {id_column}")
        return Asset(
            name=self.text(table, prefix + "name"),
            source=source if "://" in source else str((self._path.parent / source).resolve()),
            table=self.text(table, prefix + "table") if "table" in table else None,
            id_column=id_column,
            id_type=id_type,
            purposes=tuple(purposes),
            columns=dict(columns),
            privacy_budget=self.budget(table, prefix + "privacy_budget"),
            registered=self.number(table, prefix + "registered") if "registered" in table else None,
        )

    def budget(self, table: Mapping[str, Any], key: str) -> PrivacyBudget | None:
        """privacy_budget = {epsilon = "8", delta_log10 = -6}; epsilon is text, so it is exactly what was written."""
        if "privacy_budget" not in table:
            return None
        found = table["privacy_budget"]
        if not isinstance(found, dict) or set(found) != {"epsilon", "delta_log10"}:
            raise self.fail(f'{key} must be {{epsilon = "8", delta_log10 = -6}}')
        epsilon, delta = found["epsilon"], found["delta_log10"]
        if not isinstance(epsilon, str) or not _DECIMAL.fullmatch(epsilon) or Decimal(epsilon) == 0:
            raise self.fail(f"{key}.epsilon must be a positive decimal number as text")
        if not isinstance(delta, int) or isinstance(delta, bool) or not DELTA_LEAST <= delta <= DELTA_MOST:
            raise self.fail(f"{key}.delta_log10 must be a whole number from {DELTA_LEAST} to {DELTA_MOST}")
        return PrivacyBudget(epsilon=Decimal(epsilon), delta_log10=delta)
