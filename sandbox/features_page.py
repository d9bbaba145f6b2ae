"""The table of docs/profile-features.md, written from the catalogue: `python -m sandbox.features_page PAGE`.

What stands above the mark is written by people and kept; a test compares what stands below with the catalogue.
"""

import sys
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

from federation.schema import standard
from federation.schema.values import TRANSFORMS, Catalogue, Feature, Word, codes

MARK = "<!-- From here on `make docs` writes, from federation/schema/standard.toml. -->\n"
HEADS = (
    "feature",
    "meaning",
    "unit, window",
    "range",
    "suggested bins or categories",
    "transform",
    "class",
    "purposes",
)


def markdown(catalogue: Catalogue) -> str:
    """All below the mark."""
    lines = [
        f"\n## Catalogue {catalogue.version}: {len(catalogue.features)} features\n",
        f"Digest `{catalogue.digest}` (in every published list). In purposes {_letters(catalogue)}.",
        *_words("Windows (统计窗口)", catalogue.windows),
        *_words("Other currencies (外币折算)", catalogue.currency_rules),
    ]
    for domain in catalogue.domains:
        lines.append(f"\n### {domain.en} ({domain.zh})\n")
        lines += _table(HEADS, [_row(catalogue, feature) for feature in catalogue.of_domain(domain.code)])
    return "\n".join(lines) + "\n"


def write(path: Path) -> None:
    """Replace what stands below the mark."""
    kept, mark, _ = path.read_text(encoding="utf-8").partition(MARK)
    path.write_text(kept + (mark or MARK) + markdown(standard.load()), encoding="utf-8")


def _row(catalogue: Catalogue, feature: Feature) -> tuple[str, ...]:
    span = feature.span
    if span is None:
        shape, groups = "", "; ".join(f"`{word.code}` {word.en} {word.zh}" for word in feature.categories)
    else:
        numbers = "whole" if span.whole else "decimal"
        shape, groups = f"{_plain(span.low)} to {_plain(span.high)}, {numbers}", ", ".join(map(_plain, span.bins))
    unit = ", ".join(filter(None, [feature.unit, feature.currency, feature.window]))
    order = codes(catalogue.purposes)
    return (
        f"`{feature.name}`",
        f"{feature.en}<br>{feature.zh}",
        unit,
        shape,
        groups,
        TRANSFORMS[feature.transform],
        feature.class_,
        "".join(_letter(order.index(purpose)) for purpose in feature.purposes),
    )


def _letters(catalogue: Catalogue) -> str:
    named = (f"{_letter(i)} is `{word.code}` ({word.en}; {word.zh})" for i, word in enumerate(catalogue.purposes))
    return ", ".join(named)


def _letter(index: int) -> str:
    return chr(ord("A") + index)


def _words(title: str, words: Sequence[Word]) -> Iterator[str]:
    yield f"\n{title}:\n"
    yield from _table(("code", "meaning", "含义"), [(f"`{word.code}`", word.en, word.zh) for word in words])


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), *rows)]


def _plain(value: Decimal) -> str:
    return f"{value:,}"


if __name__ == "__main__":
    write(Path(sys.argv[1]))
