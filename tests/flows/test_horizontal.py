"""Banks train one model over real processes: what comes out, and what kill -9 in any phase changes of it.

Everything is held against an oracle that owns all rows: each bank's table is made again from its source, its consents
and its own row key, and the same run is done once more in one process without any protection. While every bank is in
every round, both must end with the same model to the last bit.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from federation.horizontal.results import Model
from privacy.errors import Failure
from sandbox.banks import plain, pooled
from sandbox.banks.files import Banks
from tests.support import launch_banks
from tests.support.launch import PLAIN, Fault, Plan
from tests.support.launch_alliance import Alliance, wait

pytestmark = [pytest.mark.flow, pytest.mark.slow_flow]
ROUNDS = 3
PHASES = ("deal", "hold", "statistics", "train", "answer", "finish")
VICTIM = "bank-b"
LONG_ROUNDS = 40
MICRO = 1_000_000


@pytest.fixture(scope="module")
def alliance(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alliance]:
    with launch_banks.copied(base, tmp_path_factory.mktemp("h") / "w") as made:
        made.start()
        yield made


@pytest.fixture(scope="module")
def data(alliance: Alliance) -> Banks:
    return launch_banks.data_of(alliance)


@pytest.fixture(scope="module")
def calm(alliance: Alliance, data: Banks) -> Any:
    """The job of a run that nothing disturbs."""
    return launch_banks.run(alliance, body(data))


def body(data: Banks, rounds: int = ROUNDS, **changes: Any) -> dict[str, Any]:
    return launch_banks.body(data, training=launch_banks.training(rounds, **changes))


def records(job: Any) -> dict[str, Any]:
    """What each bank signed."""
    return {d["signer"]: d["body"]["record"] for d in job["documents"] if d["kind"] == "train-result"}


def run_record(job: Any) -> Any:
    (found,) = [d["body"]["record"] for d in job["documents"] if d["kind"] == "model-record"]
    return found


def cohorts(job: Any) -> dict[int, list[str]]:
    """Whose updates each round is made of."""
    return {item["round"]: item["cohort"] for item in job["run"]["history"]}


def model(alliance: Alliance, job: Any, bank: str) -> Model:
    """The model file at a bank's node."""
    folder = alliance.world.node_folder(bank) / "results"
    return Model.decode((folder / f"model-{job['digest'][:16]}.bin").read_bytes())


def slot(phase: str) -> str:
    """How a request's id names the phase in the round where it is disturbed: the second, where it has a choice."""
    number = {"deal": 0, "hold": 0, "statistics": 0, "finish": ROUNDS + 1}.get(phase, 2)
    return f"-{number}.0.{phase}-"


def test_every_bank_has_one_model_and_signed_what_it_does_on_its_own_test_rows(
    alliance: Alliance, data: Banks, calm: Any
) -> None:
    plan, tables = launch_banks.read_plan(calm), launch_banks.rows(alliance)
    made = model(alliance, calm, VICTIM)
    measured = pooled.measure(plan, tables, made.parameters, made.scaling)
    assert set(records(calm)) == set(data.names)
    for name, record in records(calm).items():
        assert record["model_digest"] == made.digest == model(alliance, calm, name).digest
        assert record["auc"]["joint_ppm"] == round(measured.own[name] * MICRO)
        assert record["rows_test"] == measured.test_rows[name]
        assert None not in (record["auc"]["alone_ppm"], record["auc"]["personal_ppm"])
    assert abs(run_record(calm)["auc_global_ppm"] / MICRO - measured.overall) < 0.002, "from histograms of scores"
    assert abs(measured.overall - pooled.fit(plan, tables).overall) < 0.01


def test_protection_changes_no_bit_of_the_model(alliance: Alliance, data: Banks, calm: Any) -> None:
    made = plain.rerun(launch_banks.read_plan(calm), launch_banks.rows(alliance))
    assert made.model.digest == run_record(calm)["model_digest"]
    assert [item.loss_micro for item in made.state.history] == [item["loss_micro"] for item in calm["run"]["history"]]
    assert cohorts(calm) == {number: list(data.names) for number in range(1, ROUNDS + 1)}


@pytest.mark.parametrize("phase", PHASES)
def test_a_hub_killed_three_times_in_a_phase_ends_with_the_undisturbed_model(
    alliance: Alliance, data: Banks, phase: str
) -> None:
    """Its requests are kept and none has left; the first answer has come and is not kept; it is kept and unused."""
    digest = launch_banks.approved(alliance, body(data))
    first, *later = [
        hub_dies(at="hub.round_channel:TaskChannel.post", within=slot(phase), when="after"),
        hub_dies(at="hub.dispatch:take_answer", within=slot(phase), when="before"),
        hub_dies(at="hub.dispatch:take_answer", within=slot(phase), when="after"),
    ]
    job = nurse_hub(alliance, digest, first, *later)
    assert_undisturbed(alliance, data, job)


@pytest.mark.parametrize("commit", ["training.post", "run.save", "training.complete"])
def test_a_hub_killed_around_its_own_commits_ends_with_the_undisturbed_model(
    alliance: Alliance, data: Banks, commit: str
) -> None:
    """Of requests with the decisions they follow from (whom to ask), of a finished round, of the run's end."""
    digest = launch_banks.approved(alliance, body(data))
    lives = [hub_dies(at="hub.store:Store.run", first=commit, when=when) for when in ("before", "after")]
    job = nurse_hub(alliance, digest, *lives)
    assert_undisturbed(alliance, data, job)


