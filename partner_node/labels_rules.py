"""Reads a rules file of labels from disk, for the command that checks it and for the node that applies it."""

from pathlib import Path

from federation.labels import LabelRulesUnreadable, Rules, parse
from federation.labels.parse import BYTES_MAX


def read(path: Path) -> Rules:
    """The rules of a file. Raises LabelRulesUnreadable, LabelRulesInvalid."""
    try:
        with path.open("rb") as file:
            data = file.read(BYTES_MAX + 1)
    except OSError as error:
        raise LabelRulesUnreadable(file=str(path), why=error.strerror or type(error).__name__) from None
    return parse(data, str(path))
