"""Mutual TLS 1.3 channels and servers, and what a certificate says of its holder. Why only 1.3: see the package."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

import ecowire
from ecowire import limits

# An idle stream is kept by pings of both ends. A server counts a client's pings that come faster than its smallest
# interval, which is five minutes unless it is named, and ends the connection at the third ("too_many_pings"): so it
# allows twice the rate of ours (gRPC's doc/keepalive.md; gRFC A8). A name that gRPC does not know is not complained of.
KEEPALIVE_MILLISECONDS = 10_000
PING_INTERVAL_MILLISECONDS_MIN = KEEPALIVE_MILLISECONDS // 2

_COMMON: list[tuple[str, Any]] = [
    ("grpc.max_receive_message_length", limits.UNARY_BYTES_MAX + (64 << 10)),
    ("grpc.max_send_message_length", limits.UNARY_BYTES_MAX + (64 << 10)),
    ("grpc.keepalive_time_ms", KEEPALIVE_MILLISECONDS),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),  # no limit: an idle stream has no data for hours
]
SERVER_OPTIONS = [
    *_COMMON,
    ("grpc.so_reuseport", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", PING_INTERVAL_MILLISECONDS_MIN),
    ("grpc.server_handshake_timeout_ms", limits.HANDSHAKE_MILLISECONDS),
]
CLIENT_OPTIONS = [
    *_COMMON,
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.enable_retries", 0),
]


def server(threads: int) -> grpc.Server:
    """A gRPC server with our limits. Each open stream holds one thread, so `threads` bounds nodes plus calls."""
    return grpc.server(ThreadPoolExecutor(threads), options=SERVER_OPTIONS)


def server_credentials(key: bytes, chain: bytes, authority: bytes | None) -> grpc.ServerCredentials:
    """PEM in. With an authority every client must show a certificate of it; without, only the server shows one."""
    _assert_tls_13()
    return grpc.ssl_server_credentials([(key, chain)], authority, require_client_auth=authority is not None)


def client(address: str, authority: bytes, key: bytes | None, chain: bytes | None, server_name: str) -> grpc.Channel:
    """A channel to `address` ("127.0.0.1:port"), whose server must be `server_name` by a certificate of `authority`."""
    _assert_tls_13()
    credentials = grpc.ssl_channel_credentials(authority, key, chain)
    options = [*CLIENT_OPTIONS, ("grpc.ssl_target_name_override", server_name)]
    return grpc.secure_channel(address, credentials, options=options)


def peer(context: grpc.ServicerContext) -> tuple[bytes, str]:
    """(leaf certificate PEM, TLS version) of the caller; both empty where it showed none."""
    auth: Mapping[str, list[bytes]] = context.auth_context()  # type: ignore[assignment]
    leaf, version = auth.get("x509_pem_cert", [b""]), auth.get("ssl_tls_version", [b""])
    return leaf[0], version[0].decode()


def _assert_tls_13() -> None:
    assert ecowire.TLS_13_ONLY, "gRPC was imported before ecowire, so it would take TLS 1.2: import ecowire first"
