"""Vyper sources, their artifacts, and typed bindings that speak JSON-RPC to any EVM chain."""
