"""What is kept of a run: one checkpoint, first decisions, finished rounds; and the schema that holds paused runs."""

from pathlib import Path

from alembic import command
from sqlalchemy import text

from hub.records import Proposal
from hub.store import Store, _alembic, migrate
from hub.store_runs import SavedRun
from tests.hub.alliance import Hub
from tests.hub.relay import approved


def job(hub: Hub) -> Proposal:
    return approved(hub, "broker", "bank")


def test_the_newest_checkpoint_takes_the_place_of_the_one_before(hub: Hub) -> None:
    digest = job(hub).digest
    for round_ in (0, 1):
        saved = SavedRun(round=round_, body=bytes([round_]))
        hub.store.run("s", lambda tx, s=saved: tx.runs.save_checkpoint(digest, s, hub.now()))
    assert hub.store.read("c", lambda tx: tx.runs.checkpoint(digest)) == SavedRun(round=1, body=b"\x01")
    assert hub.store.read("c", lambda tx: tx.runs.checkpoint("00" * 32)) is None


def test_the_first_decision_holds(hub: Hub) -> None:
    digest = job(hub).digest
    first = hub.store.run("d", lambda tx: tx.runs.decide(digest, "1.0.cohort", ["bank-a"], hub.now()))
    again = hub.store.run("d", lambda tx: tx.runs.decide(digest, "1.0.cohort", ["bank-b"], hub.now()))
    nothing = hub.store.run("d", lambda tx: tx.runs.decide(digest, "null", None, hub.now()))
    assert (first, again, nothing) == (["bank-a"], ["bank-a"], None)
    assert hub.store.read("d", lambda tx: tx.runs.decision(digest, "null")) == (None,)
    assert hub.store.read("d", lambda tx: tx.runs.decision(digest, "other")) is None
    assert hub.store.read("d", lambda tx: tx.runs.decisions(digest)) == {"1.0.cohort": ["bank-a"], "null": None}


def test_resumptions_are_counted(hub: Hub) -> None:
    digest = job(hub).digest
    assert hub.store.read("r", lambda tx: tx.runs.resumes(digest)) == 0
    for _ in range(2):
        hub.store.run("r", lambda tx: tx.runs.count_resume(digest, hub.now()))
    assert hub.store.read("r", lambda tx: tx.runs.resumes(digest)) == 2


def test_a_round_that_is_walked_through_again_keeps_its_first_figures_and_rounds_outlive_the_run(hub: Hub) -> None:
    digest = job(hub).digest
    for facts in ({"round": 2, "loss_micro": 5}, {"round": 2, "loss_micro": 6}):
        hub.store.run("a", lambda tx, f=facts: tx.runs.add_round(digest, 2, f, hub.now()))
    hub.store.run("a", lambda tx: tx.runs.add_round(digest, 1, {"round": 1}, hub.now()))
    hub.store.run("f", lambda tx: tx.runs.forget(digest))
    assert hub.store.read("r", lambda tx: tx.runs.rounds(digest)) == ({"round": 1}, {"round": 2, "loss_micro": 5})


def test_a_database_with_jobs_is_brought_to_paused_runs_and_back(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/hub.db"
    store = Store(url)
    with store.engine.begin() as connection:
        command.upgrade(_alembic(connection), "0002")
    fill = [
        "INSERT INTO partner VALUES ('bank', 'Bank', '00', '00', '0x', '{}', 'ACTIVE', '2026-01-01')",
        "INSERT INTO proposal VALUES ('ab', 'train', '{}', 'dana', 'RUNNING', '', '{}', '2026-01-01', '2027-01-01',"
        " '2026-01-02', NULL)",
        "INSERT INTO approval VALUES ('ab', 'bank', 'approve', '{}', '2026-01-01')",
    ]
    with store.engine.begin() as connection:
        for line in fill:
            connection.execute(text(line))
    migrate(url)
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE proposal SET state = 'PAUSED'"))
        assert connection.execute(text("PRAGMA foreign_key_check")).all() == []
        kept = connection.execute(text("SELECT digest, started_at, ended_at FROM proposal")).all()
        assert [tuple(row) for row in kept] == [("ab", "2026-01-02", None)]
        assert connection.execute(text("SELECT count(*) FROM approval")).scalar() == 1
        names = connection.execute(text("SELECT name FROM sqlite_master WHERE name LIKE '%proposal%'")).scalars().all()
        assert sorted(n for n in names if "autoindex" not in n) == ["ix_proposal_state", "proposal"]
    with store.engine.begin() as connection:
        command.downgrade(_alembic(connection), "0002")
        assert connection.execute(text("SELECT state FROM proposal")).scalars().all() == ["FAILED"]
        assert connection.execute(text("PRAGMA foreign_key_check")).all() == []
    store.close()
