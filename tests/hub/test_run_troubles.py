"""What went wrong at a partner is kept and shown; a plan that too few nodes take ends, one that can go on rests."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ecowire import status
from ecowire.stream import FAILURE, Message
from federation.errors import ColumnMissing, LabelUnknown, TooFewRows
from federation.horizontal.coordinator import Event
from federation.horizontal.errors import KeySpent, PartnerRefused, UploadMalformed
from federation.plan_horizontal import HorizontalPlan
from hub import horizontal_run, jobs
from hub.identity import Caller
from hub.records import Proposal, Task
from hub.run_troubles import Troubles
from hub.runs import Runs
from hub.services import Services
from hub.store import Store
from privacy.errors import Failure, Kind
from tests.hub.alliance import Hub, hub_without_ports
from tests.hub.horizontal import BANKS, Nodes, approved, command, run_through, wait_for_threads

pytestmark = pytest.mark.slow_flow

FEW = TooFewRows(rows=80, minimum=100)


class DiskFull(Failure):
    code = "DISK_FULL"
    kind = Kind.UNAVAILABLE
    en = "no room \x1b[2J left"
    zh = "磁盘已满"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with hub_without_ports(tmp_path, *BANKS) as made:
        yield made


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the hub's writing transactions."""
    names: list[str] = []
    run = Store.run

    def noted(store: Store, name: str, fn: Any) -> Any:
        names.append(name)
        return run(store, name, fn)

    monkeypatch.setattr(Store, "run", noted)
    return names


@pytest.fixture
def long_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub did not just start: its nodes have found it long ago."""
    monkeypatch.setattr(Services, "uptime_seconds", lambda _: 60.0)


def refusing(nodes: Nodes, failure: Failure, *names: str, phase: str = "") -> dict[str, Any]:
    """These nodes answer with a failure from now on (to one phase, where given); the applications they had."""
    had = {name: nodes.apps[name] for name in names}

    def refuser(name: str) -> Any:
        def application(message: Any, context: Any) -> Any:
            if message.metadata.group_id.endswith(phase):
                raise failure
            return had[name](message=message, context=context)

        return application

    nodes.apps.update({name: refuser(name) for name in names})
    return had


def shown(hub: Hub, job: Proposal) -> Any:
    dana = Caller(name="dana", role="data", fingerprint="")
    return hub.store.read("j", lambda tx: jobs.job(hub.services, tx, dana, hub.now(), {"digest": job.digest})).head


def again(hub: Hub, job: Proposal, nodes: Nodes) -> Proposal:
    command(hub, "resume", job)
    Runs(hub.services).advance(hub.services, job.digest)
    done = nodes.drive(hub.services)
    wait_for_threads()
    return done


def test_a_healthy_run_writes_nothing_of_troubles(hub: Hub, written: list[str]) -> None:
    job = approved(hub, *BANKS)
    assert run_through(hub, job, Nodes(hub, job)).state == "COMPLETED"
    run = shown(hub, job)["run"]
    assert "run.troubles" not in written and run["troubles"] == []
    assert [item["troubles"] for item in run["history"]] == [{}, {}, {}]
    assert {(p["state"], p["code"]) for p in run["parties"].values()} == {("answered", None)}


def test_a_node_that_refuses_is_no_present_one_while_it_runs_and_in_what_is_left(hub: Hub, written: list[str]) -> None:
    job = approved(hub, *BANKS)
    nodes = Nodes(hub, job)
    refusing(nodes, FEW, "bank-b")
    command(hub, "start", job)
    runs = Runs(hub.services)
    runs.advance(hub.services, job.digest)
    nodes.drive(hub.services, lambda: "2.0.train" in nodes.groups())
    live = shown(hub, job)["run"]
    assert (live["round"], live["parties"]["bank-b"]["state"]) == (2, "failed")
    assert live["parties"]["bank-b"]["code"] == "TOO_FEW_ROWS" and live["parties"]["bank-a"]["code"] is None
    assert nodes.drive(hub.services).state == "COMPLETED"
    wait_for_threads()
    found = shown(hub, job)
    run = found["run"]
    assert [item["troubles"] for item in run["history"]] == [{"bank-b": "TOO_FEW_ROWS"}] * 3
    (told,) = run["troubles"]
    assert (told["partner"], told["code"], told["count"], told["first"], told["last"]) == (
        *("bank-b", "TOO_FEW_ROWS"),
        *(5, 0, 4),
    )
    assert told["en"] == FEW.message("en") and told["zh"] == FEW.message("zh")
    assert run["parties"]["bank-b"] == {"state": "failed", "connected": True, "code": "TOO_FEW_ROWS"}
    (record,) = [d["body"] for d in found["documents"] if d["kind"] == "model-record"]
    assert record["unusable"] == {"bank-b": "TOO_FEW_ROWS"}
    assert written.count("run.troubles") == 1  # the same again goes with the run's own transactions


class Closed(Nodes):
    """bank-b's node itself refuses, before its application has a word."""

    def answer(self, services: Services, task: Task) -> None:
        if task.node == "bank-b":
            request = Message(id=task.id, kind=task.kind)
            self.answers[task.id] = request.reply(FAILURE, status.to_head(FEW))
        super().answer(services, task)


