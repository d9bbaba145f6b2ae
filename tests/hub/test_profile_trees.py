"""What the report says of an ensemble of trees, and what it refuses to read."""

from typing import Any

import pytest

from hub import profile_trees

VALUE: dict[str, Any] = {
    "trees": 2,
    "grown": 4,
    "splits": {"broker": 5, "bank": 3},
    "bins": {"broker": 16, "bank": 12},
    "merged": {"bank": 1_234},
    "watched_rows": 160,
    "watched_loss_ppm": [650_000, 600_000, 550_000, 560_000, 570_000],
}


def test_what_was_kept_watched_and_merged_is_said() -> None:
    said = " ".join(en for en, _ in profile_trees.notes(profile_trees.read(VALUE)))
    for part in ("2 of 4 grown", "broker 5, bank 3", "bank 12", "1,234 times", "160 watched", "from 0.6500 to 0.5500"):
        assert part in said
    assert profile_trees.notes(profile_trees.read(None)) == []


def test_the_loss_of_too_few_watched_clients_is_not_said() -> None:
    few = profile_trees.read({**VALUE, "watched_rows": 30, "watched_loss_ppm": []})
    assert "too few for their log loss" in profile_trees.notes(few)[1][0]


@pytest.mark.parametrize(
    "changes", [{"trees": 5}, {"watched_loss_ppm": [1, 2]}, {"trees": -1}], ids=["more kept", "losses", "negative"]
)
def test_a_record_that_no_run_writes_is_not_read(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="trees of an ensemble"):
        profile_trees.read({**VALUE, **changes})
