"""The guard's rules, its books, and how they are tied to the messages that leave."""

import random
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy.orm import Session

from ecowire.stream import FAILURE
from partner_node import match_book, match_rules, match_slots
from partner_node import settings as node_settings
from partner_node.database import Database
from partner_node.errors import SettingsInvalid
from partner_node.match_book import Entry
from partner_node.match_guard import Guard, Question, Share, month_of
from partner_node.match_guard_errors import MonthlyJobsSpent, NoAlarm, OverlapAlarm
from partner_node.match_rules import Limits, MatchRules
from privacy.ids import PartnerId
from privacy.psi import rows
from privacy.psi.oprf.options import CHECKED_LISTED, CHECKED_UNLISTED, Option
from privacy.psi.oprf.parameters import parameters
from tests.hostile.matching import CLIENTS, RULES, Scene
from tests.partner_node import alliance
from tests.partner_node.alliance import TestNode
from tests.partner_node.relay import MatchRelay
from tests.partner_node.test_settings import GOOD, load

NOW = datetime(2026, 10, 31, 23, 59, tzinfo=UTC)
KEYS = [random.Random(n).randbytes(32) for n in range(400)]


@pytest.fixture
def database(tmp_path: Path) -> Any:
    made = Database(tmp_path / "node.db")
    yield made
    made.close()


def entry(session: Session, job: str, keys: list[bytes], *, partner: str = "bank", **changes: Any) -> Entry:
    """Book a set of clients towards a partner."""
    placed = match_book.place(session, partner, "clients", match_book.digests(keys))
    made = Entry(
        job=job, partner=partner, asset="clients", among="bank,broker", month="2026-10", own=len(keys), peer=100,
        slots=100, time="2026-10-01T08:00:00+00:00", added=placed.added.tobytes(),
        members=match_book.pack(placed.members),
    )  # fmt: skip
    made = replace(made, **changes)
    match_book.book(session, made)
    return made


# --- the books


def test_sets_are_compared_exactly_with_every_earlier_one(database: Database) -> None:
    """Against plain sets, for sets that grow, shrink, come back and share nothing."""
    chance = random.Random(11)
    sets: dict[str, set[bytes]] = {}
    for number in range(12):
        chosen = chance.sample(KEYS, chance.randrange(1, 300))
        expected = {job: len(set(chosen) ^ known) for job, known in sets.items()}

        def compare(session: Session, chosen: list[bytes] = chosen) -> dict[str, int]:
            placed = match_book.place(session, "bank", "clients", match_book.digests(chosen))
            sets_before = match_book.earlier(session, "bank", "clients", len(placed.members))
            return {one.job: int(np.count_nonzero(one.members != placed.members)) for one in sets_before}

        assert database.read(compare) == expected
        database.write("book", lambda s, number=number, chosen=chosen: entry(s, f"job {number}", chosen))
        sets[f"job {number}"] = set(chosen)
    assert database.read(lambda s: match_book.distinct(s, "bank")) == {
        "clients": (len(set().union(*sets.values())), max(map(len, sets.values())))
    }


def test_towards_another_partner_nothing_is_known(database: Database) -> None:
    database.write("book", lambda s: entry(s, "job", KEYS[:50]))
    placed = database.read(lambda s: match_book.place(s, "platform", "clients", match_book.digests(KEYS[:50])))
    assert (placed.known, len(placed.added)) == (0, 50)


def test_no_id_and_no_order_of_the_source_is_kept(database: Database) -> None:
    made = database.write("book", lambda s: entry(s, "job", KEYS[:50]))
    turned = database.write("book", lambda s: entry(s, "job", KEYS[49::-1], partner="platform"))
    assert made.added == turned.added
    assert len(made.added) == 50 * match_book.DIGEST_BYTES


def test_months_and_lifetimes_are_counted_apart(database: Database) -> None:
    for number, month in enumerate(("2026-09", "2026-10", "2026-10")):
        database.write("book", lambda s, n=number, m=month: entry(s, f"job {n}", KEYS, month=m, slots=10**n))
    used = database.read(lambda s: match_book.usage(s, "bank", "2026-10"))
    assert (used.jobs, used.slots, used.ever) == (2, 110, 111)
    used = database.read(lambda s: match_book.usage(s, "bank", "2026-10", other_than="job 2"))
    assert (used.jobs, used.slots, used.ever) == (1, 10, 11)


