"""Nodes for attacks: the same as in tests/partner_node."""

from tests.partner_node.conftest import make_node, pair

__all__ = ["make_node", "pair"]
