"""The regulator's own commands: a proof is checked here, against what the nodes co-signed; parts are merged once."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ecowire.outputs import OutputExists, OutputNotWritable
from privacy import canonical, merkle
from sandbox import regulator
from sandbox.examine import trust
from tests.sandbox import small_alliance as small


def answer(books: small.Books, index: int) -> dict[str, Any]:
    """What a hub answers to `audit`, with books of its choice."""
    hashes = books.leaf_hashes()
    steps = [step.hex() for step in merkle.inclusion_proof(hashes, index)]
    root = merkle.root(hashes).hex()
    return {"index": index, "leaf": books.leaves[index], "size": len(hashes), "root": root, "proof": steps}


def test_a_proof_names_the_partners_that_co_signed_the_log() -> None:
    books = small.settled_month()
    said = small.trust(books)
    for index in range(len(books.leaves)):
        assert regulator.check_proof(answer(books, index), index, said) == ["platform"]
    assert regulator.check_proof(answer(books, 3), 3, None) == []


def test_another_leaf_another_place_and_a_cut_proof_are_refused() -> None:
    books = small.settled_month()
    honest = answer(books, 5)
    for wrong in (
        {**honest, "leaf": {**honest["leaf"], "kind": "other"}},
        {**honest, "proof": honest["proof"][:-1]},
        {**honest, "root": "00" * 32},
    ):
        with pytest.raises(merkle.BadProof):
            regulator.check_proof(wrong, 5, None)
    with pytest.raises(merkle.BadProof):
        regulator.check_proof(honest, 4, None)


def test_a_log_that_the_nodes_did_not_co_sign_is_refused() -> None:
    said = small.trust(small.settled_month())
    rewritten = small.settled_month()
    rewritten.leaves[5]["digest"] = "77" * 32
    assert canonical.encode(rewritten.leaves[5]) != canonical.encode(small.settled_month().leaves[5])
    with pytest.raises(merkle.BadProof, match="platform co-signed another log"):
        regulator.check_proof(answer(rewritten, 5), 5, said)


def test_parts_are_merged_into_a_new_file_only(tmp_path: Path) -> None:
    part, merged = tmp_path / "part.toml", tmp_path / "trust.toml"
    part.write_text(trust.dump(small.trust(small.settled_month())))
    result = CliRunner().invoke(regulator.regulator, ["trust", "merge", str(part), "--out", str(merged)])
    assert result.exit_code == 0, result.output
    assert trust.load(merged.read_text()).signers.keys() == {"broker", "platform"}
    again = CliRunner().invoke(regulator.regulator, ["trust", "merge", str(part), "--out", str(merged)])
    assert isinstance(again.exception, OutputExists)
    lost = CliRunner().invoke(regulator.regulator, ["trust", "merge", str(part), "--out", str(tmp_path / "no" / "x")])
    assert isinstance(lost.exception, OutputNotWritable)


def test_a_part_that_is_no_text_is_named(tmp_path: Path) -> None:
    part, merged = tmp_path / "part.toml", tmp_path / "trust.toml"
    part.write_bytes(b"\xff\xfe[alliance]")
    done = CliRunner().invoke(regulator.regulator, ["trust", "merge", str(part), "--out", str(merged)])
    assert isinstance(done.exception, trust.TrustInvalid)
    assert "part.toml" in done.exception.message()
    assert not merged.exists()


@pytest.mark.parametrize("command", [["bundle", "2026-10"], ["trust", "merge", "part.toml"]])
def test_an_existing_file_is_kept_before_anything_is_asked_or_read(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "part.toml").write_text("no trust")
    (tmp_path / "out").write_text("kept")
    done = CliRunner().invoke(regulator.regulator, [*command, "--out", "out"])  # no person.toml: it would fail later
    assert isinstance(done.exception, OutputExists)
    assert (tmp_path / "out").read_text() == "kept"
