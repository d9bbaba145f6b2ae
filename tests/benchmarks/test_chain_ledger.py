"""The ledgers that the bench measures are made, verified, exported and imported; no figure is judged here."""

import pytest

from benchmarks import chain_ledger


def test_both_ledgers_are_made_and_go_through_every_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PARTNERS": 3, "ROUNDS": 2, "COUNT": 40, "BLOCK": 10, "RUNS": 1}.items():
        monkeypatch.setattr(chain_ledger, name, value)
    rows, targets = chain_ledger.measure()
    small, settled = 1 + 40, 1 + 3 + 2 * 3 * 3
    assert [row.size for row in rows] == [small] * 7 + [settled] * 7
    assert all(row.median > 0 for row in rows)
    assert [target.limit for target in targets] == [2_000.0, 5.0] * 2
    on_disk = [row.median for row in rows if row.metric == "a transaction on disk"]
    assert on_disk == [target.figure for target in targets[::2]]
