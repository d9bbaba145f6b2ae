"""The mutation gate: each check of the contracts taken away, one at a time, must make a test fail.

    python -m tests.contracts.mutants [NAME…] [PART/PARTS]    all mutants of these contracts, or of all, or every
                                                              so-manieth from PART on; exit code 1 if one survives

A mutant is one line of a source replaced, or one half of an `or` or `and` in a check. The directed tests of its
contract then run on the altered one; generated sequences take no part, they would find the same later.
"""

import ast
import gc
import importlib
import os
import re
import sys
from functools import cache
from pathlib import Path

import pytest

from contracts import artifacts, build
from tests.contracts.mutant_lines import EFFECTS

ROOT = Path(__file__).resolve().parents[2]
SUITES = {
    "Settlement": ("test_settlement_rules", "test_settlement_life"),
    "PartnerRegistry": ("test_registry",),
    "CheckpointAnchor": ("test_anchor",),
    "Governor": ("test_governor",),
}
CONFTESTS = ("tests.conftest", "tests.contracts.conftest")
_HALVES = re.compile(r"assert (?P<left>.+?) (?P<join>or|and) (?P<right>.+?)(?P<reason>, \"[^\"]+\".*)")


def lines(name: str) -> list[str]:
    return (artifacts.SOURCES / f"{name}.vy").read_text().splitlines()


def mutants(name: str) -> list[str]:
    """The names of a contract's mutants: contract, kind (an effect with its place in the list), line number."""
    made = []
    for number, line in enumerate(lines(name), 1):
        if line.strip().startswith("assert "):
            made.append(f"{name}:assert:{number}")
            if _HALVES.match(line.strip()):
                made += [f"{name}:left:{number}", f"{name}:right:{number}"]
    for index, (line, _) in enumerate(EFFECTS[name]):
        made += [f"{name}:effect{index}:{number}" for number in _places(name, line)]
    return made


def _places(name: str, line: str) -> list[int]:
    """The numbers, from 1, of every place where a line stands. Raises AssertionError where there is none."""
    found = [number for number, one in enumerate(lines(name), 1) if one.strip() == line]
    assert found, f"{line} is no longer in {name}"
    return found


def change(mutant: str) -> tuple[int, str, str]:
    """(line number from 0, the line as it is, what stands there instead); both without indentation."""
    name, kind, place = mutant.split(":")
    number = int(place) - 1
    line = lines(name)[number].strip()
    if kind.startswith("effect"):
        return number, line, EFFECTS[name][int(kind.removeprefix("effect"))][1]
    halves = _HALVES.match(line)
    if kind == "assert" or halves is None:
        return number, line, "pass"
    return number, line, f"assert {halves[kind]}{halves['reason']}"


def source_of(mutant: str) -> str:
    """The altered source."""
    text = lines(mutant.partition(":")[0])
    number, line, instead = change(mutant)
    text[number] = text[number].replace(line, instead)
    return "\n".join(text) + "\n"


@cache
def artifact_of(mutant: str) -> artifacts.Artifact:
    """The compiled mutant."""
    name = mutant.partition(":")[0]
    value = build.compile_source(name, source_of(mutant))
    return artifacts.parse(name, value, str(value["source_sha256"]))


def survives(mutant: str) -> bool:
    """Whether all directed tests of the contract pass on the altered one."""
    artifact_of(mutant)  # a mutant that does not compile must not count as killed
    name = mutant.partition(":")[0]
    _, line, _ = change(mutant)
    return passes(name, mutant, _naming(name, line)) and passes(name, mutant)


def _naming(name: str, line: str) -> list[str]:
    """The tests that name a check's reason: they most likely miss it, so they are asked first."""
    reason = re.search(r', ("[^"]+")$', line)
    found = []
    for path in _suites(name):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                texts = [one.value for one in ast.walk(node) if isinstance(one, ast.Constant)]
                if reason and ast.literal_eval(reason.group(1)) in texts:
                    found.append(f"{path}::{node.name}")
    return found


def _suites(name: str) -> list[Path]:
    return [ROOT / "tests" / "contracts" / f"{suite}.py" for suite in SUITES[name]]


def passes(name: str, mutant: str = "", only: list[str] | None = None) -> bool:
    """Whether the directed tests of a contract, or only some, pass in a child that has everything loaded."""
    if only == []:
        return True
    child = os.fork()
    if not child:
        with open(os.devnull, "w") as silent:
            for stream in (1, 2):
                os.dup2(silent.fileno(), stream)
        os.environ["ECOHUB_MUTANT"] = mutant
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # looking for plugins takes longer than most tests
        options = ["-q", "-x", "-p", "pytest_timeout", "-p", "no:cacheprovider", f"--rootdir={ROOT}"]
        os._exit(pytest.main([*options, *(only or map(str, _suites(name)))]))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, 1), f"the tests of {mutant or name} ended with {status}"
    return status == 0


def main(arguments: list[str]) -> int:
    names = [one for one in arguments if "/" not in one] or list(SUITES)
    part, parts = next((map(int, one.split("/")) for one in arguments if "/" in one), (0, 1))
    left = total = 0
    for module in (*CONFTESTS, *(f"tests.contracts.{suite}" for name in names for suite in SUITES[name])):
        importlib.import_module(module)  # once, for all children
    gc.freeze()
    for name in names:
        assert passes(name), f"the tests of {name} fail on the contract as it is"
    for mutant in [one for name in names for one in mutants(name)][part::parts]:
        _, line, instead = change(mutant)
        alive = survives(mutant)
        left, total = left + alive, total + 1
        print("SURVIVED" if alive else "killed  ", mutant, line[:90], "->", instead[:60], flush=True)
    print(f"{left} of {total} mutants survived")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
