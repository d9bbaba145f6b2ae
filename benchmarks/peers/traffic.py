"""Bytes of this process's TCP connections as the kernel counts them: the same for every engine, whoever owns a socket.

TCP_INFO of linux/tcp.h: payload bytes, without headers and acknowledgements.
"""

import os
import socket
import stat
import struct
from collections.abc import Mapping
from typing import TypeAlias

STATE_AT, LISTENING = 0, 10
RECEIVED_AT = 128  # tcpi_bytes_received, after 8 single bytes, 24 words of 32 bits and 3 of 64
INFO_BYTES = 136
Counts: TypeAlias = Mapping[int, int]


def received() -> Counts:
    """inode of every TCP connection of this process → bytes received since it began."""
    counts = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            status = os.fstat(int(name))
            if not stat.S_ISSOCK(status.st_mode):
                continue
            duplicate = socket.socket(fileno=os.dup(int(name)))
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
