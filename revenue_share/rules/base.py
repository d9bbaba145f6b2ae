"""What every rule has: which events it prices, its limits over them, and whether a later event may take one back.

A rule is one entry of an agreement's `rules`: the fields below, and those of its kind (`rules.KINDS`). The kind says
what an event earns; everything else is the same for all kinds and is applied by `pricing`.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, Protocol, TypeAlias

from revenue_share.facts import Fact
from revenue_share.fields import Choice, Field, Flag, Form, Items, Table, Whole
from revenue_share.money import AMOUNT_FEN_MAX
from revenue_share.referral import RevenueEvent

MONTHS_MAX = 120
CLAWBACK_DAYS_MAX = 3660
SCOPES = ("event", "client", "period", "lifetime")  # in the order in which limits are applied
Pair: TypeAlias = tuple[str, str]  # English, Chinese

IDENTIFIER = Form(pattern=r"[a-z0-9][a-z0-9._-]{0,63}", form="1-64 of a-z 0-9 . _ -")
AMOUNT = Whole(least=1, most=AMOUNT_FEN_MAX)
PART = Whole(least=0, most=1_000_000)
LIMIT = Table(optional=dict.fromkeys(SCOPES, AMOUNT), least=1)
COMMON: dict[str, Field] = {"id": IDENTIFIER, "kind": IDENTIFIER, "event": IDENTIFIER}
MODIFIERS: dict[str, Field] = {
    "months_from_referral": Whole(least=1, most=MONTHS_MAX),
    "referred": Flag(),
    "cap": LIMIT,
    "floor": LIMIT,
    "clawback": Table(
        needed={"window_days": Whole(least=1, most=CLAWBACK_DAYS_MAX), "mode": Choice(words=("full", "pro_rata"))},
        optional={"reasons": Items(of=IDENTIFIER, least=1, most=32, what="reasons")},
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """Bounds of the sum of a rule's shares over one scope, in minor units; None where there is none.

    Scopes: one `event`; one `client` over the life of the agreement; all clients of a `period`; all of the `lifetime`.
    A sum never leaves ±cap. A floor holds for a scope in which something was counted in the period.
    """

    scope: str
    cap: int | None
    floor: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Clawback:
    """A later event may take a counted one back: within `window_days` of it, for one of `reasons` (any where empty)."""

    window_days: int
    pro_rata: bool  # by the part of the base that is reversed; else the whole
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What a kind sees of an event: its base in exact minor units of the agreement's currency, and the rule's mark."""

    event: RevenueEvent
    base: Fraction
    mark: int | None = None

    def number(self, name: str) -> int:
        """A fact that the kind needs; its presence was checked before."""
        value: Fact | None = self.event.fact(name)
        assert isinstance(value, int), f"{name} was not checked"
        return value

    @property
    def count(self) -> int:
        """How many things the event stands for; 1 where it does not say."""
        value = self.event.fact("count")
        return value if isinstance(value, int) else 1


class Kind(Protocol):
    """What an event earns under one kind of rule. Exact: no rounding, no state but the mark."""

    NAME: ClassVar[str]
    FIELDS: ClassVar[Table]  # of the rule's own fields
    BASED: ClassVar[bool]  # whether the share follows the base: then part of an event can be taken back
    SIGNED: ClassVar[bool]  # whether a negative base mirrors a positive one; else it is refused

    @property
    def needs(self) -> frozenset[str]:
        """Facts without which it can't price."""

    @property
    def takes(self) -> frozenset[str]:
        """Facts it can do without."""

    def key(self, event: RevenueEvent) -> str | None:
        """Under which name the rule remembers what was paid for; None where it remembers nothing."""

    def price(self, case: Case) -> tuple[Fraction, int | None]:
        """The share in exact minor units, and the mark after it."""

    def arithmetic(self, case: Case, units: Pair) -> Pair:
        """How the share comes about, to be checked by hand; units: words for a minor unit."""

    def terms(self, event: str, currency: str) -> Pair:
        """What the rule pays, for people who approve it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of an agreement version."""

    id: str
    event: str
    months_from_referral: int | None  # None where it needs no referral
    limits: tuple[Limit, ...]
    clawback: Clawback | None
    kind: Kind

    @property
    def referred(self) -> bool:
        """Whether it prices events of referred clients; else events of no client (`referral.NO_CLIENT`)."""
        return self.months_from_referral is not None

    @property
    def asset(self) -> str | None:
        """The asset it pays in where that is not the agreement's currency."""
        return getattr(self.kind, "ASSET", None)

    @property
    def summed(self) -> bool:
        """Whether a limit holds over more than one event."""
        return any(limit.scope != "event" for limit in self.limits)

    def prices(self, event_kind: str) -> bool:
        return event_kind == self.event or event_kind == getattr(self.kind, "redeem_event", None)

    def facts_fault(self, event: RevenueEvent) -> str:
        """Which facts an event lacks or has too many for this rule, as "-a +b"; empty where they fit."""
        given = {name for name, _ in event.facts}
        if "reverses" in given:
            return _faults(given, {"reverses"}, {"reason"})
        needs = {"points"} if event.kind != self.event else self.kind.needs
        takes = self.kind.takes | ({"currency", "scale"} if self.kind.BASED else set())
        claimed = self.referred and self.asset is None  # points can't be divided among referrers
        return _faults(given, needs, takes | ({"rivals"} if claimed else set()))


def _faults(given: set[str], needs: set[str] | frozenset[str], takes: set[str] | frozenset[str]) -> str:
    wrong = [f"-{name}" for name in sorted(needs - given)] + [f"+{name}" for name in sorted(given - needs - takes)]
    return " ".join(wrong)


def plain(value: Fraction) -> str:
    """A whole number, or a fraction in lowest terms."""
    return str(value.numerator) if value.denominator == 1 else f"{value.numerator}/{value.denominator}"


def ratio(value: Fraction) -> str:
    """A rate as agreements write it: "1/20", "3/1"."""
    return f"{value.numerator}/{value.denominator}"


def limits(read: dict[str, Any]) -> tuple[Limit, ...]:
    """The limits of a rule's read fields, in the order in which they are applied."""
    caps, floors = read.get("cap", {}), read.get("floor", {})
    scopes = [scope for scope in SCOPES if scope in caps or scope in floors]
    return tuple(Limit(scope=scope, cap=caps.get(scope), floor=floors.get(scope)) for scope in scopes)
