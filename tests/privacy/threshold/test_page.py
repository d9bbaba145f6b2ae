"""docs/aggregation.md names tests that exist, and its figures are those of the code."""

import re
from pathlib import Path

from privacy.threshold import RLWE_2048_48, bounds
from tests.privacy.threshold.support import banks, engine, entropy

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "aggregation.md").read_text(encoding="utf-8")


def test_every_test_on_the_page_exists() -> None:
    named = set(re.findall(r"`(test_[a-z_]+)`", PAGE))
    folders = [ROOT / "tests" / folder for folder in ("privacy/threshold", "privacy/paillier", "hostile")]
    written = {
        name
        for folder in folders
        for file in folder.glob("test_*.py")
        for name in re.findall(r"^def (test_\w+)\(", file.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert len(named) > 15 and named <= written, named - written


def test_the_sizes_on_the_page_are_those_of_the_forms() -> None:
    setup = engine(4)
    dealing = setup.deal("bank-1", entropy("page"))
    assert len(dealing.public) == 32 * (4 + 1) + 20 * setup.roster.threshold
    sizes = {
        32 + bounds(RLWE_2048_48, 4, 1_000_000).upload_bytes,
        32 + bounds(RLWE_2048_48, 4, 1).upload_bytes,
        len(dealing.shares[banks(4)[1]]),
        len(setup.answer([dealing.shares[banks(4)[1]]], b"")),
    }
    assert all(f"{size:,}" in PAGE for size in sizes)
    assert f"beyond {RLWE_2048_48.factor_max} (" in PAGE and RLWE_2048_48.name in PAGE
