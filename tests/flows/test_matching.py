"""Matching by name over real processes: chain, hub and nodes on loopback.

Rows to one side and to both, and rows with labels, compared with the sets that were entered and with the source; the
files that people get; a party that is not entitled has nothing.
"""

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from click.testing import CliRunner

from ecowire import status
from hub import cli_data
from partner_node import cli_matching
from privacy.errors import Failure
from sandbox import world
from tests.support import launch_alliance
from tests.support.launch_alliance import Alliance

pytestmark = pytest.mark.flow
PAIR = ("broker", "bank")
LABEL = "CHECKING"


def shared(alliance: Alliance) -> set[str]:
    """The clients of both with consent."""
    known = [set(launch_alliance.rows(alliance.world.partners[name].source)) for name in PAIR]
    return {client for client in set.intersection(*known) if world.consents(client)}


def rows_body(engine: str, **changes: Any) -> dict[str, Any]:
    return launch_alliance.match_body("rows", *PAIR, engine=engine, version=2, **changes)


def result(alliance: Alliance, partner: str, job: str, file: Path) -> list[dict[str, str]]:
    """The row map that a partner's own people get."""
    alliance.node(partner, "match.result", job=job, file=str(file))
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.mark.parametrize("engine", ["oprf", pytest.param("ecdh", marks=pytest.mark.slow_flow)])
def test_rows_for_one_side(alliance: Alliance, tmp_path: Path, engine: str) -> None:
    job = alliance.run_job("data", "match", rows_body(engine))
    found = result(alliance, "broker", job["digest"], tmp_path / "rows.csv")
    assert {line["client_id"] for line in found} == shared(alliance)
    source = [*launch_alliance.rows(alliance.world.partners["broker"].source)]
    assert [source[int(line["row"])] for line in found] == [line["client_id"] for line in found]
    alliance.node("broker", "match.result", job=job["digest"], file=str(tmp_path / "rows.parquet"))
    table = pyarrow.parquet.read_table(tmp_path / "rows.parquet")
    assert table.column("client_id").to_pylist() == [line["client_id"] for line in found]
    reported = {d["signer"]: d["body"]["count"] for d in job["documents"] if d["kind"] == "match-result"}
    assert reported == {"broker": len(found), "bank": None}
    with pytest.raises(Failure) as refused:
        result(alliance, "bank", job["digest"], tmp_path / "none.csv")
    assert status.code_of(refused.value) == "RESULT_WITHOUT_ROWS"


@pytest.mark.parametrize("engine", ["oprf", pytest.param("ecdh", marks=pytest.mark.slow_flow)])
def test_rows_for_both_sides(alliance: Alliance, tmp_path: Path, engine: str) -> None:
    job = alliance.run_job("data", "match", rows_body(engine, both=True))
    for name in PAIR:
        found = result(alliance, name, job["digest"], tmp_path / f"{name}.csv")
        assert {line["client_id"] for line in found} == shared(alliance)
    parties = job["progress"]["parties"]
    assert all(parties[name]["parts"][0] == parties[name]["parts"][1] > 0 for name in PAIR)


def test_labels_are_those_of_the_source(alliance: Alliance, tmp_path: Path) -> None:
    source = launch_alliance.rows(alliance.world.partners["bank"].source)
    labels = {"partner": "bank", "column": LABEL, "bytes": 24}
    body = launch_alliance.match_body("labels", *PAIR, engine="oprf", version=2, labels=labels)
    job = alliance.run_job("data", "match", body)
    file = tmp_path / "labels.parquet"
    told = alliance.node("broker", "match.result", job=job["digest"], file=str(file))
    found = pyarrow.parquet.read_table(file).to_pydict()
    assert dict(zip(found["client_id"], found["label"], strict=True)) == {
        client: source[client][LABEL] for client in shared(alliance)
    }
    assert len(set(found["label"])) > 2, "or the source says nothing"
    assert [line["label"] for line in result(alliance, "broker", job["digest"], tmp_path / "labels.csv")] == [
        "'" + label if label.startswith("-") else label for label in found["label"]
    ]
    assert (told["clients"], told["not_text"]) == (len(found["label"]), 0)
    reported = {d["signer"]: d["body"]["count"] for d in job["documents"] if d["kind"] == "match-result"}
    assert reported == {"broker": len(found["label"]), "bank": None}
    with pytest.raises(Failure) as refused:
        result(alliance, "bank", job["digest"], tmp_path / "none.csv")
    assert status.code_of(refused.value) == "RESULT_WITHOUT_ROWS"


@pytest.mark.slow_flow
def test_a_list_that_was_masked_once_by_peoples_commands(alliance: Alliance, tmp_path: Path) -> None:
    """An epoch is proposed, asked in two jobs, listed and ended; its jobs then need the next one."""
    line = ["match", "propose", "--mode", "cached", "--leader", "broker", "--with", "bank", "--minimum", "50"]
    config = ["--purpose", world.PURPOSE, "--config", str(alliance.world.person_config("data")), "--json"]

    def run(*epoch: str) -> Any:
        made = CliRunner().invoke(cli_data.data, [*line, *epoch, *config], catch_exceptions=False)
        assert made.exit_code == 0, made.output
        digest = json.loads(made.output)["digest"]
        alliance.approve(digest, PAIR)
        return alliance.finished(digest)

    first = run("--epoch", "1", "--places", "4096", "--points", "5000", "--later", "2:64")
    second = run("--epoch-of", first["digest"])
    for job in (first, second):
        found = result(alliance, "broker", job["digest"], tmp_path / f"{job['digest'][:8]}.csv")
        assert {line["client_id"] for line in found} == shared(alliance)
    assert first["bytes"] - second["bytes"] > 2 * 12 * 4096
    parties = second["progress"]["parties"]
    assert {name: value["parts"] for name, value in parties.items()} == {name: [1, 1] for name in PAIR}

    folder = ["--config", str(alliance.world.node_folder("bank") / "node.toml")]
    wide = CliRunner(env={"COLUMNS": "400"})
    listed = wide.invoke(cli_matching.matching, ["epochs", "--lang", "zh", *folder], catch_exceptions=False)
    assert "被查询方（密钥）" in listed.output and "有效" in listed.output
    end = ["end-epoch", "broker", "1", "--person", "privacy officer", *folder]
    assert CliRunner().invoke(cli_matching.matching, end).exit_code != 0, "without --yes it is only shown"
    ended = CliRunner().invoke(cli_matching.matching, [*end, "--yes", "--json"], catch_exceptions=False)
    assert json.loads(ended.output)["why"] == "person"
    shown = wide.invoke(cli_matching.matching, ["epochs", *folder], catch_exceptions=False)
    assert "a person ended it" in shown.output
    assert run("--epoch", "2", "--places", "4096")["state"] == "COMPLETED"
