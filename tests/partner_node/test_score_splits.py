"""The split of one client's score: exact, only as often as was approved, and nothing of it without an approval."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecowire.status import code_of
from federation.vertical import scores
from federation.vertical.part import ModelPart
from partner_node import cli_score, disclosure, sessions, store, store_scores
from partner_node.cli_common import Cli
from partner_node.tables_scores import ScoreSplitBookingRow
from privacy.errors import Failure
from privacy.ids import Digest, PartnerId
from tests.partner_node import alliance, scoring, test_training
from tests.partner_node.scoring import Alliance

pytestmark = pytest.mark.slow_flow

CLIENT = alliance.resident_id(7)
PER_DAY, STEP = 3, 0.25
SCORING = {"clients_per_day": 5, "split": {"step_log2": -2, "clients_per_day": PER_DAY}}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    return scoring.finished(tmp_path_factory.mktemp("split"), scoring=SCORING)


@pytest.fixture
def made(run: tuple[Path, str, str], tmp_path: Path) -> Alliance:
    return scoring.opened(run[0], tmp_path, *run[1:])


def split(made: Alliance, client: str = CLIENT, **arguments: Any) -> Any:
    return made.scored(client, split=True, **arguments)


def refused(made: Alliance, client: str = CLIENT) -> str:
    with pytest.raises(Failure) as caught:
        split(made, client)
    return code_of(caught.value)


def shown(made: Alliance, name: str = "bank", day: str = "2026-10-01") -> int:
    return made.database(name).read(lambda session: store_scores.splits(session, made.job, day))


def vectors(made: Alliance, name: str = "bank") -> int:
    return sum(int(line["disclosed"]) for line in made[name].command("quota")["score_vectors"])


def share(made: Alliance, name: str, client: str = CLIENT) -> float:
    """A holder's exact share, as it would have it now."""
    part = ModelPart.decode((made[name].parts.node.settings.results / f"model-{made.job[:16]}.bin").read_bytes())
    head, *rows = (made[name].folder / "clients.csv").read_text().splitlines()
    cells = next(row.split(",") for row in rows if row.startswith(client))
    values = dict(zip(head.split(","), cells, strict=True))
    return float(part.shares({column: np.array([float(values[column])]) for column in part.columns}, 1)[0])


def test_the_split_adds_up_to_the_score_and_each_share_is_rounded(made: Alliance) -> None:
    for number in (0, 7, 55):
        client = alliance.resident_id(number)
        found = split(made, client)
        sides = found["split"]
        shares = {name: float(text) for name, text in sides["shares"].items()}
        assert set(shares) == set(made.holders())
        assert float(sides["own"]) + sum(shares.values()) + float(sides["remainder"]) == pytest.approx(
            float(found["score"]), abs=1e-9
        )
        for name, value in shares.items():
            assert value % STEP == 0
            assert abs(value - share(made, name, client)) <= STEP / 2 + 2.0**-5 + 1e-4  # and the rounding before
        assert not found["changed"] and float(found["score"]) == made.matrix()[client]["score"]


def test_an_ask_without_split_gets_none_and_costs_none(made: Alliance) -> None:
    assert made.scored(CLIENT)["split"] is None
    assert (shown(made), made.booked("bank"), vectors(made)) == (0, 1, 2)
    assert split(made)["split"] is not None
    assert (shown(made), made.booked("bank")) == (1, 1)
    assert [one["split"] for one in made["broker"].command("scores")["asked"]].count(True) == 1


def test_a_day_is_for_as_many_splits_as_the_plan_says_and_the_same_ones_again(made: Alliance) -> None:
    clients = [alliance.resident_id(number) for number in range(PER_DAY)]
    first = [split(made, client)["split"] for client in clients]
    assert [split(made, client)["split"] for client in clients] == first
    for name in scoring.NAMES:
        made.reopen(name)
    assert {shown(made, name) for name in made.holders()} == {PER_DAY}
    assert refused(made, alliance.resident_id(100)) == "SPLIT_BUDGET_SPENT"
    assert (shown(made), made.booked("bank")) == (PER_DAY, PER_DAY)  # what is refused is not counted
    assert made.scored(alliance.resident_id(100))
    assert split(made, clients[0])["split"] == first[0]
    made.clock.now += timedelta(days=1)
    assert split(made, alliance.resident_id(100))
    (given, *_) = made["bank"].command("scores", job=made.job)["given"]
    assert (given["day"], given["splits"]) == ("2026-10-02", 1)


def test_another_coarse_share_counts_and_a_change_within_it_does_not(made: Alliance) -> None:
    before = split(made)["split"]["shares"]["bank"]
    for number in range(-40, 40):  # a value by which the share is well within the same step
        made.rewrite("bank", "SAVING", CLIENT, str(number / 20))
        if 0 < abs(share(made, "bank") - float(before)) < STEP / 4:
            break
    assert split(made)["split"]["shares"]["bank"] == before
    assert shown(made) == 1
    made.rewrite("bank", "SAVING", CLIENT, "30.0")
    assert split(made)["split"]["shares"]["bank"] != before
    assert (shown(made), shown(made, "platform")) == (2, 1)


