"""What the banks scene says of a bank: gain and loss alike; and which options belong to which scene."""

import pytest
from click.testing import CliRunner

from sandbox.banks import show
from sandbox.banks.pooled import Peer
from sandbox.demo import demo

PEER = Peer(own={"bank-a": 0.8, "bank-b": 0.7}, overall=0.75, test_rows={"bank-a": 40, "bank-b": 50})


def signed(alone: int, joint: int) -> dict[str, object]:
    return {
        "rows_train": 100,
        "rows_test": 40,
        "auc": {"alone_ppm": alone, "joint_ppm": joint, "personal_ppm": None},
    }


@pytest.mark.parametrize(
    ("alone", "joint", "said"),
    [
        (700_000, 750_000, "gains 0.0500"),
        (750_000, 700_000, "loses 0.0500"),
        (700_000, 700_000, "keeps 0.0000"),
        (None, 700_000, "no AUC"),
    ],
)
def test_gain_and_loss_are_said_alike(alone: int, joint: int, said: str) -> None:
    (row,) = show.rows({"bank-a": signed(alone, joint)}, PEER)
    assert said in show.sentence(row)
    assert row["pooled_ppm"] == 800_000


@pytest.mark.parametrize("arguments", [["--banks", "4"], ["--scene", "banks", "--banks", "4", "--data", "."]])
def test_a_number_of_banks_belongs_to_synthetic_banks(arguments: list[str]) -> None:
    result = CliRunner().invoke(demo, arguments)
    assert result.exit_code == 2
    assert "synthetic banks" in result.output


def test_the_banks_folder_must_be_short_enough_for_its_nodes() -> None:
    result = CliRunner().invoke(demo, ["--scene", "banks", "--out", "x" * 120])
    assert type(result.exception).__name__ == "SocketPathTooLong"
