"""Mapping files for tests."""

from federation.schema import standard
from federation.schema.mapping import Entry, Finding, parse

CATALOGUE = standard.load()


def read(text: str) -> tuple[tuple[Entry, ...], tuple[Finding, ...]]:
    return parse(text.encode(), "mapping.toml", CATALOGUE)


def entry(spec: str) -> Entry:
    """The one entry of a file that maps column X: spec is what stands behind `X =`."""
    (found,), findings = read(f"catalogue = 1\n[columns]\nX = {spec}\n")
    assert not findings
    return found
