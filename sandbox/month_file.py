"""An agreement and its months as TOML files: what a trial reads, and the worked examples of `revenue_share/examples`.

The agreement is the file that `ecohub finance agreement add` takes. Parties, contract and nonce that it does not name
are filled with fixed values: a trial settles nothing. The months' file holds referrals and events by client names:

    [[referrals]]  client, time
    [[months]]     period, events = [{ id, client, kind, time, base_minor, facts = {…} }, …]

A client named "none" is none (`referral.NO_CLIENT`). A worked example says besides what it comes to, and how by hand:
amount_minor and verdict of an event; total_minor, paid_minor, points and arithmetic of a month.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hub import drafts_finance
from privacy import canonical
from privacy.errors import Failure, Kind
from privacy.ids import ClientToken, Period, parse_period
from revenue_share import periods
from revenue_share.agreement import Agreement
from revenue_share.referral import NO_CLIENT, Referral, RevenueEvent, read_event

CONTRACT = {"chain_id": 1, "contract": "0x" + "11" * 20, "window_seconds": 259_200}
NOBODY = "none"
WORKED = frozenset({"amount_minor", "verdict"})
_NOW = datetime(2026, 1, 1, tzinfo=UTC)


class MonthFileInvalid(Failure):
    code = "MONTH_FILE_INVALID"
    kind = Kind.INVALID
    en = "the file {path} can't be used: {why}"
    zh = "文件 {path} 不可用：{why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """A period's events, and what the file says of it besides."""

    period: Period
    events: tuple[RevenueEvent, ...]
    expected: Mapping[str, tuple[int, str]]  # by event id: amount, verdict
    told: Mapping[str, Any]  # total_minor, paid_minor, points, arithmetic, where the file has them


@dataclass(frozen=True, slots=True, kw_only=True)
class Months:
    """The referrals and the months of a file, in its order; `names` of the clients by token."""

    referrals: tuple[Referral, ...]
    months: tuple[Month, ...]
    names: Mapping[str, str]


def agreement(path: Path) -> Agreement:
    """The agreement of a file, as a first version. Raises MonthFileInvalid, AgreementInvalid, RuleKindUnknown."""
    given = {name: value for name, value in _toml(path).items() if name not in ("amends", "effective_from")}
    if isinstance(given.get("settlement"), Mapping):
        given["settlement"] = {**CONTRACT, **given["settlement"]}
    try:
        body = drafts_finance.agreement(given, CONTRACT, _NOW, bytes)
    except Failure as failure:
        raise MonthFileInvalid(path=path.name, why=failure.message()) from None
    body["parties"] = [{**_keys(str(party.get("role"))), **party} for party in body["parties"]]
    return Agreement.from_body(body)


def months(path: Path) -> Months:
    """The months of a file. Raises MonthFileInvalid naming the first wrong place."""
    given = _toml(path)
    try:
        referrals = tuple(
            Referral(token=token(row["client"]), time=_time(row["time"])) for row in given.get("referrals", [])
        )
        found = tuple(_month(row) for row in given["months"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MonthFileInvalid(path=path.name, why=f"{type(error).__name__}: {error}") from None
    except Failure as failure:
        raise MonthFileInvalid(path=path.name, why=failure.message()) from None
    rows = [*given.get("referrals", []), *(event for row in given["months"] for event in row.get("events", []))]
    return Months(referrals=referrals, months=found, names={token(row["client"]): row["client"] for row in rows})


def token(client: str) -> ClientToken:
    """The token of a client's name in such a file."""
    if client == NOBODY:
        return NO_CLIENT
    return ClientToken(canonical.digest_bytes("ecohub/month-file-client/v1", client.encode())[:16].hex())


def _month(row: Mapping[str, Any]) -> Month:
    period = parse_period(row["period"])
    given = row.get("events", [])
    events = tuple(read_event(_event(event)) for event in given)
    expected = {
        event["id"]: (event["amount_minor"], event.get("verdict", "")) for event in given if "amount_minor" in event
    }
    told = {name: value for name, value in row.items() if name not in ("period", "events")}
    return Month(period=period, events=events, expected=expected, told=told)


def _event(row: Mapping[str, Any]) -> dict[str, canonical.Value]:
    value = {name: item for name, item in row.items() if name not in WORKED and name != "client"}
    value |= {"token": token(row["client"]), "time": periods.time_text(_time(row["time"]))}
    if "friend" in value.get("facts", {}):
        value["facts"] = {**value["facts"], "friend": token(value["facts"]["friend"])}
    return value


def _time(value: object) -> datetime:
    if not isinstance(value, datetime) or value.tzinfo is None or value.microsecond:
        raise ValueError(f"an instant with its offset such as 2026-10-05T14:00:00+08:00 is expected, not {value}")
    return value.astimezone(UTC)


def _keys(role: str) -> dict[str, canonical.Value]:
    digit = "1" if role == "payer" else "2"
    return {"signing": digit * 64, "sealing": ("3" if digit == "1" else "4") * 64, "chain": "0x" + digit * 40}


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise MonthFileInvalid(path=path.name, why=str(error)) from None
