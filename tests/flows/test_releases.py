"""A model from its run to its clients over real processes: registered, tried on a share, raised, taken back.

The tests are one story: they run in order and share what came before.
"""

import csv
from pathlib import Path
from typing import Any

import pytest

from ecowire.status import code_of
from privacy.errors import Failure
from sandbox.processes import run
from tests.support import launch_alliance
from tests.support.launch_alliance import Alliance, wait

pytestmark = [pytest.mark.flow, pytest.mark.slow_flow]
TRAINERS = ("broker", "bank", "platform")
GROUP = "MARRIED"
LIMITS = {"groups": [GROUP], "selection_gap_ppm": 900_000, "true_positive_gap_ppm": 900_000, "group_rows": 50}
RULES = """format = 1
name = "everybody"
version = 1
[risk_classes]
"0" = 5
"1" = 5
"2" = 5
"3" = 5
[[labels]]
name = "scored"
en = "Scored"
zh = "已评分"
valid_days = 30
risk_level = 1
when = { decile_from = 1 }
"""


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What earlier steps found, and the rules that give every client a label."""
    rules = tmp_path_factory.mktemp("rules") / "everybody.toml"
    rules.write_text(RULES)
    return {"rules": str(rules)}


def trained(alliance: Alliance, alignment: str) -> str:
    body = launch_alliance.train_body(alignment, fairness=LIMITS)
    holder = body["parties"][0]
    holder["columns"] = [name for name in holder["columns"] if name != GROUP]
    return str(alliance.run_job("data", "train", body)["digest"])


def profile(alliance: Alliance, *words: str) -> Any:
    person = str(alliance.world.person_config("data"))
    return run("data", "profile", *words, "--json", "--config", person).check().json


def deliver(alliance: Alliance, story: dict[str, Any], job: str) -> set[str]:
    """The clients with a label now. Raises what the node refuses."""
    given = {"run": job, "format": "csv", "excel": False, "rules": story["rules"], "risk_column": "FINLIT", "to": None}
    found = alliance.node("broker", "labels.deliver", **given)
    with Path(found["file"]).open(encoding="utf-8", newline="") as file:
        return {row["client_id"] for row in csv.DictReader(file)}


def refused(alliance: Alliance, story: dict[str, Any], job: str) -> bool:
    """Whether the node gives no labels of this run, because it serves nobody."""
    try:
        deliver(alliance, story, job)
    except Failure as failure:
        return code_of(failure) == "MODEL_NOT_RELEASED"
    return False


def released(alliance: Alliance, story: dict[str, Any], job: str, clients: int) -> set[str] | None:
    """The labelled clients, once the node has the step that lets it serve more than so many."""
    if refused(alliance, story, job):
        return None
    found = deliver(alliance, story, job)
    return found if len(found) > clients else None


def test_a_registered_model_gives_no_labels_before_its_release(alliance: Alliance, story: dict[str, Any]) -> None:
    alignment = alliance.run_job("data", "match", launch_alliance.match_body("align", *TRAINERS))["digest"]
    job = trained(alliance, alignment)
    (model,) = profile(alliance, "models")["models"]
    assert (model["job"], model["state"]) == (job, "REGISTERED")
    assert refused(alliance, story, job)
    clients = len(alliance.aligned("broker", job=alignment))
    story |= {"alignment": alignment, "first": job, "clients": clients}


def test_a_share_of_the_clients_is_served_and_stays_when_it_is_raised(
    alliance: Alliance, story: dict[str, Any]
) -> None:
    job, clients = story["first"], story["clients"]
    profile(alliance, "release", job[:12], "--share-ppm", "300000", "--reason", "pilot", "--accept-no-uplift")
    few = wait(lambda: released(alliance, story, job, 0), "the node serves the share")
    assert 0.2 * clients < len(few) < 0.4 * clients
    profile(alliance, "release", job[:12], "--reason", "pilot went well")
    everybody = wait(lambda: released(alliance, story, job, len(few)), "the node serves all")
    assert few < everybody and len(everybody) == clients
    story["everybody"] = everybody


def test_a_second_release_is_compared_and_serves_its_share_alone(alliance: Alliance, story: dict[str, Any]) -> None:
    job = trained(alliance, story["alignment"])
    profile(alliance, "release", job, "--share-ppm", "200000", "--reason", "a newer one", "--accept-no-uplift")
    newer = wait(lambda: released(alliance, story, job, 0), "the node serves the share")
    assert deliver(alliance, story, story["first"]) == story["everybody"] - newer
    document = wait(lambda: profile(alliance, "card", job)["stability"], "the node signed the index")[0]
    assert document["body"]["before"] == story["first"]
    assert document["body"]["stability"]["psi_ppm"] == 0, "the same plan over the same clients"
    story["second"] = job


def test_a_hub_that_was_killed_takes_the_release_back_in_one_command(
    alliance: Alliance, story: dict[str, Any], tmp_path: Path
) -> None:
    alliance.process("hub").kill()
    alliance.start("hub")
    alliance.wait_connected()
    name = profile(alliance, "models")["models"][0]["name"]
    back = profile(alliance, "rollback", name, "--reason", "complaints")
    assert [one["job"] for one in back["serving"]] == [story["first"]]
    wait(lambda: not deliver(alliance, story, story["second"]), "the node withdraws what the second gave")
    assert deliver(alliance, story, story["first"]) == story["everybody"]
    page, text = tmp_path / "card.html", tmp_path / "card.md"
    made = profile(alliance, "card", story["second"], "--html", str(page), "--md", str(text))
    assert [step["body"]["action"] for step in made["steps"]][-1] == "rollback"
    assert GROUP in text.read_text() and "<svg" in page.read_text()
