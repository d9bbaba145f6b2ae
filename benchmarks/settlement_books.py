"""One run of `make bench NAME=settlement` in a process of its own, so that its memory is its own: JSON on stdout.

A month of an alliance: agreements of LINES events each, reported in signed documents through the hub's intake, closed
(read back, priced, every line made, hashed and stored, a pending entry booked), and posted. The chain is not here.
"""

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import text

from hub.records import Head
from privacy.ids import ClientToken, Period
from revenue_share import accounts
from revenue_share.referral import Referral, RevenueEvent
from sandbox.retail_hub import RetailHub, retail_hub
from tests.hub.ledgers import empty

Made = TypeVar("Made")
LINES = 10_000  # of an agreement's month
EVENTS_OF_A_CLIENT = 4
PERIOD = Period("2026-10")
BEGIN = datetime(2026, 10, 1, 1, tzinfo=UTC)
AFTER = datetime(2026, 11, 2, tzinfo=UTC)
TERMS: Head = {
    "title": "5 % of first-month commission",
    "valid_from": "2026-01-01",
    "expires": "2026-12-31T00:00:00Z",
    "rules": [{"id": "first-month-commission", "event": "commission", "rate": "1/20"}],
}


class Stopwatch:
    """Wall and processor seconds of named steps, added up."""

    def __init__(self) -> None:
        self.wall: dict[str, float] = {}
        self.cpu: dict[str, float] = {}

    def run(self, name: str, step: Callable[[], Made]) -> Made:
        wall, cpu = time.perf_counter(), time.process_time()
        made = step()
        self.wall[name] = self.wall.get(name, 0.0) + time.perf_counter() - wall
        self.cpu[name] = self.cpu.get(name, 0.0) + time.process_time() - cpu
        return made


def referrals(number: int, count: int) -> list[Referral]:
    return [Referral(token=_token(number, client), time=BEGIN) for client in range(count // EVENTS_OF_A_CLIENT)]


def events(number: int, count: int) -> list[RevenueEvent]:
    """Events of one agreement, over its clients and the month, none alike."""
    return [
        RevenueEvent(
            id=f"e{number}-{place}",
            token=_token(number, place % (count // EVENTS_OF_A_CLIENT)),
            kind="commission",
            time=BEGIN + timedelta(seconds=1 + place * 2_000_000 // count),
            base_minor=1_000 + (place * 7_919 + number) % 500_000,
        )
        for place in range(count)
    ]


def _token(number: int, client: int) -> ClientToken:
    return ClientToken(f"{number:016x}{client:016x}")


def settle(hub: RetailHub, size: int, watch: Stopwatch) -> int:
    """Settle `size` events; the minor units that were posted."""
    lines, total = min(size, LINES), 0
    for number in range(size // lines):
        hub.clock.now = BEGIN
        hub.agree({**TERMS, "title": f"agreement {number}"})
        referred, reported = referrals(number, lines), events(number, lines)
        hub.clock.now = AFTER
        watch.run("ingest", partial(hub.report_referrals, referred))
        watch.run("ingest", partial(hub.report_events, PERIOD, reported))
        del reported
        record = watch.run("close", partial(hub.close, PERIOD))
        final = watch.run("post", partial(hub.post, record))
        total += int(str(final.body["total_minor"]))
    return total


def measure(size: int, database: str) -> dict[str, Any]:
    """Figures of one run. database: a URL that is emptied first, or empty for SQLite."""
    if database:
        empty(database)
    watch = Stopwatch()
    with tempfile.TemporaryDirectory(prefix="ecohub-bench-") as name:
        folder = Path(name) / "hub"
        with retail_hub(folder, BEGIN, os.urandom, database) as hub:
            total = settle(hub, size, watch)
            posted = {str(line["account"]): int(str(line["closing_minor"])) for line in hub.trial_balance()}
            assert posted[accounts.PARTNER_SHARE] == total, "the books hold what the statements say"
            stored = _bytes(hub, folder, database)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"wall": watch.wall, "cpu": watch.cpu, "memory": memory, "bytes": stored}


def _bytes(hub: RetailHub, folder: Path, database: str) -> int:
    if not database:
        return sum(file.stat().st_size for file in folder.glob("hub.db*"))
    with hub.store.engine.connect() as connection:
        return int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())


if __name__ == "__main__":
    os.environ.setdefault("TZ", "UTC")
    json.dump(measure(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""), sys.stdout)
