"""JSON-RPC 2.0 over HTTP on 127.0.0.1. A request gets an answer or an error; no request can stop the server."""

import json
import sys
import threading
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
IDLE_SECONDS = 60
STOP_POLL_SECONDS = 0.05


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


class _Handler(BaseHTTPRequestHandler):
    methods: Methods
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # otherwise each answer waits 40 ms for a delayed acknowledgement
    wbufsize = 1 << 16
    timeout = IDLE_SECONDS

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
        return self._reply(200, [respond(self.methods, one) for one in request])

    def _reply(self, status: int, answer: Any) -> None:
        payload = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)
        self.wfile.flush()


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