def test_a_month_is_that_of_utc() -> None:
    assert month_of(NOW) == "2026-10"
    assert month_of(datetime.fromisoformat("2026-11-01T07:59:00+08:00")) == "2026-10"


# --- what is booked, and when


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path, CLIENTS[:200], CLIENTS[:100])


def used(node: TestNode) -> Any:
    (line,) = node.command("matching.quota")["partners"]
    return line


def started(scene: Scene) -> MatchRelay:
    job = scene.propose()
    return MatchRelay(scene.nodes, job, alliance.approve(scene.nodes, job))


def test_a_match_is_booked_with_its_first_message_once(scene: Scene) -> None:
    relay = started(scene)
    assert used(scene.broker)["jobs"]["used"] == 0, "a commitment shows nothing of the set but its size"
    request = relay.request("broker", [])
    first = relay.step("broker")
    broker = scene.broker.reopened()
    assert broker.ask(request) == first
    assert used(broker)["jobs"]["used"] == 1
    assert used(scene.bank)["jobs"]["used"] == 0


def test_both_sides_book_what_the_other_may_test(scene: Scene) -> None:
    assert scene.match() == 100
    assert (used(scene.broker)["peer_identifiers"]["used"], used(scene.bank)["peer_identifiers"]["used"]) == (100, 200)
    assert used(scene.bank)["own_distinct"] == [{"asset": "clients", "used": 100, "limit": 200}]
    (line,) = scene.bank.command("matching.records")["matches"]
    assert (line["job"], line["partner"], line["own"], line["peer"], line["slots"]) == (
        scene.job, "broker", 100, 200, 200,
    )  # fmt: skip


def test_a_first_step_that_fails_books_nothing(scene: Scene) -> None:
    relay = started(scene)
    relay.step("broker")
    relay.boxes["bank"][0] = relay.boxes["bank"][0][:-1] + bytes([relay.boxes["bank"][0][-1] ^ 1])
    assert relay.step("bank").kind == FAILURE
    assert used(scene.bank)["jobs"]["used"] == 0
    (refusal,) = scene.bank.command("matching.records")["refusals"]
    assert (refusal["code"], refusal["partners"]) == ("BAD_SIGNATURE", "broker")


def test_a_match_that_breaks_after_its_first_message_stays_booked(scene: Scene) -> None:
    relay = started(scene)
    relay.step("broker")
    relay.boxes["broker"].append(b"no envelope")
    assert relay.step("broker").kind == FAILURE
    assert used(scene.broker)["jobs"]["used"] == 1


def test_a_refusal_is_kept_once_however_often_it_is_asked_for(scene: Scene) -> None:
    assert scene.match() == 100
    scene.enter(scene.bank, CLIENTS[:101])
    job = scene.propose()
    approvals = alliance.approve(scene.nodes, job)
    assert [scene.run(job, approvals) for _ in range(2)] == ["MATCH_SETS_TOO_ALIKE"] * 2, "the same request again"
    (refusal,) = scene.bank.command("matching.records")["refusals"]
    assert (refusal["job"], refusal["times"]) == (job, 1)
    assert "by fewer than 5" in refusal["en"] and "不足 5 人" in refusal["zh"], "not by how many"


def test_a_job_whose_quota_is_spent_is_shown_blocked_and_still_described(tmp_path: Path) -> None:
    scene = Scene(tmp_path, CLIENTS[:200], CLIENTS[:100], {"bank": f"{RULES}\njobs_per_month = 1"})
    assert scene.match() == 100
    job = scene.propose()
    found = scene.bank.command("job", job=job)
    assert found["blocked"]["code"] == "MATCH_JOBS_SPENT"
    assert found["discloses"]
    with pytest.raises(MonthlyJobsSpent, match="2026-10"):
        scene.bank.command("approve", job=job, person="officer")


def test_no_id_stands_in_the_books(scene: Scene) -> None:
    assert scene.match() == 100
    scene.bank.parts.node.database.close()
    data = b"".join(path.read_bytes() for path in (scene.bank.folder / "data").glob("node.db*"))
    assert not any(alliance.resident_id(n).encode() in data for n in CLIENTS[:200])
    with closing(sqlite3.connect(scene.bank.folder / "data" / "node.db")) as connection:
        ((added,),) = connection.execute("SELECT added FROM match_entry").fetchall()
    assert len(added) == 100 * match_book.DIGEST_BYTES


