"""Calls a running node over its Unix socket (partner_node.local). Imports little: every command line starts with it."""

import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ecowire import status
from partner_node.errors import NodeNotRunning, SocketPathTooLong

PATH_BYTES_MAX = 100  # sun_path has 108 bytes on Linux, 104 elsewhere
ANSWER_SECONDS = 600.0  # check-data reads whole sources


def call(path: Path, command: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Run a command on the node behind a socket. Raises NodeNotRunning, or the node's own failure (RemoteFailure)."""
    check_path(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(ANSWER_SECONDS)
        try:
            connection.connect(str(path))
            connection.sendall(json.dumps({**arguments, "command": command}).encode() + b"\n")
            with connection.makefile("rb") as lines:
                line = lines.readline()
        except OSError:
            raise NodeNotRunning(socket=str(path)) from None
    if not line:
        raise NodeNotRunning(socket=str(path))
    reply = json.loads(line)
    if not reply["ok"]:
        raise status.from_head(reply["failure"])
    result: dict[str, Any] = reply["result"]
    return result


def check_path(path: Path) -> None:
    """Raises SocketPathTooLong where the operating system could not bind the path."""
    length = len(os.fsencode(path))
    if length > PATH_BYTES_MAX:
        raise SocketPathTooLong(length=length)