ADAPTIVE = {
    "model": "mlp",
    "strategy": {"name": "fedadam", "server_rate_micro": 20_000},
    "training": launch_banks.training(ROUNDS, batch=32, rate_micro=50_000, hidden=[8]),
    "early_stop": {"patience": ROUNDS, "tolerance_ppm": 1_000},
}


def test_a_killed_hub_goes_on_with_the_server_s_own_moments(alliance: Alliance, data: Banks) -> None:
    """Adam's state and a net trained in drawn batches: nothing that a convex model would forgive."""
    digest = launch_banks.approved(alliance, launch_banks.body(data, **ADAPTIVE))
    job = nurse_hub(
        alliance,
        digest,
        hub_dies(at="hub.store:Store.run", first="run.save", when="after", call=2),
        hub_dies(at="hub.dispatch:take_answer", within=slot("train"), when="after"),
    )
    assert_undisturbed(alliance, data, job)


def hub_dies(**fault: Any) -> Plan:
    return Plan(faults=(Fault(**fault),))


def nurse_hub(alliance: Alliance, digest: str, first: Plan, *later: Plan) -> Any:
    """The completed job of a run in which the hub dies by these plans, one after the other."""
    alliance.restart("hub", first)
    with suppress(Failure):  # the hub may die of its run before it answers the command that started it
        launch_banks.start(alliance, digest)
    return alliance.nurse(digest, {"hub": later}, {"hub": PLAIN}, lambda _: None)


def assert_undisturbed(alliance: Alliance, data: Banks, job: Any) -> None:
    """Every bank was in every round, and the model is that of the run that nothing disturbs."""
    assert cohorts(job) == {number: list(data.names) for number in range(1, ROUNDS + 1)}
    undisturbed = plain.rerun(launch_banks.read_plan(job), launch_banks.rows(alliance))
    assert {name: record["model_digest"] for name, record in records(job).items()} == dict.fromkeys(
        data.names, undisturbed.model.digest
    )


@pytest.mark.parametrize("phase", PHASES)
def test_a_round_goes_on_when_a_bank_is_killed_and_started_again(alliance: Alliance, data: Banks, phase: str) -> None:
    """After its answer is kept and before that has left: it sends those very bytes, if they are still wanted."""
    digest = launch_banks.approved(alliance, body(data))
    alliance.restart(VICTIM, bank_dies(phase, "after"))
    launch_banks.start(alliance, digest)
    alliance.process(VICTIM).wait_killed()
    alliance.start(VICTIM)
    job = alliance.completed(digest)
    assert_the_others_went_on(job, data)
    assert set(records(job)) >= set(data.names) - {VICTIM}


@pytest.mark.parametrize("phase", PHASES[:-1])
def test_a_round_closes_without_a_dead_bank_which_is_in_the_next_ones_again(
    alliance: Alliance, data: Banks, phase: str
) -> None:
    """It died before it looked at the phase's request."""
    digest = launch_banks.approved(alliance, body(data, rounds=LONG_ROUNDS))
    alliance.restart(VICTIM, bank_dies(phase, "before"))
    launch_banks.start(alliance, digest)
    alliance.process(VICTIM).wait_killed()
    closed = 2 if phase in ("train", "answer") else 1
    wait(lambda: closed in cohorts(alliance.job(digest)), f"round {closed} to close without {VICTIM}")
    alliance.call("data", "pause", {"digest": digest})
    alliance.start(VICTIM)
    rested = max(cohorts(alliance.job(digest)))
    assert rested < LONG_ROUNDS - 2, "the run rests while there is something left to do"
    alliance.call("data", "resume", {"digest": digest})
    job = alliance.completed(digest)
    assert_the_others_went_on(job, data)
    found = cohorts(job)
    # who died before its one answer has its update in the sum: the others' answers open it
    assert found[closed] == [name for name in data.names if name != VICTIM or phase == "answer"]
    # the round under way had been asked of the others already
    assert all(found[number] == list(data.names) for number in range(rested + 2, LONG_ROUNDS + 1))
    assert set(records(job)) == set(data.names)


def test_a_run_ends_without_a_bank_that_died_at_the_finish(alliance: Alliance, data: Banks) -> None:
    digest = launch_banks.approved(alliance, body(data))
    alliance.restart(VICTIM, bank_dies("finish", "before"))
    launch_banks.start(alliance, digest)
    job = alliance.completed(digest)
    alliance.process(VICTIM).wait_killed()
    alliance.start(VICTIM)
    assert_the_others_went_on(job, data)
    assert set(records(job)) == set(data.names) - {VICTIM}
    assert VICTIM not in run_record(job)["finished"], "the record says whose word is missing"


def bank_dies(phase: str, when: str) -> Plan:
    return Plan(faults=(Fault(at="partner_node.worker:Worker.handle", within=slot(phase), when=when),))


def assert_the_others_went_on(job: Any, data: Banks) -> None:
    """In every round, within the plan's deadline, to one model."""
    assert all(set(cohort) >= set(data.names) - {VICTIM} for cohort in cohorts(job).values())
    assert max(item["milliseconds"] for item in job["run"]["history"]) < job["body"]["deadline_seconds"] * 1_000
    assert len({record["model_digest"] for record in records(job).values()}) == 1
