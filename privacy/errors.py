"""The base of every expected error.

An expected error is a peer, a person or a rule that said no. It has a stable `code`, a kind that the edges translate to
an exit code and a gRPC status, and a message in English and Chinese that is safe to show: identifiers and numbers,
never client data and never a key. Broken invariants are `AssertionError`, not `Failure`.
"""

import copyreg
from enum import Enum
from typing import Any, ClassVar


class Kind(Enum):
    """What sort of no it is; the edges translate this once (exit codes: ARCHITECTURE section 6)."""

    INVALID = "invalid"  # the input is wrong: exit 2
    NOT_FOUND = "not_found"  # there is no such thing: exit 2
    CONFLICT = "conflict"  # not in this state, or told otherwise before: exit 3
    REFUSED = "refused"  # policy, role or consent says no: exit 3
    UNAVAILABLE = "unavailable"  # not reachable or not ready, try again: exit 4
    INTEGRITY = "integrity"  # a signature, digest or proof does not hold: exit 5


class Failure(Exception):
    """Base of expected errors. Subclasses set the class attributes; facts fill the templates by name."""

    code: ClassVar[str] = "FAILURE"
    kind: ClassVar[Kind] = Kind.INVALID
    en: ClassVar[str] = ""
    zh: ClassVar[str] = ""

    def __init__(self, **facts: str | int) -> None:
        self.facts = facts
        super().__init__(self.message("en"))

    def __reduce__(self) -> tuple[Any, ...]:
        """Copied and pickled as it stands, whatever the subclass's constructor takes.

        A failure of another process must arrive: an exception that can't be rebuilt there breaks the pool, and hides
        who cheated.
        """
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]

    def message(self, lang: str = "en") -> str:
        """The sentence for people. lang: "en" or "zh"."""
        return (self.zh if lang == "zh" else self.en).format_map(_Known(self.facts))


class _Known(dict[str, object]):
    """A template field without a fact shows its own name instead of hiding the error behind a KeyError."""

    def __missing__(self, key: str) -> str:
        return "{" + key + "}"


def all_failures(root: type[Failure] = Failure) -> list[type[Failure]]:
    """Every subclass of Failure that is imported now, depth first; the catalogue test walks it."""
    found: list[type[Failure]] = []
    for cls in root.__subclasses__():
        found += [cls, *all_failures(cls)]
    return found
