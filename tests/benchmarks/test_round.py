"""The round benchmark's parts: data that a plan takes, a local run that ends at the plain average, targets, the peer's
rounds. Nothing here depends on how fast the machine is."""

from pathlib import Path

import pytest

from benchmarks import round as rounds
from benchmarks import round_alliance, round_local
from benchmarks.harness import Row, row
from benchmarks.peers import flower_stock, superlink
from sandbox.banks.files import read


def rows_of(tiny: float, million: float, local: float, memory: float) -> list[Row]:
    def made(case: str, metric: str, unit: str, value: float, engine: str = "EcoHub") -> Row:
        return row(case, engine, 1, [value], metric=metric, unit=unit)

    return [
        made(f"{rounds.TINY}, 3 nodes", "round", "s", tiny),
        made(f"{rounds.MILLION}, 3 nodes", "round", "s", million),
        made(f"{rounds.MILLION}, 3 nodes", "peak memory of the hub", "B", 400e6),
        made(f"{rounds.MILLION}, 10 nodes", "peak memory of the hub", "B", memory),
        made(f"{rounds.TINY}, 3 nodes", "round", "s", 6.0, rounds.STOCK),
        made(f"{rounds.MILLION}, 3 nodes", "round", "s", 6.0, rounds.STOCK),
        made("LocalGrid, 50 nodes, 5 rounds", "whole run", "s", local, "EcoHub, one process"),
    ]


def test_every_target_of_a_round_is_judged_by_our_own_figure() -> None:
    assert [t.met for t in rounds.targets(rows_of(0.02, 0.7, 9.0, 480e6))] == [True] * 4
    assert [t.met for t in rounds.targets(rows_of(0.03, 0.9, 11.0, 490e6))] == [False] * 4


def test_stock_flower_is_set_beside_our_round() -> None:
    assert [r.median for r in rounds._ratios(rows_of(0.02, 0.5, 9.0, 480e6))] == [pytest.approx(300), 12.0]


def test_the_banks_of_the_benchmark_are_a_data_folder(tmp_path: Path) -> None:
    made = round_alliance.banks(tmp_path / "banks", 3)
    assert read(made.folder) == made
    assert set(made.sizes.values()) == {round_alliance.ROWS}
    labels = {row[made.label] for name in made.names for row in made.rows(name).values()}
    assert labels == set(made.classes)


def test_nodes_in_one_process_end_at_the_plain_average(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("NODES", 4), ("ROUNDS", 2), ("SIZE", 50)):
        monkeypatch.setattr(round_local, name, value)
    assert round_local.run() > 0.0


def test_a_peer_whose_process_ends_is_reported_with_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("no port is free")

    class Ended:
        def poll(self) -> int:
            return 1

    with pytest.raises(superlink.FlowerFailed, match="no port is free"):
        superlink.wait(lambda: None, 60.0, Ended(), log)  # type: ignore[arg-type]


def test_the_peers_rounds_are_read_from_what_its_app_wrote(tmp_path: Path) -> None:
    out = tmp_path / "rounds"
    assert flower_stock.ends(out, 2) is None
    out.write_text("0 1.0\n1 5.0\n")
    assert flower_stock.ends(out, 2) is None
    out.write_text("0 1.0\n1 5.0\n2 7.5\n")
    assert flower_stock.ends(out, 2) == [1.0, 5.0, 7.5]
