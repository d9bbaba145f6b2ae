"""The pages of reports: one HTML file that needs nothing else, no script, no other file, no address."""

from collections.abc import Sequence
from html import escape

from hub import words

STYLE = (
    "body{font:15px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse;margin:1rem 0}td,th{padding:.25rem .7rem;border-bottom:1px solid #ddd}"
    "td{text-align:right}td:first-child,th:first-child{text-align:left}svg{width:100%;height:auto}"
)


def page(heading: str, title: str, digest: str, parts: Sequence[str], lang: str) -> str:
    """The whole page; `parts` are markup made by the functions here and by `plots`, the rest is text."""
    head, name = escape(heading), escape(title)
    start = [
        f'<!doctype html><html lang="{"zh" if lang == "zh" else "en"}"><meta charset="utf-8">'
        f"<title>{head}: {name}</title>",
        f"<style>{STYLE}</style><h1>{name}</h1><p>{head} · <code>{escape(digest)}</code></p>",
    ]
    return "\n".join([*start, *parts]) + "</html>\n"


def heads(names: Sequence[str], lang: str) -> list[str]:
    """The heads of a table in the reader's language."""
    return [words.head(name, lang) for name in names]


def table(names: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table; without a head where all names are empty."""
    head = "".join(f"<th>{escape(text)}</th>" for text in names)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in line) + "</tr>" for line in lines)
    return f"<table>{f'<tr>{head}</tr>' if any(names) else ''}{body}</table>"


def paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def subtitle(text: str) -> str:
    return f"<h2>{escape(text)}</h2>"
