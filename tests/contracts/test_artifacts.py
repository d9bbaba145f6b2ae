"""Committed artifacts: fresh, whole, and the code that is deployed."""

import hashlib
import json
from pathlib import Path

import pytest

from contracts import artifacts, build, settlement
from contracts.errors import ArtifactInvalid, CodeDiffers
from contracts.keys import raw_address
from tests.contracts.alliance import Alliance

pytestmark = pytest.mark.slow_flow


def value() -> dict:
    return json.loads((artifacts.FOLDER / "Settlement.json").read_text())


def source_sha256() -> str:
    return hashlib.sha256((artifacts.SOURCES / "Settlement.vy").read_bytes()).hexdigest()


def test_the_compiler_gives_the_committed_artifacts() -> None:
    assert build.main(["--check"]) == 0


def test_a_stale_artifact_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(artifacts, "FOLDER", tmp_path)
    fresh = build.files()
    monkeypatch.setattr(build, "files", lambda: fresh)  # the compiler's work, once
    assert build.main(["--check"]) == 1
    assert [line.split()[0] for line in capsys.readouterr().err.splitlines()] == sorted(fresh)
    assert build.main([]) == 0
    assert build.main(["--check"]) == 0
    for name in (*map("{}.json".format, build.CONTRACTS), build.MANIFEST):
        text = (tmp_path / name).read_text()
        (tmp_path / name).write_text(text.replace('"vyper 0.4.3"', '"vyper 0.4.2"'))
        assert build.main(["--check"]) == 1
        assert capsys.readouterr().err.startswith(f"{name} is stale")
        (tmp_path / name).write_text(text)
    (tmp_path / "Forgotten.json").write_text("{}")
    assert build.main(["--check"]) == 1


def test_the_manifest_says_what_the_artifacts_say() -> None:
    manifest = json.loads((artifacts.FOLDER / build.MANIFEST).read_text())
    assert (manifest["compiler"], manifest["evm_version"]) == ("vyper 0.4.3", "shanghai")
    assert sorted(manifest["contracts"]) == sorted(build.CONTRACTS)
    for name, entry in manifest["contracts"].items():
        found = artifacts.load(name)
        assert entry == {
            "integrity": found.integrity,
            "source_sha256": found.source_sha256,
            "runtime_sha256": hashlib.sha256(found.runtime).hexdigest(),
            "runtime_bytes": len(found.runtime),
        }


def test_the_artifact_names_compiler_and_evm() -> None:
    found = artifacts.load("Settlement")
    assert (found.compiler, found.evm_version) == ("vyper 0.4.3", "shanghai")
    assert found.source_sha256 == source_sha256()


@pytest.mark.parametrize("field", ["compiler", "bytecode", "bytecode_runtime", "integrity", "evm_version"])
def test_an_altered_artifact_is_refused(field: str) -> None:
    altered = value()
    altered[field] = altered[field][:-1] + ("0" if altered[field][-1] != "0" else "1")
    with pytest.raises(ArtifactInvalid, match="digest"):
        artifacts.parse("Settlement", altered, source_sha256())


def test_an_altered_abi_is_refused() -> None:
    altered = value()
    altered["abi"] = altered["abi"][1:]
    with pytest.raises(ArtifactInvalid, match="digest"):
        artifacts.parse("Settlement", altered, source_sha256())


def test_an_artifact_of_another_source_is_refused() -> None:
    with pytest.raises(ArtifactInvalid, match="another source"):
        artifacts.parse("Settlement", value(), "0" * 64)


@pytest.mark.parametrize("broken", [None, [], {}, {"name": "Settlement"}])
def test_another_form_is_refused(broken: object) -> None:
    with pytest.raises(ArtifactInvalid):
        artifacts.parse("Settlement", broken, source_sha256())


def test_an_unknown_contract_has_no_artifact() -> None:
    with pytest.raises(ArtifactInvalid, match="missing"):
        artifacts.load("Nothing")


def test_deployed_code_is_recognised_and_other_code_is_not() -> None:
    alliance = Alliance()
    ledger = alliance.ledger
    code = ledger.state(ledger.header(ledger.head().number)).get_code(raw_address(alliance.contract))
    found = artifacts.load("Settlement")
    count = len(settlement.IMMUTABLES)
    assert len(found.check_code(code, count)) == count
    for other, immutables in (
        (b"", count),
        (code, count - 1),
        (code[:-1], count),
        (b"\x00" + code[1:], count),
        (found.runtime, count),
    ):
        with pytest.raises(CodeDiffers):
            found.check_code(other, immutables)
