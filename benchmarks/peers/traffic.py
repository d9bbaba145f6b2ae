"""Bytes of a process's TCP connections as the kernel counts them: the same for every engine, whoever owns a socket.

TCP_INFO of linux/tcp.h: payload bytes, without headers and acknowledgements.
"""

import ctypes
import os
import socket
import stat
import struct
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

STATE_AT, LISTENING = 0, 10
RECEIVED_AT = 128  # tcpi_bytes_received, after 8 single bytes, 24 words of 32 bits and 3 of 64
INFO_BYTES = 136
PIDFD_GETFD = 438  # linux/unistd.h, the same number on every architecture; Python has no name for it
Counts: TypeAlias = Mapping[int, int]


def received(pid: int | None = None) -> Counts:
    """inode of every TCP connection of this process, or of a child of it → bytes received since it began."""
    counts: dict[int, int] = {}
    own = os.getpid() if pid is None else pid
    with closing(_Process(own)) as process:
        for name in os.listdir(f"/proc/{own}/fd"):
            try:
                status = Path(f"/proc/{own}/fd/{name}").stat()
                if not stat.S_ISSOCK(status.st_mode):
                    continue
                duplicate = socket.socket(fileno=process.duplicate(int(name)))
            except OSError:
                continue  # closed since the listing
            with duplicate:
                if duplicate.family in (socket.AF_INET, socket.AF_INET6) and duplicate.type == socket.SOCK_STREAM:
                    info = duplicate.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, INFO_BYTES)
                    if info[STATE_AT] != LISTENING:
                        counts[status.st_ino] = int(struct.unpack_from("=Q", info, RECEIVED_AT)[0])
    return counts


def between(before: Counts, after: Counts) -> int:
    """Bytes received between two looks. Raises AssertionError where a connection's count was lost with it."""
    assert before.keys() <= after.keys(), "a connection was closed during the match, and its bytes with it"
    return sum(after.values()) - sum(before.values())


class _Process:
    """Gives duplicates of a process's descriptors (pidfd_getfd(2)); this process must be allowed to trace it."""

    def __init__(self, pid: int) -> None:
        self._pidfd = os.pidfd_open(pid)
        self._libc = ctypes.CDLL(None, use_errno=True)

    def duplicate(self, descriptor: int) -> int:
        """Raises OSError."""
        made = int(self._libc.syscall(PIDFD_GETFD, self._pidfd, descriptor, 0))
        if made < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return made

    def close(self) -> None:
        os.close(self._pidfd)
