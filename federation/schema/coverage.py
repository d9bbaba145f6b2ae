"""Which standard features are offered, by domain, and which are missing: one report for partners and data team."""

from collections.abc import Collection
from dataclasses import dataclass

from federation.schema.values import Catalogue, Word
from privacy import canonical


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """One domain of the catalogue."""

    domain: Word
    offered: tuple[str, ...]  # features, in the catalogue's order
    missing: tuple[str, ...]

    @property
    def of_all(self) -> str:
        """ "7 / 20"."""
        return f"{len(self.offered)} / {len(self.offered) + len(self.missing)}"

    def to_value(self) -> canonical.Value:
        return {
            "domain": self.domain.code,
            "features": len(self.offered) + len(self.missing),
            "offered": [*self.offered],
            "missing": [*self.missing],
        }


def of(catalogue: Catalogue, offered: Collection[str]) -> tuple[Coverage, ...]:
    """Every domain with what is offered of it; a name that this catalogue does not know counts nowhere."""
    return tuple(_domain(catalogue, word, offered) for word in catalogue.domains)


def _domain(catalogue: Catalogue, word: Word, offered: Collection[str]) -> Coverage:
    names = [feature.name for feature in catalogue.of_domain(word.code)]
    return Coverage(
        domain=word,
        offered=tuple(name for name in names if name in offered),
        missing=tuple(name for name in names if name not in offered),
    )
