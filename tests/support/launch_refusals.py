"""What tests of bad input ask of running processes: the code in both languages, and that nothing else has changed."""

import re
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from ecowire import status
from privacy.errors import Failure
from sandbox.processes import Done, run
from tests.support.launch_alliance import Alliance, match_body, train_body

CHINESE = re.compile(r"[\u4e00-\u9fff]")
RUNNING = ("broker", "bank")


def state(alliance: Alliance, *but: str) -> Any:
    """All that bad input must leave as it is: the hub's books and the nodes, less some jobs.

    A node isn't told when a job failed elsewhere; it drops the job's state when nothing was heard of it for long.
    """
    jobs = [(j["digest"], j["state"], j["approved"]) for j in alliance.call("data", "jobs")["jobs"]]
    partners = alliance.call("data", "partners")["partners"]
    nodes = {}
    for name in RUNNING:
        told = alliance.node(name, "status")
        running = [item for item in told["running"] if item["job"] not in but]
        known = [job for job in alliance.node(name, "jobs")["jobs"] if job["job"] not in but]
        nodes[name] = (running, told["peers"], known, alliance.node(name, "consent.show"))
    return (
        [job for job in jobs if job[0] not in but],
        [(p["partner"], p["state"], p["assets"]) for p in partners],
        nodes,
    )


def code(failure: Failure) -> str:
    """The stable code of a failure that speaks both languages."""
    assert CHINESE.search(failure.message("zh")) and not CHINESE.search(failure.message("en"))
    return status.code_of(failure)


def refused(alliance: Alliance, partner: str, command: str, **arguments: Any) -> str:
    """The code under which a node refuses a command of its people."""
    with pytest.raises(Failure) as caught:
        alliance.node(partner, command, **arguments)
    return code(caught.value)


def refused_call(alliance: Alliance, role: str, command: str, head: dict[str, Any]) -> str:
    """The code under which the hub refuses a person's call."""
    with pytest.raises(Failure) as caught:
        alliance.call(role, command, head)
    return code(caught.value)


def failed(alliance: Alliance, digest: str) -> str:
    """The code with which a job ended FAILED. Its reason speaks both languages and names no path."""
    job = alliance.finished(digest)
    assert job["state"] == "FAILED", job["state"]
    reason = job["reason"]
    assert CHINESE.search(reason["zh"]) and "/" not in reason["en"].replace("0/1", "")
    # a training run's failure is the party's, reported by the relay
    named = re.search(r"\b([A-Z]+_[A-Z_]+):", reason["en"]) if reason["code"] == "PARTY_FAILED" else None
    return named.group(1) if named else str(reason["code"])


def in_both_languages(*arguments: str) -> Done:
    english, chinese = (run(*arguments, ECOHUB_LANG=lang) for lang in ("en", "zh"))
    assert english.exit_code == chinese.exit_code != 0
    assert english.failure_code == chinese.failure_code
    assert CHINESE.search(chinese.stderr) and not CHINESE.search(english.stderr)
    return english


def count_body(asset: str) -> dict[str, Any]:
    body = match_body("count", *RUNNING)
    body["parties"][1]["asset"] = asset
    return body


def plan_body(alignment: str, asset: str, columns: list[str] | None = None) -> dict[str, Any]:
    body = train_body(alignment)
    body["parties"] = [party for party in body["parties"] if party["partner"] in RUNNING]
    body["parties"][1] |= {"asset": asset} | ({"columns": columns} if columns else {})
    return body


def audit_size(alliance: Alliance) -> int:
    """How many leaves the hub's log has, read beside the running hub."""
    with closing(sqlite3.connect(f"file:{alliance.world.hub_folder / 'hub.db'}?mode=ro", uri=True)) as database:
        return int(database.execute("select count(*) from leaf").fetchone()[0])
