"""Options: the codes they name, one signature, and a cheating receiver caught in the checked ones."""

import numpy as np
import pytest

from privacy.psi.oprf import extension
from privacy.psi.oprf.errors import ExtensionInconsistent, ExtensionLength
from privacy.psi.oprf.options import CHECKED_LISTED, CHECKED_UNLISTED, OPTIONS, SEMI_HONEST, Option
from tests.privacy.oprf.test_extension import base_seeds, words
from tests.support.entropy import SeededEntropy

CONTEXT = bytes(range(32))
EACH = pytest.mark.parametrize("option", OPTIONS.values(), ids=list(OPTIONS))


def sent(option: Option, rows: int = 128) -> bytes:
    pairs, _ = base_seeds(option.code.length)
    masks = SeededEntropy(b"masks")(option.mask_bytes)
    return option.extend_receiver(pairs, 1, 0, words(rows, option.code), CONTEXT, masks)[0]


def test_codes_and_lengths() -> None:
    found = {
        name: (o.code.length, o.code.dimension, o.code.distance, o.mask_bytes, o.message_bytes(640))
        for name, o in OPTIONS.items()
    }
    assert found == {
        "semi-honest": (456, 64, 128, 0, 456 * 80),
        "checked-listed": (456, 64, 128, 128 * 8, 456 * 96 + 128 * (57 + 8)),
        "checked-unlisted": (592, 136, 128, 128 * 17, 592 * 96 + 128 * (74 + 17)),
    }


@EACH
def test_both_sides_agree(option: Option) -> None:
    pairs, picked = base_seeds(option.code.length)
    slots, masks = words(128, option.code), SeededEntropy(b"masks")(option.mask_bytes)
    message, known = option.extend_receiver(pairs, 1, 0, slots, CONTEXT, masks)
    held = option.extend_sender(picked, 1, 0, message, 128, CONTEXT)
    assert len(message) == option.message_bytes(128)
    assert (held == known ^ extension.sender_offsets(picked, option.code, slots)).all()


@pytest.mark.parametrize("option", [CHECKED_LISTED, CHECKED_UNLISTED], ids=lambda option: option.name)
def test_a_receiver_that_deviates_is_caught(option: Option) -> None:
    """One bit of every column is wrong: it would have to guess them all."""
    _, picked = base_seeds(option.code.length)
    message = np.frombuffer(sent(option), np.uint8).copy()
    message[: 32 * option.code.length : 32] ^= 1
    with pytest.raises(ExtensionInconsistent):
        option.extend_sender(picked, 1, 0, message.tobytes(), 128, CONTEXT)


@EACH
def test_no_option_takes_the_message_of_another(option: Option) -> None:
    _, picked = base_seeds(option.code.length)
    for other in OPTIONS.values():
        if other is not option:
            with pytest.raises(ExtensionLength):
                option.extend_sender(picked, 1, 0, sent(other), 128, CONTEXT)


def test_what_a_deviating_receiver_can_hold() -> None:
    rows = 85_248  # of a bucket of 2^16 identifiers
    assert CHECKED_LISTED.identifiers_held(rows) < 2 * 2**16
    assert CHECKED_UNLISTED.identifiers_held(rows) < 7.1 * 2**16
    with pytest.raises(AssertionError):
        SEMI_HONEST.identifiers_held(rows)


@EACH
def test_masks_of_another_length_are_a_defect(option: Option) -> None:
    pairs, _ = base_seeds(option.code.length)
    with pytest.raises(AssertionError):
        option.extend_receiver(pairs, 1, 0, words(64, option.code), CONTEXT, bytes(option.mask_bytes + 1))
