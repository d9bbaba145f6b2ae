"""Cohorts that hide nobody (rule c): too small, a partner twice, strangers, forged uploads, two halves with a colluder.

As in the other attacks: refused by name, and shown to succeed with the one rule taken out.
"""

from itertools import product

import numpy as np
import pytest

from federation.horizontal import wire
from federation.horizontal.errors import (
    CohortInvalid,
)
from federation.horizontal.member import Member
from federation.horizontal.wire import SignedHeader, Upload
from privacy.aggregation import Roster
from privacy.errors import Failure
from privacy.ids import PartnerId
from privacy.seal import BadSignature
from tests.hostile.aggregation import COUNT, VICTIM, Hub, given, slot, total, update_of, without


def small(member: type[Member], cohort: list[str]) -> np.ndarray:
    hub = Hub(4, member=member)
    hub.prepare(slot(1))
    uploads = hub.upload(slot(1))
    chosen = [uploads[PartnerId(p)] for p in cohort]
    answers, refused = hub.ask_all(slot(1), chosen)
    if refused:
        raise AssertionError(refused)
    return hub.open(chosen, answers)


@pytest.mark.parametrize("cohort", [["bank-a"], ["bank-a", "bank-b"]])
def test_a_cohort_that_hides_nobody(cohort: list[str]) -> None:
    with pytest.raises(AssertionError, match="COHORT_INVALID"):
        small(Member, cohort)
    assert (small(without("_check_cohort"), cohort) == total(cohort)).all()


@pytest.mark.parametrize("cohort", [["bank-a"] * 3, ["bank-a", "bank-b", "bank-b"]])
def test_a_partner_twice_in_a_cohort(cohort: list[str]) -> None:
    with pytest.raises(AssertionError, match="COHORT_INVALID"):
        small(Member, cohort)
    with pytest.raises(AssertionError, match="ANSWER_REFUSED"):  # the engine guards this too
        small(without("_check_cohort"), cohort)


class LowRoster(Roster):
    """A threshold that two halves of the honest can reach."""

    def __post_init__(self) -> None: ...

    @property
    def threshold(self) -> int:
        return 2


def halves(roster: Roster) -> list[np.ndarray]:
    """All to some honest holders, all but the victim to the others; bank-d works with the hub and answers everything.

    Each honest holder answers once. What comes out of every way to divide them.
    """
    found = []
    for sides in product((0, 1), repeat=3):
        hub = Hub(4, among=roster, member=Member)
        hub.prepare(slot(1))
        uploads = hub.upload(slot(1))
        cohorts = [list(uploads.values()), [uploads[p] for p in hub.partners if p != VICTIM]]
        colluder = hub.members[PartnerId("bank-d")]
        kept = dict(hub.parties.stores[PartnerId("bank-d")])
        sums = []
        for side, cohort in enumerate(cohorts):
            honest = [p for p, s in zip(hub.partners, sides, strict=False) if s == side]
            answers, _ = hub.ask_all(slot(1), cohort, honest) if honest else ({}, {})
            answers[colluder.me] = hub.ask("bank-d", slot(1), cohort).answer
            hub.parties.stores[PartnerId("bank-d")].update(kept)  # it keeps its shares
            for name in [n for n in hub.parties.stores[PartnerId("bank-d")] if n not in kept]:
                del hub.parties.stores[PartnerId("bank-d")][name]
            try:
                sums.append(hub.open(cohort, answers))
            except (Failure, AssertionError):
                sums.append(None)
        if sums[0] is not None and sums[1] is not None:
            found.append(sums[0] - sums[1])
    return found


def test_two_cohorts_to_two_halves_with_a_colluder() -> None:
    partners = Hub(4).partners
    assert halves(Roster(partners=partners, colluders=1)) == []
    recovered = halves(LowRoster(partners=partners, colluders=1))
    assert recovered and all((one == update_of(VICTIM)).all() for one in recovered)


def test_a_cohort_with_a_stranger_or_a_forged_upload() -> None:
    hub = Hub(4)
    hub.prepare(slot(1))
    uploads = hub.upload(slot(1))
    stranger = wire.Header(
        slot=slot(1),
        partner=PartnerId("bank-z"),
        input=given("w", slot(1)).digest,
        count=COUNT,
        public=wire.sha256(b""),
        ciphertext=wire.sha256(b""),
    ).encode()
    forged = Upload(header=SignedHeader(data=stranger, signature=bytes(64)), ciphertext=b"")
    with pytest.raises(CohortInvalid, match="roster"):
        hub.ask("bank-b", slot(1), [*uploads.values(), forged])
    own = uploads[VICTIM].header.read()
    as_victim = wire.Header(
        slot=own.slot,
        partner=own.partner,
        input=own.input,
        count=own.count,
        public=own.public,
        ciphertext=wire.sha256(b"x"),
    ).encode()
    altered = Upload(header=SignedHeader(data=as_victim, signature=uploads[VICTIM].header.signature), ciphertext=b"x")
    with pytest.raises(BadSignature):
        hub.ask("bank-b", slot(1), [altered, *[uploads[p] for p in hub.partners if p != VICTIM]])


def test_the_own_upload_in_a_cohort_is_the_one_that_was_made() -> None:
    """A hub with the signing service of a member (a stolen signature) still can't swap its upload under its eyes."""
    hub = Hub(4)
    hub.prepare(slot(1))
    uploads = hub.upload(slot(1))
    own = uploads[VICTIM].header.read()
    other = wire.Header(
        slot=own.slot, partner=own.partner, input=own.input, count=own.count, public=own.public, ciphertext=own.input
    ).encode()
    signed = SignedHeader(data=other, signature=hub.parties.identity(VICTIM).sign(wire.UPLOAD_LABEL + other))
    cohort = [Upload(header=signed, ciphertext=b""), *[uploads[p] for p in hub.partners if p != VICTIM]]
    with pytest.raises(CohortInvalid, match="not its own"):
        hub.ask(VICTIM, slot(1), cohort)
    assert hub.ask("bank-b", slot(1), cohort)  # others can't know; the sum is then void or the forger's own


def test_another_length_in_the_cohort() -> None:
    hub = Hub(4)
    hub.prepare(slot(1))
    uploads = []
    for partner, member in hub.members.items():
        member.take(slot(1), given("w", slot(1)))
        lanes = update_of(partner)
        uploads.append(member.upload(slot(1), lanes[:-1] if partner == "bank-d" else lanes))
    with pytest.raises(CohortInvalid, match="length"):
        hub.ask("bank-b", slot(1), uploads)
