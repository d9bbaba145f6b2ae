"""The results folder: nobody takes part in a run whose result could not be kept, and what was told is never lost."""

import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from federation.horizontal.results import Model
from partner_node import files, result_files, upkeep
from partner_node.doctor_checks import results
from partner_node.errors import ResultsNotWritable
from tests.partner_node import alliance, horizontal
from tests.partner_node.alliance import TestNode
from tests.partner_node.horizontal import Run


@pytest.fixture
def banks(tmp_path: Path) -> list[TestNode]:
    return horizontal.make_banks(tmp_path)


def block(node: TestNode) -> Path:
    """A file where the folder should be: no user can write into that, not even the one who may write everywhere."""
    folder = node.parts.node.settings.results
    shutil.rmtree(folder, ignore_errors=True)
    folder.write_bytes(b"")
    return folder


def codes(run: Run, partner: str, phase: str) -> set[str]:
    """What the hub was told of a partner in a phase."""
    return {event.states[partner] for event in run.events if event.phase == phase and partner in event.states}


def waiting(node: TestNode) -> list[str]:
    return list(node.command("status")["results_waiting"])


def test_a_folder_is_made_and_left_empty(tmp_path: Path) -> None:
    result_files.check(tmp_path / "results")
    assert [*(tmp_path / "results").iterdir()] == []


@pytest.mark.parametrize("make", ["a file", "a full disk"])
def test_a_folder_that_takes_no_file_is_named_with_the_reason(tmp_path: Path, make: str) -> None:
    folder = tmp_path / "results"
    if make == "a file":
        folder.write_bytes(b"")
    else:
        folder.mkdir()
        (folder / f"{result_files.PROBE}.part").symlink_to("/dev/full")
    with pytest.raises(ResultsNotWritable) as refused:
        result_files.check(folder)
    assert str(folder) in refused.value.message("en") and "resumed" in refused.value.message("en")


def test_nobody_approves_a_run_whose_result_could_not_be_kept(banks: list[TestNode]) -> None:
    job = alliance.propose(banks, "train", horizontal.plan_body(banks))
    folder = block(banks[0])
    assert banks[0].command("job", job=job)["blocked"]["code"] == "RESULTS_NOT_WRITABLE"
    with pytest.raises(ResultsNotWritable):
        banks[0].command("approve", job=job, person="privacy officer")
    folder.unlink()
    assert banks[0].command("approve", job=job, person="privacy officer")["decision"] == "approve"


def test_a_run_begins_without_who_could_not_keep_its_result_and_takes_it_in_once_it_can(banks: list[TestNode]) -> None:
    run = Run(banks, horizontal.plan_body(banks))
    folder = block(banks[3])

    def mend(event: Any) -> None:
        if event.round == 2 and folder.is_file():
            folder.unlink()

    run.before = mend
    found = run.lead()
    assert "RESULTS_NOT_WRITABLE" in codes(run, "bank-d", "deal")
    assert [facts.cohort for facts in found.state.history] == [("bank-a", "bank-b", "bank-c"), horizontal.BANKS]
    assert set(found.told) == set(horizontal.BANKS)


def test_a_folder_that_closes_during_a_run_loses_nothing(banks: list[TestNode], caplog: Any) -> None:
    run = Run(banks, horizontal.plan_body(banks))
    node = run.node("bank-b")

    def close(event: Any) -> None:
        if event.phase == "train" and event.round == 2:
            block(node)

    run.before = close
    found = run.lead()
    short, folder = run.job[:16], node.parts.node.settings.results
    names = {f"model-{short}.bin", f"figures-{short}.json", f"scores-{short}.parquet"}
    assert set(found.told) == set(horizontal.BANKS), "the partner is in the result all the same"
    assert set(waiting(node)) == names
    assert str(folder) in caplog.text, "its own people are told why"

    folder.unlink()
    again = node.reopened()
    assert set(waiting(again)) == names, "kept over a restart"
    assert again.parts.results.place() == 0
    assert {path.name for path in folder.iterdir()} == names
    assert Model.decode((folder / f"model-{short}.bin").read_bytes()).digest == found.model.digest
    assert (folder / f"scores-{short}.parquet").stat().st_mode & 0o777 == 0o600
    assert waiting(again) == []


def test_what_was_placed_is_not_in_the_database_any_more(banks: list[TestNode]) -> None:
    node = banks[0]
    secret = b"scores of clients " * 500
    node.parts.node.database.write("keep", lambda session: result_files.keep(session, "aa" * 32, {"s.parquet": secret}))
    assert node.parts.results.place() == 0
    assert (node.parts.node.settings.results / "s.parquet").read_bytes() == secret
    kept = b"".join(path.read_bytes() for path in node.parts.node.settings.folder.glob("node.db*"))
    assert secret[:64] not in kept


def test_the_upkeep_writes_what_waits(banks: list[TestNode]) -> None:
    node, stop = banks[0], threading.Event()
    node.parts.node.database.write("keep", lambda session: result_files.keep(session, "aa" * 32, {"m.bin": b"model"}))
    stop.set()  # one round
    upkeep.run(node.parts.node.database, node.parts.results, node.clock, stop)
    assert (node.parts.node.settings.results / "m.bin").read_bytes() == b"model"


def test_a_death_between_commit_and_file_loses_nothing(banks: list[TestNode], monkeypatch: pytest.MonkeyPatch) -> None:
    node = banks[0]
    made = {"a.bin": b"1", "b.bin": b"2"}
    node.parts.node.database.write("keep", lambda session: result_files.keep(session, "aa" * 32, made))

    class Died(BaseException):
        """As by kill -9: nothing after it runs."""

    def die(path: Path, data: bytes) -> None:
        if path.name == "b.bin":
            raise Died
        write(path, data)

    write = files.replace
    monkeypatch.setattr(files, "replace", die)
    with pytest.raises(Died):
        node.parts.results.place()
    monkeypatch.undo()
    again = node.reopened()
    assert waiting(again) == ["b.bin"]
    assert again.parts.results.place() == 0


def test_the_doctor_names_a_folder_that_takes_no_file(banks: list[TestNode], tmp_path: Path) -> None:
    nowhere = replace(banks[0].parts.node.settings, folder=tmp_path / "not yet")
    assert results(nowhere).code == "NOT_STARTED" and not nowhere.folder.exists(), "it looks, and makes nothing"
    assert results(banks[0].parts.node.settings).code == "OK"
    block(banks[0])
    assert results(banks[0].parts.node.settings).code == "RESULTS_NOT_WRITABLE"
