"""Gives and refuses labels: rules, and what is known of each client now, to rows with reasons. Nothing else enters.

A client who opted out, or whose consent has ended, is not looked at any further: no rule is tried on the scores. A
label that a rule would give is refused above the client's risk class, and to a client whose class is not known.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from federation.labels import words
from federation.labels.rules import Label, Rules
from privacy import canonical

CONTENT_LABEL = "ecohub/label-content/v1"


class Reason(StrEnum):
    """Why a label was refused. The first three, without a label, are about the client."""

    OPTED_OUT = "OPTED_OUT"
    CONSENT_ENDED = "CONSENT_ENDED"
    EXPIRED = "EXPIRED"
    SUITABILITY = "SUITABILITY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """What is known of one client now. Instants are aware."""

    key: str  # stands for the client: unique, and no id
    score: float  # log-odds
    chance: float
    decile: int
    valid_until: datetime  # of the score
    consent_until: datetime | None  # None: there is no consent now
    risk_class: int | None  # None: not known
    opted_out: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A label that is delivered."""

    key: str
    label: Label
    class_: int | None
    valid_until: datetime  # whole seconds of UTC, not included
    decile: int
    en: str  # why
    zh: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A label that is not delivered; without a label: none is, whatever the rules say."""

    key: str
    reason: Reason
    label: str | None = None
    risk_level: int | None = None  # that the label asks for
    risk_class: int | None = None  # that the client has


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """All rows, by the clients' keys and then as the rules stand, in whatever order the clients came in."""

    given: tuple[Given, ...]
    refused: tuple[Refused, ...]

    @property
    def content(self) -> str:
        """The digest of every row: two deliveries with the same one are the same delivery."""
        given: list[canonical.Value] = [
            [row.key, row.label.name, row.class_, row.valid_until.isoformat(), row.en, row.zh] for row in self.given
        ]
        refused: list[canonical.Value] = [
            [row.key, row.label, row.reason.value, row.risk_level, row.risk_class] for row in self.refused
        ]
        return canonical.digest(CONTENT_LABEL, [given, refused]).hex()

    def labels(self) -> list[canonical.Value]:
        """How many clients got each label and class."""
        counts = Counter((row.label.name, row.class_) for row in self.given)
        ordered = sorted(counts.items(), key=_by_name)
        return [{"label": name, "class": class_, "clients": count} for (name, class_), count in ordered]

    def refusals(self) -> list[canonical.Value]:
        """How many clients were refused each label, by reason; label null: all labels."""
        counts = Counter((row.reason.value, row.label) for row in self.refused)
        ordered = sorted(counts.items(), key=_by_name)
        return [{"reason": reason, "label": label, "clients": count} for (reason, label), count in ordered]


def apply(rules: Rules, clients: Iterable[Client], *, made: datetime, now: datetime) -> Outcome:
    """The labels of these clients. `made`: when the scores were made, from which a label's days count.

    A label is valid until the earliest of its own days, the score's validity and the client's consent: so the same
    inputs give the same rows at any `now` before one of these ends.
    """
    given: list[Given] = []
    refused: list[Refused] = []
    for client in sorted(clients, key=lambda client: client.key):
        if (reason := _closed(client, now)) is not None:
            refused.append(Refused(key=client.key, reason=reason))
            continue
        for row in _rows(rules, client, made, now):
            (given if isinstance(row, Given) else refused).append(row)  # type: ignore[arg-type]
    return Outcome(given=tuple(given), refused=tuple(refused))


def _closed(client: Client, now: datetime) -> Reason | None:
    """Why no rule is tried on this client at all."""
    if client.opted_out:
        return Reason.OPTED_OUT
    if client.consent_until is None or client.consent_until <= now:
        return Reason.CONSENT_ENDED
    return Reason.EXPIRED if client.valid_until <= now else None


def _rows(rules: Rules, client: Client, made: datetime, now: datetime) -> Iterator[Given | Refused]:
    assert client.consent_until is not None, "a client without consent is refused before"
    for label in rules.labels:
        grade = label.grade(decile=client.decile, chance=client.chance, score=client.score)
        if grade is None:
            continue
        until = min(made + timedelta(days=label.valid_days), client.valid_until, client.consent_until)
        if until <= now:
            yield Refused(key=client.key, label=label.name, reason=Reason.EXPIRED)
        elif client.risk_class is None or client.risk_class < grade.risk_level:
            yield Refused(
                key=client.key,
                label=label.name,
                reason=Reason.SUITABILITY,
                risk_level=grade.risk_level,
                risk_class=client.risk_class,
            )
        else:
            en, zh = words.given(
                grade, decile=client.decile, chance=client.chance, score=client.score, risk_class=client.risk_class
            )
            yield Given(
                key=client.key,
                label=label,
                class_=grade.class_,
                valid_until=until.astimezone(UTC),
                decile=client.decile,
                en=en,
                zh=zh,
            )


def _by_name(item: tuple[tuple[str, object], int]) -> tuple[str, str]:
    (first, second), _ = item
    return first, str(second or "")
