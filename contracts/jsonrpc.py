"""A small JSON-RPC 2.0 client over HTTP, and the checks of its hex encodings (Ethereum JSON-RPC, "Hex encoding")."""

import http.client
import json
import re
import threading
from typing import Any
from urllib.parse import urlsplit

from contracts.errors import ChainUnavailable, MalformedChainAnswer
from privacy import canonical

ANSWER_BYTES_MAX = 64 << 20
DEPTH_MAX = 64


class RpcError(Exception):
    """The endpoint's own error object. `data` is the revert data where it has some."""

    def __init__(self, number: int, text: str, data: bytes) -> None:
        self.number, self.text, self.data = number, text, data
        super().__init__(f"{number}: {text}")


class Client:
    """One keep-alive connection, one request at a time; safe to share between threads."""

    def __init__(self, endpoint: str, timeout_seconds: float) -> None:
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ChainUnavailable(endpoint=endpoint, why="not an http or https address")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self.endpoint = f"{parts.scheme}://{parts.hostname}:{parts.port or ''}"
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._connection = kind(parts.hostname, parts.port, timeout=timeout_seconds)
        self._lock = threading.Lock()
        self._id = 0

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def request(self, method: str, parameters: list[Any]) -> Any:
        """The result of one call. Raises RpcError for the endpoint's error, ChainUnavailable, MalformedChainAnswer."""
        with self._lock:
            self._id += 1
            number = self._id
            body = json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": parameters}).encode()
            data = self._post(body)
        try:
            answer = loads(data)
        except ValueError:
            raise MalformedChainAnswer(why="it is not JSON") from None
        if not isinstance(answer, dict) or answer.get("id") != number:
            raise MalformedChainAnswer(why="it answers another request")
        if (error := answer.get("error")) is not None:
            raise _error(error)
        if "result" not in answer:
            raise MalformedChainAnswer(why="neither a result nor an error")
        return answer["result"]

    def _post(self, body: bytes) -> bytes:
        fresh = self._connection.sock is None
        try:
            return self._exchange(body)
        except (http.client.HTTPException, OSError) as error:
            self._connection.close()
            # A kept connection may have been closed while idle. All our requests may be repeated, `send` included.
            if fresh or isinstance(error, TimeoutError):
                raise ChainUnavailable(endpoint=self.endpoint, why=type(error).__name__) from None
        try:
            return self._exchange(body)
        except (http.client.HTTPException, OSError) as error:
            self._connection.close()
            raise ChainUnavailable(endpoint=self.endpoint, why=type(error).__name__) from None

    def _exchange(self, body: bytes) -> bytes:
        self._connection.request("POST", self._path, body, {"content-type": "application/json"})
        answer = self._connection.getresponse()
        data = answer.read(ANSWER_BYTES_MAX + 1)
        if len(data) > ANSWER_BYTES_MAX:
            self._connection.close()
            raise MalformedChainAnswer(why=f"more than {ANSWER_BYTES_MAX} bytes")
        if answer.status != 200:
            self._connection.close()
            raise ChainUnavailable(endpoint=self.endpoint, why=f"HTTP status {answer.status}")
        return data


def loads(data: bytes) -> Any:
    """The value of JSON from outside. Raises ValueError where it is none or nests deeper than DEPTH_MAX."""
    return canonical.parse_json(data, DEPTH_MAX)


def _error(error: Any) -> RpcError:
    if not isinstance(error, dict) or not isinstance(error.get("code"), int):
        raise MalformedChainAnswer(why="an error without a code")
    data = error.get("data")
    found = octets(data) if isinstance(data, str) and re.fullmatch(r"0x([0-9a-fA-F]{2})*", data) else b""
    return RpcError(error["code"], str(error.get("message", ""))[:300], found)


def integer(value: Any) -> int:
    """The integer of a QUANTITY. Raises MalformedChainAnswer."""
    if not isinstance(value, str) or not re.fullmatch(r"0x[0-9a-fA-F]{1,64}", value):
        raise MalformedChainAnswer(why="a quantity is expected")
    return int(value, 16)


def octets(value: Any, length: int | None = None) -> bytes:
    """The bytes of DATA, of a given length where one is given. Raises MalformedChainAnswer."""
    if not isinstance(value, str) or not re.fullmatch(r"0x([0-9a-fA-F]{2})*", value):
        raise MalformedChainAnswer(why="hex data is expected")
    data = bytes.fromhex(value[2:])
    if length is not None and len(data) != length:
        raise MalformedChainAnswer(why=f"{len(data)} bytes instead of {length}")
    return data


def quantity(value: int) -> str:
    """An integer as QUANTITY."""
    return hex(value)
