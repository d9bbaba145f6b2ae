"""The recorder that a node's tap is: everything handed to the transport, in clear, one record after another in a file.

A record: 2 bytes length of the kind, the kind, 8 bytes length of the content, the content; big-endian. Each record is
on disk before the content goes on its way, so a process that is killed has recorded what it sent.
"""

import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

GATE = ("envelope/", "request/", "reply/", "enrolment")  # what the product's own tap sees
TRANSPORT = ("sealed", "framed/")  # what was truly sealed and put on the stream; message ids are recorded as "id"


class Record(NamedTuple):
    kind: str
    content: bytes


class Recorder:
    """Appends to one file; may be called from any thread."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._file = path.open("ab", buffering=0)

    def __call__(self, kind: str, content: bytes) -> None:
        name = kind.encode()
        with self._lock:
            self._file.write(struct.pack(">H", len(name)) + name + struct.pack(">Q", len(content)) + content)


def read(path: Path) -> Iterator[Record]:
    """The records of a file, in order."""
    data = memoryview(path.read_bytes())
    place = 0
    while place < len(data):
        (length,) = struct.unpack_from(">H", data, place)
        kind = bytes(data[place + 2 : place + 2 + length]).decode()
        place += 2 + length
        (length,) = struct.unpack_from(">Q", data, place)
        content = bytes(data[place + 8 : place + 8 + length])
        assert len(content) == length, "the record is cut"
        place += 8 + length
        yield Record(kind, content)
