"""What one settled period hands to the next: `allocate` takes the opening position and gives the closing one.

A position is a canonical value with a digest. It is empty before the first period; a statement's body names the digests
of the opening and the closing position, so the positions of an agreement form a chain: whoever has one of them checks
the step to the next alone, and `replay` from the empty one gives the same chain.

    marks    by "rule/…": what has been paid for: the high-water mark, the milestone reached, a receipt or a friend paid
    open     by event id: counted events that a later event may still take back, with the amount paid
    used     by "rule/scope": what lines have taken of a cap, in minor units, without what was taken back
    points   by "rule/token": lots of points that are neither redeemed nor expired
    carried  by asset: the balance that was not paid out: a debt (negative), or less than the minimum (positive); of
             POINTS what the journal holds: all that are open, or none where statements before version 3 left them
    seen     by event id: the time of an event that was answered, kept as long as it could be reported late once more

Names in it are rule ids, so a later version of the terms goes on where a rule of the same id stood. Entries that no
window needs any more are left out. Event ids and tokens are those of the agreement; a position is the parties' own and
goes on no chain but by its digest.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from privacy import canonical
from privacy.errors import Failure
from privacy.ids import ClientToken, Digest, parse_client_token, parse_digest
from revenue_share import periods
from revenue_share.errors import PositionInvalid


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """A counted event that can still be taken back: what is left of its base and of its amount, in minor units."""

    token: ClientToken
    rule: str
    terms: Digest  # the version that priced it
    time: datetime  # of the event
    until: datetime  # first instant at which it can no longer be taken back
    base_minor: int
    amount_minor: int
    asset: str

    def to_value(self) -> list[canonical.Value]:
        times = periods.time_text(self.time), periods.time_text(self.until)
        return [self.token, self.rule, self.terms, *times, self.base_minor, self.amount_minor, self.asset]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """Points earned by one event, and what is left of them until they expire."""

    event: str
    expires: datetime
    left: int

    def to_value(self) -> list[canonical.Value]:
        return [self.event, periods.time_text(self.expires), self.left]


@dataclass(frozen=True, kw_only=True)  # no slots: the digest is kept with it
class Position:
    """The state between two periods of one agreement. Made by `empty`, `from_value` and `allocate`; never changed."""

    marks: Mapping[str, int] = field(default_factory=dict)
    open: Mapping[str, Open] = field(default_factory=dict)
    used: Mapping[str, int] = field(default_factory=dict)
    points: Mapping[str, tuple[Lot, ...]] = field(default_factory=dict)
    carried: Mapping[str, int] = field(default_factory=dict)
    seen: Mapping[str, datetime] = field(default_factory=dict)

    @classmethod
    def empty(cls) -> "Position":
        """The position before the first period."""
        return cls()

    def to_value(self) -> dict[str, canonical.Value]:
        """The canonical value that is hashed, stored and disclosed."""
        points: dict[str, canonical.Value] = {n: [lot.to_value() for lot in lots] for n, lots in self.points.items()}
        return {
            "version": 1,
            "marks": dict(self.marks),
            "open": {name: entry.to_value() for name, entry in self.open.items()},
            "used": dict(self.used),
            "points": points,
            "carried": dict(self.carried),
            "seen": {name: periods.time_text(time) for name, time in self.seen.items()},
        }

    @cached_property
    def digest(self) -> Digest:
        """The digest of the value; of a large position it takes seconds, so it is computed once."""
        return Digest(canonical.digest("ecohub/position/v1", self.to_value()).hex())

    @classmethod
    def from_value(cls, value: canonical.Value) -> "Position":
        """The position of a stored or disclosed value. Raises PositionInvalid where its form is not one."""
        try:
            return _read(value)
        except (TypeError, ValueError, KeyError, AttributeError, canonical.NotCanonical) as error:
            raise PositionInvalid(why=type(error).__name__) from None


def balance(asset: str, minor: int) -> dict[str, int]:
    """What a position carries of a balance: nothing of 0."""
    return {asset: minor} if minor else {}


_FIELDS = {"version", "marks", "open", "used", "points", "carried", "seen"}


def _read(value: canonical.Value) -> Position:
    if not isinstance(value, dict) or set(value) != _FIELDS or type(value["version"]) is not int:
        raise PositionInvalid(why="its fields")
    tables = {name: _table(value[name]) for name in _FIELDS - {"version"}}
    position = Position(
        marks={name: _whole(item) for name, item in tables["marks"].items()},
        open={name: _open(item) for name, item in tables["open"].items()},
        used={name: _whole(item) for name, item in tables["used"].items()},
        points={name: tuple(_lot(lot) for lot in _list(item)) for name, item in tables["points"].items()},
        carried={name: _whole(item) for name, item in tables["carried"].items()},
        seen={name: periods.parse_time(item) for name, item in tables["seen"].items()},
    )
    if canonical.encode(position.to_value()) != canonical.encode(value):
        raise PositionInvalid(why="not in its one form")
    return position


def _open(value: canonical.Value) -> Open:
    token, rule, terms, time, until, base, amount, asset = _list(value)
    if not isinstance(rule, str) or not isinstance(asset, str):
        raise PositionInvalid(why="a rule or an asset is no text")
    try:
        names = parse_client_token(token), parse_digest(terms)
    except Failure as failure:
        raise PositionInvalid(why=failure.message()) from None
    return Open(
        token=names[0],
        rule=rule,
        terms=names[1],
        time=periods.parse_time(time),
        until=periods.parse_time(until),
        base_minor=_whole(base),
        amount_minor=_whole(amount),
        asset=asset,
    )


def _lot(value: canonical.Value) -> Lot:
    event, expires, left = _list(value)
    if not isinstance(event, str):
        raise PositionInvalid(why="a lot's event is no text")
    return Lot(event=event, expires=periods.parse_time(expires), left=_whole(left))


def _table(value: canonical.Value) -> dict[str, canonical.Value]:
    if not isinstance(value, dict):
        raise PositionInvalid(why="a table is expected")
    return value


def _list(value: canonical.Value) -> list[canonical.Value]:
    if not isinstance(value, list):
        raise PositionInvalid(why="a list is expected")
    return value


def _whole(value: canonical.Value) -> int:
    if type(value) is not int:
        raise PositionInvalid(why="a whole number is expected")
    return value
