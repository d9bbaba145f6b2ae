"""An epoch's terms in a job's body: one form, every field needed, and the same terms on both sides."""

from typing import Any

import pytest

from privacy.psi.cached import EpochTerms, Terms
from privacy.psi.errors import BadSetup
from tests.support.cached import CONTEXT, begun, clients

BODY: dict[str, Any] = {
    "epoch": 2,
    "slots": 1 << 20,
    "addition_slots": 4096,
    "additions_max": 12,
    "points_max": 100_000,
    "ends": "2026-12-01T00:00:00+00:00",
}


def test_a_sender_begins_and_a_receiver_keeps_the_same_terms() -> None:
    agreed = EpochTerms.from_body(BODY).agreed(sender="bank", receiver="broker", context=CONTEXT)
    sender = begun(clients(1, 2, 3), **agreed)
    assert Terms(public=sender.terms.public, **agreed) == sender.terms
    assert {name: sender.terms.to_body()[name] for name in BODY} == BODY


@pytest.mark.parametrize(
    "changes",
    [
        {"epoch": 0},
        {"epoch": True},
        {"epoch": "2"},
        {"slots": 0},
        {"slots": 1 << 40},
        {"addition_slots": 0},
        {"additions_max": -1},
        {"points_max": 0},
        {"points_max": 1 << 25},
        {"ends": "2026-12-01T00:00:00"},
        {"ends": "2026-12-01T00:00:00Z"},
        {"ends": "2026-12-01T00:00:00.5+00:00"},
        {"ends": "2026-12-01T08:00:00+08:00"},
        {"ends": 1},
        {"more": 1},
    ],
    ids=str,
)
def test_other_forms_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BadSetup):
        EpochTerms.from_body(BODY | changes)


@pytest.mark.parametrize("given", [None, [], 1, "x", {name: BODY[name] for name in BODY if name != "ends"}], ids=str)
def test_what_is_no_epoch_is_refused(given: object) -> None:
    with pytest.raises(BadSetup):
        EpochTerms.from_body(given)
