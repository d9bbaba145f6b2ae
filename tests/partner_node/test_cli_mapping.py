"""From a mapping file to the hub's directory: a node as a process of its own, its socket, and a hub it publishes to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub import cli_features
from tests.partner_node.alliance import resident_id
from tests.partner_node.harbour import Harbour, harbour, prepare, until
from tests.partner_node.test_cli import Running

pytestmark = [pytest.mark.flow, pytest.mark.slow_flow]
GOOD = 'catalogue = 1\n[columns]\nSPEND = {feature = "spend_total_12m", factor = "1/100"}\n'


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Harbour]:
    with harbour(tmp_path) as made:
        yield made


@pytest.fixture
def node(hub: Harbour) -> Iterator[Running]:
    settings = prepare(hub, "bank")
    config = settings.folder / "node.toml"
    config.write_text(config.read_text().replace('["profile"]', '["joint-profile"]'))
    rows = [f"{resident_id(n)},{100_000 + 1_000 * n}" for n in range(120)]
    (settings.folder / "clients.csv").write_text("\n".join(["client_id,SPEND", *rows]) + "\n")
    running = Running(settings)
    yield running
    if running.process.poll() is None:
        running.stop()


def test_a_column_becomes_a_standard_feature_that_the_hub_lists(node: Running, hub: Harbour, tmp_path: Path) -> None:
    until(lambda: node.json("status")["connected"])
    file = tmp_path / "mapping.toml"
    file.write_text(GOOD.replace(', factor = "1/100"', ""))
    wrong = node.run("map-columns", "clients", "--file", str(file))
    assert wrong.exit_code == 1 and 'factor = "1/100"' in wrong.stdout
    file.write_text(GOOD)
    assert node.json("map-columns", "clients", "--file", str(file))["stored"]
    assert node.refused("map-columns", "staff", "--file", str(file)) == "ASSET_UNKNOWN"
    node.json("publish")
    until(lambda: node.json("status")["receipts"] == 1)
    (offered,) = cli_features.every(hub.command("partners")["partners"])
    assert (offered.partner, offered.feature, offered.column) == ("bank", "spend_total_12m", "SPEND")
    assert node.stop() == 0
