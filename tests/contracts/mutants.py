"""The mutation gate: each check of Settlement.vy taken away, one at a time, must make a test fail.

    python -m tests.contracts.mutants            all mutants, about three minutes; exit code 1 if one survives

A mutant is one line of the source replaced; the tests of the rules then run on the altered contract.
"""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

from contracts import artifacts, build

ROOT = Path(__file__).resolve().parents[2]
SOURCE = artifacts.SOURCES / "Settlement.vy"
RULES = ("tests/contracts/test_settlement_rules.py", "tests/contracts/test_settlement_life.py")

# Lines that are no assert and carry a rule all the same: (the line, what stands there instead).
EFFECTS = (
    ("self._payouts[payout] = True", "pass"),
    ("self.replacement[old] = new", "pass"),
    ("self.record[old].state = State.VOID", "pass"),
    ("self.record[digest].closes = block.timestamp", "pass"),
    ("self.record[digest].pauses = self._pauses()", "pass"),
    (
        "self._paused_seconds += block.timestamp - self._paused_at",
        "self._paused_seconds = block.timestamp - self._paused_at",
    ),
    ("pauses=self._paused_seconds,", "pauses=0,"),
    ("self.sequence[statement.partner] = statement.sequence", "pass"),
    ("self.last[statement.partner] = digest", "pass"),
    ("return self._paused_seconds + block.timestamp - self._paused_at", "return self._paused_seconds"),
    (
        "DOMAIN = keccak256(abi_encode(DOMAIN_TYPE, keccak256(NAME), keccak256(VERSION), chain.id, self))",
        "DOMAIN = keccak256(abi_encode(DOMAIN_TYPE, keccak256(NAME), keccak256(VERSION), convert(1, uint256), self))",
    ),
    (
        "return sn == 0 and keccak256(abi_encode(node, lines)) == self._lines[digest]",
        "return keccak256(abi_encode(node, lines)) == self._lines[digest]",
    ),
    (
        'assert block.timestamp < self._closes(digest), "window closed"',
        'assert block.timestamp <= self._closes(digest), "window closed"',
    ),
    (
        'assert block.timestamp >= self._closes(digest), "window open"',
        'assert block.timestamp > self._closes(digest), "window open"',
    ),
)


def lines() -> list[str]:
    return SOURCE.read_text().splitlines()


def mutants() -> list[str]:
    """The names of all mutants: "assert:<line number>" and "effect:<index>"."""
    asserts = [f"assert:{number}" for number, line in enumerate(lines(), 1) if line.strip().startswith("assert ")]
    return asserts + [f"effect:{index}" for index in range(len(EFFECTS))]


def source_of(mutant: str) -> str:
    """The altered source. Raises AssertionError where the line to be altered is no longer there."""
    kind, place = mutant.split(":")
    text = lines()
    if kind == "assert":
        number = int(place) - 1
        line, instead = text[number].strip(), "pass"
        assert line.startswith("assert "), mutant
    else:
        line, instead = EFFECTS[int(place)]
        found = [number for number, one in enumerate(text) if one.strip() == line]
        assert len(found) == 1, f"{line} stands {len(found)} times in the source"
        number = found[0]
    text[number] = text[number].replace(line, instead)
    return "\n".join(text) + "\n"


@cache
def artifact_of(mutant: str) -> artifacts.Artifact:
    """The compiled mutant."""
    value = build.compile_source("Settlement", source_of(mutant))
    return artifacts.parse("Settlement", value, str(value["source_sha256"]))


def survives(mutant: str) -> bool:
    """Whether all tests of the rules pass on the altered contract."""
    artifact_of(mutant)  # a mutant that does not compile must not count as killed
    path = os.pathsep.join((str(ROOT), str(ROOT / "proto")))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *RULES],
        cwd=ROOT,
        env={**os.environ, "ECOHUB_MUTANT": mutant, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.returncode == 0


def main() -> int:
    left = 0
    for mutant in mutants():
        kind, place = mutant.split(":")
        line = lines()[int(place) - 1].strip() if kind == "assert" else EFFECTS[int(place)][0]
        alive = survives(mutant)
        left += alive
        print("SURVIVED" if alive else "killed  ", mutant, line[:90], flush=True)
    print(f"{left} of {len(mutants())} mutants survived")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
