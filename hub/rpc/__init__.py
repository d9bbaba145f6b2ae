"""The gRPC edges: decode, call one use case, encode; nothing else. Only here generated wire code is used."""
