"""Checkpoints as C2SP signed notes: the one form, the one signature, and nothing near them."""

import base64
import hashlib

import pytest

from ecowire import checkpoints
from ecowire.checkpoints import Checkpoint
from ecowire.status import MalformedMessage
from privacy import merkle, seal

KEY = seal.SigningKey(bytes(range(32)))
CHECKPOINT = Checkpoint(
    origin="ecohub/test/audit", size=3, root=merkle.root([b"\x01" * 32, b"\x02" * 32, b"\x03" * 32])
)
NOTE = checkpoints.sign(CHECKPOINT, KEY)


def test_the_note_has_the_form_of_the_specification() -> None:
    """C2SP tlog-checkpoint and signed-note: three lines, an empty one, em dash, name, base64(key id ‖ signature)."""
    origin, size, root, empty, signature, end = NOTE.split("\n")
    assert (origin, size, empty, end) == ("ecohub/test/audit", "3", "", "")
    assert base64.b64decode(root) == CHECKPOINT.root
    dash, name, encoded = signature.split(" ")
    raw = base64.b64decode(encoded)
    assert (dash, name, len(raw)) == ("\u2014", origin, 68)
    assert raw[:4] == hashlib.sha256(origin.encode() + b"\n\x01" + KEY.public).digest()[:4]
    seal.verify(KEY.public, raw[4:], f"{origin}\n{size}\n{root}\n".encode(), signer="log", what="checkpoint")


def test_a_known_answer() -> None:
    """Ed25519 is deterministic: this seed and this text have one note. Its parts are checked above."""
    one = Checkpoint(origin="a", size=0, root=merkle.EMPTY_ROOT)
    assert checkpoints.sign(one, seal.SigningKey(b"\x00" * 32)).splitlines()[:3] == [
        "a",
        "0",
        "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    ]


def test_what_was_signed_is_read_back() -> None:
    assert checkpoints.verify(NOTE, KEY.public) == CHECKPOINT
    assert checkpoints.parse(NOTE) == CHECKPOINT


def test_further_signatures_of_others_are_skipped() -> None:
    other = checkpoints.sign(CHECKPOINT, seal.SigningKey(b"\x09" * 32)).splitlines()[-1]
    assert checkpoints.verify(NOTE + other + "\n", KEY.public) == CHECKPOINT
    text, _, own = NOTE.partition("\n\n")
    assert checkpoints.verify(f"{text}\n\n{other}\n{own}", KEY.public) == CHECKPOINT


@pytest.mark.parametrize("change", ["another size", "another root", "another origin", "another key", "another name"])
def test_any_other_text_or_key_does_not_verify(change: str) -> None:
    note, public = NOTE, KEY.public
    if change == "another size":
        note = note.replace("\n3\n", "\n4\n")
    elif change == "another root":
        note = note.replace(base64.b64encode(CHECKPOINT.root).decode(), base64.b64encode(b"\x05" * 32).decode())
    elif change == "another origin":
        note = note.replace("ecohub/test/audit", "ecohub/test/chain")
    elif change == "another key":
        public = seal.SigningKey(b"\x09" * 32).public
    else:
        head, _, tail = note.rpartition("ecohub/test/audit")
        note = head + "ecohub/test/other" + tail
    with pytest.raises(seal.BadSignature):
        checkpoints.verify(note, public)


def test_every_flipped_character_is_found() -> None:
    for i in range(len(NOTE)):
        changed = NOTE[:i] + chr(ord(NOTE[i]) ^ 1) + NOTE[i + 1 :]
        with pytest.raises((MalformedMessage, seal.BadSignature)):
            checkpoints.verify(changed, KEY.public)


@pytest.mark.parametrize(
    "note",
    [
        None,
        7,
        "",
        "\n\n\n",
        NOTE[:-1],
        NOTE + "\n",
        NOTE.replace("\n3\n", "\n03\n"),
        NOTE.replace("\n3\n", "\n-3\n"),
        NOTE.replace("\n3\n", "\n٣\n"),
        NOTE.replace("\n3\n", "\n" + "9" * 16 + "\n"),
        NOTE.replace("\n3\n", "\n3\nextra\n"),
        NOTE.replace("\u2014 ", "- "),
        NOTE.replace("=\n\n", "\n\n"),
        NOTE.split("\n\n")[0] + "\n\n",
        "x" * 5000,
        NOTE.replace("ecohub/test/audit\n3", "\n3"),
    ],
)
def test_another_form_is_refused(note: object) -> None:
    with pytest.raises(MalformedMessage):
        checkpoints.verify(note, KEY.public)
