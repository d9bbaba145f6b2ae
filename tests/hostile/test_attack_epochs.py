"""Mode cached against those who ask too much in many harmless jobs of one epoch: the guards hold as for other modes.

Each attack runs twice: as the nodes are, where it ends with a named refusal, and with the one guard taken out, where it
reaches its aim.
"""

from pathlib import Path

import pytest

from partner_node.match_book import entries
from privacy.errors import Failure
from privacy.psi.cached.epoch import SenderEpoch
from tests.hostile.matching import CLIENTS, RULES, all_rules_out, take_out
from tests.partner_node.epochs import EPOCH, Pair, Refused

pytestmark = pytest.mark.slow_flow  # among the longest: they run with the flows

EVERYBODY, BANK = CLIENTS[:200], CLIENTS[:100]
both = pytest.mark.parametrize("out", [False, True], ids=["guarded", "guard out"])


def scene(folder: Path, asking: list[int], asked: list[int], **rules: str) -> Pair:
    return Pair(folder, asking, asked, {"broker": RULES, "bank": RULES} | rules)


def found(pair: Pair, **changes: object) -> set[int] | str:
    """The numbers of the clients whom the broker finds, or the code of a refusal."""
    try:
        return pair.shared(minimum=5, slots=512, **changes)
    except Refused as refusal:
        return refusal.code
    except Failure as failure:
        return failure.code


@both
def test_guesses_batch_by_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: bool) -> None:
    """A broker without any guard asks about other guesses in each job of the epoch; the bank books every point."""
    batches = [CLIENTS[start : start + 100] for start in range(0, 400, 100)]
    rules = f"{RULES}\npeer_identifiers_per_month = 250"
    pair = scene(tmp_path, batches[0], CLIENTS[50:350], bank=rules)
    all_rules_out(monkeypatch, pair.nodes["broker"])
    if out:
        take_out(monkeypatch, pair.nodes["bank"], "_check_peer")
    answers = []
    for batch in batches:
        pair.enter("broker", batch)
        answers.append(found(pair))
    spent = "MATCH_IDENTIFIERS_SPENT"
    assert answers[:2] == [{*CLIENTS[50:100]}, {*CLIENTS[100:200]}]
    assert answers[2:] == ([{*CLIENTS[200:300]}, {*CLIENTS[300:350]}] if out else [spent, spent])


@both
def test_more_questions_than_the_epoch_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: bool) -> None:
    """What people approved for the epoch holds whatever the node's budgets are, and whoever asks."""
    pair = scene(tmp_path, BANK, CLIENTS)
    if out:
        monkeypatch.setattr(SenderEpoch, "book", lambda *_: None)
        monkeypatch.setattr("privacy.psi.cached.epoch.ReceiverEpoch.book", lambda *_: None)
    answers = [found(pair, points_max=250) for _ in range(3)]
    assert answers == [{*BANK}, {*BANK}, {*BANK} if out else "PSI_EPOCH_POINTS_SPENT"]


@both
def test_a_person_who_is_looked_up_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: bool) -> None:
    """The broker's people ask about their clients again, and about the one: their own node refuses."""
    pair = scene(tmp_path, EVERYBODY[1:], BANK)
    assert found(pair) == {*BANK[1:]}
    pair.enter("broker", EVERYBODY)
    if out:
        take_out(monkeypatch, pair.nodes["broker"], "_check_difference")
    assert found(pair) == ({*BANK} if out else "MATCH_SETS_TOO_ALIKE")


@both
def test_job_after_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: bool) -> None:
    pair = scene(tmp_path, EVERYBODY, BANK, bank=f"{RULES}\njobs_per_month = 2")
    if out:
        take_out(monkeypatch, pair.nodes["bank"], "_check_jobs")
    assert [found(pair) for _ in range(3)] == [{*BANK}, {*BANK}, {*BANK} if out else "MATCH_JOBS_SPENT"]


@both
def test_a_list_of_more_guesses_than_the_partner_has_clients(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: bool
) -> None:
    """The bank's list has places for 512; the broker books them all, since nobody sees what stands in them."""
    pair = scene(tmp_path, EVERYBODY, BANK, broker=f"{RULES}\npeer_identifiers_per_month = 500")
    if out:
        take_out(monkeypatch, pair.nodes["broker"], "_check_peer")
    assert found(pair) == ({*BANK} if out else "MATCH_IDENTIFIERS_SPENT")
    if out:
        (booked,) = pair.nodes["broker"].parts.node.database.read(entries)
        assert (booked["slots"], booked["peer"]) == (512, 100)


def test_few_clients_who_came_stay_out_of_the_lists(tmp_path: Path) -> None:
    """One new client in a later list would be a person whom the broker is told about: they wait until they are five."""
    pair = scene(tmp_path, EVERYBODY, BANK)
    assert found(pair) == {*BANK}
    pair.enter("bank", CLIENTS[:104])
    assert found(pair) == {*BANK}
    pair.enter("bank", CLIENTS[:105])
    assert found(pair) == {*CLIENTS[:105]}
    assert EPOCH["additions_max"] == 2


def test_after_a_withdrawal_the_next_epoch_says_nothing_new(tmp_path: Path) -> None:
    pair = scene(tmp_path, EVERYBODY, BANK)
    assert found(pair) == {*BANK}
    pair.enter("bank", BANK[1:])
    assert found(pair) == "MATCH_EPOCH_CLIENTS_DEPARTED"
    assert found(pair, epoch=2) == {*BANK[1:]}
