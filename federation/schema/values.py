"""The catalogue as values. Numbers are exact decimals in the feature's unit; nothing here is a float."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

CLASSES = ("C1", "C2")  # JR/T 0171-2020, ascending; C3 (authentication, biometrics) is no feature
NUMERIC = ("money", "count", "ratio", "days")
LISTED = ("category", "flag")
KINDS = (*NUMERIC, *LISTED)
NUMBERS = ("integer", "decimal")
TRANSFORMS = {
    "none": "none",
    "log1p": "ln(1 + x)",
    "signed_log1p": "sign(x) · ln(1 + abs x)",
    "indicator": "one 0/1 column a category",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A code with its meaning for people."""

    code: str
    en: str
    zh: str

    def text(self, lang: str) -> str:
        return self.zh if lang == "zh" else self.en


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The values a numeric feature can have. `bins`: inner edges; bin i holds edge[i-1] <= value < edge[i]."""

    whole: bool
    low: Decimal
    high: Decimal
    bins: tuple[Decimal, ...]
    typical: tuple[Decimal, Decimal] | None  # where the median of values other than 0 may be expected


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One standard feature. A numeric one has a `span`, a category or flag has `categories`."""

    name: str
    domain: str
    en: str
    zh: str
    kind: str
    unit: str  # "CNY" (yuan), "days", "1" for a ratio, or what is counted
    currency: str | None  # the rule for other currencies; money only
    window: str
    span: Span | None
    categories: tuple[Word, ...]
    transform: str
    class_: str
    purposes: tuple[str, ...]
    aliases: tuple[str, ...]  # usual names of such a column, for suggestions

    def text(self, lang: str) -> str:
        return self.zh if lang == "zh" else self.en


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """All standard features of one version, in the order of the file."""

    version: int
    digest: str  # 64 hex digits over the whole content
    domains: tuple[Word, ...]
    windows: tuple[Word, ...]
    currency_rules: tuple[Word, ...]
    purposes: tuple[Word, ...]
    features: tuple[Feature, ...]

    def find(self, name: str) -> Feature | None:
        return next((feature for feature in self.features if feature.name == name), None)

    def of_domain(self, domain: str) -> tuple[Feature, ...]:
        return tuple(feature for feature in self.features if feature.domain == domain)


def codes(words: Sequence[Word]) -> tuple[str, ...]:
    return tuple(word.code for word in words)
