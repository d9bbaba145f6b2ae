"""Lines of a statement on their way from pricing into the database: made once, read once, never all in memory.

A statement's id is the digest of its lines' root, so no line can be stored before all of them are made. Up to
MEMORY_BYTES_MAX stay in memory; beyond, they wait in an unnamed file that is gone with the process.
"""

import tempfile
from collections.abc import Iterator
from types import TracebackType

MEMORY_BYTES_MAX = 64 << 20
_SALT_DIGITS = 64


class LineSpool:
    """Canonical lines with their salts, in order. Used as a context; canonical JSON has no line break of its own."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=MEMORY_BYTES_MAX)  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> "LineSpool":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def add(self, line: bytes, salt: bytes) -> None:
        """Keep a line's canonical bytes and its salt of 32 bytes."""
        self._file.write(salt.hex().encode() + line + b"\n")

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """(canonical line, salt as 64 hex digits) in the order in which they came."""
        self._file.seek(0)
        for row in self._file:
            yield row[_SALT_DIGITS:-1].decode(), row[:_SALT_DIGITS].decode()
