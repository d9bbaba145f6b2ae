"""The little of the contract ABI that our contracts use: 32-byte words and one level of dynamic byte strings.

Solidity ABI specification, "Formal Specification of the Encoding". Every value is a word (unsigned integer, bytes32,
address, boolean), a tuple of words, or bytes; whatever comes back from a chain is length-checked. The tests compare
it with eth_abi.
"""

from collections.abc import Sequence
from typing import TypeAlias

from eth_hash.auto import keccak

from contracts.errors import MalformedChainAnswer
from contracts.keys import Address, checksum, raw_address

Word: TypeAlias = "int | bool | bytes"

WORD = 32


def selector(signature: str) -> bytes:
    """The first 4 bytes of keccak256 of a function's signature, "finalise(bytes32)"."""
    return keccak(signature.encode())[:4]


def topic(signature: str) -> bytes:
    """keccak256 of an event's signature: topic 0 of its logs."""
    return keccak(signature.encode())


def word(value: Word) -> bytes:
    """One value as 32 bytes. bytes must be 32 long already; integers are unsigned."""
    if isinstance(value, bytes):
        assert len(value) == WORD, "a byte string of another length is not a word"
        return value
    return int(value).to_bytes(WORD, "big")


def address_word(value: Address) -> bytes:
    """An address as a left-padded word."""
    return bytes(12) + raw_address(value)


def encode(words: Sequence[Word], tails: Sequence[bytes] = ()) -> bytes:
    """Arguments: all static words first, then dynamic ones, given as `byte_string` or `array` made them."""
    head = b"".join(word(value) for value in words)
    offset = len(head) + WORD * len(tails)
    for i in range(len(tails)):
        head += word(offset + sum(map(len, tails[:i])))
    return head + b"".join(tails)


def calldata(signature: str, words: Sequence[Word] = (), tails: Sequence[bytes] = ()) -> bytes:
    """A call: the selector of "finalise(bytes32)" and its arguments, as `encode` takes them."""
    return selector(signature) + encode(words, tails)


def byte_string(value: bytes) -> bytes:
    """The tail of a `bytes` argument: its length, then the bytes padded to words."""
    return word(len(value)) + value + bytes(-len(value) % WORD)


def array(values: Sequence[bytes]) -> bytes:
    """The tail of a `bytes32[]` argument: the count, then the words."""
    return word(len(values)) + b"".join(word(value) for value in values)


def words(data: bytes, count: int) -> list[bytes]:
    """Exactly `count` words. Raises MalformedChainAnswer for another length."""
    if len(data) != WORD * count:
        raise MalformedChainAnswer(why=f"{len(data)} bytes instead of {WORD * count}")
    return [data[WORD * i : WORD * (i + 1)] for i in range(count)]


def dynamic_bytes(data: bytes) -> bytes:
    """The one `bytes` that a function returned. Raises MalformedChainAnswer for another form."""
    length = integer(data[WORD : 2 * WORD])
    if length > len(data) or data != encode([], [byte_string(found := data[2 * WORD : 2 * WORD + length])]):
        raise MalformedChainAnswer(why="a byte string in another form")
    return found


def dynamic_words(data: bytes) -> list[bytes]:
    """The one array of words that a function returned. Raises MalformedChainAnswer for another form."""
    count = integer(data[WORD : 2 * WORD])
    if integer(data[:WORD]) != WORD or count > len(data):
        raise MalformedChainAnswer(why="an array in another form")
    return words(data[2 * WORD :], count)


def integer(data: bytes) -> int:
    """The unsigned integer of a word."""
    return int.from_bytes(data, "big")


def boolean(data: bytes) -> bool:
    """The boolean of a word. Raises MalformedChainAnswer unless it is 0 or 1."""
    if (value := integer(data)) > 1:
        raise MalformedChainAnswer(why="a boolean that is neither 0 nor 1")
    return value == 1


def address(data: bytes) -> Address:
    """The address of a word. Raises MalformedChainAnswer where the padding is not zero."""
    if any(data[:12]):
        raise MalformedChainAnswer(why="an address with padding that is not zero")
    return checksum(data[12:])


def revert_reason(data: bytes) -> str:
    """The text of a revert's data, Error(string); empty where there is none."""
    if data[:4] != selector("Error(string)") or len(data) < 4 + 2 * WORD or integer(data[4:36]) != WORD:
        return ""
    length = integer(data[36:68])
    return data[68 : 68 + min(length, 200)].decode(errors="replace")
