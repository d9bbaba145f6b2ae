"""Arguments of local commands, checked once where they come in."""

from collections.abc import Mapping
from typing import Any

from partner_node.errors import CommandInvalid

TEXT_CHARACTERS_MAX = 4096


def text(arguments: Mapping[str, Any], name: str) -> str:
    """A text that must be there. Raises CommandInvalid."""
    value = optional_text(arguments, name)
    if not value:
        raise CommandInvalid(command=str(arguments.get("command", "")), what=name)
    return value


def optional_text(arguments: Mapping[str, Any], name: str) -> str | None:
    """A text or None. Raises CommandInvalid for anything else."""
    value = arguments.get(name)
    if value is not None and (not isinstance(value, str) or len(value) > TEXT_CHARACTERS_MAX):
        raise CommandInvalid(command=str(arguments.get("command", "")), what=name)
    return value


def flag(arguments: Mapping[str, Any], name: str) -> bool:
    """True or False, absent means False. Raises CommandInvalid."""
    value = arguments.get(name, False)
    if not isinstance(value, bool):
        raise CommandInvalid(command=str(arguments.get("command", "")), what=name)
    return value
