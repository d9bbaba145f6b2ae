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
from privacy.noise import CountNoise, CountNoiseInvalid
from privacy.psi.cached import EpochTerms
from privacy.psi.errors import BadSetup
from privacy.psi.oprf.labels_parameters import LABEL_BYTES_MAX
from privacy.psi.values import PARTIES_MAX, VALUE_BITS_MAX

LEADER, FOLLOWER = "leader", "follower"
OPRF, ECDH = "oprf", "ecdh"
COUNT, ALIGN, ROWS, SUM, LABELS, CACHED = "count", "align", "rows", "sum", "labels", "cached"
COUNT_THEN_ROWS, ALIGN_ALL, ALIGN_HIDDEN = "count-then-rows", "align-all", "align-hidden"
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
    parties_min: int = 2
    parties_max: int = PARTIES_MAX
    option: str = ""  # a field of this mode alone, since version 2
    needed: bool = False  # whether it takes the option always


MODES: Mapping[str, Rule] = {
    COUNT: Rule(since=1, engines=(ECDH,), parties_max=2, option="noise"),
    ALIGN: Rule(since=1, engines=(ECDH,)),
    ROWS: Rule(since=2, engines=(OPRF, ECDH), parties_max=2, option="both"),
    LABELS: Rule(since=2, engines=(OPRF,), parties_max=2, option="labels", needed=True),
    CACHED: Rule(since=2, engines=(ECDH,), parties_max=2, option="cached", needed=True),
    COUNT_THEN_ROWS: Rule(since=2, engines=(ECDH,), parties_max=2),
    SUM: Rule(since=2, engines=(ECDH,), parties_max=2, option="sum", needed=True),
    ALIGN_ALL: Rule(since=2, engines=(ECDH,), parties_min=3),
    ALIGN_HIDDEN: Rule(since=2, engines=(ECDH,), parties_max=2),
}
SUM_FIELDS = frozenset({"partner", "column", "bits"})
LABELS_FIELDS = frozenset({"partner", "column", "bytes"})
NOISE_FIELDS = frozenset({"epsilon_milli", "delta_log10"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    partner: str
    role: str
    asset: str
    id_column: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """Mode sum: whose column is added up. Its values are whole numbers from 0, below 2^bits, in minor units."""

    partner: str
    column: str
    bits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Mode labels: which of the follower's columns the leader gets of each shared client, as text."""

    partner: str
    column: str
    length: int  # bytes of UTF-8 at most; what travels has always this length


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchJob:
    """The terms of one job."""

    mode: str
    engine: str
    id_type: str
    minimum: int
    parties: tuple[Party, ...]
    both: bool = False  # mode rows: the follower gets its rows too
    values: Values | None = None  # mode sum
    labels: Labels | None = None  # mode labels
    noise: CountNoise | None = None  # mode count: the number is an estimate
    cached: EpochTerms | None = None  # mode cached: the epoch that the job is of

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
        if not rule.parties_min <= len(parties) <= rule.parties_max:
            raise TermsInvalid(why=f"mode {body['mode']} takes {_number(rule)} parties")
        return cls(
            mode=body["mode"],
            engine=body["engine"],
            id_type=_id_type(body),
            minimum=minimum,
            parties=parties,
            both="both" in body,
            values=_values(body["sum"], parties) if "sum" in body else None,
            labels=_labels(body["labels"], parties) if "labels" in body else None,
            noise=noise_of(body),
            cached=_cached(body["cached"]) if "cached" in body else None,
        )

    @property
    def leader(self) -> str:
        return next(party.partner for party in self.parties if party.role == LEADER)

    @property
    def followers(self) -> tuple[str, ...]:
        return tuple(party.partner for party in self.parties if party.role == FOLLOWER)

    @property
    def entitled(self) -> tuple[str, ...]:
        """Who learns how many clients are shared, or that they are too few, and reports it."""
        alone = self.mode in (COUNT, LABELS, CACHED) or (self.mode == ROWS and not self.both)
        return (self.leader,) if alone else tuple(party.partner for party in self.parties)

    def party(self, partner: str) -> Party:
        return next(party for party in self.parties if party.partner == partner)

    def peers(self, partner: str) -> tuple[str, ...]:
        """Whom a party talks to: the leader its followers, a follower its leader, in align-all then the others."""
        if partner == self.leader:
            return self.followers
        others = tuple(name for name in self.followers if name != partner) if self.mode == ALIGN_ALL else ()
        return (self.leader, *others)


def _rule(body: Mapping[str, Any]) -> Rule:
    version, mode = body.get("version", 1), body.get("mode")
    if type(version) is not int or not 1 <= version <= VERSION:
        raise TermsInvalid(why=f"version is 1 to {VERSION}")
    known = [name for name, rule in MODES.items() if rule.since <= version]
    if mode not in known:
        raise TermsInvalid(why=f"mode is one of {', '.join(known)}")
    return MODES[str(mode)]


def _check_fields(body: Mapping[str, Any], rule: Rule) -> None:
    needed = COMMON | PROPOSAL | ({rule.option} if rule.needed else set())
    if missing := needed - set(body):
        raise TermsInvalid(why=f"missing fields {', '.join(sorted(missing))}"[:200])
    option = {rule.option} if body.get("version", 1) > 1 else set()
    if "noise" in set(body) - option:
        raise TermsInvalid(why=f"noise goes with mode {COUNT} of version 2 alone: other figures are exact")
    if unknown := set(body) - needed - FREE - option:
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


def _values(given: object, parties: tuple[Party, ...]) -> Values:
    if not isinstance(given, dict) or set(given) != SUM_FIELDS:
        raise TermsInvalid(why=f"sum has the fields {', '.join(sorted(SUM_FIELDS))}")
    if given["partner"] not in [party.partner for party in parties]:
        raise TermsInvalid(why="sum.partner is one of the parties")
    bits = given["bits"]
    if type(bits) is not int or not 1 <= bits <= VALUE_BITS_MAX:
        raise TermsInvalid(why=f"sum.bits is a whole number from 1 to {VALUE_BITS_MAX}")
    return Values(partner=given["partner"], column=_name(given, "column"), bits=bits)


def _labels(given: object, parties: tuple[Party, ...]) -> Labels:
    if not isinstance(given, dict) or set(given) != LABELS_FIELDS:
        raise TermsInvalid(why=f"labels has the fields {', '.join(sorted(LABELS_FIELDS))}")
    if given["partner"] not in [party.partner for party in parties if party.role == FOLLOWER]:
        raise TermsInvalid(why="labels.partner is the follower: the leader gets the labels")
    length = given["bytes"]
    if type(length) is not int or not 1 <= length <= LABEL_BYTES_MAX:
        raise TermsInvalid(why=f"labels.bytes is a whole number from 1 to {LABEL_BYTES_MAX}")
    return Labels(partner=given["partner"], column=_name(given, "column"), length=length)


def _cached(given: object) -> EpochTerms:
    try:
        return EpochTerms.from_body(given)
    except BadSetup as failure:
        raise TermsInvalid(why=f"cached: {failure.facts['why']}") from None


def noise_of(body: Mapping[str, Any]) -> CountNoise | None:
    """The noise that a body's count carries, if any. Raises TermsInvalid."""
    given = body.get("noise")
    if "noise" not in body:
        return None
    if not isinstance(given, dict) or set(given) != NOISE_FIELDS:
        raise TermsInvalid(why=f"noise has the fields {', '.join(sorted(NOISE_FIELDS))}")
    try:
        return CountNoise(epsilon_milli=given["epsilon_milli"], delta_log10=given["delta_log10"])
    except CountNoiseInvalid as failure:
        raise TermsInvalid(why=failure.message()) from None


def _number(rule: Rule) -> str:
    least, most = rule.parties_min, rule.parties_max
    return str(least) if least == most else f"{least} to {most}"
