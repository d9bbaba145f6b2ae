"""The hub anchors its log by itself, over real processes: killed between sending and booking, its chain away a while.

What the examiner then reads on the chain is the log that the bundle holds. The tests are one story and run in order.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from contracts import anchor, keys
from contracts.chain import Chain
from contracts.keys import Address, parse_address
from sandbox.processes import run
from sandbox.world import ALLIANCE, CHAIN_ID
from tests.support import launch_alliance, launch_fixtures
from tests.support.launch import Fault, Plan
from tests.support.launch_alliance import PARTNERS, Alliance, wait

pytestmark = [pytest.mark.flow, pytest.mark.slow_flow]
SENT = Plan(faults=(Fault(at="contracts.chain:Chain.send", when="after"),))


@pytest.fixture(scope="module")
def alliance(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alliance]:
    with launch_alliance.copy(launch_fixtures.founded(base), tmp_path_factory.mktemp("anchor") / "w") as made:
        made.start("chain")
        yield made


@pytest.fixture(scope="module")
def contract(alliance: Alliance) -> Address:
    """Deployed by the governor, who names the hub's account; named in hub.toml."""
    world = alliance.world
    options = ["--endpoint", world.endpoint, "--chain-id", str(CHAIN_ID), "--key", str(world.key_file("governor"))]
    made = run("sandbox", "chain", "anchor", "deploy", *options).check().json["anchor"]
    account = keys.read(world.hub_folder / "keys" / "submitter.key").address
    log = ["--anchor", made, "--origin", f"ecohub/{ALLIANCE}/audit", "--account", account]
    run("sandbox", "chain", "anchor", "submitter", *options, *log).check()
    settings = world.hub_config.read_text()
    world.hub_config.write_text(settings.replace("[chain]", f'[chain]\nanchor = "{made}"\nanchor_seconds = 1'))
    return parse_address(made)


def intents(alliance: Alliance) -> list[Any]:
    with closing(sqlite3.connect(alliance.world.hub_folder / "hub.db")) as books:
        return books.execute(
            "select size, state, raw from chain_intent where kind = 'anchor' order by number"
        ).fetchall()


def anchored(alliance: Alliance, contract: Address) -> list[int]:
    with Chain(alliance.world.endpoint, CHAIN_ID) as chain:
        found = anchor.events(chain.logs(contract, 0, chain.head()), contract)
    return [int(event["size"]) for event in found if event.name == "Anchored"]


def status(alliance: Alliance) -> Any:
    return alliance.call("operator", "whoami")["anchor"]


def all_of_it(alliance: Alliance) -> Any:
    """The hub's word, once every record of its log is anchored."""
    found = status(alliance)
    return found if found["since"] is None and found["size"] == found["records"] else None


def test_a_hub_killed_between_sending_and_booking_anchors_once(alliance: Alliance, contract: Address) -> None:
    hub = alliance.process("hub")
    hub.plan = SENT
    hub.start()
    hub.wait_killed()
    ((size, state, raw),) = intents(alliance)
    assert state == "OPEN" and anchored(alliance, contract) == [size]
    alliance.start("hub")
    wait(lambda: [row[1] for row in intents(alliance)] == ["DONE"], "the intent's end")
    assert intents(alliance) == [(size, "DONE", raw)]
    assert anchored(alliance, contract) == [size] and all_of_it(alliance)["size"] == size


def test_nodes_co_sign_what_is_anchored(alliance: Alliance, contract: Address) -> None:
    alliance.start(*PARTNERS)
    alliance.call("operator", "invite", {"partner": "newcomer"})
    size = wait(lambda: all_of_it(alliance), "the new record's anchor")["size"]

    def cosigned() -> bool:
        with closing(sqlite3.connect(alliance.world.hub_folder / "hub.db")) as books:
            query = "select count(*) from cosignature where log = 'audit' and size = ?"
            return books.execute(query, (size,)).fetchone() == (len(PARTNERS),)

    wait(cosigned, "the nodes' co-signatures")


def test_a_chain_that_is_away_is_told_and_made_up_for(alliance: Alliance, contract: Address) -> None:
    before = anchored(alliance, contract)
    alliance.stop("chain")
    alliance.call("operator", "invite", {"partner": "second-newcomer"})
    told = wait(lambda: found if (found := status(alliance))["failure"] else None, "the hub to notice")
    assert told["failure"] == "CHAIN_UNAVAILABLE" and told["since"] and told["size"] == before[-1]
    log = (alliance.world.logs / "hub.log").read_text()
    assert f"the audit log is not anchored since {told['since']}" in log
    alliance.start("chain")
    wait(lambda: all_of_it(alliance), "the hub to go on")
    sizes = anchored(alliance, contract)
    assert sizes[: len(before)] == before and len(sizes) == len(before) + 1 and sizes == sorted(set(sizes))
    assert [row[:2] for row in intents(alliance)] == [(size, "DONE") for size in sizes]


def test_the_examiner_reads_the_anchored_size_on_the_chain(
    alliance: Alliance, contract: Address, tmp_path: Path
) -> None:
    alliance.call("operator", "checkpoint")
    parts = [tmp_path / f"{name}.toml" for name in PARTNERS]
    for name, part in zip(PARTNERS, parts, strict=True):
        part.write_text(alliance.node(name, "trust.export")["toml"])
    trust, bundle = tmp_path / "trust.toml", tmp_path / "bundle.zip"
    run("regulator", "trust", "merge", *map(str, parts), "--out", str(trust)).check()
    bundle.write_bytes(alliance.call_body("operator", "bundle", {"period": "2026-10"})[1])
    examined = run("regulator", "examine", str(bundle), "--trust", str(trust), "--json", cwd=tmp_path)
    assert examined.exit_code == 0, examined.stdout
    told = json.loads(examined.stdout)["anchored"]["audit"]
    assert (told["size"], told["contract"]) == (status(alliance)["size"], contract)
    assert told["records"] == told["size"]


def test_a_hub_does_not_start_with_an_anchor_that_takes_nothing_from_it(alliance: Alliance, contract: Address) -> None:
    alliance.stop("hub")
    settings = alliance.world.hub_config.read_text()
    alliance.world.hub_config.write_text(settings.replace(contract, alliance.world.contract))
    refused = run("hub", "serve", "--config", str(alliance.world.hub_config))
    assert refused.exit_code == 5 and "ANCHOR_CONTRACT_DIFFERS" in refused.stderr
    alliance.world.hub_config.write_text(settings)
    alliance.start("hub")