def test_a_refusal_of_the_node_itself_is_one_as_well(hub: Hub) -> None:
    job = approved(hub, *BANKS)
    assert run_through(hub, job, Closed(hub, job)).state == "COMPLETED"
    assert [item["troubles"] for item in shown(hub, job)["run"]["history"]] == [{"bank-b": "TOO_FEW_ROWS"}] * 3


def test_who_was_away_at_the_end_is_absent_in_the_record_and_was_not_waited_for_long(
    hub: Hub, long_there: None
) -> None:
    job = approved(hub, *BANKS)
    nodes = Nodes(hub, job)
    nodes.leave("bank-d")
    began = time.monotonic()
    assert run_through(hub, job, nodes).state == "COMPLETED"
    assert time.monotonic() - began < horizontal_run.START_SECONDS - 2
    found = shown(hub, job)
    (record,) = [d["body"] for d in found["documents"] if d["kind"] == "model-record"]
    assert record["unusable"] == {"bank-d": "ABSENT"}
    assert found["run"]["parties"]["bank-d"] == {"state": "failed", "connected": False, "code": "ABSENT"}


@pytest.mark.parametrize("failure", [FEW, LabelUnknown(column="Y", count=3), ColumnMissing(column="AGE")])
def test_a_plan_that_too_few_nodes_take_has_failed_and_names_them(hub: Hub, failure: Failure) -> None:
    job = approved(hub, *BANKS)
    nodes = Nodes(hub, job)
    refusing(nodes, failure, "bank-b", "bank-c")
    ended = run_through(hub, job, nodes)
    assert (ended.state, ended.reason["code"]) == ("FAILED", "PARTNERS_REFUSE")
    for lang in ("en", "zh"):
        assert f"bank-b: {failure.code}, bank-c: {failure.code}" in str(ended.reason[lang])
    assert shown(hub, job)["run"]["parties"]["bank-c"]["code"] == failure.code


def test_what_may_pass_rests_and_says_what_it_was(hub: Hub) -> None:
    job = approved(hub, *BANKS)
    nodes = Nodes(hub, job)
    had = refusing(nodes, DiskFull(), "bank-b", "bank-c")
    paused = run_through(hub, job, nodes)
    assert (paused.state, paused.reason["code"]) == ("PAUSED", "QUORUM_MISSING")
    told = {one["partner"]: one for one in shown(hub, job)["run"]["troubles"]}
    assert told["bank-c"]["code"] == "DISK_FULL" and "\x1b" not in told["bank-c"]["en"]
    nodes.apps.update(had)
    assert again(hub, job, nodes).state == "COMPLETED"


def test_where_nodes_are_away_as_well_they_are_waited_for(hub: Hub, long_there: None) -> None:
    job = approved(hub, *BANKS, deadline_seconds=1)
    nodes = Nodes(hub, job)
    refusing(nodes, FEW, "bank-b")
    nodes.leave("bank-d")
    assert run_through(hub, job, nodes).state == "PAUSED"
    nodes.come("bank-d")
    assert again(hub, job, nodes).state == "COMPLETED"