@pytest.mark.parametrize(
    ("mode", "roles", "peer", "among", "named"),
    [
        ("count", "bank:leader me:follower", "bank", "bank,me", False),
        ("count-then-rows", "bank:leader me:follower", "bank", "bank,me", False),
        ("align-hidden", "bank:leader me:follower", "bank", "bank,me", False),
        ("rows", "bank:leader me:follower", "bank", "bank,me", True),
        ("align", "me:leader bank:follower broker:follower", "bank", "bank,me", True),
        ("align", "me:follower bank:leader broker:follower", "bank", "bank,me", True),
        ("align", "me:follower bank:leader broker:follower", "broker", "bank,broker,me", True),
        ("align-all", "me:leader bank:follower broker:follower", "bank", "bank,broker,me", True),
    ],
)
def test_what_a_job_asks_towards_a_partner(
    tmp_path: Path, mode: str, roles: str, peer: str, among: str, named: bool
) -> None:
    parties = [dict(zip(("partner", "role"), party.split(":"), strict=True)) for party in roles.split()]
    guard = Guard(replace(load(tmp_path, GOOD), partner=PartnerId("me")))
    body: Any = {"mode": mode, "parties": parties}
    assert guard.question(body, peer) == Question(among=among, named=named)


def test_a_match_by_name_is_booked_as_one_when_it_ended_with_names(scene: Scene) -> None:
    scene.match(mode="align")
    scene.match(mode="align", minimum=101)
    found = [line["named"] for line in scene.bank.command("matching.records")["matches"]]
    assert found == [True, False], "below the minimum nobody was named"


# --- alarms


@pytest.mark.parametrize(
    ("share", "own", "peers", "raised"),
    [
        (Share(count=96, below=5), 100, {"bank": 1000}, [("bank", "high", 96)]),
        (Share(count=95, below=5), 100, {"bank": 1000}, []),
        (Share(count=1, below=1), 100, {"bank": 1000}, []),
        (Share(count=9, below=5), 1000, {"bank": 5000}, [("bank", "low", 0)]),
        (Share(count=None, below=5), 500, {"bank": 5000}, [("bank", "low", None)]),
        (Share(count=None, below=6), 500, {"bank": 5000}, []),
        (Share(count=None, below=5), 500, {"bank": 5000, "platform": 5000}, []),
        (Share(count=96, below=5), 500, {"bank": 100, "platform": 5000}, [("bank", "high", 96)]),
    ],
)
def test_an_alarm_is_raised_outside_the_limits(
    database: Database, tmp_path: Path, share: Share, own: int, peers: dict[str, int], raised: list[Any]
) -> None:
    rules = MatchRules(default=Limits(minimum=5, overlap_percent=(1, 95)))
    guard = Guard(replace(load(tmp_path, GOOD), matching=rules))
    for partner, size in peers.items():
        database.write("book", lambda s, p=partner, n=size: entry(s, "job", KEYS, partner=p, own=own, peer=n))
    database.write("after", lambda session: guard.after(session, "job", share, NOW))
    found = [(alarm.partner, alarm.kind, alarm.percent) for alarm in database.read(match_book.alarms)]
    assert found == raised


def test_an_alarm_stands_until_a_person_clears_it(tmp_path: Path) -> None:
    scene = Scene(tmp_path, CLIENTS[:100], CLIENTS[:100], {"broker": "minimum = 5"})
    assert scene.match() == 100
    assert scene.broker.command("status")["match_alarms"] == ["bank"]
    assert scene.bank.command("status")["match_alarms"] == [], "a follower of a count is told nothing"
    job = scene.propose()
    with pytest.raises(OverlapAlarm, match="matching clear bank"):
        scene.broker.command("approve", job=job, person="officer")
    with pytest.raises(NoAlarm):
        scene.broker.command("matching.clear", partner="platform", person="officer", reason="none")
    scene.broker.command("matching.clear", partner="bank", person="officer", reason="the same clients, as agreed")
    (alarm,) = scene.broker.command("matching.records")["alarms"]
    assert (alarm["person"], alarm["reason"]) == ("officer", "the same clients, as agreed")
    assert scene.broker.command("approve", job=job, person="officer")["decision"] == "approve"


