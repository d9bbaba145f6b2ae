"""A partner's composition root: the node that keeps raw data in the house, and its people's commands."""

import ecowire  # noqa: F401 - before anything here imports gRPC: see ecowire on TLS 1.3
