"""Horizontal runs at the nodes: the hub's real ServerApp asks real nodes, over a channel without a network."""

from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from ecowire import documents
from federation.horizontal.results import Model
from partner_node import sessions, store
from partner_node.round_keys import RoundKeys
from privacy.ids import Digest
from tests.partner_node import alliance, horizontal
from tests.partner_node.alliance import TestNode
from tests.partner_node.horizontal import Run


@pytest.fixture
def banks(tmp_path: Path) -> list[TestNode]:
    return horizontal.make_banks(tmp_path)


def test_a_run_leaves_signed_figures_at_the_hub_and_scores_at_each_node(banks: list[TestNode]) -> None:
    run = Run(banks, horizontal.plan_body(banks))
    found = run.lead()
    assert set(found.told) == set(horizontal.BANKS)
