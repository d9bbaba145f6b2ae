"""Bad data and jobs to running nodes: each a stable code in two languages, nothing lost, the next good work goes on.

Wrong columns, missing, empty and damaged files, repeated and malformed ids; unknown jobs, wrong bodies, jobs that were
changed after approval, and a hub that is not honest.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from privacy.errors import Failure
from sandbox import party_files, world
from tests.support import launch_alliance, launch_bad_sources, launch_fixtures, launch_once
from tests.support.launch import Plan
from tests.support.launch_alliance import Alliance, match_body, wait
from tests.support.launch_refusals import (
    CHINESE,
    RUNNING,
    code,
    count_body,
    failed,
    in_both_languages,
    plan_body,
    refused,
    refused_call,
    state,
)

pytestmark = [pytest.mark.flow, pytest.mark.slow_flow]


@pytest.fixture(scope="module")
def alliance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alliance]:
    base = launch_once.shared_folder(tmp_path_factory)
    with launch_alliance.copy(launch_fixtures.founded(base), tmp_path_factory.mktemp("b") / "w") as made:
        launch_bad_sources.add_assets(made)
        made.start("hub", *RUNNING)
        yield made


@pytest.fixture(scope="module")
def alignment(alliance: Alliance) -> str:
    """A good alignment of the two nodes that run."""
    return str(alliance.run_job("data", "match", match_body("align", *RUNNING))["digest"])


@pytest.fixture
def unchanged(alliance: Alliance) -> Iterator[None]:
    """Whatever the test tries, everything is as it was afterwards."""
    before = state(alliance)
    yield
    assert state(alliance) == before


# --- data ------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("unchanged")
def test_tables_that_cannot_be_read(alliance: Alliance) -> None:
    for asset, expected in {
        "file-missing": "SOURCE_MISSING",
        "file-empty": "SOURCE_EMPTY",
        "file-damaged": "SOURCE_UNREADABLE",
        "id-column-absent": "SOURCE_COLUMN_MISSING",
        "nobody-has-it": "ASSET_UNKNOWN",
    }.items():
        assert refused(alliance, "bank", "check-data", asset=asset) == expected
    assert alliance.node("bank", "check-data", asset="clients")["assets"][0]["rows"] > 0, "the good one is read"


def test_the_command_line_says_it_in_both_languages(alliance: Alliance) -> None:
    config = str(alliance.world.node_config("bank"))
    done = in_both_languages("partner", "check-data", "file-missing", "--config", config)
    assert (done.failure_code, done.exit_code) == ("SOURCE_MISSING", 2)
    done = in_both_languages("partner", "approve", "0123456789abcdef", "--yes", "--config", config)
    assert (done.failure_code, done.exit_code) == ("UNKNOWN_JOB", 2)


@pytest.mark.usefixtures("unchanged")
def test_nothing_is_published_while_one_asset_is_wrong(alliance: Alliance) -> None:
    assert refused(alliance, "bank", "publish") in ("SOURCE_MISSING", "SOURCE_EMPTY", "SOURCE_COLUMN_MISSING")


def test_a_report_names_columns_without_class_and_classes_without_column(alliance: Alliance) -> None:
    (absent,) = alliance.node("bank", "check-data", asset="column-absent")["assets"]
    (unclassified,) = alliance.node("bank", "check-data", asset="column-unclassified")["assets"]
    assert (absent["absent"], unclassified["unclassified"]) == (["NOSUCH"], ["CHECKING"])


def test_repeated_and_malformed_ids_are_counted_by_reason(alliance: Alliance) -> None:
    rows = len(launch_alliance.rows(alliance.world.partners["bank"].source))
    (repeated,) = alliance.node("bank", "check-data", asset="ids-duplicate")["assets"]
    assert (repeated["identifiers"], repeated["duplicates"]) == (rows, launch_bad_sources.REPEATED)
    (malformed,) = alliance.node("bank", "check-data", asset="ids-malformed")["assets"]
    assert malformed["rejected"] == {"CHECKSUM": 4, "DATE": 3, "LENGTH": 2, "MISSING": 1}
    left = rows - 10 - launch_bad_sources.LEFT_OUT
    assert malformed["identifiers"] == left
    assert malformed["unknown_region"] == left, "region 99 is well-formed, and counted as a warning"


def test_a_match_over_malformed_ids_is_a_match_of_the_others(alliance: Alliance) -> None:
    known = [[*launch_alliance.rows(alliance.world.partners[name].source)] for name in RUNNING]
    entered = known[1][10 : -launch_bad_sources.LEFT_OUT]
    both = {client for client in set(known[0]) & set(entered) if world.consents(client)}
    job = alliance.run_job("data", "match", count_body("ids-malformed"))
    assert {d["body"]["count"] for d in job["documents"] if d["kind"] == "match-result"} == {None, len(both)}


@pytest.mark.parametrize(
    ("asset", "expected"),
    [("file-missing", "SOURCE_MISSING"), ("file-empty", "SOURCE_EMPTY"), ("file-damaged", "SOURCE_UNREADABLE")],
)
def test_a_match_over_a_bad_table_ends_under_its_code(alliance: Alliance, asset: str, expected: str) -> None:
    before = state(alliance)
    digest = alliance.propose("data", "match", count_body(asset))
    alliance.approve(digest, RUNNING)
    assert failed(alliance, digest) == expected
    assert state(alliance, digest) == before


@pytest.mark.parametrize(
    ("asset", "expected"),
    [
        ("ids-duplicate", "SOURCE_DUPLICATE_IDS"),
        ("ids-malformed", "ALIGNMENT_NOT_CURRENT"),
        ("values-words", "SOURCE_COLUMN_NOT_NUMERIC"),
        ("values-missing", "COLUMN_HAS_GAPS"),
    ],
)
def test_a_training_over_a_bad_table_ends_under_its_code(
    alliance: Alliance, alignment: str, asset: str, expected: str
) -> None:
    order, before = alliance.aligned("bank", alignment), state(alliance)
    digest = alliance.propose("data", "train", plan_body(alignment, asset))
    alliance.approve(digest, RUNNING)
    assert failed(alliance, digest) == expected
    assert state(alliance, digest) == before
    assert alliance.aligned("bank", alignment) == order, "the alignment is as good as before"
    assert not alliance.node("bank", "quota")["score_vectors"], "what showed nothing is not booked"


@pytest.mark.parametrize(
    ("asset", "column", "expected"),
    [
        ("clients", "NOSUCH", "COLUMN_NOT_OFFERED"),
        ("column-secret", "CHECKING", "COLUMN_NOT_OFFERED"),
        ("nobody-has-it", "CHECKING", "ASSET_UNKNOWN"),
    ],
)
def test_a_plan_over_wrong_columns_is_not_approved(
    alliance: Alliance, alignment: str, asset: str, column: str, expected: str
) -> None:
    digest = alliance.propose("data", "train", plan_body(alignment, asset, ["SAVING", column]))
    wait(lambda: any(job["job"] == digest for job in alliance.node("bank", "jobs")["jobs"]), "the proposal")
    assert refused(alliance, "bank", "approve", job=digest, person="a person") == expected
    shown = alliance.node("bank", "job", job=digest)["blocked"]
    assert shown["code"] == expected and CHINESE.search(shown["zh"]), "a person sees it before trying"
    alliance.call("data", "cancel", {"digest": digest})


@pytest.mark.usefixtures("unchanged")
def test_consent_files_are_taken_whole_or_not_at_all(alliance: Alliance, tmp_path: Path) -> None:
    client_id = next(iter(launch_alliance.rows(alliance.world.partners["bank"].source)))
    good = f"{client_id},other-purpose,2099-01-01"
    for name, line in {
        "id": f"{client_id[:17]}{'0' if client_id[17] != '0' else '1'},other-purpose,2099-01-01",
        "time": f"{client_id},other-purpose,the year 2099",
        "purpose": f"{client_id},,2099-01-01",
    }.items():
        file = tmp_path / f"{name}.csv"
        file.write_text("\n".join(["client_id,purpose,until", good, line]) + "\n")
        assert refused(alliance, "bank", "consent.import", file=str(file)) == "CONSENT_FILE_INVALID"
    assert refused(alliance, "bank", "consent.import", file=str(tmp_path / "none.csv")) == "COMMAND_INVALID"
    assert refused(alliance, "bank", "consent.withdraw", client_id="12345") == "ID_REJECTED"


# --- jobs ------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("unchanged")
def test_unknown_jobs_and_wrong_bodies(alliance: Alliance) -> None:
    assert refused(alliance, "bank", "approve", job="ab" * 32, person="a person") == "UNKNOWN_JOB"
    assert refused(alliance, "bank", "alignment.export", job="ab" * 32, file="/nowhere") == "UNKNOWN_JOB"
    assert refused_call(alliance, "data", "job", {"digest": "ab" * 32}) == "PROPOSAL_UNKNOWN"
    assert refused_call(alliance, "data", "cancel", {"digest": "ab" * 32}) == "PROPOSAL_UNKNOWN"
    missing = {key: value for key, value in match_body("count", *RUNNING).items() if key != "minimum"}
    for body in (missing, match_body("count", *RUNNING, extra="1"), match_body("guess", *RUNNING)):
        assert refused_call(alliance, "data", "propose", {"kind": "match", "body": body}) == "PROPOSAL_INVALID"
    stranger = match_body("count", "broker", "stranger")
    assert refused_call(alliance, "data", "propose", {"kind": "match", "body": stranger}) == "PARTY_UNKNOWN"
    unaligned = {"kind": "train", "body": plan_body("ab" * 32, "clients")}
    assert refused_call(alliance, "data", "propose", unaligned) == "ALIGNMENT_NOT_USABLE"
    assert refused_call(alliance, "data", "make-coffee", {}) == "COMMAND_UNKNOWN"
    assert refused(alliance, "bank", "make-coffee") == "UNKNOWN_COMMAND"


def test_the_same_key_with_another_command_is_a_conflict(alliance: Alliance) -> None:
    first = alliance.call("data", "propose", {"kind": "match", "body": match_body("count", *RUNNING)}, key="one")
    before = state(alliance)
    with pytest.raises(Failure) as caught:
        alliance.call("data", "propose", {"kind": "match", "body": match_body("count", *RUNNING)}, key="one")
    assert code(caught.value) == "IDEMPOTENCY_CONFLICT"
    assert state(alliance) == before
    alliance.call("data", "cancel", {"digest": first["digest"]})


def with_hub(alliance: Alliance, mutant: str) -> None:
    """Restart the hub with a defect, or without."""
    alliance.restart("hub", Plan(mutants=(mutant,) if mutant else ()))


def test_a_proposal_that_was_changed_on_the_way_reaches_nobody(alliance: Alliance) -> None:
    before = state(alliance)
    with_hub(alliance, "altered proposal")
    digest = alliance.propose("data", "match", match_body("count", *RUNNING))
    told = wait(lambda: undelivered(alliance, digest), "both refusals")
    with_hub(alliance, "")
    assert {head["code"] for head in told.values()} == {"DIGEST_DIFFERS"}
    assert all(CHINESE.search(head["zh"]) for head in told.values())
    assert refused(alliance, "bank", "approve", job=digest, person="a person") == "UNKNOWN_JOB"
    alliance.call("data", "cancel", {"digest": digest})
    assert state(alliance, digest) == before


def undelivered(alliance: Alliance, digest: str) -> Any:
    told = alliance.job(digest)["undelivered"]
    return told if set(told) == set(RUNNING) and all(told.values()) else None


@pytest.mark.parametrize(
    ("mutant", "expected"),
    [
        ("lent approvals", "NOT_APPROVED"),
        ("replayed envelope", "ENVELOPE_OUT_OF_SEQUENCE"),
        ("altered envelope", "BAD_SIGNATURE"),
    ],
)
def test_a_hub_that_is_not_honest_stops_the_job_and_nothing_else(
    alliance: Alliance, alignment: str, mutant: str, expected: str
) -> None:
    before = state(alliance)
    with_hub(alliance, mutant)
    ended = []
    for _ in range(2 if mutant == "lent approvals" else 1):  # the first match of a process lends its own approvals
        digest = alliance.propose("data", "match", match_body("count", *RUNNING))
        alliance.approve(digest, RUNNING)
        ended.append(alliance.finished(digest))
    with_hub(alliance, "")
    assert [job["state"] for job in ended] == [*["COMPLETED"] * (len(ended) - 1), "FAILED"]
    assert ended[-1]["reason"]["code"] == expected and CHINESE.search(ended[-1]["reason"]["zh"])
    digests = [job["digest"] for job in ended]
    assert state(alliance, *digests) == before
    told = alliance.node(ended[-1]["reason"]["partner"], "status")["running"]
    assert digests[-1] not in [item["job"] for item in told], "who refused has deleted the job's secrets"


def test_after_all_that_the_nodes_still_train(alliance: Alliance, alignment: str) -> None:
    body = plan_body(alignment, "clients", list(party_files.COLUMNS["bank"]))
    job = alliance.run_job("data", "train", body)
    assert {d["kind"] for d in job["documents"]} == {"train-result", "model-record", "model-registration", "model-step"}