# --- slots


@pytest.mark.parametrize(
    ("role", "both", "receives"),
    [("leader", False, True), ("follower", True, True), ("follower", False, False)],
)
@pytest.mark.parametrize(("id_type", "option"), [("phone", CHECKED_LISTED), ("account", CHECKED_UNLISTED)])
def test_by_oprf_the_sizes_are_booked_and_not_the_claims(
    role: str, both: bool, receives: bool, id_type: str, option: Option
) -> None:
    other = "leader" if role == "follower" else "follower"
    body: Any = {
        "mode": "rows",
        "engine": "oprf",
        "id_type": id_type,
        "parties": [{"partner": "bank", "role": role}, {"partner": "me", "role": other}],
    }
    found = match_slots.testable(body | ({"both": True} if both else {}), {"bank": 5000, "me": 300_000}, "me")
    sizes = parameters(*((5000, 300_000) if receives else (300_000, 5000)), rows.BUCKET_KEYS, option)
    assert found == {"bank": sizes.identifiers_held if receives else sizes.buckets * sizes.sender_bucket}
    assert found["bank"] > 5000


@pytest.mark.parametrize("mode", ["align", "rows"])
def test_by_ecdh_each_point_is_one_id(mode: str) -> None:
    body: Any = {
        "mode": mode,
        "engine": "ecdh",
        "parties": [{"partner": name, "role": "x"} for name in ("me", "bank", "platform")],
    }
    assert match_slots.testable(body, {"me": 1, "bank": 2, "platform": 3}, "me") == {"bank": 2, "platform": 3}


# --- settings


def test_limits_are_safe_without_a_word_and_may_differ_by_partner(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD).matching.of("bank") == Limits()
    rules = "[matching]\nminimum = 20\noverlap_percent = [0, 90]\n[matching.partner.bank-a]\njobs_per_month = 3\n"
    found = load(tmp_path, GOOD + rules).matching
    assert found.of("platform") == Limits(minimum=20, overlap_percent=(0, 90))
    assert found.of("bank-a") == Limits(minimum=20, overlap_percent=(0, 90), jobs_per_month=3)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("jobs = 3", "unknown key matching.jobs"),
        ("minimum = 0", "matching.minimum"),
        ("minimum = true", "matching.minimum"),
        ("minimum = 50.0", "matching.minimum"),
        ('peer_clients = "many"', "matching.peer_clients"),
        ("overlap_percent = 95", "matching.overlap_percent"),
        ("overlap_percent = [95, 1]", "matching.overlap_percent"),
        ("overlap_percent = [0, 101]", "matching.overlap_percent"),
        ("overlap_percent = [false, 95]", "matching.overlap_percent"),
        ("partner = 3", "matching.partner"),
        ("partner = {bank = 3}", "matching.partner"),
        ("[matching.partner.bank]\njobs = 3", "matching.partner.bank.jobs"),
    ],
)
def test_a_misshapen_limit_is_named(tmp_path: Path, line: str, why: str) -> None:
    with pytest.raises(SettingsInvalid, match=why.replace(".", r"\.")):
        load(tmp_path, f"{GOOD}[matching]\n{line}\n")


def test_the_number_of_registered_clients_is_a_whole_one(tmp_path: Path) -> None:
    text = GOOD.replace('purposes = ["profile"]', 'purposes = ["profile"]\nregistered = 150')
    assert load(tmp_path, text).asset("clients").registered == 150
    with pytest.raises(SettingsInvalid, match="registered"):
        load(tmp_path, text.replace("150", '"150"'))


def test_every_limit_is_a_key(tmp_path: Path) -> None:
    """A limit that node.toml can't set would be a surprise."""
    for name in match_rules.Limits.__dataclass_fields__:
        value = "[2, 3]" if name == match_rules.OVERLAP else "7"
        found = getattr(load(tmp_path, f"{GOOD}[matching]\n{name} = {value}\n").matching.default, name)
        assert found == ((2, 3) if name == match_rules.OVERLAP else 7)
    assert node_settings.load(tmp_path / "node.toml").matching.partners == {}
