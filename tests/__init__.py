"""All tests. The wire room comes first: it tells gRPC to take nothing older than TLS 1.3, before gRPC is imported."""

import ecowire

assert ecowire.TLS_13_ONLY
