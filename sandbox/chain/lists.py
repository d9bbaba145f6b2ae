"""RLP lists split into their items as they stand, each with its own header (Ethereum yellow paper, appendix B).

What is inside an item is not decoded: items joined again are the list to the bit.
"""

from collections.abc import Iterable

_SHORT_MAX = 55  # bytes of a string or list whose length stands in the first byte


def items(data: bytes) -> list[bytes]:
    """The items of one list. Raises ValueError for anything else, also for a length not written in the shortest way."""
    if not data or data[0] < 0xC0:
        raise ValueError("an RLP list is expected")
    found = split(data[_payload(data, 0)[0] :])
    if joined(found) != data:
        raise ValueError("the list's length does not fit")
    return found


def split(data: bytes) -> list[bytes]:
    """Items that follow one another without a list's header. Raises ValueError where the last one is cut."""
    found, at = [], 0
    while at < len(data):
        end = _payload(data, at)[1]
        found.append(data[at:end])
        at = end
    if at != len(data):
        raise ValueError("the last item is cut")
    return found


def joined(found: Iterable[bytes]) -> bytes:
    """The list of these items."""
    body = b"".join(found)
    if len(body) <= _SHORT_MAX:
        return bytes([0xC0 + len(body)]) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([0xC0 + _SHORT_MAX + len(size)]) + size + body


def content(item: bytes) -> bytes:
    """The bytes of an item that is a string."""
    begin, end = _payload(item, 0)
    return item[begin:end]


def _payload(data: bytes, at: int) -> tuple[int, int]:
    """Where the content of the item that begins here begins and ends."""
    first = data[at]
    if first < 0x80:
        return at, at + 1
    begin, size = at + 1, first & 0x3F  # counted alike for strings, from 0x80, and lists, from 0xc0
    if size > _SHORT_MAX:
        begin += size - _SHORT_MAX
        size = int.from_bytes(data[at + 1 : begin], "big")
    return begin, begin + size
