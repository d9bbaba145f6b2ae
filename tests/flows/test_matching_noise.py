"""A count with noise over real processes and by the commands of people: proposed, approved, shown, booked, refused."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from privacy.errors import Failure
from privacy.noise import CountNoise
from sandbox import world
from tests.support import launch_alliance, launch_fixtures
from tests.support.launch_alliance import Alliance

pytestmark = [pytest.mark.flow, pytest.mark.slow_flow]
PAIR = ("broker", "bank")
NOISE = CountNoise(epsilon_milli=500, delta_log10=-9)


@pytest.fixture(scope="module")
def alliance(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alliance]:
    """The bank's clients have a budget for one such count, and a half."""
    with launch_alliance.copy(launch_fixtures.founded(base), tmp_path_factory.mktemp("z") / "w") as made:
        config = made.world.node_config("bank")
        line = 'privacy_budget = {epsilon = "0.75", delta_log10 = -6}'
        config.write_text(config.read_text().replace("[asset.columns]", f"{line}\n[asset.columns]", 1))
        made.start("chain", "hub", *PAIR)
        yield made


def proposed(alliance: Alliance) -> str:
    """By the data team's command."""
    given = ("--mode", "count", "--noise", "0.5", "--leader", PAIR[0], "--with", PAIR[1], "--minimum", "50")
    made = alliance.world.person("data", "data", "match", "propose", *given, "--purpose", world.PURPOSE).check().json
    assert made["body"]["noise"] == {"epsilon_milli": 500, "delta_log10": -9}
    assert "ABOUT how many" in " ".join(made["body"]["disclosure"])
    return str(made["digest"])


def test_people_see_an_estimate_and_what_it_cost(alliance: Alliance) -> None:
    digest = proposed(alliance)
    alliance.approve(digest, PAIR)
    alliance.completed(digest)
    known = [set(launch_alliance.rows(alliance.world.partners[name].source)) for name in PAIR]
    shared = len([client for client in set.intersection(*known) if world.consents(client)])
    shown = alliance.world.person("data", "data", "match", "result", digest).check().json
    (found,) = [item["body"] for item in shown["results"] if item["signer"] == "broker"]
    assert abs(found["count"] - shared) <= NOISE.reach
    assert found["noise"] == NOISE.statement()
    (line,) = alliance.node("bank", "budget")["assets"]
    assert (line["spent"], [count["job"] for count in line["counts"]]) == ("0.500", [digest])


def test_what_is_left_is_not_enough_for_another(alliance: Alliance) -> None:
    digest = proposed(alliance)
    launch_alliance.wait(partial(alliance._knows, "bank", digest), "the proposal at the bank")
    with pytest.raises(Failure, match="privacy budget of"):
        alliance.node("bank", "approve", job=digest, person="privacy officer")
