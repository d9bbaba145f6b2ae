"""Matches that are approved and harmless one by one, and together tell who a partner's clients are.

Each attack runs twice: as the nodes are, where it ends with a named refusal, and with the one guard taken out, where it
reaches its aim.
"""

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from partner_node import match_slots, times
from partner_node.grants import Gate
from partner_node.match_guard import LOW
from partner_node.tables import ConsentRow
from partner_node.worker import OK
from privacy.psi.oprf import okvs
from privacy.psi.oprf.options import CHECKED_LISTED
from privacy.psi.oprf.parameters import parameters
from tests.hostile.matching import CLIENTS, RULES, Scene, all_rules_out, take_out
from tests.partner_node import alliance
from tests.partner_node.relay import MatchRelay

pytestmark = pytest.mark.slow_flow  # among the longest: they run with the flows

EVERYBODY, BANK, TARGET, OTHERS = CLIENTS[:200], CLIENTS[:100], CLIENTS[100], CLIENTS[200:]
WITH_GUARD, WITHOUT = False, True
both = pytest.mark.parametrize("out", [WITH_GUARD, WITHOUT], ids=["guarded", "guard out"])


# --- differencing: two sets that differ in few clients


@both
def test_two_counts_around_one_new_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: bool) -> None:
    """Is the bank's newest client a client of the broker? The second count less the first says so."""
    scene = Scene(tmp_path, EVERYBODY, BANK)
    assert scene.match() == 100
    scene.enter(scene.bank, [*BANK, TARGET])
    if out:
        take_out(monkeypatch, scene.bank, "_check_difference")
    assert scene.match() == (101 if out else "MATCH_SETS_TOO_ALIKE")


@both
def test_a_person_leaves_one_of_the_own_clients_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: bool) -> None:
    """A broker's data person asks whether one of its clients banks there: the own node refuses for the bank's sake."""
    scene = Scene(tmp_path, EVERYBODY, BANK)
    assert scene.match() == 100
    scene.enter(scene.broker, EVERYBODY[1:])
    if out:
        take_out(monkeypatch, scene.broker, "_check_difference")
    assert scene.match() == (99 if out else "MATCH_SETS_TOO_ALIKE")


@both
def test_two_jobs_approved_before_either_ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: bool) -> None:
    """Both commit before either is booked; the second is refused at its first step."""
    scene = Scene(tmp_path, EVERYBODY, BANK)
    if out:
        take_out(monkeypatch, scene.bank, "_check_difference")
    first, second = scene.propose(), scene.propose()
    approved = {job: alliance.approve(scene.nodes, job) for job in (first, second)}
    assert scene.run(first, approved[first]) == 100
    scene.enter(scene.bank, [*BANK, TARGET])
    assert scene.run(second, approved[second]) == (101 if out else "MATCH_SETS_TOO_ALIKE")


def test_the_same_set_again_and_one_that_differs_by_enough_are_no_attack(tmp_path: Path) -> None:
    scene = Scene(tmp_path, EVERYBODY, BANK)
    assert [scene.match(), scene.match()] == [100, 100]
    scene.enter(scene.bank, CLIENTS[:105])
    assert scene.match() == 105


def test_a_set_is_compared_with_all_earlier_ones(tmp_path: Path) -> None:
    scene = Scene(tmp_path, EVERYBODY, BANK)
    for numbers in (BANK, CLIENTS[:120]):
        scene.enter(scene.bank, numbers)
        assert scene.match() == len(numbers)
    scene.enter(scene.bank, CLIENTS[1:100])
    assert scene.match() == "MATCH_SETS_TOO_ALIKE"


@both
def test_a_person_who_is_looked_up_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: bool) -> None:
    """Is this one person a client of the bank? The broker's people enter their clients again, and the one."""
    scene = Scene(tmp_path, EVERYBODY[1:], BANK)
    assert scene.match(mode="align") == 99
    scene.enter(scene.broker, EVERYBODY)
    if out:
        take_out(monkeypatch, scene.broker, "_check_difference")
    assert scene.match(mode="align") == (100 if out else "MATCH_SETS_TOO_ALIKE")
    if out:
        assert alliance.resident_id(EVERYBODY[0]) in scene.shared(scene.job)


@both
def test_a_count_and_then_the_names_of_all_but_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: bool) -> None:
    """The number over all clients less the names of all but one says whether this one is shared."""
    scene = Scene(tmp_path, EVERYBODY, BANK)
    assert scene.match() == 100
    scene.enter(scene.bank, BANK[1:])
    if out:
        take_out(monkeypatch, scene.bank, "_check_difference")
    assert scene.match(mode="align") == (99 if out else "MATCH_SETS_TOO_ALIKE")


