"""JSON-RPC 2.0 over HTTP on 127.0.0.1. A request gets an answer or an error; no request can stop the server.

What one client can take is bounded: connections, the bytes of a request, the seconds in which it must arrive, the
requests, seconds and bytes of a batch, and the seconds in which an answer must be read.
"""

import contextlib
import io
import json
import socket
import sys
import threading
import time
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from contracts.jsonrpc import loads
from privacy.errors import Failure, Kind
from sandbox.chain.errors import PortInUse
from sandbox.chain.hexes import BadParameters, data
from sandbox.chain.methods import CallFailed, Methods, Reverted, UnknownMethod

HOST = "127.0.0.1"
BODY_BYTES_MAX = 1 << 20
BATCH_MAX = 100
BATCH_SECONDS = 20.0  # what has not begun by then is refused
BATCH_BYTES_MAX = 64 << 20  # of all answers together
CONNECTIONS_MAX = 64
IDLE_SECONDS = 60.0
REQUEST_SECONDS = 15.0  # from a request's first byte to its last
ANSWER_SECONDS = 60.0
STOP_POLL_SECONDS = 0.05
_LIMIT_EXCEEDED = -32005  # EIP-1474
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Server:
    """A listener on one port (0: any free one); `port` is the one it got. Raises PortInUse."""

    def __init__(self, methods: Methods, port: int) -> None:
        handler = type("Handler", (_Handler,), {"methods": methods})
        try:
            self._http = _Http((HOST, port), handler)
        except (OSError, OverflowError) as error:
            raise PortInUse(port=port, why=str(error)) from None
        self.port: int = self._http.server_address[1]
        self._thread = threading.Thread(
            target=self._http.serve_forever, args=(STOP_POLL_SECONDS,), name=f"rpc-{self.port}", daemon=True
        )
        self._thread.start()

    @property
    def endpoint(self) -> str:
        return f"http://{HOST}:{self.port}"

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # idle keep-alive connections must not hold up the end
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._places = threading.Semaphore(CONNECTIONS_MAX)
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._places.acquire(blocking=False):
            try:
                return super().process_request(request, client_address)
            except BaseException:  # no thread was to be had
                self._places.release()
                raise
        request.setblocking(False)
        with contextlib.suppress(OSError):
            request.send(_BUSY)
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that breaks is no fault of ours; anything else is shown, and only its connection ends."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Timed(io.RawIOBase):
    """A connection's input: idle for a while between requests, but a request once begun must arrive in time."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection, self._end = connection, 0.0

    def readable(self) -> bool:
        return True

    def rest(self) -> None:
        """The request is here; the next one may take its time to begin."""
        self._end = 0.0

    def readinto(self, buffer: Any) -> int:
        left = self._end - time.monotonic() if self._end else IDLE_SECONDS
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        count = self._connection.recv_into(buffer)
        self._end = self._end or time.monotonic() + REQUEST_SECONDS
        return count


class _Handler(BaseHTTPRequestHandler):
    methods: Methods
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # otherwise each answer waits 40 ms for a delayed acknowledgement
    wbufsize = 1 << 16

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self._input = _Timed(self.connection)
        self.rfile = io.BufferedReader(self._input, 1 << 16)

    def log_message(self, *_: object) -> None:
        """Requests are not logged: the ledger is the record."""

    def do_POST(self) -> None:
        length = self.headers.get("content-length", "")
        if not length.isdecimal():
            return self._reply(411, _failure(None, -32600, "a content-length is required"))
        if int(length) > BODY_BYTES_MAX:
            self.close_connection = True
            return self._reply(413, _failure(None, -32600, f"at most {BODY_BYTES_MAX} bytes are taken"))
        body = self.rfile.read(int(length))
        try:
            request = loads(body)
        except ValueError:
            return self._reply(200, _failure(None, -32700, "it is not JSON"))
        if not isinstance(request, list):
            return self._reply(200, respond(self.methods, request))
        if not 1 <= len(request) <= BATCH_MAX:
            return self._reply(200, _failure(None, -32600, f"a batch has 1 to {BATCH_MAX} requests"))
        return self._send(200, _batch(self.methods, request))

    def _reply(self, status: int, answer: Any) -> None:
        self._send(status, json.dumps(answer).encode())

    def _send(self, status: int, payload: bytes) -> None:
        self._input.rest()
        self.connection.settimeout(ANSWER_SECONDS)
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)
        self.wfile.flush()


def _batch(methods: Methods, requests: list[Any]) -> bytes:
    """The answers to a batch, encoded one by one; those past its time or bytes are refused."""
    end, size, answers = time.monotonic() + BATCH_SECONDS, 0, []
    for one in requests:
        if time.monotonic() > end or size > BATCH_BYTES_MAX:
            number = one.get("id") if isinstance(one, dict) and isinstance(one.get("id"), str | int) else None
            answer = _failure(number, _LIMIT_EXCEEDED, "the batch takes too much: ask for less at once")
        else:
            answer = respond(methods, one)
        answers.append(json.dumps(answer).encode())
        size += len(answers[-1])
    return b"[" + b",".join(answers) + b"]"


def respond(methods: Methods, request: Any) -> dict[str, Any]:
    """The JSON-RPC answer to one decoded request."""
    if not isinstance(request, dict) or not isinstance(request.get("method"), str):
        return _failure(None, -32600, "it is not a request")
    number = request.get("id")
    if not isinstance(number, str | int | None):
        return _failure(None, -32600, "the id must be text, an integer or null")
    parameters = request.get("params", [])
    if not isinstance(parameters, list):
        return _failure(number, -32602, "parameters are given as a list")
    try:
        return {"jsonrpc": "2.0", "id": number, "result": methods.answer(request["method"], parameters)}
    except UnknownMethod:
        return _failure(number, -32601, f"the method {request['method'][:60]} does not exist")
    except BadParameters as error:
        return _failure(number, -32602, str(error))
    except Reverted as error:
        return _failure(number, 3, "execution reverted", data(error.output))
    except CallFailed as error:
        return _failure(number, -32000, str(error))
    except Failure as failure:
        code = -32002 if failure.kind is Kind.UNAVAILABLE else -32000
        return _failure(number, code, failure.message("en"), {"code": failure.code, "zh": failure.message("zh")})
    except Exception:
        # A bug of ours: the detail stays in this process's own error output.
        traceback.print_exc(file=sys.stderr)
        return _failure(number, -32603, "internal error")


def _failure(number: Any, code: int, message: str, detail: Any = None) -> dict[str, Any]:
    error: dict[str, Any] = {"code": code, "message": message}
    if detail is not None:
        error["data"] = detail
    return {"jsonrpc": "2.0", "id": number, "error": error}
