"""The hub's composition root: the alliance's coordinating service. It has no reader of raw data."""

import ecowire  # noqa: F401 - before anything here imports gRPC: see ecowire on TLS 1.3