@both
@pytest.mark.parametrize("mode", ["count", "align"])
def test_a_second_asset_that_differs_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: bool, mode: str
) -> None:
    """The broker has its clients in two assets, and one of them in the larger only: nobody need touch a source."""
    scene = Scene(tmp_path, EVERYBODY, BANK)
    scene.add_asset(scene.broker, "accounts", EVERYBODY[1:])
    if out:
        take_out(monkeypatch, scene.broker, "_check_difference")
    assert scene.match(asset="accounts", mode=mode) == 99
    assert scene.match(mode=mode) == (100 if out else "MATCH_SETS_TOO_ALIKE")


def test_assets_of_different_people_and_the_same_people_twice_are_no_attack(tmp_path: Path) -> None:
    scene = Scene(tmp_path, EVERYBODY, BANK)
    scene.add_asset(scene.broker, "accounts", EVERYBODY[50:])
    scene.add_asset(scene.broker, "cards", EVERYBODY)
    assert [scene.match(), scene.match(asset="accounts"), scene.match(asset="cards")] == [100, 50, 100]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("minimum = 50", "MATCH_MINIMUM_TOO_SMALL"),
        ("minimum = 5\nconsecutive = 1", "MATCH_IDS_IN_SEQUENCE"),
        ("minimum = 5\npeer_clients = 10", "MATCH_PEER_SET_TOO_LARGE"),
    ],
)
def test_a_limit_that_changes_after_the_start_holds_before_the_first_message(
    tmp_path: Path, line: str, code: str
) -> None:
    """Approved and started; the bank's people then write another limit into node.toml and restart."""
    scene = Scene(tmp_path, EVERYBODY, BANK)
    job = scene.propose()
    relay = MatchRelay(scene.nodes, job, alliance.approve(scene.nodes, job))
    path = scene.bank.folder / "node.toml"
    path.write_text(path.read_text().replace("minimum = 5", line))
    relay.nodes["bank"] = scene.reopen(scene.bank)
    assert relay.step("broker").kind == OK
    assert relay.step("bank").head["code"] == code


def test_after_a_withdrawal_clients_are_matched_by_name_again(tmp_path: Path) -> None:
    """A count, an alignment, one client withdraws: training needs another alignment, which says nothing new of it."""
    scene = Scene(tmp_path, EVERYBODY, BANK)
    assert [scene.match(), scene.match(mode="align")] == [100, 100]
    scene.bank.command("consent.withdraw", client_id=alliance.resident_id(BANK[0]))
    assert scene.match(mode="align") == 99
    assert scene.match() == "MATCH_SETS_TOO_ALIKE", "a number would say whether the one who withdrew is shared"


def test_after_a_withdrawal_all_of_three_are_matched_by_name_again(tmp_path: Path) -> None:
    scene = Scene(tmp_path, EVERYBODY, BANK, platform=CLIENTS[:150])
    assert scene.match(mode="align-all", version=2) == 100
    scene.bank.command("consent.withdraw", client_id=alliance.resident_id(BANK[0]))
    assert scene.match(mode="align-all", version=2) == 99


@both
def test_names_of_what_all_three_share_do_not_cover_a_number_of_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: bool
) -> None:
    """The platform lacks one of the bank's clients, so the names that all three share leave it out; the number less
    the later names of all others says that the broker has it.
    """
    scene = Scene(tmp_path, EVERYBODY, BANK, platform=BANK[1:])
    assert [scene.match(), scene.match(mode="align-all", version=2)] == [100, 99]
    scene.enter(scene.bank, BANK[1:])
    if out:
        take_out(monkeypatch, scene.bank, "_check_difference")
    assert scene.match(mode="align") == (99 if out else "MATCH_SETS_TOO_ALIKE")


@both
@pytest.mark.parametrize("decision", ["agree", "refuse"])
def test_a_number_after_which_rows_came_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: bool, decision: str
) -> None:
    """Rows of the whole set cover its number, so names can follow a withdrawal; a refusal leaves the number alone."""
    scene = Scene(tmp_path, EVERYBODY, BANK)
    job = scene.propose("count-then-rows", version=2)
    assert scene.run(job, alliance.approve(scene.nodes, job), "count-then-rows", decision) == 100
    scene.enter(scene.bank, BANK[1:])
    if out:
        take_out(monkeypatch, scene.bank, "_check_difference")
    assert scene.match(mode="align") == ("MATCH_SETS_TOO_ALIKE" if decision == "refuse" and not out else 99)


