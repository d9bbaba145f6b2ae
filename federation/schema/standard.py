"""The catalogue that this release ships, from `standard.toml` beside this file."""

from functools import cache
from importlib import resources

from federation.schema.parse import parse
from federation.schema.values import Catalogue

FILE = "standard.toml"


@cache
def load() -> Catalogue:
    """The catalogue. Raises CatalogueInvalid, which a test rules out for what is shipped."""
    return parse(resources.files("federation.schema").joinpath(FILE).read_text(encoding="utf-8"))
