"""Events of our contracts, decoded by the ABI of their artifacts."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

from contracts import abi, artifacts
from contracts.errors import MalformedChainAnswer
from contracts.keys import Address

if TYPE_CHECKING:
    from contracts.chain import Log

Fact: TypeAlias = "bytes | int | bool | str"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One decoded event: its name and its values in the order of the ABI (bytes32 as bytes, addresses checksummed)."""

    name: str
    values: tuple[tuple[str, Fact], ...]

    def __getitem__(self, name: str) -> Fact:
        return dict(self.values)[name]


def decode(name: str, logs: Sequence["Log"], contract: Address) -> tuple[Event, ...]:
    """The events that a contract of this artifact's name wrote, in order. Logs of other contracts are left out.

    Raises MalformedChainAnswer for a log of this contract that its ABI does not know.
    """
    known = _known(name)
    found = []
    for log in logs:
        if log.address != contract:
            continue
        if not log.topics or log.topics[0] not in known:
            raise MalformedChainAnswer(why="an event this contract does not have")
        entry = known[log.topics[0]]
        indexed = list(log.topics[1:])
        plain = abi.words(log.data, sum(not field["indexed"] for field in entry["inputs"]))
        if len(indexed) != sum(field["indexed"] for field in entry["inputs"]):
            raise MalformedChainAnswer(why="an event with another number of topics")
        values = tuple(
            (field["name"], _value(field["type"], (indexed if field["indexed"] else plain).pop(0)))
            for field in entry["inputs"]
        )
        found.append(Event(name=entry["name"], values=values))
    return tuple(found)


@cache
def _known(name: str) -> dict[bytes, dict[str, Any]]:
    """The events of an artifact by their topic 0."""
    return {
        abi.topic(f"{entry['name']}({','.join(field['type'] for field in entry['inputs'])})"): entry
        for entry in artifacts.load(name).abi
        if entry["type"] == "event"
    }


def _value(kind: str, data: bytes) -> Fact:
    match kind:
        case "bytes32":
            return data
        case "uint256":
            return abi.integer(data)
        case "bool":
            return abi.boolean(data)
        case "address":
            return abi.address(data)
    raise AssertionError(f"the ABI has a type this binding does not know: {kind}")
