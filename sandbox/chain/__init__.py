"""The sandbox chain: an embedded EVM ledger on SQLite, JSON-RPC on loopback, one sequencer, its own process."""
