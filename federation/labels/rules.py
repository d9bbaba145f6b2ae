"""Rules of labels as values. A label is given by where a client's score stands; each asks for a least risk class."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

RISK_CLASSES = range(1, 6)  # C1 to C5 of the suitability rules (证券期货投资者适当性管理办法); 5 bears the most risk


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """A condition: every bound that is there must hold. Deciles include both ends; below excludes its own value."""

    decile_from: int | None = None
    decile_to: int | None = None
    chance_from: Decimal | None = None
    chance_below: Decimal | None = None
    score_from: Decimal | None = None  # log-odds
    score_below: Decimal | None = None

    def holds(self, *, decile: int, chance: float, score: float) -> bool:
        """Whether a client stands within all bounds. A bound 0.6 is the double nearest to 0.6, as in a matrix."""
        if decile < (self.decile_from or decile) or decile > (self.decile_to or decile):
            return False
        return _within(chance, self.chance_from, self.chance_below) and _within(
            score, self.score_from, self.score_below
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """One way to get a label: as class 1 to 5 of an ordinal label, or plainly (None)."""

    class_: int | None
    when: When
    risk_level: int  # the least risk class of a client to whom it may be given


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A label with its grades, the highest class first: the first whose condition holds is the one that counts."""

    name: str
    en: str
    zh: str
    valid_days: int
    grades: tuple[Grade, ...]

    def text(self, lang: str) -> str:
        return self.zh if lang == "zh" else self.en

    def grade(self, *, decile: int, chance: float, score: float) -> Grade | None:
        """The grade of a client who stands there, or None."""
        for grade in self.grades:
            if grade.when.holds(decile=decile, chance=chance, score=score):
                return grade
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """A rules file. `version` is its authors' own; `digest` is over the content, not over comments or spaces."""

    name: str
    version: int
    digest: str
    risk_classes: Mapping[str, int] = field(hash=False)  # what stands in the client's record -> 1 to 5
    labels: tuple[Label, ...]

    def risk_class(self, text: str) -> int | None:
        """The risk class that a client's record states; None where it states none that the rules know."""
        return self.risk_classes.get(text.strip())

    def label(self, name: str) -> Label | None:
        return next((label for label in self.labels if label.name == name), None)


def _within(value: float, low: Decimal | None, below: Decimal | None) -> bool:
    return (low is None or value >= float(low)) and (below is None or value < float(below))
