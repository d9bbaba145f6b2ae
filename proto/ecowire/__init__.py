"""The wire room: frames, mutual TLS, failure codes, signed documents. Knows no Flower and no database.

gRPC's Python API has no minimum TLS version. Its cipher list configures TLS 1.2 only, so a list of one PSK suite, which
can't be negotiated without a pre-shared key, leaves TLS 1.3 alone. gRPC reads the list once, when it is imported, so it
is set here, before any module of this room can import gRPC. `TLS_13_ONLY` says whether that was in time: `channel`
makes no credentials otherwise.
"""

import os
import sys

_CIPHERS = ("GRPC_SSL_CIPHER_SUITES", "ECDHE-PSK-CHACHA20-POLY1305")

TLS_13_ONLY = "grpc" not in sys.modules or os.environ.get(_CIPHERS[0]) == _CIPHERS[1]
os.environ[_CIPHERS[0]] = _CIPHERS[1]
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
