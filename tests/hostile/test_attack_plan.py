"""A hub that asks a node for more than the plan that its people approved: other inputs, later rows, more keys."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import RecordDict

from federation.horizontal.client import RESULT
from federation.models import network
from federation.tabular import unscaled
from partner_node import budget
from tests.partner_node import alliance, horizontal
from tests.partner_node.raw_hub import RawHub, Refused, scaling, weights

VICTIM = "bank-b"  # its clients: horizontal.clients(1)
BANKS = horizontal.BANKS[:3]


@pytest.fixture
def hub(tmp_path: Path) -> RawHub:
    nodes = horizontal.make_banks(tmp_path, BANKS)
    return RawHub(nodes, horizontal.plan_body(nodes))


@pytest.fixture
def noisy(tmp_path: Path) -> RawHub:
    nodes = horizontal.make_banks(tmp_path, BANKS, budget=True)
    return RawHub(nodes, horizontal.noisy(nodes))


def withdraw(hub: RawHub, number: int) -> None:
    hub.nodes[VICTIM].command("consent.withdraw", client_id=alliance.resident_id(number))


def booked(hub: RawHub) -> list[tuple[int, int]]:
    found = hub.nodes[VICTIM].parts.node.database.read(budget.bookings)
    return [(one.slot.round, one.slot.attempt) for one in found]


# --- one input a round, one scaling a run


def test_a_finish_measures_one_model_however_often_it_is_asked(hub: RawHub) -> None:
    """By other scalings beside the same weights the figures would tell a client's age (a bisection of AUC)."""
    last = hub.plan.finish_round
    first = hub.input(weights(1.0), scaling(), server_round=last, rounds=2)
    assert hub.try_upload(VICTIM, "query.finish", f"{last}.0", first) == ""
    for attempt, other in enumerate(
        (
            hub.input(weights(1.0), scaling(46.0), server_round=last, rounds=2),
            hub.input(weights(1.0), scaling(), server_round=last, rounds=1),
            hub.input(weights(1.5), scaling(), server_round=last, rounds=2),
        )
    ):
        assert hub.try_upload(VICTIM, "query.finish", f"{last}.{attempt + 1}", other) == "ROUND_GIVEN_BEFORE"


def test_a_round_trains_with_one_scaling(hub: RawHub) -> None:
    assert hub.try_upload(VICTIM, "train", "1.0", hub.input(weights(0.0), scaling(), server_round=1)) == ""
    other = hub.input(weights(0.0), scaling(46.0), server_round=1)
    assert hub.try_upload(VICTIM, "train", "1.1", other) == "ROUND_GIVEN_BEFORE"


def test_a_run_has_one_scaling_and_what_is_refused_is_not_noted(hub: RawHub) -> None:
    assert hub.try_upload(VICTIM, "train", "1.0", hub.input(weights(0.0), scaling(), server_round=1)) == ""
    other = hub.input(weights(0.5), scaling(46.0), server_round=2)
    assert hub.try_upload(VICTIM, "train", "2.0", other) == "SCALING_GIVEN_BEFORE"
    assert hub.try_upload(VICTIM, "train", "2.0", hub.input(weights(0.5), scaling(), server_round=2)) == ""


# --- exact parts of one input are of the same rows


def test_statistics_before_and_after_a_withdrawal_are_not_both_given(hub: RawHub) -> None:
    """The difference of two sums over the same partners would be the client's row."""
    assert hub.try_upload(VICTIM, "query.statistics", "0.0", RecordDict()) == ""
    assert hub.try_upload(VICTIM, "query.statistics", "0.1", RecordDict()) == ""  # the same rows, the same lanes
    answers = set()
    for attempt, number in enumerate(list(horizontal.clients(1))[:12]):
        withdraw(hub, number)
        answers.add(hub.try_upload(VICTIM, "query.statistics", f"0.{attempt + 2}", RecordDict()))
    assert "ROWS_CHANGED" in answers, "of twelve clients some are of the train part"
    assert hub.try_upload(VICTIM, "train", "1.0", hub.input(weights(0.0), scaling(), server_round=1)) == ""


def test_the_end_is_told_once_and_files_stay_as_it_tells(hub: RawHub) -> None:
    """A client whose consent ends between two attempts is of the test part, and the second is refused, or it is not,
    and the first word is told again: neither shows its row, and neither touches the files."""
    last, node = hub.plan.finish_round, hub.nodes[VICTIM]
    given = hub.input(weights(1.0), scaling(), server_round=last, rounds=2)
    hub.deal(VICTIM, f"{last}.0")
    _, clear = hub.upload(VICTIM, "query.finish", f"{last}.0", given)
    told, files, seen = clear[RESULT], hub.files(VICTIM), set()
    assert {path.name.split("-")[0] for path in files} == {"model", "figures", "scores"}
    for attempt, number in enumerate(horizontal.clients(1), 1):
        withdraw(hub, number)
        hub.deal(VICTIM, f"{last}.{attempt}")
        try:
            _, clear = hub.upload(VICTIM, "query.finish", f"{last}.{attempt}", given)
            assert clear[RESULT] == told
            seen.add("told again")
        except Refused as refused:
            seen.add(str(refused))
        assert hub.files(VICTIM) == files
        if len(seen) == 2:
            break
        alliance.consent(node, [number])
    assert seen == {"told again", "ROWS_CHANGED"}


