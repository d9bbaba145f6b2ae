"""A model card as files: Markdown, and one HTML page that needs nothing else.

Names of columns, purposes and reasons are people's text: everything that Markdown or HTML would read as a sign is
written so that it is shown as it is.
"""

import re
from collections.abc import Sequence

from hub import model_card, page
from hub.model_card import Card, Section
from privacy.printable import printable

# also what readers make links of
SIGNS = re.compile(r"([\\`*_\[\]<>#!|~&@]|:(?=//)|(?i:(?<=www))\.|^[+-](?=[\s-])|^=)")
HEADING = ("Model card", "模型卡")


def markdown(card: Card, lang: str) -> str:
    """The card as Markdown (CommonMark with tables)."""
    zh = lang == "zh"
    parts = [f"# {HEADING[zh]}: {_text(card.model['name'])} {card.model['number']}", f"`{card.model['job']}`"]
    for section in model_card.sections(card, lang):
        parts.append(f"## {_text(section.title[zh])}")
        parts += [_text(note[zh]) for note in section.notes]
        parts += [_table(page.heads(table.heads, lang), table.rows) for table in section.tables]
    return "\n\n".join(parts) + "\n"


def html(card: Card, lang: str) -> str:
    """The card as a page: no script, no other file, no address."""
    zh = lang == "zh"
    parts = [part for section in model_card.sections(card, lang) for part in _markup(section, lang)]
    title = f"{printable(card.model['name'])} {card.model['number']}"
    return page.page(HEADING[zh], title, str(card.model["job"]), parts, lang)


def _markup(section: Section, lang: str) -> list[str]:
    zh = lang == "zh"
    return [
        page.subtitle(section.title[zh]),
        *(page.paragraph(printable(note[zh])) for note in section.notes),
        *(
            page.table(page.heads(table.heads, lang), [[printable(cell) for cell in row] for row in table.rows])
            for table in section.tables
        ),
        *section.drawings,
    ]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *[[_text(cell) for cell in row] for row in rows]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _text(text: str) -> str:
    return SIGNS.sub(r"\\\1", printable(text).strip())
