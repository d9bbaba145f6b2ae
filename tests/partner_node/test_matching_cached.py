"""A list that is masked once and asked in many jobs, at the nodes: what is found, what travels, what an epoch ends."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from partner_node import disclosure, match_book, match_epoch_store, upkeep
from privacy.errors import Failure
from tests.partner_node import alliance
from tests.partner_node.epochs import BANK, BROKER, EPOCH, Pair, Refused, number_of, small_messages


@pytest.fixture(autouse=True)
def _small_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    small_messages(monkeypatch)


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path, BROKER, BANK)


def test_numbers_come_back_from_ids() -> None:
    assert all(number_of(alliance.resident_id(number)) == number for number in (0, 7, 999, 123_456))


@pytest.mark.parametrize("restart", [False, True])
def test_jobs_of_one_epoch_find_what_is_shared_and_the_list_travels_once(pair: Pair, restart: bool) -> None:
    assert pair.shared(restart) == set(BROKER) & set(BANK)
    first, second = pair.run(restart), pair.run(restart)
    assert pair.masks("broker") == 4
    for name in ("broker", "bank"):
        (epoch,) = pair.epochs(name)
        assert (epoch.spent, epoch.ended, epoch.place.number) == (120, None, 1)
    told = {name: (result["body"]["outcome"], result["body"]["count"]) for name, result in second.results.items()}
    assert told == {"broker": ("shared", 20), "bank": ("not entitled", None)}
    assert first.bytes == second.bytes


def test_a_later_job_moves_what_it_asks_and_no_more(pair: Pair) -> None:
    first, second = pair.run(), pair.run()
    masks = 12 * EPOCH["slots"]
    assert first.bytes > second.bytes + masks
    assert second.bytes < 40 * (32 + 32) + 10 * 1000, "a point up, a point down, and envelopes around five messages"


def test_other_clients_may_be_asked_in_a_later_job(pair: Pair) -> None:
    assert pair.shared() == set(range(20, 40))
    pair.enter("broker", range(100, 220))
    assert pair.shared() == set(range(100, 200))


def test_clients_who_came_are_found_once_a_later_list_has_them(pair: Pair) -> None:
    pair.run()
    pair.enter("bank", range(10, 200))
    assert pair.shared() == set(range(10, 40))
    assert pair.masks("broker") == 5
    relay = pair.run()
    assert pair.masks("broker") == 5 and relay.results["broker"]["body"]["count"] == 30


def test_clients_who_came_wait_until_they_are_as_many_as_the_guard_asks_for(tmp_path: Path) -> None:
    pair = Pair(tmp_path, BROKER, BANK, {"bank": alliance.OPEN.replace("minimum = 1\n", "minimum = 10\n")})
    assert pair.shared(minimum=10) == set(range(20, 40))
    pair.enter("bank", range(15, 200))
    assert pair.shared(minimum=10) == set(range(20, 40))
    pair.enter("bank", range(5, 200))
    assert pair.shared(minimum=10) == set(range(5, 40))


def test_clients_wait_for_the_next_epoch_where_no_later_list_is_left(pair: Pair) -> None:
    pair.run(additions_max=0)
    pair.enter("bank", range(200))
    assert pair.shared(additions_max=0) == set(range(20, 40))
    assert pair.shared(epoch=2, additions_max=0) == set(BROKER)


def test_a_later_list_takes_what_has_room_in_it(pair: Pair) -> None:
    pair.run(addition_slots=4)
    pair.enter("bank", range(200))
    assert pair.shared(addition_slots=4) == {0, 1, 2, 3, *range(20, 40)}


# --- consent


def withdraw(pair: Pair, number: int) -> None:
    pair.nodes["bank"].command(
        "consent.withdraw", client_id=alliance.resident_id(number), purpose=alliance.PURPOSE, id_type="resident_id"
    )


def test_a_client_who_withdrew_is_found_no_more(pair: Pair) -> None:
    pair.run()
    withdraw(pair, 30)
    with pytest.raises(Refused) as refused:
        pair.run()
    assert (refused.value.partner, refused.value.code) == ("bank", "MATCH_EPOCH_CLIENTS_DEPARTED")
    assert "epoch 2" in refused.value.said and "第 2 期" in refused.value.said
    (epoch,) = pair.epochs("bank")
    assert (epoch.why, epoch.ended is not None) == ("departed", True)
    with pytest.raises(Failure) as ended:
        pair.run()
    assert ended.value.code == "MATCH_EPOCH_ENDED"
    assert pair.shared(epoch=2) == set(range(20, 40)) - {30}
    (first, second) = pair.epochs("broker")
    assert (first.why, second.why) == ("replaced", None)


@pytest.mark.parametrize("restart", [False, True])
def test_a_withdrawal_in_the_middle_of_a_job_ends_epoch_and_job(pair: Pair, restart: bool) -> None:
    pair.run()
    relay = pair.start(restart)
    for name in ("broker", "bank", "broker"):
        relay.step(name)
    withdraw(pair, 30)
    with pytest.raises(Refused) as refused:
        pair.finish(relay)
    assert (refused.value.partner, refused.value.code) == ("bank", "MATCH_EPOCH_CLIENTS_DEPARTED")
    (epoch,) = pair.epochs("bank")
    assert (epoch.why, epoch.spent) == ("departed", 80), "what was promised stays booked"


def test_a_client_whose_consent_has_ended_ends_the_epoch(pair: Pair) -> None:
    alliance.consent(pair.nodes["bank"], [50], until="2026-10-03")
    pair.run()
    pair.clock.now = pair.clock.now.replace(day=4)
    with pytest.raises(Refused) as refused:
        pair.run()
    assert refused.value.code == "MATCH_EPOCH_CLIENTS_DEPARTED"


# --- budget and time


def test_evaluations_are_booked_and_what_goes_beyond_is_refused(pair: Pair) -> None:
    pair.run(points_max=100)
    pair.run(points_max=100)
    with pytest.raises(Refused) as refused:
        pair.run(points_max=100)
    assert refused.value.code == "PSI_EPOCH_POINTS_SPENT"
    assert {epoch.spent for name in pair.nodes for epoch in pair.epochs(name)} == {80}


def test_an_epoch_that_is_used_up_ends_on_both_sides(pair: Pair) -> None:
    pair.run(points_max=80)
    pair.run(points_max=80)
    for name in pair.nodes:
        (epoch,) = pair.epochs(name)
        assert (epoch.spent, epoch.why) == (80, "spent")
    assert pair.masks("broker") == 0
    with pytest.raises(Failure) as refused:
        pair.run(points_max=80)
    assert refused.value.code == "MATCH_EPOCH_ENDED"


def test_a_job_that_broke_has_spent_its_points(pair: Pair) -> None:
    relay = pair.start()
    for name in ("broker", "bank"):
        relay.step(name)
    for name in pair.nodes:
        pair.nodes[name].parts.node.database.write("end", lambda s: match_epoch_store.sessions.end(s, relay.job, "t"))
    assert pair.shared() == set(range(20, 40))
    assert {epoch.spent for name in pair.nodes for epoch in pair.epochs(name)} == {80}


def test_what_the_other_side_could_test_is_booked_once_for_a_list_and_each_time_for_points(pair: Pair) -> None:
    pair.run()
    pair.run()
    booked = {
        name: [(e["peer"], e["slots"]) for e in pair.nodes[name].parts.node.database.read(match_book.entries)]
        for name in pair.nodes
    }
    assert booked == {"bank": [(40, 40), (40, 40)], "broker": [(180, 256), (180, 0)]}


def test_the_epochs_time_is_kept(pair: Pair) -> None:
    job = pair.propose(ends="2026-10-02T00:00:00+00:00")
    pair.clock.now = pair.clock.now.replace(day=2)
    with pytest.raises(Failure) as refused:
        alliance.approve([*pair.nodes.values()], job)
    assert refused.value.code == "PSI_EPOCH_OVER"


def test_no_evaluation_leaves_after_the_epochs_end(pair: Pair) -> None:
    relay = pair.start(ends="2026-10-02T00:00:00+00:00")
    for name in ("broker", "bank", "broker"):
        relay.step(name)
    pair.clock.now = pair.clock.now.replace(day=2)
    with pytest.raises(Refused) as refused:
        relay.step("bank")
    assert refused.value.code == "PSI_EPOCH_OVER"


def test_upkeep_ends_what_is_over(pair: Pair) -> None:
    pair.run(ends="2026-10-02T00:00:00+00:00")
    pair.clock.now = pair.clock.now.replace(day=2)
    for name, node in pair.nodes.items():
        upkeep.drop_ended(node.parts.node.database, pair.clock.now)
        (epoch,) = pair.epochs(name)
        assert epoch.why == "expired"
    assert pair.masks("broker") == 0


# --- one line, one job, one order of numbers


def test_one_job_at_a_time(pair: Pair) -> None:
    pair.run()
    first = pair.start()
    with pytest.raises(Refused) as refused:
        pair.run()
    assert refused.value.code == "MATCH_EPOCH_BUSY"
    pair.finish(first)
    assert pair.shared() == set(range(20, 40))


def test_a_new_epoch_waits_for_the_job_of_the_one_before(pair: Pair) -> None:
    first = pair.start()
    for name in ("broker", "bank"):
        first.step(name)
    with pytest.raises(Refused) as refused:
        pair.run(epoch=2)
    assert refused.value.code == "MATCH_EPOCH_BUSY"
    pair.finish(first)
    assert pair.shared(epoch=2) == set(range(20, 40))


def test_numbers_only_rise(pair: Pair) -> None:
    pair.run(epoch=3)
    pair.run(epoch=5)
    for number, code in ((4, "MATCH_EPOCH_NOT_NEXT"), (3, "MATCH_EPOCH_ENDED")):
        with pytest.raises(Failure) as refused:
            pair.run(epoch=number)
        assert refused.value.code == code


@pytest.mark.parametrize("changes", [{"points_max": 2000}, {"slots": 512}, {"ends": "2026-12-02T00:00:00+00:00"}])
def test_terms_of_an_epoch_stay(pair: Pair, changes: dict[str, Any]) -> None:
    pair.run()
    with pytest.raises(Failure) as refused:
        pair.run(**changes)
    assert refused.value.code == "MATCH_EPOCH_TERMS_DIFFER"


def test_a_list_that_does_not_fit_begins_nothing(pair: Pair) -> None:
    with pytest.raises(Refused) as refused:
        pair.run(slots=100)
    assert (refused.value.code, pair.epochs("bank")) == ("PSI_LIST_TOO_LONG", [])


# --- people


def test_people_list_epochs_and_end_one(pair: Pair) -> None:
    pair.run()
    (line,) = pair.nodes["bank"].command("matching.epochs")["epochs"]
    assert {name: line[name] for name in ("partner", "asset", "epoch", "side", "state", "used", "left", "size")} == {
        "partner": "broker",
        "asset": "clients",
        "epoch": 1,
        "side": "sender",
        "state": "open",
        "used": 40,
        "left": 960,
        "size": 180,
    }
    assert line["until"] == EPOCH["ends"]
    said = pair.nodes["bank"].command("matching.end_epoch", partner="broker", epoch=1, person="privacy officer")
    assert (said["state"], said["why"], said["person"]) == ("ended", "person", "privacy officer")
    with pytest.raises(Failure) as refused:
        pair.run()
    assert refused.value.code == "MATCH_EPOCH_ENDED"
    with pytest.raises(Failure) as unknown:
        pair.nodes["bank"].command("matching.end_epoch", partner="broker", epoch=1, person="privacy officer")
    assert unknown.value.code == "MATCH_EPOCH_UNKNOWN"
    assert pair.shared(epoch=2) == set(range(20, 40))


def test_a_person_ends_an_epoch_and_the_job_in_it(pair: Pair) -> None:
    relay = pair.start()
    for name in ("broker", "bank", "broker"):
        relay.step(name)
    pair.nodes["bank"].command("matching.end_epoch", partner="broker", epoch=1, person="privacy officer")
    with pytest.raises(Refused) as refused:
        relay.step("bank")
    assert refused.value.code == "JOB_OVER"


def test_what_was_computed_while_a_person_ended_the_epoch_does_not_leave(pair: Pair) -> None:
    """The step has looked at its epoch, and is about to commit: neither its answer nor its job may outlive the end."""
    relay = pair.start()
    relay.step("broker")
    bank = relay.nodes["bank"]
    answer = bank.parts.handlers["match.step"](relay.request("bank", [*relay.boxes["bank"]]))
    assert answer.failure is None and answer.body
    bank.command("matching.end_epoch", partner="broker", epoch=1, person="privacy officer")
    with pytest.raises(Failure) as late:
        bank.parts.node.database.write("match.step", answer.write)
    assert late.value.code == "MATCH_EPOCH_ENDED"
    with pytest.raises(Refused) as refused:
        relay.step("bank")
    assert refused.value.code == "JOB_OVER"


@pytest.mark.parametrize("name", ["bank", "broker"])
def test_an_ended_epochs_secrets_are_gone_from_the_files(pair: Pair, name: str) -> None:
    pair.run()
    node = pair.nodes[name]
    database = node.parts.node.database
    secrets = database.read(
        lambda s: (
            [bytes(row[0]) for row in s.execute(text("SELECT masks FROM match_epoch_masks"))]
            if name == "broker"
            else [match_epoch_store.sender(s, pair.epochs(name)[0].place.line, 1)._seed]
        )
    )
    secrets = [secret[-32:] for secret in secrets] + [secret[:32] for secret in secrets]

    def found() -> list[bool]:
        stored = b"".join(path.read_bytes() for path in (node.folder / "data").rglob("*.db*"))
        assert stored
        return [secret in stored for secret in secrets]

    assert all(found())
    peer = "broker" if name == "bank" else "bank"
    node.command("matching.end_epoch", partner=peer, epoch=1, person="privacy officer")
    assert not any(found())


def test_people_read_the_epochs_price_before_they_approve(pair: Pair) -> None:
    shown = pair.nodes["bank"].command("job", job=pair.propose())
    english = "\n".join(str(said) for said in shown["discloses"])
    assert shown["blocked"] is None
    assert "compare lists" in english and "key leaks" in english and "泄露" in english
    assert disclosure.sentences("match", shown["body"], "bank")