def test_after_a_finished_round_the_plan_can_work_and_a_refusal_can_be_mended(hub: Hub) -> None:
    job = approved(hub, *BANKS)
    nodes = Nodes(hub, job)
    command(hub, "start", job)
    Runs(hub.services).advance(hub.services, job.digest)
    nodes.drive(hub.services, lambda: "2.0.answer" in nodes.groups())
    had = refusing(nodes, FEW, "bank-b", "bank-c")
    paused = nodes.drive(hub.services)
    wait_for_threads()
    assert (paused.state, paused.reason["code"]) == ("PAUSED", "QUORUM_MISSING")
    assert "bank-b (TOO_FEW_ROWS)" in str(paused.reason["en"])
    nodes.apps.update(had)
    assert again(hub, job, nodes).state == "COMPLETED"


def told(hub: Hub, job: Proposal, *events: Event) -> Failure | None:
    """What a run whose events were these says of going on."""
    troubles = Troubles(hub.services, job.digest)
    for event in events:
        troubles.take(event)
    return troubles.never(HorizontalPlan.from_body(job.body))


def event(phase: str, failure: Failure, *names: str, attempt: int = 0) -> Event:
    refused = {"party_kind": failure.kind.value, "party_en": failure.message("en"), "party_zh": failure.message("zh")}
    failures = {name: PartnerRefused(partner=name, party_code=failure.code, **refused) for name in names}
    states = dict.fromkeys(BANKS, "ok") | dict.fromkeys(names, failure.code)
    return Event(round=1, attempt=attempt, phase=phase, states=states, failures=failures)


def test_only_what_nodes_say_of_the_plan_and_their_rows_is_without_hope(hub: Hub) -> None:
    job = approved(hub, *BANKS)
    two = ("bank-a", "bank-b")
    assert told(hub, job, event("train", FEW, *two)) is not None
    assert told(hub, job, event("train", FEW, "bank-a")) is None  # three are left
    assert told(hub, job, event("answer", KeySpent(slot="1.0", partner="bank-a"), *two)) is None
    assert told(hub, job, event("train", FEW, *two), event("train", DiskFull(), *two, attempt=1)) is None
    wrong = UploadMalformed(partner="bank-a", slot="1.0", why="x")  # found here, not said there
    states = dict.fromkeys(BANKS, "UPLOAD_MALFORMED")
    found = Event(round=1, attempt=0, phase="train", states=states, failures=dict.fromkeys(BANKS, wrong))
    assert told(hub, job, found) is None


def test_without_its_dealer_a_plan_has_no_key(hub: Hub) -> None:
    engine = {"name": "paillier", "dealer": "bank-c", "bits": 3072}
    job = approved(hub, *BANKS, engine=engine, deadline_seconds=60)
    assert told(hub, job, event("deal", FEW, "bank-c")) is not None
    assert told(hub, job, event("deal", FEW, "bank-a")) is None


def test_a_hub_that_has_just_started_gives_nodes_the_time_to_find_it(hub: Hub) -> None:
    assert 9 < horizontal_run.patience(hub.services).start_seconds <= 10


def test_a_run_that_waits_says_for_whom(hub: Hub) -> None:
    job = approved(hub, *BANKS)
    nodes = Nodes(hub, job)
    nodes.leave("bank-c")
    command(hub, "start", job)
    assert shown(hub, job)["run"]["waits_for"] == ["bank-c"]
    nodes.come("bank-c")
    assert shown(hub, job)["run"]["waits_for"] == []


def test_work_between_two_phases_is_no_waiting_for_those_who_are_away(hub: Hub) -> None:
    job = approved(hub, *BANKS)
    nodes = Nodes(hub, job)
    command(hub, "start", job)
    runs = Runs(hub.services)
    runs.advance(hub.services, job.digest)
    nodes.drive(hub.services, lambda: "1.0.deal" in nodes.groups() or "0.0.hold" in nodes.groups())
    hub.services.waiters.close()  # the hub stops here, between two answers
    runs.stop()
    for task in nodes.open(hub.services):
        nodes.answer(hub.services, task)
    nodes.leave("bank-c")
    assert shown(hub, job)["run"]["waits_for"] == []
    hub.clock.forward(2)
    assert shown(hub, job)["run"]["waits_for"] == ["bank-c"]
