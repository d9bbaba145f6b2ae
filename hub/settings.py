"""The hub's settings: frozen, from one TOML file. An unknown key is an error; paths are relative to the file."""

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from privacy.errors import Failure, Kind

DAY_SECONDS = 86_400
FILE = "hub.toml"


class SettingsInvalid(Failure):
    code = "SETTINGS_INVALID"
    kind = Kind.INVALID
    en = "the settings file {file} is not usable: {why}"
    zh = "配置文件 {file} 不可用：{why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainSettings:
    """Where the settlement chain answers. `contract` is empty until the contract is deployed.

    kind: "sandbox" exports its own blocks and genesis; "standard" is any other endpoint, whose blocks are rebuilt from
    the standard methods. gas_price: wei, 0 on a free-gas chain. confirmations: blocks that must follow a transaction's
    before the books count on it; 0 where a sealed block is final. receipt_seconds: how long a step waits for that.
    anchor: the contract that keeps the audit log's checkpoints, empty for none; anchor_seconds: how long a record waits
    at most for the checkpoint that holds it.
    """

    endpoint: str = ""
    chain_id: int = 0
    contract: str = ""
    kind: str = "sandbox"
    gas_price: int = 0
    confirmations: int = 0
    receipt_seconds: int = 60
    anchor: str = ""
    anchor_seconds: int = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One hub. `listen` and `enrol` are "host:port"; port 0 takes a free one."""

    alliance: str
    dir: Path
    listen: str
    enrol: str
    database: str = "sqlite:///hub.db"
    chain: ChainSettings = ChainSettings()
    node_certificate_seconds: int = 30 * DAY_SECONDS
    person_certificate_seconds: int = 30 * DAY_SECONDS
    invite_seconds: int = 3 * DAY_SECONDS
    nodes_max: int = 32
    calls_max: int = 16
    round_seconds: int = 600  # how long a training round waits for a node
    cosign_seconds: int = 30  # how long `checkpoint` waits for the connected nodes
    file: Path = Path("hub.toml")

    @property
    def keys(self) -> Path:
        return self.dir / "keys"


def load(path: Path) -> Settings:
    """The settings of a TOML file. Raises SettingsInvalid: absent, malformed, unknown key, wrong type."""
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsInvalid(file=str(path), why="there is no such file; `ecohub hub init` writes one") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsInvalid(file=str(path), why=str(error)) from None
    if unknown := set(tree) - {"hub", "chain"}:
        raise SettingsInvalid(file=str(path), why=f"unknown tables {sorted(unknown)}")
    hub, chain = dict(tree.get("hub", {})), dict(tree.get("chain", {}))
    _check(path, "hub", hub, Settings, {"chain", "file"})
    _check(path, "chain", chain, ChainSettings, set())
    for name in ("alliance", "listen", "enrol"):
        if not hub.get(name):
            raise SettingsInvalid(file=str(path), why=f"[hub] {name} is missing")
    made = ChainSettings(**chain)
    if made.kind not in ("sandbox", "standard"):
        raise SettingsInvalid(file=str(path), why="[chain] kind is sandbox or standard")
    if made.confirmations and made.kind == "sandbox":
        raise SettingsInvalid(
            file=str(path), why="[chain] confirmations: a block of the sandbox chain is final at once"
        )
    if made.receipt_seconds == 0:
        raise SettingsInvalid(file=str(path), why="[chain] receipt_seconds is at least 1")
    if made.anchor_seconds == 0:
        raise SettingsInvalid(file=str(path), why="[chain] anchor_seconds is at least 1")
    if made.anchor and not (made.endpoint and made.chain_id):
        raise SettingsInvalid(file=str(path), why="[chain] anchor needs endpoint and chain_id")
    base = path.resolve().parent
    hub["dir"] = base / str(hub.get("dir", "."))
    database = _database(str(hub.get("database", "sqlite:///hub.db")), hub["dir"])
    return Settings(**{**hub, "database": database, "chain": made, "file": path.resolve()})


def _check(path: Path, table: str, values: dict[str, Any], form: type, hidden: set[str]) -> None:
    kinds = {field.name: field.type for field in fields(form) if field.name not in hidden}
    for name, value in values.items():
        if name not in kinds:
            raise SettingsInvalid(file=str(path), why=f"unknown key [{table}] {name}")
        expected = int if kinds[name] is int else str
        if not isinstance(value, expected) or isinstance(value, bool) or (isinstance(value, int) and value < 0):
            raise SettingsInvalid(file=str(path), why=f"[{table}] {name} is not a {expected.__name__} of this kind")


def _database(url: str, folder: Path) -> str:
    # sqlite:///name is relative to the hub's folder, not to the working directory
    prefix = "sqlite:///"
    if url.startswith(prefix) and not url.startswith(prefix + "/"):
        return f"{prefix}{folder / url.removeprefix(prefix)}"
    return url