@both
def test_a_match_by_name_that_was_broken_off_covers_no_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: bool
) -> None:
    """Whoever wants the number of all and the names of all but one breaks the match by name off before it tells."""
    scene = Scene(tmp_path, EVERYBODY, BANK)
    assert scene.match() == 100
    job = scene.propose("align")
    relay = MatchRelay(scene.nodes, job, alliance.approve(scene.nodes, job))
    assert [relay.step(name).kind for name in ("broker", "bank")] == [OK, OK]
    scene.enter(scene.bank, BANK[1:])
    if out:
        take_out(monkeypatch, scene.bank, "_check_difference")
    assert scene.match(mode="align") == (99 if out else "MATCH_SETS_TOO_ALIKE")


# --- guessed ids


@both
def test_ids_that_are_counted_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: bool) -> None:
    """The broker's source holds every number of a region and day: those of the bank's clients come back by name."""
    victims = [303, 310, 377, 402, 418, 466]
    scene = Scene(tmp_path, [*range(300, 500)], [*victims, *OTHERS])
    if not out:
        assert scene.match(mode="align") == "MATCH_IDS_IN_SEQUENCE"
        return
    take_out(monkeypatch, scene.broker, "_check_sequence")
    assert scene.match(mode="align") == len(victims)
    assert scene.shared(scene.job) == {alliance.resident_id(n) for n in victims}


@both
def test_guesses_batch_by_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: bool) -> None:
    """A broker without any guard enters other guesses each time; by the bank's budget it gets 250 of them a month."""
    rules = {"bank": f"{RULES}\npeer_identifiers_per_month = 250\npeer_identifiers_ever = 350"}
    batches = [CLIENTS[start : start + 100] for start in range(0, 400, 100)]
    scene = Scene(tmp_path, batches[0], CLIENTS[50:350], rules)
    all_rules_out(monkeypatch, scene.broker)
    if out:
        take_out(monkeypatch, scene.bank, "_check_peer")
    caught: set[str] = set()
    answers: list[Any] = []
    for batch in batches:
        scene.enter(scene.broker, batch)
        answers.append(scene.match(mode="align"))
        if isinstance(answers[-1], int):
            caught |= scene.shared(scene.job)
    if out:
        assert answers == [50, 100, 100, 50]
        assert caught == {alliance.resident_id(n) for n in CLIENTS[50:350]}
        return
    assert answers == [50, 100, "MATCH_IDENTIFIERS_SPENT", "MATCH_IDENTIFIERS_SPENT"]
    scene.clock.now = times.parse("2026-11-01T00:00:00+00:00", "now")
    later = {"expires": "2026-11-08T00:00:00+00:00"}
    assert scene.match(mode="align", **later) == 50
    assert scene.match(mode="align", **later) == "MATCH_BUDGET_SPENT"


@both
def test_guesses_of_the_own_people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: bool) -> None:
    """The broker's people exchange the source each time: their own node sees clients change faster than clients do."""
    scene = Scene(tmp_path, CLIENTS[:100], CLIENTS)
    if out:
        take_out(monkeypatch, scene.broker, "_check_distinct")
    answers = []
    for start in range(0, 300, 100):
        scene.enter(scene.broker, CLIENTS[start : start + 100])
        answers.append(scene.match(mode="align"))
    assert answers == [100, 100, 100 if out else "MATCH_DISTINCT_SPENT"]


@both
def test_more_clients_than_the_partner_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: bool) -> None:
    """The bank knows that this broker has 150 clients; 200 ids are not all its clients."""
    scene = Scene(tmp_path, EVERYBODY, BANK, {"bank": f"{RULES}\n[matching.partner.broker]\npeer_clients = 150"})
    if out:
        take_out(monkeypatch, scene.bank, "_check_peer")
    assert scene.match() == (100 if out else "MATCH_PEER_SET_TOO_LARGE")


@both
def test_more_clients_than_are_registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: bool) -> None:
    """Somebody put guesses beside the broker's 150 clients; the number in its settings gives them away."""
    scene = Scene(tmp_path, CLIENTS[:150], BANK)
    settings = scene.broker.folder / "node.toml"
    text = settings.read_text()
    settings.write_text(text.replace("id_type =", "registered = 150\nid_type ="))
    scene.nodes[0] = scene.broker = scene.broker.reopened()
    assert scene.match() == 100
    scene.enter(scene.broker, EVERYBODY)
    if out:
        take_out(monkeypatch, scene.broker, "_check_registered")
    assert scene.match() == (100 if out else "MATCH_OWN_SET_TOO_LARGE")


@both
def test_match_after_match(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: bool) -> None:
    scene = Scene(tmp_path, EVERYBODY, BANK, {"bank": f"{RULES}\njobs_per_month = 2"})
    if out:
        take_out(monkeypatch, scene.bank, "_check_jobs")
    answers = [scene.match() for _ in range(3)]
    assert answers == [100, 100, 100 if out else "MATCH_JOBS_SPENT"]
    if not out:
        scene.clock.now = times.parse("2026-11-01T00:00:00+00:00", "now")
        assert scene.match(expires="2026-11-08T00:00:00+00:00") == 100


