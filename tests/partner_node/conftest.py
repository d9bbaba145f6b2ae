"""Nodes for tests."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.partner_node import alliance
from tests.partner_node.alliance import MovableClock, TestAuthority, TestNode

MakeNode = Callable[..., TestNode]


@pytest.fixture
def make_node(tmp_path: Path) -> MakeNode:
    """make_node(name, csv=…, columns=…): a node with one asset; all share one clock and authority."""
    clock, authority = MovableClock(), TestAuthority()

    def make(name: str, csv: str | None = None, columns: dict[str, str] | None = None) -> TestNode:
        text = alliance.clients_csv(range(10)) if csv is None else csv
        return alliance.make_node(
            tmp_path, name, text, columns=columns or {"SPEND": "C2"}, clock=clock, authority=authority
        )

    return make


@pytest.fixture
def pair(make_node: MakeNode) -> list[TestNode]:
    """Broker and bank, with consent of all their ten clients, who know each other's cards."""
    nodes = [make_node("broker"), make_node("bank")]
    for node in nodes:
        alliance.consent(node, range(10))
    alliance.pin_all(nodes)
    return nodes
