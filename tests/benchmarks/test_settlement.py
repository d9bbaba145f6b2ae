"""What the bench of settlement measures is the hub's real path. No test here depends on how fast the machine is."""

from datetime import UTC, datetime

import pytest

from benchmarks import postgres, settlement, settlement_books
from benchmarks.settlement_books import EVENTS_OF_A_CLIENT, Stopwatch, events, measure, referrals


def test_a_small_month_goes_from_reports_to_posted_books(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settlement_books, "LINES", 40)
    found = measure(80, "")
    assert set(found["wall"]) == set(found["cpu"]) == {"ingest", "close", "post"}
    assert int(str(found["bytes"])) > 0


def test_events_are_of_the_month_of_referred_clients_and_none_is_alike() -> None:
    made, referred = events(3, 400), {referral.token for referral in referrals(3, 400)}
    assert len({event.id for event in made}) == 400
    assert len(referred) == 400 // EVENTS_OF_A_CLIENT
    assert {event.token for event in made} == referred
    assert all(settlement_books.BEGIN < event.time < datetime(2026, 10, 31, tzinfo=UTC) for event in made)


def test_a_step_that_is_run_twice_is_added_up() -> None:
    watch = Stopwatch()
    assert [watch.run("a", lambda: 1), watch.run("a", lambda: 2)] == [1, 2]
    assert watch.wall["a"] >= 0
    assert set(watch.cpu) == {"a"}


def test_the_pure_engine_and_the_tree_are_measured() -> None:
    for found in (settlement._priced(10_000), settlement._tree(2_000)):
        assert found.median > 0


def test_a_machine_without_a_server_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(postgres.SERVED, raising=False)
    monkeypatch.setenv("PATH", "")
    assert "initdb" in postgres.missing()
    monkeypatch.setenv(postgres.SERVED, "postgresql+psycopg://localhost/x")
    assert postgres.missing() == ""