def test_the_splits_of_a_run_are_one_vector_of_the_lifetime_budget(made: Alliance) -> None:
    before = vectors(made)
    for number in range(PER_DAY):
        split(made, alliance.resident_id(number))
    assert vectors(made) == before + 1


def test_where_the_lifetime_budget_is_spent_no_split_is_shown(made: Alliance) -> None:
    budget = int(
        str(made.database("bank").read(lambda session: store.proposal(session, made.job)).body["score_budget"])
    )
    other = sessions.Spent(
        run=Digest("ab" * 32),
        asset="clients",
        columns=frozenset({"SAVING"}),
        label_holder=PartnerId("broker"),
        count=budget - 3,
    )
    (line,) = made["bank"].command("quota")["score_vectors"]
    assert (line["asset"], line["disclosed"]) == (other.asset, 2)
    made.database("bank").write("other run", lambda session: sessions.spend(session, other, "2026-10-01"))
    assert vectors(made) == budget - 1
    more = replace(other, run=Digest("ac" * 32), count=1)
    made.database("bank").write("run", lambda session: sessions.spend(session, more, "2026-10-01"))
    assert refused(made) == "SCORE_BUDGET_EXCEEDED"
    assert (shown(made), made.booked("bank"), vectors(made)) == (0, 0, budget)
    made.database("bank").write("run gone", lambda session: sessions.settle(session, more.run, 0))
    assert split(made) and vectors(made) == budget


def test_a_run_shows_splits_at_most_as_often_as_it_has_clients(made: Alliance) -> None:
    def fill(session: Any) -> None:
        for number in range(1, test_training.CLIENTS):
            token = f"{number:032x}"
            session.add(ScoreSplitBookingRow(run=made.job, day="2026-09-01", token=token, share=0, number=number))

    made.database("bank").write("fill", fill)
    assert split(made)
    assert refused(made, alliance.resident_id(8)) == "SPLITS_OVER"
    assert split(made)  # what was shown today is no new one


def test_consent_is_asked_of_a_split_too(made: Alliance) -> None:
    made["platform"].command("consent.withdraw", client_id=CLIENT)
    assert refused(made) == "CLIENT_NOT_SCORED"
    assert (shown(made, "platform"), made.given["platform"].body) == (0, b"")


def test_an_ask_that_comes_again_gets_the_same_bytes_and_is_counted_once(made: Alliance) -> None:
    split(made)
    request, first = made.requests[-1], made.given["bank"]
    made.rewrite("bank", "SAVING", CLIENT, "30.0")
    assert made.ask(request, "bank", again="-again").head == first.head
    assert (shown(made), made.booked("bank"), vectors(made)) == (1, 1, 3)


def test_a_holder_whose_two_shares_differ_gives_no_split(made: Alliance, monkeypatch: pytest.MonkeyPatch) -> None:
    unmasked = scores.unmasked
    monkeypatch.setattr(scores, "unmasked", lambda *heard: unmasked(*heard) + 40)
    assert refused(made) == "SCORES_IMPLAUSIBLE"


def test_commands_with_and_without_split_make_two_asks(made: Alliance) -> None:
    plain, told = made.begin(CLIENT)
    request = made.request(plain)
    assert request is not None
    both = split(made)
    made.settle(request)
    made.tell(request, {name: made.ask(request, name) for name in made.holders()})
    plain.join(30)
    assert (told["found"]["split"], told["found"]["score"]) == (None, both["score"])
    assert told["found"]["ask"] != both["ask"]


@pytest.mark.parametrize("value", ["yes", 1, None], ids=str)
def test_a_split_that_is_no_truth_value_is_refused(made: Alliance, value: Any) -> None:
    with pytest.raises(Failure) as caught:
        made["broker"].command("score", job=made.job, client=CLIENT, person="a clerk", split=value)
    assert code_of(caught.value) == "COMMAND_INVALID"


def test_people_approve_a_split_by_a_sentence_of_its_own(made: Alliance) -> None:
    plan = made.database("bank").read(lambda session: store.proposal(session, made.job)).body
    with_split = disclosure.sentences("train", plan, "bank")
    without = disclosure.sentences("train", {**plan, "scoring": {"clients_per_day": 5}}, "bank")
    assert without == with_split[:-1]
    english, chinese = with_split[-1]
    for said in (english, chinese):
        assert all(
            word in said for word in ("broker", "bank, platform", "2^-2", str(PER_DAY), str(plan["score_budget"]))
        )


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_table_of_a_split_has_every_side_and_what_rounding_left(
    made: Alliance, capsys: pytest.CaptureFixture[str], lang: str
) -> None:
    found = split(made)
    cli_score._show(Cli(config=made["broker"].folder, as_json=False, lang=lang), found)
    lines = capsys.readouterr().out.splitlines()
    sides = found["split"]
    for name, value in {**sides["shares"], cli_score.SPLIT[lang][2]: sides["remainder"]}.items():
        (line,) = (line for line in lines if name in line)
        assert value in line.split()
