"""The model registry: who is served by what after every step, what blocks a release, and that each is on record."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

from ecowire import documents
from ecowire.status import RemoteFailure
from hub import model_steps, proposals
from hub.models_errors import NothingBefore, NothingReleased, ReleaseUnderWay, ShareLowered
from privacy import canonical
from privacy.errors import Failure
from tests.hub import registry
from tests.hub.alliance import Hub, hub_without_ports
from tests.hub.registry import (
    NAME,
    NO_UPLIFT,
    command,
    completed,
    model,
    release,
    rollback,
    serving,
    steps,
)

ALL = 1_000_000


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with hub_without_ports(tmp_path, *registry.NAMES) as made:
        yield made


def codes(hub: Hub) -> list[tuple[str, list[str]]]:
    """(action, what stood against it) of every step."""
    return [(str(s["action"]), [a["code"] for a in s["against"]]) for s in steps(hub)]  # type: ignore[index, union-attr]


def refusal(raised: pytest.ExceptionInfo[Failure]) -> str:
    failure = raised.value
    return failure.remote_code if isinstance(failure, RemoteFailure) else failure.code


# --- registration


def test_a_completed_vertical_run_is_registered_with_its_lineage(hub: Hub) -> None:
    job = completed(hub, groups=0.05)
    found = model(hub, job)
    assert (found.name, found.number, found.state, found.share_ppm) == (NAME, 1, "REGISTERED", 0)
    body: Any = command(hub, "model", {"job": job.digest}).head["registration"]
    approvals = {a.partner: a.document.digest for a in hub.store.read("a", lambda tx: tx.jobs.approvals(job.digest))}
    kept = hub.store.read("d", lambda tx: tx.jobs.documents(job.digest, "train-result"))
    assert {p["partner"]: p["approval"] for p in body["parties"]} == approvals
    assert {p["partner"]: p["result"] for p in body["parties"]} == {d.document.signer: d.document.digest for d in kept}
    assert body["alignment"] == job.body["alignment"] and set(body["alignment_approvals"]) == set(registry.NAMES)
    assert body["fairness"]["within"] is True and body["evaluation"]["auc_uplift"] == registry.UPLIFT
    assert body["valid_until"] == "2026-10-11T08:00:00.000Z"  # 10 days


def test_models_of_one_name_are_numbered_and_registering_again_changes_nothing(hub: Hub) -> None:
    first, second = completed(hub, 1), completed(hub, 2)
    before = hub.leaves()
    command(hub, "model.register", {"job": first.digest})
    assert hub.leaves() == before
    assert [m.number for m in hub.store.read("m", lambda tx: tx.models.models())] == [1, 2]
    assert model(hub, second).name == model(hub, first).name


def test_the_published_assets_are_those_of_the_time_the_run_began(hub: Hub) -> None:
    def publish(mark: str) -> documents.Signed:
        made = hub.parties["bank"].sign("assets", {"assets": [], "time": mark})
        hub.run(lambda services, tx: tx.jobs.add_document("", made, hub.now()))
        return made

    early = publish("early")
    hub.clock.forward(60)
    job = completed(hub)
    hub.clock.forward(60)
    publish("late")
    body: Any = command(hub, "model", {"job": job.digest}).head["registration"]
    assert {p["partner"]: p["assets"] for p in body["parties"]} == {
        "broker": None,
        "bank": early.digest,
        "platform": None,
    }


NOT_A_MODEL = ["PROPOSED", "RUNNING", "match"]


@pytest.mark.parametrize("what", NOT_A_MODEL)
def test_only_completed_vertical_runs_are_registered(hub: Hub, what: str) -> None:
    done = completed(hub)
    digest = done.body["alignment"] if what == "match" else open_run(hub, what)
    with pytest.raises(Failure) as raised:
        command(hub, "model.register", {"job": digest})
    assert refusal(raised) == "MODEL_NOT_REGISTRABLE"


def open_run(hub: Hub, state: str) -> str:
    body = registry.parties.body(
        registry.COLUMNS, alignment=registry._aligned(hub), expires="2026-10-02T08:00:00Z", nonce="ff" * 16
    )
    job = hub.propose("train", body, registry.training.check)
    if state == "RUNNING":
        registry._running(hub, job)
    return job.digest


def test_a_record_whose_verdict_its_figures_do_not_give_ends_the_run(hub: Hub) -> None:
    """A label holder that calls its model fair is not believed: the verdict is taken from the figures."""
    original = registry.gaps

    def lying(plan: Any, gap: float, predicted: float) -> Any:
        return {**original(plan, gap, predicted), "within": True, "excesses": []}

    registry.gaps = lying  # type: ignore[assignment]
    try:
        with pytest.raises(Failure) as raised:
            completed(hub, groups=0.2)
    finally:
        registry.gaps = original
    assert refusal(raised) == "MODEL_NOT_REGISTRABLE"


# --- releases


def test_a_release_is_raised_step_by_step_and_takes_the_place_of_the_one_before(hub: Hub) -> None:
    first, second = completed(hub, 1), completed(hub, 2)
    release(hub, first)
    assert serving(hub) == {first.digest: ALL}
    for share in (50_000, 200_000):
        release(hub, second, share)
        assert serving(hub) == {second.digest: share, first.digest: ALL}
    release(hub, second)
    assert serving(hub) == {second.digest: ALL}
    assert model(hub, first).state == "RETIRED"
    assert [action for action, _ in codes(hub)] == ["register", "register", "release", "release", "raise", "raise"]


def test_the_salt_stays_while_the_share_is_raised_and_each_release_has_its_own(hub: Hub) -> None:
    first, second = completed(hub, 1), completed(hub, 2)
    release(hub, first)
    release(hub, second, 50_000)
    salt = model(hub, second).salt
    release(hub, second, 200_000)
    assert model(hub, second).salt == salt != model(hub, first).salt


def test_the_same_share_again_changes_nothing(hub: Hub) -> None:
    job = completed(hub)
    release(hub, job, 50_000)
    before = hub.leaves()
    release(hub, job, 50_000)
    assert hub.leaves() == before


def test_a_share_is_not_lowered(hub: Hub) -> None:
    job = completed(hub)
    release(hub, job, 200_000)
    with pytest.raises(Failure) as raised:
        release(hub, job, 50_000)
    assert refusal(raised) == "RELEASE_SHARE_LOWERED"


def test_two_releases_at_once_are_one_release(hub: Hub) -> None:
    first, second = completed(hub, 1), completed(hub, 2)
    release(hub, first, 50_000)
    for share in (10_000, ALL):
        with pytest.raises(Failure) as raised:
            release(hub, second, share)
        assert refusal(raised) == "RELEASE_UNDER_WAY"
    assert serving(hub) == {first.digest: 50_000}


@pytest.mark.parametrize("share", [50_000, ALL])
def test_the_database_itself_holds_no_second_release_of_one_kind(hub: Hub, share: int) -> None:
    first, second = completed(hub, 1), completed(hub, 2)
    release(hub, first, share)
    with pytest.raises(IntegrityError):
        hub.run(
            lambda services, tx: tx.models.put(
                second.digest, state="RELEASED", share_ppm=share, salt="00" * 16, now=hub.now()
            )
        )


# --- taking back


def test_a_release_under_way_is_rolled_back_in_one_command(hub: Hub) -> None:
    first, second = completed(hub, 1), completed(hub, 2)
    release(hub, first)
    release(hub, second, 50_000)
    rollback(hub)
    assert serving(hub) == {first.digest: ALL}
    assert model(hub, second).state == "RETIRED"


def test_rolling_back_twice_goes_back_two_releases_and_no_further(hub: Hub) -> None:
    jobs = [completed(hub, number) for number in (1, 2, 3)]
    for job in jobs:
        release(hub, job)
    for job in (jobs[1], jobs[0]):
        rollback(hub)
        assert serving(hub) == {job.digest: ALL}
    with pytest.raises(Failure) as raised:
        rollback(hub)
    assert refusal(raised) == "NO_RELEASE_BEFORE"
    assert serving(hub) == {jobs[0].digest: ALL}


def test_a_command_sent_twice_under_its_key_rolls_back_once(hub: Hub) -> None:
    jobs = [completed(hub, number) for number in (1, 2, 3)]
    for job in jobs:
        release(hub, job)
    rollback(hub, key="the same")
    rollback(hub, key="the same")
    assert serving(hub) == {jobs[1].digest: ALL}


def test_a_model_that_was_rolled_back_may_be_released_again(hub: Hub) -> None:
    first, second = completed(hub, 1), completed(hub, 2)
    for job in (first, second):
        release(hub, job)
    rollback(hub)
    release(hub, second, 50_000)
    assert serving(hub) == {second.digest: 50_000, first.digest: ALL}
    release(hub, second)
    rollback(hub)
    assert serving(hub) == {first.digest: ALL}


def test_retiring_ends_all_that_serves_a_name(hub: Hub) -> None:
    first, second = completed(hub, 1), completed(hub, 2)
    release(hub, first)
    release(hub, second, 50_000)
    command(hub, "model.retire", {"name": NAME, "reason": "purpose ended"})
    assert serving(hub) == {}
    with pytest.raises(Failure) as raised:
        rollback(hub)
    assert refusal(raised) == "NOTHING_RELEASED"


def test_nothing_goes_back_to_a_release_whose_validity_has_ended(hub: Hub) -> None:
    first = completed(hub, 1)
    release(hub, first)
    hub.clock.forward(timedelta(hours=1).total_seconds())
    second = completed(hub, 2)
    release(hub, second)
    hub.clock.now = model(hub, first).valid_until
    with pytest.raises(Failure) as raised:
        rollback(hub)
    assert refusal(raised) == "RELEASE_BLOCKED"
    assert serving(hub) == {second.digest: ALL}
    assert codes(hub)[-1] == ("block", ["VALIDITY_ENDED"])


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_after_any_commands_rows_and_steps_tell_the_same(tmp_path_factory: Any, data: st.DataObject) -> None:
    """Any order of commands: at most one release of all and one of a share, and the steps alone say which."""
    with hub_without_ports(tmp_path_factory.mktemp("any"), *registry.NAMES) as hub:
        jobs = [completed(hub, number) for number in (1, 2, 3)]
        acts = st.tuples(
            st.sampled_from(["release", "rollback", "retire"]), st.integers(0, 2), st.sampled_from([5, ALL])
        )
        for act, which, share in data.draw(st.lists(acts, max_size=12)):
            with suppress(ReleaseUnderWay, ShareLowered, NothingReleased, NothingBefore):
                if act == "release":
                    release(hub, jobs[which], share)
                else:
                    command(hub, f"model.{act}", {"name": NAME, "reason": "drawn"})
            found = serving(hub)
            assert [s == ALL for s in found.values()] in ([], [True], [False], [False, True])
            last: Any = steps(hub)[-1]["serving"]
            assert {one["job"]: one["share_ppm"] for one in last} == found
            whole = [job for job, part in found.items() if part == ALL]
            stack = model_steps.wholes(hub.store.read("s", lambda tx: tx.models.steps(NAME)))
            assert [*stack[-1:]] == whole


# --- what blocks a release


def blocked(hub: Hub, job: proposals.Proposal, **changes: Any) -> str:
    with pytest.raises(RemoteFailure) as raised:
        release(hub, job, 50_000, **changes)
    assert raised.value.remote_code == "RELEASE_BLOCKED"
    assert serving(hub) == {} and model(hub, job).state == "REGISTERED"
    return raised.value.message("en") + raised.value.message("zh")


def test_a_model_above_its_fairness_limits_is_never_released_and_the_reason_is_on_record(hub: Hub) -> None:
    job = completed(hub, groups=0.104)
    for accept in (False, True):
        said = blocked(hub, job, accept_no_uplift=accept)
        assert "selection rate by sex is 0.1040, above the plan's 0.1000" in said and "超过方案限值" in said
    assert codes(hub)[1:] == [("block", ["FAIRNESS_OVER_LIMITS"])] * 2
    last = steps(hub)[-1]
    assert (last["person"], last["reason"]) == ("dana", "reviewed")
    assert [kind for kind, subject in hub.leaves() if subject == job.digest].count("model-step") == 3


CALIBRATED: Any = {"fairness": {**registry.LIMITS, "calibration_gap_ppm": 50_000}}


def test_a_model_whose_chances_err_for_one_group_alone_is_never_released(hub: Hub) -> None:
    job = completed(hub, groups=0.0, predicted=0.06, plan=CALIBRATED)
    said = blocked(hub, job, accept_no_uplift=True)
    assert "predicted chance less observed rate by sex is 0.0600, above the plan's 0.0500" in said
    assert "sex 的预测概率减实际比例差距为 0.0600，超过方案限值 0.0500" in said
    assert codes(hub)[1:] == [("block", ["FAIRNESS_OVER_LIMITS"])]


def test_a_calibration_gap_at_its_limit_or_without_one_blocks_nothing(hub: Hub) -> None:
    for number, (predicted, plan) in enumerate([(0.05, CALIBRATED), (0.3, None)], start=1):
        job = completed(hub, number, groups=0.0, predicted=predicted, plan=plan)
        release(hub, job)
        assert serving(hub) == {job.digest: ALL}


def test_a_model_within_its_limits_is_released(hub: Hub) -> None:
    job = completed(hub, groups=0.1)
    release(hub, job)
    assert serving(hub) == {job.digest: ALL}


@pytest.mark.parametrize("uplift", [NO_UPLIFT, {**NO_UPLIFT, "low_ppm": 0}], ids=["holds zero", "touches zero"])
def test_a_model_without_measurable_uplift_needs_a_person_to_accept_that(hub: Hub, uplift: Any) -> None:
    job = completed(hub, auc_uplift=uplift)
    assert "no measurable uplift" in blocked(hub, job)
    assert codes(hub)[-1] == ("block", ["NO_MEASURABLE_UPLIFT"])
    release(hub, job, 50_000, accept_no_uplift=True)
    assert steps(hub)[-1]["accepted"] == ["NO_MEASURABLE_UPLIFT"]
    release(hub, job)  # what was accepted at the beginning need not be accepted again
    assert serving(hub) == {job.digest: ALL}


def test_what_does_not_stand_against_a_release_is_not_recorded_as_accepted(hub: Hub) -> None:
    release(hub, completed(hub), accept_no_uplift=True)
    assert steps(hub)[-1]["accepted"] == []


def test_a_model_is_not_released_at_the_end_of_its_validity(hub: Hub) -> None:
    job = completed(hub)
    hub.clock.now = model(hub, job).valid_until
    assert "validity ended" in blocked(hub, job)


def test_a_release_that_is_blocked_twice_under_one_key_is_on_record_once(hub: Hub) -> None:
    job = completed(hub, groups=0.2)
    head = {"job": job.digest, "share_ppm": 50_000, "reason": "reviewed"}
    for _ in range(2):
        with pytest.raises(RemoteFailure):
            command(hub, "model.release", head, key="the same")
    assert [action for action, _ in codes(hub)] == ["register", "block"]


# --- bad input


BAD: dict[str, tuple[str, dict[str, Any], str]] = {
    "no share": ("model.release", {"share_ppm": None}, "HEAD_INVALID"),
    "share 0": ("model.release", {"share_ppm": 0}, "HEAD_INVALID"),
    "share above all": ("model.release", {"share_ppm": ALL + 1}, "HEAD_INVALID"),
    "share as text": ("model.release", {"share_ppm": "5%"}, "HEAD_INVALID"),
    "share as truth value": ("model.release", {"share_ppm": True}, "HEAD_INVALID"),
    "no reason": ("model.release", {"reason": ""}, "HEAD_INVALID"),
    "blank reason": ("model.release", {"reason": "  "}, "HEAD_INVALID"),
    "long reason": ("model.release", {"reason": "x" * 501}, "HEAD_INVALID"),
    "reason with an escape": ("model.release", {"reason": "fine\x1b[2J"}, "HEAD_INVALID"),
    "accepting by text": ("model.release", {"accept_no_uplift": "yes"}, "HEAD_INVALID"),
    "a field nobody reads": ("model.release", {"force": True}, "HEAD_INVALID"),
    "no such job": ("model.release", {"job": "00" * 32}, "PROPOSAL_UNKNOWN"),
    "a short job": ("model.release", {"job": "00"}, "PREFIX_TOO_SHORT"),
    "a job that is no model": ("model.release", {"job": "alignment"}, "MODEL_UNKNOWN"),
    "no such name": ("model.rollback", {"name": "profile/bank/label"}, "MODEL_UNKNOWN"),
    "a name that is a number": ("model.rollback", {"name": 7}, "HEAD_INVALID"),
    "nothing released": ("model.rollback", {}, "NOTHING_RELEASED"),
    "nothing to retire": ("model.retire", {}, "NOTHING_RELEASED"),
    "retired without a reason": ("model.retire", {"reason": None}, "HEAD_INVALID"),
}


@pytest.mark.parametrize(("name", "change", "code"), BAD.values(), ids=BAD)
def test_bad_input_is_refused_and_changes_nothing(hub: Hub, name: str, change: dict[str, Any], code: str) -> None:
    job = completed(hub)
    good = (
        {"job": job.digest, "share_ppm": 50_000, "reason": "reviewed"}
        if name == "model.release"
        else {"name": NAME, "reason": "complaints"}
    )
    head = {k: v for k, v in {**good, **change}.items() if v is not None}
    if head.get("job") == "alignment":
        head["job"] = job.body["alignment"]
    before = hub.leaves()
    with pytest.raises(Failure) as raised:
        command(hub, name, head)
    assert refusal(raised) == code
    assert hub.leaves() == before


@pytest.mark.parametrize("role", ["operator", "finance", "regulator"])
def test_only_the_data_team_releases_and_everybody_may_look(hub: Hub, role: str) -> None:
    job = completed(hub)
    with pytest.raises(Failure) as raised:
        command(hub, "model.release", {"job": job.digest, "share_ppm": 1, "reason": "x"}, role=role)
    assert refusal(raised) == "ROLE_NOT_ALLOWED"
    assert command(hub, "models", {}, role=role).head["models"]


# --- the record


def test_every_step_is_signed_logged_and_names_the_one_before(hub: Hub) -> None:
    first, second = completed(hub, 1), completed(hub, 2)
    release(hub, first)
    release(hub, second, 50_000)
    rollback(hub)
    found = hub.store.read("s", lambda tx: tx.models.steps(NAME))
    public = hub.services.log.key.public
    leaves = hub.store.read("l", lambda tx: tx.evidence.leaves(kind="model-step"))
    logged = [canonical.decode(leaf.data) for leaf in leaves]
    before = None
    for step, leaf in zip(found, logged, strict=True):
        step.document.verify(public)
        assert step.document.body["previous"] == before
        assert isinstance(leaf, dict) and leaf["digest"] == step.document.digest
        before = step.document.digest


def test_the_label_holders_node_alone_is_told_of_every_step_in_order(hub: Hub) -> None:
    first, second = completed(hub, 1), completed(hub, 2, groups=0.2)
    release(hub, first)
    with pytest.raises(RemoteFailure):
        release(hub, second)
    told: list[Any] = [task.head["step"] for task in hub.open_tasks("broker") if task.kind == "model.step"]
    assert [step["body"]["action"] for step in told] == ["register", "register", "release", "block"]
    assert [step["body"]["number"] for step in told] == [1, 2, 3, 4]
    assert not [task for name in ("bank", "platform") for task in hub.open_tasks(name) if task.kind == "model.step"]


def test_a_hub_that_dies_within_a_step_has_taken_none_of_it(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every write of a release, in turn, is the last one before the process dies: nothing of it is there afterwards."""
    first, second = completed(hub, 1), completed(hub, 2)
    release(hub, first)
    before = (hub.leaves(), serving(hub), steps(hub), len(hub.open_tasks("broker")))

    class Died(Exception):
        pass

    def dies(*_: Any, **__: Any) -> None:
        raise Died

    for place in (
        "hub.store_models.ModelStore.put",
        "hub.store_models.ModelStore.add_step",
        "hub.audit.Log.append",
        "hub.store_jobs.JobStore.add_document",
        "hub.tasks.post",
        "hub.dispatch._remember",
    ):
        with monkeypatch.context() as patched:
            patched.setattr(place, dies)
            with pytest.raises(Died):
                release(hub, second)
        assert (hub.leaves(), serving(hub), steps(hub), len(hub.open_tasks("broker"))) == before
    release(hub, second)
    assert serving(hub) == {second.digest: ALL}
