"""How much each own column and each party matters to a run's score: a file of the label holder's own people."""

from typing import Any

from federation.explain import Importance
from privacy import canonical

VERSION = 1


def file_name(job: str) -> str:
    return f"importance-{job[:16]}.json"


def encode(found: Importance) -> bytes:
    """Shares of the score's variance over the train clients, in ppm."""
    return canonical.encode({"version": VERSION, "parties_ppm": {**found.parties}, "own_ppm": {**found.own}})


def decode(data: bytes) -> Importance:
    """Raises NotCanonical, ValueError for a file that `encode` did not make."""
    value: Any = canonical.decode(data)
    if not isinstance(value, dict) or set(value) != {"version", "parties_ppm", "own_ppm"} or value["version"] != 1:
        raise ValueError("its fields")
    shares = [value["parties_ppm"], value["own_ppm"]]
    if not all(isinstance(one, dict) and all(type(ppm) is int for ppm in one.values()) for one in shares):
        raise ValueError("its shares")
    return Importance(parties=value["parties_ppm"], own=value["own_ppm"])
