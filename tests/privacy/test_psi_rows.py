"""Mode rows as jobs run it: whoever receives is checked, for every type of identifier and in both directions."""

from collections import deque
from typing import Any

import pytest

from privacy import normalise
from privacy.psi import rows
from privacy.psi.oprf.errors import ExtensionInconsistent
from privacy.psi.oprf.options import CHECKED_LISTED, CHECKED_UNLISTED
from tests.support.entropy import SeededEntropy

IDS = {name: [f"phone:+86138{place:08}".encode() for place in range(first, first + 40)] for name, first in
       (("broker", 0), ("bank", 20))}  # fmt: skip
COUNTS = {name: len(ids) for name, ids in IDS.items()}


def session(me: str, peer: str, **given: Any) -> rows.RowsSession:
    asked: dict[str, Any] = {"id_type": "phone", "both": True, "minimum": 1, "parallel": 1, "bucket_keys": 64} | given
    role = "leader" if me == "broker" else "follower"
    entropy = SeededEntropy(me.encode())
    return rows.create(
        role=role, me=me, peer=peer, ids=IDS[me], counts=COUNTS, context=bytes(32), entropy=entropy, **asked
    )


@pytest.mark.parametrize("id_type", ["resident_id", "phone", "email", "uscc", "hk_id", "account"])
def test_no_receiver_is_taken_at_its_word(id_type: str) -> None:
    normalise.normalise_column(id_type, ())  # raises for a type that is none
    option = rows.option_for(id_type)
    assert option.checked
    assert option is (CHECKED_LISTED if id_type in ("resident_id", "phone", "hk_id") else CHECKED_UNLISTED)
    runs = session("broker", "bank", id_type=id_type)._runs
    assert [run.setup.option for run in runs] == [option.name] * 2


@pytest.mark.parametrize("run", [0, 1])
def test_a_matrix_with_a_changed_bit_is_refused(run: int) -> None:
    """In the engine without the check such a matrix gives away the sender's secret bits, and so its whole set."""
    sides = {"broker": session("broker", "bank"), "bank": session("bank", "broker")}
    receiver = "broker" if run == 0 else "bank"
    flip_a_bit(sides[receiver]._runs[run])
    with pytest.raises(ExtensionInconsistent):
        drive(sides)


def test_honest_receivers_find_the_same_clients() -> None:
    sides = {"broker": session("broker", "bank"), "bank": session("bank", "broker")}
    drive(sides)
    assert sides["broker"].result().rows.tolist() == [*range(20, 40)]
    assert sides["bank"].result().rows.tolist() == [*range(20)]


def drive(sides: dict[str, rows.RowsSession]) -> None:
    """Deliver everything, work on everything, until nobody has anything left to do."""
    waiting = deque((name, item) for name, side in sides.items() for item in side.start())
    while waiting or any(side.ready for side in sides.values()):
        if waiting:
            sender, item = waiting.popleft()
            waiting += [(item.recipient, made) for made in sides[item.recipient].receive(sender, item.message)]
            continue
        for name, side in sides.items():
            waiting += [(name, made) for made in side.work()]


def flip_a_bit(run: Any) -> None:
    """Software that differs in one bit of a matrix, and signs and chains what it sends."""
    send = run._send

    def altered(part: Any, answered: bytes, payload: bytes) -> Any:
        if part.phase == "matrix":
            payload = payload[:40] + bytes([payload[40] ^ 1]) + payload[41:]
        return send(part, answered, payload)

    run._send = altered
