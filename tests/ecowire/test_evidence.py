"""The evidence bundle: one content is one sequence of bytes, and every changed bit shows."""

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecowire import evidence

ENTRIES = {
    "audit/leaves.jsonl": evidence.jsonl(
        [{"kind": "card", "digest": "00" * 32}, {"kind": "match", "digest": "11" * 32}]
    ),
    "chain/genesis.json": b'{"chain_id":31}',
    "statements/ab12/body.json": b'{"total_minor":1250}',
}


def bundle_bytes() -> bytes:
    return evidence.write(ENTRIES, alliance="test-alliance", period="2026-10")


def archive(*entries: tuple[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as target:
        for name, data in entries:
            target.writestr(name, data)
    return out.getvalue()


def test_what_was_written_is_read_back() -> None:
    bundle = evidence.read(bundle_bytes())
    assert bundle.entries == ENTRIES
    assert (bundle.alliance, bundle.period, bundle.damages, bundle.exact) == ("test-alliance", "2026-10", (), True)
    assert bundle.names("statements/", "body.json") == ("statements/ab12/body.json",)


def test_the_order_of_entries_does_not_change_the_bytes() -> None:
    turned = dict(reversed(list(ENTRIES.items())))
    assert evidence.write(turned, alliance="test-alliance", period="2026-10") == bundle_bytes()


def test_every_single_bit_flip_is_seen() -> None:
    original = bundle_bytes()
    for position in range(len(original)):
        for bit in (0x01, 0x80):
            flipped = bytearray(original)
            flipped[position] ^= bit
            try:
                bundle = evidence.read(bytes(flipped))
            except evidence.BundleMalformed:
                continue
            assert not bundle.exact, f"byte {position}"


def test_an_altered_entry_is_named_and_still_readable() -> None:
    original = bundle_bytes()
    at = original.index(b"1250")
    altered = original[:at] + b"9" + original[at + 1 :]
    bundle = evidence.read(altered)
    assert bundle.damages == (evidence.Damage(name="statements/ab12/body.json", why="altered"),)
    assert bundle.entries["statements/ab12/body.json"] == b'{"total_minor":9250}'
    assert not bundle.exact


def test_missing_and_unlisted_entries_are_named() -> None:
    manifest = dict(zip_entries(bundle_bytes()))["manifest.json"]
    data = archive(("manifest.json", manifest), ("chain/genesis.json", b'{"chain_id":31}'), ("extra.json", b"{}"))
    assert evidence.read(data).damages == (
        evidence.Damage(name="audit/leaves.jsonl", why="missing"),
        evidence.Damage(name="extra.json", why="unlisted"),
        evidence.Damage(name="statements/ab12/body.json", why="missing"),
    )


@pytest.mark.parametrize(
    "name",
    ["../outside.json", "/etc/outside.json", "a\\b.json", "A.json", "a//b.json", "a.json"],
    ids=["parent", "absolute", "backslash", "upper", "empty", "no-manifest"],
)
def test_odd_names_and_missing_manifests_are_refused(name: str) -> None:
    with pytest.raises(evidence.BundleMalformed):
        evidence.read(archive((name, b"{}")))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_entry_that_appears_twice_is_refused() -> None:
    with pytest.raises(evidence.BundleMalformed, match="twice"):
        evidence.read(archive(("a.json", b"{}"), ("a.json", b"[]")))


def test_a_compressed_entry_is_refused_before_it_is_expanded() -> None:
    bomb = archive(("manifest.json", b"\x00" * 10_000_000), compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(evidence.BundleMalformed, match="compressed"):
        evidence.read(bomb)


def test_names_that_could_not_be_read_back_are_not_written() -> None:
    with pytest.raises(evidence.BundleMalformed):
        evidence.write({"../x": b""}, alliance="a", period="")
    with pytest.raises(evidence.BundleMalformed):
        evidence.write({"manifest.json": b""}, alliance="a", period="")


@given(st.binary(max_size=300))
def test_any_bytes_give_a_bundle_or_the_named_failure(data: bytes) -> None:
    with pytest.raises(evidence.BundleMalformed):
        evidence.read(data)


def test_lines_keep_an_unfinished_last_line() -> None:
    assert evidence.lines(b'{"a":1}\n{"b":2}') == [b'{"a":1}', b'{"b":2}']
    assert evidence.lines(b"") == []


def zip_entries(data: bytes) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(data)) as source:
        return [(info.filename, source.read(info)) for info in source.infolist()]
