"""Frames: a message survives its frames, and nothing malformed becomes a message."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecowire import limits
from ecowire.status import MalformedMessage, MessageTooLarge
from ecowire.stream import Assembler, Message, to_frames
from ecowire.v1 import alliance_pb2 as pb
from privacy.errors import Failure


def assemble(frames: list[pb.Frame]) -> list[Message]:
    assembler = Assembler()
    return [message for frame in frames if (message := assembler.feed(frame)) is not None]


@given(st.binary(max_size=200), st.dictionaries(st.text("ab", max_size=3), st.integers(0, 9), max_size=3))
def test_a_message_survives_its_frames(body: bytes, head: dict[str, int]) -> None:
    message = Message(id="job/1", kind="match.step", head=dict(head), body=body)
    assert assemble(list(to_frames(message))) == [message]


def test_a_large_body_is_cut_into_chunks_that_interleave() -> None:
    first = Message(id="a", kind="flower", body=bytes(3 * limits.CHUNK_BYTES_MAX + 1))
    second = Message(id="b", kind="flower", body=b"x" * (limits.CHUNK_BYTES_MAX + 1))
    one, two = list(to_frames(first)), list(to_frames(second))
    assert len(one) == 5
    mixed = [frame for pair in zip(one, [*two, None, None], strict=True) for frame in pair if frame is not None]
    assert {message.id: message for message in assemble(mixed)} == {"a": first, "b": second}


LARGE = b"x" * (limits.SMALL_BYTES_MAX + 1)


@pytest.mark.parametrize("size", [0, 1, limits.SMALL_BYTES_MAX, limits.SMALL_BYTES_MAX + 1])
def test_a_small_body_travels_in_the_first_frame_and_a_large_one_in_chunks(size: int) -> None:
    message = Message(id="a", kind="flower", body=bytes(size))
    frames = list(to_frames(message))
    assert len(frames) == (1 if size <= limits.SMALL_BYTES_MAX else 2)
    assert assemble(frames) == [message]


def test_a_body_whose_hash_is_known_is_not_hashed_again() -> None:
    known = Message(id="a", kind="flower", body=b"abc", sha256=hashlib.sha256(b"abc").digest())
    assert known == Message(id="a", kind="flower", body=b"abc")
    assert known.digest != Message(id="a", kind="flower", body=b"abd").digest


def begin(**fields: object) -> pb.Frame:
    sha256 = hashlib.sha256(LARGE).digest()
    values = {"id": "a", "kind": "x", "head": b"{}", "size": len(LARGE), "sha256": sha256, **fields}
    return pb.Frame(begin=pb.Begin(**values))  # type: ignore[arg-type]


def chunk(data: bytes, message_id: str = "a") -> pb.Frame:
    return pb.Frame(chunk=pb.Chunk(id=message_id, data=data))


@pytest.mark.parametrize(
    ("frames", "refusal"),
    [
        ([begin(id="")], MalformedMessage),
        ([begin(id="x" * 300)], MalformedMessage),
        ([begin(kind="")], MalformedMessage),
        ([begin(sha256=b"short")], MalformedMessage),
        ([begin(head=b"[]")], MalformedMessage),
        ([begin(head=b'{"a": 1}')], Failure),
        ([begin(head=b'"' + b"x" * limits.HEAD_BYTES_MAX + b'"')], MessageTooLarge),
        ([begin(size=limits.BODY_BYTES_MAX + 1)], MessageTooLarge),
        ([begin(), begin()], MalformedMessage),
        ([begin(id=str(i)) for i in range(limits.OPEN_MESSAGES_MAX + 1)], MalformedMessage),
        ([chunk(b"abc")], MalformedMessage),
        ([begin(), chunk(LARGE + b"d")], MalformedMessage),
        ([begin(), chunk(b"")], MalformedMessage),
        ([begin(), chunk(LARGE[:-1])], MalformedMessage),
        ([begin(), chunk(LARGE[:-1] + b"d")], MalformedMessage),
        ([begin(size=3)], MalformedMessage),
        ([begin(size=3, body=b"abcd")], MalformedMessage),
        ([begin(size=3, body=b"abd")], MalformedMessage),
        ([begin(body=b"abc")], MalformedMessage),
        ([begin(body=LARGE)], MalformedMessage),
        ([begin(size=limits.CHUNK_BYTES_MAX + 2), chunk(bytes(limits.CHUNK_BYTES_MAX + 1))], MalformedMessage),
        ([pb.Frame()], MalformedMessage),
        ([pb.Frame(ack=pb.Ack(id="a"))], MalformedMessage),
    ],
)
def test_malformed_frames_are_refused(frames: list[pb.Frame], refusal: type[Failure]) -> None:
    with pytest.raises(refusal):
        assemble(frames)


def test_an_oversize_message_is_not_sent() -> None:
    with pytest.raises(MessageTooLarge):
        list(to_frames(Message(id="a", kind="x", head={"t": "x" * limits.HEAD_BYTES_MAX})))


def test_digest_covers_kind_head_and_body() -> None:
    base = Message(id="a", kind="k", head={"x": 1}, body=b"b")
    others = [
        Message(id="a", kind="l", head={"x": 1}, body=b"b"),
        Message(id="a", kind="k", head={"x": 2}, body=b"b"),
        Message(id="a", kind="k", head={"x": 1}, body=b"c"),
    ]
    assert len({message.digest for message in [base, *others]}) == 4
    assert base.reply("ok", {}).reply_to == "a"
