"""`ecohub sandbox commission`: seeded referrals of a platform and a month of commission events at the broker.

Two CSV files, as the two institutions would have them, each in its own terms:
referrals.csv `client_id,time` · events.csv `client_id,time,kind,amount,event_id` (amount in yuan: "12.34"). Times carry
the offset of Asia/Shanghai. Some referred clients have no event, some trade only after their first month, some before
they were referred. events_repeated.csv repeats one event's id with another amount: a node must refuse it.
"""

import csv
import gzip
import io
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path

import click
import numpy as np

from ecowire.outputs import OutputExists
from privacy.errors import Failure, Kind
from privacy.ids import Period, parse_period

SEED = 20261001
FILES = ("referrals.csv", "events.csv", "events_repeated.csv")
REFERRALS = 240
ZONE = timezone(timedelta(hours=8))  # Asia/Shanghai has had no other offset since 1991
REFERRED_BEFORE_DAYS = 45  # referrals go back this far before the period starts
EVENTS_MEAN = 2.5
SILENT_SHARE = 0.15
MEDIAN_FEN = 4_200
SPREAD = 1.1


class TooFewClients(Failure):
    code = "TOO_FEW_CLIENTS"
    kind = Kind.INVALID
    en = "the list names {found} clients, {wanted} referrals were asked for"
    zh = "清单仅含 {found} 名客户，少于所需的 {wanted} 条转介"


@click.command()
@click.argument("clients", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--period", required=True, help="month of the events, YYYY-MM")
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="folder to write")
@click.option(
    "--referrals", type=click.IntRange(1, 1_000_000), default=REFERRALS, show_default=True, help="how many clients"
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=SEED, show_default=True)
def commission(clients: Path, period: str, out: Path, referrals: int, seed: int) -> None:
    """Write referrals and commission events for clients of CLIENTS (a CSV or CSV.GZ with a client_id column)."""
    for name in FILES:
        if (out / name).exists():
            raise OutputExists(path=str(out / name))
    rows = generate(_client_ids(clients), parse_period(period), referrals=referrals, seed=seed)
    write(out, rows)
    click.echo(f"synthetic: {len(rows[0])} referrals and {len(rows[1])} commission events of {period} in {out}")


Referral = tuple[str, str]
Event = tuple[str, str, str, int, str]


def generate(
    clients: list[str], period: Period, *, referrals: int = REFERRALS, seed: int = SEED
) -> tuple[list[Referral], list[Event]]:
    """(referrals, events) of a month: (client_id, time) and (client_id, time, kind, amount in fen, event id).

    The same clients, period and seed give the same rows. Raises TooFewClients.
    """
    if len(clients) < referrals:
        raise TooFewClients(found=len(clients), wanted=referrals)
    rng = np.random.default_rng(seed)
    start = datetime(int(period[:4]), int(period[5:]), 1, tzinfo=ZONE)
    end = (start + timedelta(days=32)).replace(day=1)
    chosen = sorted(sorted(clients)[i] for i in rng.choice(len(clients), referrals, replace=False))
    first = start - timedelta(days=REFERRED_BEFORE_DAYS)
    span = (end - timedelta(days=7) - first).total_seconds()
    made: list[Referral] = []
    events: list[Event] = []
    for client in chosen:
        referred = first + timedelta(seconds=int(rng.uniform(0, span)))
        made.append((client, referred.isoformat()))
        if rng.random() < SILENT_SHARE:
            continue
        for _ in range(1 + int(rng.poisson(EVENTS_MEAN))):
            time = start + timedelta(seconds=int(rng.uniform(0, (end - start).total_seconds())))
            amount = 1 + int(rng.lognormal(np.log(MEDIAN_FEN), SPREAD))
            events.append((client, time.isoformat(), "commission", amount, f"{period}-{len(events) + 1:06d}"))
    return made, sorted(events, key=lambda event: (event[1], event[4]))


def write(folder: Path, rows: tuple[list[Referral], list[Event]]) -> None:
    """Write referrals.csv, events.csv and events_repeated.csv."""
    referrals, events = rows
    folder.mkdir(parents=True, exist_ok=True)
    header = ("client_id", "time", "kind", "amount", "event_id")
    _write(folder / "referrals.csv", ("client_id", "time"), referrals)
    client, time, kind, amount, event_id = events[0]
    repeated = [*events, (client, time, kind, amount + 100, event_id)]
    _write(folder / "events.csv", header, [_in_yuan(event) for event in events])
    _write(folder / "events_repeated.csv", header, [_in_yuan(event) for event in repeated])


def _in_yuan(event: Event) -> tuple[str, ...]:
    client, time, kind, fen, event_id = event
    return client, time, kind, f"{fen // 100}.{fen % 100:02d}", event_id


def _write(path: Path, header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    path.write_text(out.getvalue())


def _client_ids(path: Path) -> list[str]:
    try:
        text = (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError):
        raise click.BadParameter(f"{path} is no CSV file in UTF-8, or no gzip of one") from None
    reader = csv.DictReader(io.StringIO(text))
    if "client_id" not in (reader.fieldnames or ()):
        raise click.BadParameter(f"{path} has no column client_id")
    return [row["client_id"] for row in reader]