def test_a_receiver_that_claims_less_than_it_encodes() -> None:
    """A store of the sizes for 100 ids takes 170: so what it can hold is booked; claims would count 100."""
    sizes = parameters(100, 1000, option=CHECKED_LISTED)
    shape = okvs.Shape(column_slots=sizes.column_slots, dense_slots=sizes.dense_slots)
    random = np.random.default_rng(3)
    digests, values = random.integers(0, 2**64, (170, 4), np.uint64), random.integers(0, 2**64, 170, np.uint64)
    filler = random.integers(0, 2**64, sizes.slots, np.uint64)
    keys = okvs.place(digests, bytes(16), shape)
    store = okvs.solve(keys, values, shape, filler, core_max=2048)
    assert store is not None
    found = okvs.look_up(store.view(np.uint8).reshape(-1, 8), keys, shape)
    assert np.array_equal(found.view(np.uint64).ravel(), values), "all 170 are answered for"
    claimed = {"broker": 100, "bank": 1000}
    parties = [{"partner": "broker", "role": "leader"}, {"partner": "bank", "role": "follower"}]
    body: Any = {"mode": "rows", "engine": "oprf", "id_type": "phone", "parties": [*parties]}
    booked = match_slots.testable(body, claimed, "bank")
    assert booked == {"broker": sizes.identifiers_held}
    assert booked["broker"] >= 170 > claimed["broker"]


# --- what a result may be, and who enters


@both
def test_a_minimum_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: bool) -> None:
    """The broker enters one client: with a minimum of one the count is the answer."""
    scene = Scene(tmp_path, [BANK[0]], BANK)
    all_rules_out(monkeypatch, scene.broker)
    if out:
        take_out(monkeypatch, scene.bank, "review")
    assert scene.match(minimum=1) == (1 if out else "MATCH_MINIMUM_TOO_SMALL")


@both
def test_a_client_who_did_not_consent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: bool) -> None:
    scene = Scene(tmp_path, EVERYBODY, BANK)
    victim = alliance.resident_id(BANK[0])
    scene.bank.command("consent.withdraw", client_id=victim)
    if out:
        monkeypatch.setattr(Gate, "consents", _everybody)
    assert scene.match(mode="align") == (100 if out else 99)
    assert (victim in scene.shared(scene.job)) is out


def _everybody(self: Gate, purpose: str, _: datetime) -> dict[bytes, str]:
    """A gate that does not ask whether consent was withdrawn."""
    query = select(ConsentRow.client, ConsentRow.until).where(ConsentRow.purpose == purpose)
    return self._database.read(lambda session: {row[0]: row[1] for row in session.execute(query)})


@pytest.mark.parametrize("shared", [True, False])
def test_limit_a_follower_that_knows_the_minimum_less_one_probes_for_one_more(tmp_path: Path, shared: bool) -> None:
    """Rows go to the broker alone. The bank enters four clients it knows to be shared and one it asks about; whether
    the minimum of five was reached stands in the result that the hub shows to everybody. No guard sees anything in it.
    """
    probe = BANK[50] if shared else OTHERS[0]
    scene = Scene(tmp_path, BANK, [*BANK[:4], probe])
    assert scene.match(mode="rows", version=2, engine="oprf") == (5 if shared else 0)


# --- the overlap


@both
def test_a_list_of_nobody_but_the_partners_clients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: bool) -> None:
    """A stolen list is checked against its source: nearly all of it is shared. No second match until people looked."""
    scene = Scene(tmp_path, BANK[:60], BANK, {"bank": "minimum = 5"})
    if out:
        take_out(monkeypatch, scene.bank, "_alarming")
    assert scene.match(mode="align") == 60
    assert scene.match(mode="align") == (60 if out else "MATCH_ALARM_STANDS")
    if not out:
        (alarm,) = scene.bank.command("matching.records")["alarms"]
        assert (alarm["partner"], alarm["kind"], alarm["percent"]) == ("broker", "high", 100)
        scene.bank.command("matching.clear", partner="broker", person="Li Na", reason="a list of referrals")
        assert scene.match(mode="align") == 60


def test_a_list_that_hits_nobody_raises_an_alarm_too(tmp_path: Path) -> None:
    scene = Scene(tmp_path, EVERYBODY, OTHERS[:200], {"broker": "minimum = 1\noverlap_percent = [5, 95]"})
    assert scene.match() == 0
    (alarm,) = scene.broker.command("matching.records")["alarms"]
    assert (alarm["kind"], alarm["percent"]) == (LOW, None)
    assert scene.match() == "MATCH_ALARM_STANDS"
