"""Banks over real processes for flows: a hub and N nodes with the same columns and other clients, no chain.

Set up once a run for each size, stopped, copied for each use, as `launch_fixtures` does for the alliance of four.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from federation.plan_horizontal import HorizontalPlan
from federation.tabular import Rows
from partner_node import keys
from sandbox import world
from sandbox.banks import plan, pooled, sources
from sandbox.banks.files import Banks, read
from sandbox.world import Partner, World
from tests.support import launch_alliance
from tests.support.launch_alliance import Alliance, wait
from tests.support.launch_once import once

BANKS = 4
HOUSEHOLDS = 1600
SALT = "5a" * 16
DATA = "data"


def founded(base: Path, banks: int = BANKS, households: int = HOUSEHOLDS) -> Alliance:
    """A founded and enrolled alliance of synthetic banks below a run's folder; its processes are stopped."""

    def generate_and_found(folder: Path) -> Alliance:
        return found(folder, sources.generate(folder / DATA, banks=banks, households=households))

    return once(base / f"b{banks}-{households}", generate_and_found, lambda folder: _world(folder, read(folder / DATA)))


@contextmanager
def copied(base: Path, folder: Path, banks: int = BANKS, households: int = HOUSEHOLDS) -> Iterator[Alliance]:
    """A copy of the run's alliance of so many banks, with its data; nothing of it is started, all is stopped."""
    with launch_alliance.copy(founded(base, banks, households), folder) as alliance:
        yield alliance


def data_of(alliance: Alliance) -> Banks:
    """The data folder that lies beside the institutions' folders."""
    return read(alliance.folder / DATA)


def found(folder: Path, data: Banks) -> Alliance:
    """A founded, enrolled, running alliance: cards pinned, consent imported, assets published."""
    made = Alliance(_world(folder, data))
    try:
        made.world.found()
        made.world.start()
        for name in data.names:
            granted = [client for client in data.rows(name) if world.consents(client)]
            consents = launch_alliance.write_consents(folder / DATA / f"consent-{name}", granted)
            made.node(name, "consent.import", file=str(consents))
            made.node(name, "publish")
        wait(lambda: launch_alliance.published(made) == set(data.names), "the published assets")
    except BaseException:
        made.stop_all()
        raise
    return made


def _world(folder: Path, data: Banks) -> World:
    classes = {column.name: "C2" for column in data.columns} | {data.label: "C2"}
    partners = [Partner(id=name, name=name.title(), source=data.file(name), classes=classes) for name in data.names]
    return World(folder, partners, entropy=os.urandom, broker=None)


def body(data: Banks, **changes: Any) -> dict[str, Any]:
    """A horizontal plan's body with one salt for all, so that two runs have the same test rows; a short run."""
    fields = plan.draft(data, **{"training": training(3), **changes})
    parties = [{**party, "asset": "clients", "id_column": "client_id"} for party in fields["parties"]]
    return {
        **fields, "kind": "train", "version": 1, "parties": parties, "split": {**fields["split"], "salt": SALT},
        "expires": launch_alliance.later(), "nonce": os.urandom(16).hex(), "valid_days": 90,
        "disclosure": ["the hub learns sums over at least three banks"],
    }  # fmt: skip


def training(rounds: int, **changes: Any) -> dict[str, Any]:
    """The plan's `training` of so many rounds."""
    return {**plan.DEFAULTS["training"], "rounds": rounds, **changes}


def approved(alliance: Alliance, made: Mapping[str, Any]) -> str:
    """The digest of a run that was proposed, approved by every bank, and not started."""
    digest = alliance.propose("data", "train", made)
    alliance.approve(digest, alliance.world.partners)
    wait(lambda: alliance.job(digest)["state"] == "APPROVED", "the last approval")
    return digest


def start(alliance: Alliance, digest: str) -> None:
    alliance.call("data", "start", {"digest": digest})


def run(alliance: Alliance, made: Mapping[str, Any]) -> Any:
    """The job of a whole run, which must complete."""
    digest = approved(alliance, made)
    start(alliance, digest)
    return alliance.completed(digest)


def rows(alliance: Alliance) -> dict[str, Rows]:
    """What each node trains on, made anew from its source, its consents and its own row key."""
    data = data_of(alliance)
    own = {name: keys.load(alliance.world.node_folder(name) / "keys").consent for name in data.names}
    return pooled.tables(data, own)


def read_plan(job: Any) -> HorizontalPlan:
    return HorizontalPlan.from_body(job["body"])
