"""Private set intersection. Roots use the names below; engines and wire stay inside."""

from privacy.psi.factory import create, load
from privacy.psi.identifiers import commitment
from privacy.psi.session import Session
from privacy.psi.values import AlignResult, CountResult, Mode, Outcome, Outgoing, Role, SpineResult

__all__ = [
    "AlignResult",
    "CountResult",
    "Mode",
    "Outcome",
    "Outgoing",
    "Role",
    "Session",
    "SpineResult",
    "commitment",
    "create",
    "load",
]
