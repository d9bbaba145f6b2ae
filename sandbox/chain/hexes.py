"""The hex encodings of the Ethereum JSON-RPC, and the checks of what a caller sends."""

import re
from typing import Any


class BadParameters(Exception):
    """JSON-RPC error -32602; its text goes to the caller."""


def quantity(value: int) -> str:
    return hex(value)


def data(value: bytes) -> str:
    return "0x" + bytes(value).hex()


def optional(value: bytes | None) -> str | None:
    return None if value is None else data(value)


def parse_quantity(value: Any) -> int:
    if not isinstance(value, str) or not re.fullmatch(r"0x[0-9a-fA-F]{1,64}", value):
        raise BadParameters("a quantity is expected: 0x and hex digits")
    return int(value, 16)


def parse_data(value: Any, length: int | None = None) -> bytes:
    if not isinstance(value, str) or not re.fullmatch(r"0x([0-9a-fA-F]{2})*", value):
        raise BadParameters("hex data is expected: 0x and pairs of hex digits")
    found = bytes.fromhex(value[2:])
    if length is not None and len(found) != length:
        raise BadParameters(f"{length} bytes are expected")
    return found
