"""The two files this node's people report from: referrals and revenue events, checked line by line, all or nothing.

referrals   client_id,time                       time in ISO 8601 with its offset, whole seconds
events      client_id,time,kind,amount,event_id  amount as decimal text in the agreement's currency, read exactly;
            further columns are facts that rules ask for (`revenue_share.facts`), an empty cell is no fact; an event
            without client_id is of no client, and `friend` is a client_id too

Client ids stay in this process: they are normalised and turned into row keys, which find the client's token.
"""

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from partner_node.errors import CommandInvalid
from partner_node.settlement_errors import EventIdRepeated, ReportFileInvalid
from privacy.errors import Failure
from privacy.ids import ClientToken
from privacy.normalise import IdRejected, normalise
from revenue_share import facts, periods
from revenue_share.facts import FACTS, Fact, Facts
from revenue_share.fields import Whole
from revenue_share.money import Money
from revenue_share.referral import RevenueEvent

ROWS_MAX = 1_000_000
REFERRAL_COLUMNS = ["client_id", "time"]
EVENT_COLUMNS = ["client_id", "time", "kind", "amount", "event_id"]
_WHOLE = re.compile(r"-?[0-9]{1,19}")
Row = tuple[int, Mapping[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferralLine:
    """A line of the referrals file. `client`: normalised id, None where the id is malformed."""

    line: int
    client: bytes | None
    time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLine:
    """A line of the events file, its amount in minor units.

    `client`: normalised id, None where the id is malformed or where there is none (`nobody`); `friend`: the normalised
    id of the fact, None without one.
    """

    line: int
    client: bytes | None
    nobody: bool
    friend: bytes | None
    time: datetime
    kind: str
    base_minor: int
    event_id: str
    facts: Facts = ()

    def event(self, token: ClientToken, friend: ClientToken | None = None) -> RevenueEvent:
        """The event of a client's token and of its friend's."""
        named: dict[str, Fact] = {} if friend is None else {"friend": friend}
        return RevenueEvent(
            id=self.event_id,
            token=token,
            kind=self.kind,
            time=self.time,
            base_minor=self.base_minor,
            facts=facts.of({**dict(self.facts), **named}),
        )


def referrals(path: Path, id_type: str) -> list[ReferralLine]:
    """The lines of a referrals file. Raises ReportFileInvalid, CommandInvalid where it can't be read."""
    return [
        ReferralLine(line=line, client=_client(row["client_id"], id_type), time=_time(row["time"], line))
        for line, row in _rows(path, REFERRAL_COLUMNS)
    ]


def events(path: Path, id_type: str, currency: str) -> list[EventLine]:
    """The lines of an events file. Raises ReportFileInvalid, EventIdRepeated, CommandInvalid."""
    found: list[EventLine] = []
    seen: set[str] = set()
    for line, row in _rows(path, EVENT_COLUMNS, frozenset(FACTS)):
        if row["event_id"] in seen:
            raise EventIdRepeated(line=line, event=row["event_id"][:64])
        seen.add(row["event_id"])
        try:
            amount = Money.from_text(row["amount"], currency)
        except Failure as failure:
            raise ReportFileInvalid(line=line, why=failure.message()) from None
        found.append(
            EventLine(
                line=line,
                client=_client(row["client_id"], id_type),
                nobody=not row["client_id"],
                friend=_friend(row.get("friend"), id_type, line),
                time=_time(row["time"], line),
                kind=row["kind"],
                base_minor=amount.minor,
                event_id=row["event_id"],
                facts=_facts(row, line),
            )
        )
    return found


def _facts(row: Mapping[str, str], line: int) -> Facts:
    """The filled cells beyond the five columns, each of its declared form."""
    found: dict[str, Fact] = {}
    for name, cell in row.items():
        if name in EVENT_COLUMNS or name == "friend" or not cell:
            continue
        value: Fact = int(cell) if isinstance(FACTS[name], Whole) and _WHOLE.fullmatch(cell) else cell
        if why := FACTS[name].fault(value):
            raise ReportFileInvalid(line=line, why=f"{name}: {why}")
        found[name] = value
    return facts.of(found)


def _friend(cell: str | None, id_type: str, line: int) -> bytes | None:
    if not cell:
        return None
    client = _client(cell, id_type)
    if client is None:
        raise ReportFileInvalid(line=line, why=f"friend: a client id ({id_type}) is expected")
    return client


def _rows(path: Path, columns: list[str], more: frozenset[str] = frozenset()) -> Iterator[Row]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            header = list(reader.fieldnames or ())
            further = header[len(columns) :]
            if header[: len(columns)] != columns or len(set(header)) != len(header) or set(further) - more:
                rest = f", then any of {', '.join(sorted(more))}" if more else ""
                raise ReportFileInvalid(line=1, why=f"the header must be {','.join(columns)}{rest}")
            for count, row in enumerate(reader):
                if count >= ROWS_MAX:
                    raise ReportFileInvalid(line=reader.line_num, why=f"more than {ROWS_MAX} rows")
                if None in row or None in row.values():
                    raise ReportFileInvalid(line=reader.line_num, why=f"{len(header)} fields are expected")
                yield reader.line_num, row
    except csv.Error as error:
        raise ReportFileInvalid(line=0, why=str(error)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise CommandInvalid(command="report", what=f"the file ({type(error).__name__})") from None


def _client(value: str, id_type: str) -> bytes | None:
    try:
        return normalise(id_type, value)
    except IdRejected:
        return None


def _time(value: str, line: int) -> datetime:
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        raise ReportFileInvalid(line=line, why="a time in ISO 8601 is expected") from None
    if time.tzinfo is None:
        raise ReportFileInvalid(line=line, why="the time lacks its offset, such as +08:00")
    try:
        time = time.astimezone(UTC)  # an offset may have fractions of a second too
        periods.parse_time(time.isoformat(timespec="auto").replace("+00:00", "Z"))
    except (ValueError, OverflowError):
        raise ReportFileInvalid(line=line, why="whole seconds of the years 2000 to 2099 are expected") from None
    return time
