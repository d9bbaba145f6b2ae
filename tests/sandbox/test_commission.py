"""The month of commission events: seeded, whole fen, with the cases that an agreement must tell apart."""

import csv
import gzip
import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from ecowire.outputs import OutputExists
from privacy.ids import Period
from sandbox import commission

CLIENTS = [f"client-{i:04d}" for i in range(500)]
PERIOD = Period("2026-10")


def test_the_same_seed_gives_the_same_month() -> None:
    assert commission.generate(CLIENTS, PERIOD) == commission.generate(list(reversed(CLIENTS)), PERIOD)
    assert commission.generate(CLIENTS, PERIOD) != commission.generate(CLIENTS, PERIOD, seed=1)


def test_the_month_has_every_case() -> None:
    referrals, events = commission.generate(CLIENTS, PERIOD)
    referred = {client: datetime.fromisoformat(time) for client, time in referrals}
    assert len(referred) == len(referrals) == commission.REFERRALS
    delays = [datetime.fromisoformat(time) - referred[client] for client, time, *_ in events]
    assert any(delay < timedelta(0) for delay in delays)
    assert any(timedelta(0) < delay < timedelta(days=28) for delay in delays)
    assert any(delay > timedelta(days=31) for delay in delays)
    silent = set(referred) - {client for client, *_ in events}
    assert 0 < len(silent) < len(referred) / 2
    assert all(time.startswith("2026-10-") for _, time, *_ in events)
    assert all(isinstance(amount, int) and amount > 0 for *_, amount, _ in events)
    assert len({event_id for *_, event_id in events}) == len(events)


def test_too_few_clients_are_refused() -> None:
    with pytest.raises(commission.TooFewClients):
        commission.generate(CLIENTS[:10], PERIOD)


def test_the_command_writes_both_sides_files_and_one_with_a_repeated_id(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "party.csv.gz", "wt") as stream:
        stream.write("client_id,AGE\n" + "".join(f"{client},1\n" for client in CLIENTS))
    arguments = [str(tmp_path / "party.csv.gz"), "--period", "2026-10", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(commission.commission, arguments)
    assert result.exit_code == 0, result.output
    rows = {path.stem: list(csv.DictReader(path.read_text().splitlines())) for path in (tmp_path / "out").iterdir()}
    assert len(rows["referrals"]) == 240
    repeated = [row["event_id"] for row in rows["events_repeated"]]
    assert len(repeated) == len(rows["events"]) + 1 == len(set(repeated)) + 1
    # in yuan with two decimals: the form that the payer's node reads
    assert all(re.fullmatch(r"[0-9]+\.[0-9]{2}", row["amount"]) for row in rows["events"])
    (tmp_path / "out" / "events.csv").write_text("kept")
    assert isinstance(CliRunner().invoke(commission.commission, arguments).exception, OutputExists)
    assert (tmp_path / "out" / "events.csv").read_text() == "kept"
    (tmp_path / "party.csv.gz").write_bytes(b"no gzip")
    assert CliRunner().invoke(commission.commission, [*arguments[:-1], str(tmp_path / "other")]).exit_code == 2
