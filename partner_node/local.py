"""The node's Unix socket: its own people's commands, guarded by file permissions (mode 0600).

One JSON request line {"command", ...arguments}, one JSON reply line {"ok": true, "result": {...}} or
{"ok": false, "failure": {"code", "kind", "en", "zh"}}. Each connection serves one request.
"""

import json
import logging
import os
import socketserver
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ecowire import status
from ecowire.documents import Body
from ecowire.status import Internal, MalformedMessage, MessageTooLarge
from partner_node.errors import UnknownCommand
from partner_node.local_client import check_path
from partner_node.node import Commands
from partner_node.times import Entropy
from privacy import canonical
from privacy.errors import Failure

log = logging.getLogger(__name__)
LINE_BYTES_MAX = 64 << 20
READ_SECONDS = 30.0


class LocalServer(socketserver.ThreadingUnixStreamServer):
    """Serves `commands` at `path`. Close with `shutdown` and `server_close`, which removes the socket."""

    daemon_threads = True

    def __init__(self, path: Path, commands: Commands, entropy: Entropy, after: Callable[[], None]) -> None:
        """`after` is called when a command was run. A killed node's socket is replaced. Raises SocketPathTooLong."""
        check_path(path)
        path.unlink(missing_ok=True)
        self._path = path
        self.commands = commands
        self.entropy = entropy
        self.after = after
        before = os.umask(0o177)  # the socket must never exist with wider rights, not even for a moment
        try:
            super().__init__(str(path), _Handler)
        finally:
            os.umask(before)

    def server_close(self) -> None:
        super().server_close()
        self._path.unlink(missing_ok=True)

    def answer(self, line: bytes) -> dict[str, Any]:
        """The reply to one request line."""
        try:
            return {"ok": True, "result": self._run(line)}
        except Failure as failure:
            return {"ok": False, "failure": status.to_head(failure)}
        except Exception:
            reference = self.entropy(6).hex()
            log.exception("internal error %s in a local command", reference)
            return {"ok": False, "failure": status.to_head(Internal(reference=reference))}

    def _run(self, line: bytes) -> Body:
        try:
            arguments = canonical.parse_json(line, canonical.DEPTH_MAX)
        except ValueError:
            raise MalformedMessage(why="a command is one line of JSON") from None
        if not isinstance(arguments, dict) or not isinstance(arguments.get("command"), str):
            raise MalformedMessage(why='a command is an object with "command"')
        command = self.commands.get(arguments["command"])
        if command is None:
            raise UnknownCommand(command=arguments["command"][:80])
        result = command(arguments)
        self.after()
        return result


class _Handler(socketserver.StreamRequestHandler):
    server: LocalServer
    timeout = READ_SECONDS

    def handle(self) -> None:
        try:
            self._reply()
        except (ConnectionError, TimeoutError) as error:
            # somebody pressed Ctrl-C: what the command did stands, and asking again shows it
            log.info("a caller of the local socket was gone before its answer (%s)", type(error).__name__)

    def _reply(self) -> None:
        line = self.rfile.readline(LINE_BYTES_MAX + 1)
        if len(line) > LINE_BYTES_MAX:
            failure = MessageTooLarge(size=len(line), limit=LINE_BYTES_MAX)
            reply: dict[str, Any] = {"ok": False, "failure": status.to_head(failure)}
        else:
            reply = self.server.answer(line)
        self.wfile.write(json.dumps(reply, ensure_ascii=False).encode() + b"\n")
