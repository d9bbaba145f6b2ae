"""Uploads made of another's, under the one key that a dealer dealt (engine `paillier`)."""

from collections.abc import Sequence

import numpy as np
import pytest

from federation.horizontal import keys
from federation.horizontal.wire import Dealing, Upload
from privacy.aggregation import CiphertextMalformed, Lanes
from privacy.ids import PartnerId
from tests.federation.horizontal.parties import Parties, roster
from tests.hostile.aggregation import CHEAT, COUNT, VICTIM, given, names, sign_again, slot, update_of

paillier = pytest.importorskip("privacy.paillier.engine")
gmpy2 = pytest.importorskip("gmpy2")

DEALER = PartnerId("bank-d")
HONEST = (VICTIM, PartnerId("bank-c"))


@pytest.fixture
def parties(monkeypatch: pytest.MonkeyPatch) -> Parties:
    """Four partners of whom bank-d dealt the job's key and all hold a share; input is given, nothing uploaded."""
    monkeypatch.setattr(paillier, "_BITS_MIN", 512)
    made = Parties(roster(4), engine=paillier.Paillier(roster(4), DEALER, bits=512))
    dealt = made.members[DEALER].deal([keys.JOB_KEY])
    for partner, member in made.members.items():
        if partner != DEALER:
            packet = Dealing(dealer=DEALER, publics=dealt.publics, sealed=dealt.sealed[partner])
            assert member.hold([packet]) == ()
        member.take(slot(1), given("w", slot(1)))
    return made


def inverse_of(parties: Parties, theirs: Upload) -> Upload:
    """What the cheat uploads: the inverse of each of another's ciphertexts. It needs no key and knows no lane."""
    member = parties.members[CHEAT]
    own = member.upload(slot(1), np.zeros(COUNT, np.int64))
    read = paillier.vectors.read(theirs.ciphertext, paillier.Form.CIPHERTEXT, 512)
    numbers = [gmpy2.invert(number, read.n * read.n) for number in read.numbers]
    proof = paillier.vectors.read(own.ciphertext, paillier.Form.CIPHERTEXT, 512).proof
    made = paillier.vectors.write(paillier.Form.CIPHERTEXT, 512, read.key, COUNT, read.n, numbers, proof)
    return sign_again(member, own, made)


def opened(parties: Parties, uploads: Sequence[Upload], holders: Sequence[PartnerId]) -> Lanes:
    """The hub's sum of a cohort, with the answers of honest holders."""
    headers, bodies = [one.header for one in uploads], [one.ciphertext for one in uploads]
    answers = {h: parties.members[h].answer(slot(1), headers, bodies).answer for h in holders}
    engine = parties.engine
    adder = engine.adder(COUNT, slot(1), parties.stores[DEALER][keys.public(keys.JOB_KEY)])
    for one in uploads:
        adder.add(one.ciphertext, one.header.read().partner)
    return engine.open(adder.total(), COUNT, len(uploads), answers).lanes


def test_the_inverse_of_anothers_upload_isolates_a_third(parties: Parties, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hub and one colluder, not the dealer. Every holder checks every upload's proof; without it one update opens."""
    honest = {p: parties.members[p].upload(slot(1), update_of(p)) for p in HONEST}
    cohort = [honest[VICTIM], inverse_of(parties, honest[HONEST[1]]), honest[HONEST[1]]]
    for holder in (*HONEST, DEALER):
        with pytest.raises(CiphertextMalformed, match="knows its lanes"):
            opened(parties, cohort, [holder])
    monkeypatch.setattr(paillier.vectors.knowledge, "verify", lambda *args: None)
    stolen = opened(parties, cohort, [*HONEST, DEALER])
    assert np.array_equal(stolen, update_of(VICTIM))


def test_honest_uploads_under_one_key_open_to_their_sum(parties: Parties) -> None:
    uploads = [parties.members[p].upload(slot(1), update_of(p)) for p in names(4)]
    total = opened(parties, uploads, [*HONEST, DEALER])
    assert np.array_equal(total, np.sum([update_of(p) for p in names(4)], axis=0))
