"""Founding a hub: its folder with settings, keys, certificates, database, and the first operator's person folder.

Nothing that exists is overwritten. Key files have mode 0600. The first operator's certificate is the only one that is
issued outside a running hub; all others go through invites and `certify`.
"""

import json
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from contracts import keys as chain_keys
from ecowire.outputs import write_new
from hub import authority, partners
from hub.audit import Log
from hub.person_files import write_person
from hub.services import Clock, Entropy
from hub.settings import FILE, Settings, load
from hub.store import Store, migrate
from privacy import seal
from privacy.errors import Failure, Kind

AUTHORITY_YEARS = 10
SERVER_CERTIFICATE_SECONDS = 365 * 86_400


class AlreadyFounded(Failure):
    code = "HUB_ALREADY_FOUNDED"
    kind = Kind.CONFLICT
    en = "{folder} holds a hub already; nothing was changed"
    zh = "{folder} 中已有枢纽，未作更改"


class AllianceNameInvalid(Failure):
    code = "ALLIANCE_NAME_INVALID"
    kind = Kind.INVALID
    en = "an alliance's name has 2-64 letters, digits, dot, _ or -; no space, as it names the logs"
    zh = "联盟名称须为 2-64 个字母、数字、点、下划线或连字符；因用作日志名，不得含空格"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a new hub is to be. `listen` and `enrol` are host:port; `database` empty: SQLite in the folder."""

    folder: Path
    alliance: str
    listen: str
    enrol: str
    operator: str
    database: str = ""
    chain_endpoint: str = ""
    chain_id: int = 0
    contract: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Founded:
    settings: Path
    authority: Path
    person: Path  # the first operator's person.toml
    submitter: str  # chain address that submits; the chain's genesis must let it send
    log_key: str  # hex


def found(plan: Plan, clock: Clock, entropy: Entropy) -> Founded:
    """Make a hub. Raises AlreadyFounded, AllianceNameInvalid, HeadInvalid for the operator's name."""
    if not re.fullmatch(r"\w[\w.-]{1,63}", plan.alliance):
        raise AllianceNameInvalid
    partners.check_person(plan.operator)
    path = plan.folder / FILE
    if path.exists() or (plan.folder / "keys").exists():
        raise AlreadyFounded(folder=str(plan.folder))
    plan.folder.mkdir(parents=True, exist_ok=True)
    plan.folder.chmod(0o700)
    now = clock()
    ca, log_key, submitter = _make_keys(plan, now, entropy)
    write_new(path, _toml(plan).encode(), mode=0o644)
    settings = load(path)
    migrate(settings.database)
    person = _first_operator(settings, plan.operator, ca, log_key, clock, entropy)
    return Founded(
        settings=path,
        authority=plan.folder / "keys" / "ca.pem",
        person=person,
        submitter=submitter,
        log_key=log_key.public.hex(),
    )


def _make_keys(plan: Plan, now: datetime, entropy: Entropy) -> tuple[authority.Authority, seal.SigningKey, str]:
    keys = plan.folder / "keys"
    keys.mkdir(mode=0o700)
    ca = authority.create(plan.alliance, authority.generate_key(entropy), now, AUTHORITY_YEARS, entropy)
    write_new(keys / "ca.key", authority.private_pem(ca.key))
    write_new(keys / "ca.pem", ca.pem, mode=0o644)
    server = authority.generate_key(entropy)
    write_new(keys / "hub.key", authority.private_pem(server))
    pem = ca.issue_server(server.public_key(), now, SERVER_CERTIFICATE_SECONDS, entropy)
    write_new(keys / "hub.pem", pem, mode=0o644)
    seed = entropy(32)
    write_new(keys / "log.key", (seed.hex() + "\n").encode())
    submitter = chain_keys.generate(entropy)
    submitter.write(keys / "submitter.key")
    return ca, seal.SigningKey(seed), submitter.address


def _first_operator(
    settings: Settings,
    name: str,
    ca: authority.Authority,
    log_key: seal.SigningKey,
    clock: Clock,
    entropy: Entropy,
) -> Path:
    store = Store(settings.database)
    now, key, log = clock(), authority.generate_key(entropy), Log(settings.alliance, log_key)
    try:
        certificate = store.run(
            "founding.operator",
            lambda tx: partners.issue_person(
                tx, log, ca, settings, now, entropy, public_key=key.public_key(), name=name, role="operator", by="init"
            ),
        )
    finally:
        store.close()
    folder = settings.dir / "people" / name
    return write_person(folder, settings.listen, ca.pem, authority.private_pem(key), certificate.pem.encode())


def _toml(plan: Plan) -> str:
    hub = {"alliance": plan.alliance, "listen": plan.listen, "enrol": plan.enrol}
    if plan.database:
        hub["database"] = plan.database
    chain = {"endpoint": plan.chain_endpoint, "chain_id": plan.chain_id, "contract": plan.contract}
    lines = ["# The hub of an alliance. Paths are relative to this file; an unknown key is an error.", "[hub]"]
    # a JSON string or number is a TOML value too (TOML 1.0)
    lines += [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in hub.items()]
    lines += ["", "[chain]", *(f"{name} = {json.dumps(value)}" for name, value in chain.items())]
    return "\n".join(lines) + "\n"