def test_a_refused_finish_leaves_no_file(hub: RawHub) -> None:
    given = hub.input(weights(1.0), scaling(), server_round=1, rounds=1)
    assert hub.try_upload(VICTIM, "query.finish", "1.0", given) == "ROUND_NOT_IN_PLAN"
    last = hub.plan.finish_round
    given = hub.input(weights(1.0), scaling(), server_round=last, rounds=1)
    with pytest.raises(Refused, match="KEY_MISSING"):
        hub.upload(VICTIM, "query.finish", f"{last}.0", given)
    assert hub.files(VICTIM) == {}


# --- keys of the plan's rounds, no further ahead than it prepares


@pytest.mark.parametrize(
    ("slots", "code"),
    [
        (("4.0",), "ROUND_NOT_IN_PLAN"),
        (("99000.937",), "ROUND_NOT_IN_PLAN"),
        (("0.0", "1.0", "2.0"), "KEYS_TOO_FAR_AHEAD"),
        (("1.998", "1.999", "1.1000"), "KEYS_TOO_FAR_AHEAD"),
    ],
)
def test_keys_outside_the_plan_are_not_made(hub: RawHub, slots: tuple[str, ...], code: str) -> None:
    with pytest.raises(Refused, match=code):
        hub.deal(VICTIM, *slots)
    assert hub.kept(VICTIM) == {}


def test_a_node_keeps_no_more_keys_than_are_prepared_however_often_it_deals(hub: RawHub) -> None:
    for attempt in range(8):
        hub.deal(VICTIM, f"0.{attempt}", "1.0")
        assert {name for name in hub.kept(VICTIM) if name.startswith("own/")} == {f"own/0.{attempt}", "own/1.0"}
    with pytest.raises(Refused, match="KEYS_TOO_FAR_AHEAD"):
        hub.deal(VICTIM, "0.6")  # beside two later ones


def test_a_holder_keeps_no_more_shares_of_a_dealer_than_are_prepared(hub: RawHub) -> None:
    dealt = [hub.deal("bank-a", "0.0", "1.0"), hub.deal("bank-a", "0.1"), hub.deal("bank-a", "2.0", "3.0")]
    assert hub.hold(VICTIM, "bank-a", dealt[2]) == ()
    assert {one.code for one in hub.hold(VICTIM, "bank-a", dealt[0])} == {"KEYS_TOO_FAR_AHEAD"}
    assert {name for name in hub.kept(VICTIM) if name.startswith("share/")} == {
        "share/2.0/bank-a",
        "share/3.0/bank-a",
    }


def test_a_slot_outside_the_plan_does_not_end_the_run_at_a_node(hub: RawHub) -> None:
    for slot in ("4.0", "100000.1000"):
        with pytest.raises(Refused, match="ROUND_NOT_IN_PLAN"):
            hub.upload(VICTIM, "query.statistics", slot, RecordDict())
    assert hub.kept(VICTIM) == {}
    assert hub.try_upload(VICTIM, "query.statistics", "0.0", RecordDict()) == ""


# --- with noise nothing is told without it


def test_a_refusal_over_noisy_rows_gives_no_reason_and_is_booked(noisy: RawHub) -> None:
    given = noisy.input(weights(0.0), unscaled(noisy.plan.columns), server_round=1)
    clients = list(horizontal.clients(1))[:70]
    for number in clients:
        withdraw(noisy, number)
    assert noisy.try_upload(VICTIM, "train", "1.0", given) == "NOT_TOLD_WITH_NOISE"  # too few rows
    assert booked(noisy) == [(1, 0)]
    alliance.consent(noisy.nodes[VICTIM], clients)
    with pytest.raises(Refused, match="KEY_SPENT"):
        noisy.upload(VICTIM, "train", "1.0", given)
    assert booked(noisy) == [(1, 0)]
    assert noisy.try_upload(VICTIM, "train", "1.1", given) == ""
    assert booked(noisy) == [(1, 0), (1, 1)]


def test_weights_that_make_rows_overflow_are_refused_before_any_row_is_read(noisy: RawHub) -> None:
    for value in (1.7e308, -(2.0**21)):
        huge = (np.array([[value], [-value], [0.0], [0.0]]), np.zeros(1))
        given = noisy.input(huge, unscaled(noisy.plan.columns), server_round=1)
        assert noisy.try_upload(VICTIM, "train", "1.0", given) == "FLOWER_CONTENT_MALFORMED"
    assert booked(noisy) == []
    widest = (np.array([[network.WEIGHT_MAX], [-network.WEIGHT_MAX], [0.0], [0.0]]), np.zeros(1))
    given = noisy.input(widest, unscaled(noisy.plan.columns), server_round=1)
    assert noisy.try_upload(VICTIM, "train", "1.0", given) == ""


def test_the_end_of_noisy_training_tells_numbers_of_rows_and_the_partners_own_people_the_rest(noisy: RawHub) -> None:
    last = noisy.plan.finish_round
    given = noisy.input(weights(1.0), unscaled(noisy.plan.columns), server_round=last, rounds=2)
    noisy.deal(VICTIM, f"{last}.0")
    upload, clear = noisy.upload(VICTIM, "query.finish", f"{last}.0", given)
    assert upload.header.read().count == 1
    record: dict[str, Any] = json.loads(clear[RESULT])["body"]["record"]
    assert {*record["auc"].values(), *record["log_loss"].values(), record["missing"], record["unknown"]} == {None}
    (path,) = [path for path in noisy.files(VICTIM) if path.name.startswith("figures-")]
    own = json.loads(path.read_bytes())
    assert own["auc"]["joint_ppm"] is not None and own["rows_test"] == record["rows_test"]
