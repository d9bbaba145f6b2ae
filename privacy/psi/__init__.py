"""Private set intersection. Roots use the names below; engines and wire stay inside."""

from privacy.psi.count_then_rows import CountThenRows
from privacy.psi.factory import create, load
from privacy.psi.identifiers import commitment
from privacy.psi.session import Session
from privacy.psi.values import (
    AlignResult,
    CountedRowsResult,
    CountResult,
    Mode,
    Outcome,
    Outgoing,
    Role,
    RowsResult,
    SpineResult,
    SumResult,
)

__all__ = [
    "AlignResult",
    "CountResult",
    "CountThenRows",
    "CountedRowsResult",
    "Mode",
    "Outcome",
    "Outgoing",
    "Role",
    "RowsResult",
    "Session",
    "SpineResult",
    "SumResult",
    "commitment",
    "create",
    "load",
]
