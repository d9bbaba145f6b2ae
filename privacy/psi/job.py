"""A match job's terms, as every party signs them: mode, engine, who takes which part, who gets what.

The body of a job of kind "match" holds them beside the fields of every proposal (keys, purpose, expiry). Hub and nodes
read the same table of modes: a body that no session fits is refused before anybody can approve it, and the session that
runs is the one of the job's mode and role, which can't do more than the mode says. Version 1 of the body knew the modes
"count" and "align"; jobs of it stay readable.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from privacy import normalise
from privacy.errors import Failure, Kind
from privacy.psi.values import PARTIES_MAX

LEADER, FOLLOWER = "leader", "follower"
OPRF, ECDH = "oprf", "ecdh"
COUNT, ALIGN, ROWS = "count", "align", "rows"
VERSION = 2
MINIMUM_MAX = 100_000_000
NAME_CHARACTERS_MAX = 128
COMMON = frozenset({"mode", "engine", "normaliser", "id_type", "minimum"})
PROPOSAL = frozenset({"parties", "purpose", "expires", "nonce", "disclosure"})  # of every kind of job
FREE = frozenset({"kind", "version", "title"})
PARTY = frozenset({"partner", "role", "asset", "id_column"})
KEYS = frozenset({"signing", "sealing", "chain"})


class TermsInvalid(Failure):
    code = "MATCH_TERMS_INVALID"
    kind = Kind.INVALID
    en = "the match can't be run: {why}"
    zh = "该求交任务无法执行：{why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a mode takes. The first engine is the one proposed where none is named."""

    since: int  # version of the body
    engines: tuple[str, ...]
    parties_max: int = PARTIES_MAX
    options: frozenset[str] = frozenset()


MODES: Mapping[str, Rule] = {
    COUNT: Rule(since=1, engines=(ECDH,), parties_max=2),
    ALIGN: Rule(since=1, engines=(ECDH,)),
    ROWS: Rule(since=2, engines=(OPRF,), parties_max=2, options=frozenset({"both"})),
}
OPTIONS = frozenset().union(*(rule.options for rule in MODES.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    partner: str
    role: str
    asset: str
    id_column: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchJob:
    """The terms of one job."""

    mode: str
    engine: str
    id_type: str
    minimum: int
    parties: tuple[Party, ...]
    both: bool = False  # mode rows: the follower gets its rows too

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> "MatchJob":
        """The terms of a body whose parties are distinct and have keys (what every proposal is checked for).

        Raises TermsInvalid: fields unknown, missing or misshapen, a mode that this software has no session for, or an
        engine, number of parties, role or option that the mode does not take.
        """
        rule = _rule(body)
        _check_fields(body, rule)
        if body["engine"] not in rule.engines:
            raise TermsInvalid(why=f"mode {body['mode']} runs by engine {' or '.join(rule.engines)}")
        if type(body["normaliser"]) is not int or body["normaliser"] != normalise.VERSION:
            raise TermsInvalid(why=f"normaliser is {normalise.VERSION}")
        minimum = body["minimum"]
        if type(minimum) is not int or not 1 <= minimum <= MINIMUM_MAX:
            raise TermsInvalid(why="minimum is a whole number from 1")
        if body.get("both", True) is not True:
            raise TermsInvalid(why="both is true, or left out")
        parties = tuple(_party(item) for item in body["parties"])
        if [party.role for party in parties].count(LEADER) != 1:
            raise TermsInvalid(why="exactly one party leads")
        if not 2 <= len(parties) <= rule.parties_max:
            raise TermsInvalid(why=f"mode {body['mode']} takes 2{_more(rule)} parties")
        return cls(
            mode=body["mode"],
            engine=body["engine"],
            id_type=_id_type(body),
            minimum=minimum,
            parties=parties,
            both="both" in body,
        )

    @property
    def leader(self) -> str:
        return next(party.partner for party in self.parties if party.role == LEADER)

    @property
    def followers(self) -> tuple[str, ...]:
        return tuple(party.partner for party in self.parties if party.role == FOLLOWER)

    @property
    def entitled(self) -> tuple[str, ...]:
        """Who gets a result."""
        everybody = self.mode == ALIGN or self.both
        return tuple(party.partner for party in self.parties) if everybody else (self.leader,)

    def party(self, partner: str) -> Party:
        return next(party for party in self.parties if party.partner == partner)

    def peers(self, partner: str) -> tuple[str, ...]:
        """Whom a party talks to: the leader its followers, a follower its leader."""
        return self.followers if partner == self.leader else (self.leader,)


def _rule(body: Mapping[str, Any]) -> Rule:
    version, mode = body.get("version", 1), body.get("mode")
    if type(version) is not int or not 1 <= version <= VERSION:
        raise TermsInvalid(why=f"version is 1 to {VERSION}")
    known = [name for name, rule in MODES.items() if rule.since <= version]
    if mode not in known:
        raise TermsInvalid(why=f"mode is one of {', '.join(known)}")
    return MODES[str(mode)]


def _check_fields(body: Mapping[str, Any], rule: Rule) -> None:
    needed = COMMON | PROPOSAL
    if missing := needed - set(body):
        raise TermsInvalid(why=f"missing fields {', '.join(sorted(missing))}"[:200])
    if unknown := set(body) - needed - FREE - rule.options:
        raise TermsInvalid(why=f"unknown fields {', '.join(sorted(unknown))}"[:200])
    if body.get("kind", "match") != "match":
        raise TermsInvalid(why="kind is match")


def _party(item: Mapping[str, Any]) -> Party:
    if set(item) != PARTY | KEYS:
        raise TermsInvalid(why=f"a party has the fields {', '.join(sorted(PARTY | KEYS))}")
    if item["role"] not in (LEADER, FOLLOWER):
        raise TermsInvalid(why="a party's role is leader or follower")
    return Party(
        partner=item["partner"],
        role=item["role"],
        asset=_name(item, "asset"),
        id_column=_name(item, "id_column"),
    )


def _id_type(body: Mapping[str, Any]) -> str:
    name = _name(body, "id_type")
    try:
        normalise.normalise_column(name, ())
    except normalise.UnknownIdType as failure:
        raise TermsInvalid(why=failure.message()) from None
    return name


def _name(item: Mapping[str, Any], field: str) -> str:
    value = item[field]
    if not isinstance(value, str) or not 0 < len(value) <= NAME_CHARACTERS_MAX:
        raise TermsInvalid(why=f"{field} is a name")
    return value


def _more(rule: Rule) -> str:
    return "" if rule.parties_max == 2 else f" to {rule.parties_max}"
