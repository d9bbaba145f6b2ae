"""What a dealer, an uploader, an answerer or a relay may get wrong on purpose, and who is named for it."""

from dataclasses import replace

import gmpy2
import numpy as np
import pytest

from privacy.aggregation import (
    AnswerMalformed,
    CiphertextMalformed,
    Dealing,
    RosterInvalid,
    RoundVoid,
    ShareWrong,
)
from privacy.ids import Digest, PartnerId
from privacy.paillier import Paillier, keys, knowledge, vectors, wire
from privacy.paillier.engine import _statement
from privacy.paillier.vectors import Encryptor
from privacy.paillier.wire import Form, Header
from privacy.ring import Stream
from tests.privacy.paillier.support import (
    BITS,
    SLOT,
    adder_of,
    answers_of,
    dealt,
    hide,
    make_engine,
    random_lanes,
    seeded,
    total_of,
)

WIDTH = BITS // 8
COUNT = 40
UPLOADER = PartnerId("bank-0")


def flipped(data: bytes, place: int, mask: int = 1) -> bytes:
    return data[:place] + bytes([data[place] ^ mask]) + data[place + 1 :]


def upload(made: Paillier, dealing: Dealing) -> bytes:
    return hide(made, dealing, random_lanes(made, COUNT, 1), UPLOADER)


def with_number(made: Paillier, dealing: Dealing, number: int, place: int = 1) -> bytes:
    """An upload in which one ciphertext is replaced."""
    read = vectors.read(upload(made, dealing), Form.CIPHERTEXT, BITS)
    numbers = list(read.numbers)
    numbers[place] = gmpy2.mpz(number)
    return vectors.write(Form.CIPHERTEXT, BITS, read.key, COUNT, read.n, numbers, read.proof)


def test_every_byte_of_an_uploads_header_is_checked() -> None:
    made, dealing = dealt(3)
    good = upload(made, dealing)
    for place in range(wire.HEADER_BYTES + WIDTH):
        adder = adder_of(made, dealing, COUNT)
        adder.add(good, UPLOADER)
        before = adder.total()
        with pytest.raises(CiphertextMalformed):
            adder.add(flipped(good, place), UPLOADER)
        assert adder.total() == before


@pytest.mark.parametrize("cut", [-1, 1, WIDTH, 10**6])
def test_an_upload_of_another_length_is_refused(cut: int) -> None:
    made, dealing = dealt(3)
    good = upload(made, dealing)
    with pytest.raises(CiphertextMalformed):
        adder_of(made, dealing, COUNT).add(good + bytes(1) if cut < 0 else good[:-cut], UPLOADER)
    with pytest.raises(CiphertextMalformed):
        adder_of(made, dealing, COUNT + 1).add(good, UPLOADER)


@pytest.mark.parametrize("what", ["0", "1", "n", "2n", "n^2", "n^2-n", "n^2+1", "p", "pq-p"])
def test_a_number_that_is_no_ciphertext_is_refused(what: str) -> None:
    made = make_engine(3)
    material = keys.make(Stream(bytes(32), "peer"), bits=BITS, holders=3, threshold=3, context=made._context)
    dealing = Dealing(secret=b"", public=material.public, shares={})
    p, q = (int(factor) for factor in material.factors)
    n = p * q
    number = {
        "0": 0, "1": 1, "n": n, "2n": 2 * n, "n^2": n * n, "n^2-n": n * n - n, "n^2+1": n * n + 1, "p": p,
        "pq-p": n - p,
    }[what]  # fmt: skip
    for place in (0, 1, vectors.ciphertexts(COUNT, BITS) - 1):
        with pytest.raises(CiphertextMalformed):
            adder_of(made, dealing, COUNT).add(with_number(made, dealing, number, place), UPLOADER)


def test_an_upload_under_another_key_is_refused() -> None:
    made, dealing = dealt(3)
    other = dealt(3, "another key")[1]
    adder = adder_of(made, dealing, COUNT)
    for _ in range(2):  # as the first upload of a sum, and as a later one
        with pytest.raises(CiphertextMalformed, match="another key"):
            adder.add(upload(made, other), UPLOADER)
        adder.add(upload(made, dealing), UPLOADER)


def test_a_modulus_of_ones_own_under_the_keys_name_is_refused_also_as_the_first_upload() -> None:
    """Else the honest uploads after it would be the ones that are under another key."""
    made, dealing = dealt(3)
    good = vectors.read(upload(made, dealing), Form.CIPHERTEXT, BITS)
    foreign = vectors.write(Form.CIPHERTEXT, BITS, good.key, COUNT, good.n - 2, good.numbers, good.proof)
    adder = adder_of(made, dealing, COUNT)
    with pytest.raises(CiphertextMalformed, match="another key"):
        adder.add(foreign, UPLOADER)
    adder.add(upload(made, dealing), UPLOADER)
    for n in (gmpy2.mpz(0), good.n - 1, good.n >> 2 | 1):
        bad = vectors.write(Form.CIPHERTEXT, BITS, good.key, COUNT, n, good.numbers, good.proof)
        with pytest.raises(CiphertextMalformed, match="its modulus is none"):
            adder.add(bad, UPLOADER)
    other_modulus = vectors.write(Form.TOTAL, BITS, good.key, COUNT, good.n - 2, good.numbers)
    with pytest.raises(CiphertextMalformed):
        made.answer([dealing.shares[UPLOADER]], other_modulus)


def test_every_byte_of_a_proof_is_checked() -> None:
    made, dealing = dealt(3)
    good = upload(made, dealing)
    adder = adder_of(made, dealing, COUNT)
    for place in range(len(good) - knowledge.proof_bytes(BITS), len(good)):
        with pytest.raises(CiphertextMalformed):
            adder.add(flipped(good, place), UPLOADER)
    adder.add(good, UPLOADER)


@pytest.mark.parametrize("part", ["shown", "response"])
def test_a_number_of_a_proof_that_is_not_reduced_is_refused(part: str) -> None:
    """One upload, one form of its proof."""
    made, dealing = dealt(3)
    n = int(vectors.read(upload(made, dealing), Form.CIPHERTEXT, BITS).n)
    skip, width, modulus = (0, 2 * WIDTH, n * n) if part == "shown" else (2 * WIDTH, WIDTH, n)
    for attempt in range(200):  # until the number and its modulus have no more bits than fit
        data = hide(made, dealing, random_lanes(made, COUNT, 1), UPLOADER, f"attempt {attempt}")
        start = len(data) - knowledge.proof_bytes(BITS) + skip
        other = int.from_bytes(data[start : start + width], "little") + modulus
        if other.bit_length() <= 8 * width:
            break
    bad = data[:start] + other.to_bytes(width, "little") + data[start + width :]
    with pytest.raises(CiphertextMalformed, match="out of range"):
        adder_of(made, dealing, COUNT).add(bad, UPLOADER)


@pytest.mark.parametrize("what", ["of another partner", "of another round", "of another attempt", "of another job"])
def test_a_proof_holds_for_one_partner_and_slot(what: str) -> None:
    made, dealing = dealt(3)
    good = upload(made, dealing)
    partner, slot = UPLOADER, SLOT
    if what == "of another partner":
        partner = PartnerId("bank-1")
    elif what == "of another round":
        slot = replace(SLOT, round=2)
    elif what == "of another attempt":
        slot = replace(SLOT, attempt=1)
    else:
        slot = replace(SLOT, job=Digest("00" * 32))
    with pytest.raises(CiphertextMalformed, match="knows its lanes"):
        made.adder(COUNT, slot, dealing.public).add(good, partner)


def proof_of(public: keys.Public, shown: int, lanes: int, randomness: int) -> bytes:
    rest = knowledge.proof_bytes(BITS) - 3 * WIDTH
    return b"".join(
        wire.write_numbers([gmpy2.mpz(number)], width)
        for number, width in ((shown, 2 * WIDTH), (lanes, WIDTH), (randomness, rest))
    )


@pytest.mark.parametrize("known", ["before what is shown", "before the ciphertexts"])
def test_challenges_known_in_advance_would_prove_anything(known: str) -> None:
    """They are hashed from all that they are a challenge to; whoever knew them would need to know no lane."""
    made, dealing = dealt(3)
    public = keys.read_public(dealing.public, bits=BITS, holders=3, context=made._context)
    square, statement = public.square, _statement(SLOT, PartnerId("bank-1"))
    theirs = vectors.read(upload(made, dealing), Form.CIPHERTEXT, BITS).numbers
    shown = gmpy2.mpz(1 + 7 * public.n) * public.h % square
    numbers = theirs if known == "before what is shown" else theirs[:2] + [public.h] * (len(theirs) - 2)
    challenges = knowledge._challenges(public, statement, numbers, shown)
    if known == "before what is shown":
        for challenge, number in zip(challenges, numbers, strict=True):
            shown = shown * gmpy2.powmod(number, -challenge, square) % square
    else:  # the challenges cancel the other's ciphertext; the rest, h, encrypts zeros
        first, second = challenges[:2]
        numbers[:2] = [gmpy2.powmod(theirs[0], second, square), gmpy2.powmod(theirs[0], -first, square)]
    randomness = 1 + (sum(challenges[2:]) if known == "before the ciphertexts" else 0)
    proof = proof_of(public, shown, 7, randomness)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(knowledge, "_challenges", lambda *args: challenges)
        knowledge.verify(public, statement, numbers, proof)
    forged = vectors.write(Form.CIPHERTEXT, BITS, public.id, COUNT, public.n, numbers, proof)
    with pytest.raises(CiphertextMalformed, match="knows its lanes"):
        adder_of(made, dealing, COUNT).add(forged, PartnerId("bank-1"))


@pytest.mark.parametrize("change", ["inverse", "product with a known one", "another order", "one replaced"])
def test_an_upload_made_of_anothers_ciphertexts_has_no_proof(change: str) -> None:
    """Whoever made them does not know their lanes, with the proof of the other or with one of its own."""
    made, dealing = dealt(3)
    public = keys.read_public(dealing.public, bits=BITS, holders=3, context=made._context)
    theirs = vectors.read(upload(made, dealing), Form.CIPHERTEXT, BITS)
    thief = PartnerId("bank-1")
    own = vectors.read(hide(made, dealing, np.arange(COUNT), thief), Form.CIPHERTEXT, BITS)
    numbers = {
        "inverse": [gmpy2.invert(number, public.square) for number in theirs.numbers],
        "product with a known one": [a * b % public.square for a, b in zip(own.numbers, theirs.numbers, strict=True)],
        "another order": theirs.numbers[::-1],
        "one replaced": [theirs.numbers[0], *own.numbers[1:]],
    }[change]
    guess = knowledge.make(
        public, _statement(SLOT, thief), numbers, [0] * len(numbers), [0] * len(numbers), Stream(bytes(32), "guess")
    )
    for proof in (theirs.proof, own.proof, guess, bytes(len(guess))):
        made_of_it = vectors.write(Form.CIPHERTEXT, BITS, public.id, COUNT, public.n, numbers, proof)
        for partner in (thief, UPLOADER):
            with pytest.raises(CiphertextMalformed):
                adder_of(made, dealing, COUNT).add(made_of_it, partner)


def test_a_holder_answers_only_a_sum_under_its_key() -> None:
    made, dealing = dealt(3)
    other = dealt(3, "another key")[1]
    share = dealing.shares[PartnerId("bank-0")]
    for total in (total_of(made, other, [np.arange(COUNT)]), b"", upload(made, dealing), b"x" * 5000):
        with pytest.raises(CiphertextMalformed):
            made.answer([share], total)


def test_every_byte_of_a_share_and_of_the_public_part_is_checked() -> None:
    made, dealing = dealt(3)
    dealer, holder = made.dealers[0], PartnerId("bank-0")
    share = dealing.shares[holder]
    made.accept(dealer, holder, dealing.public, share)
    step = 7  # of the long numbers a sample; of the headers every byte
    places = [*range(wire.HEADER_BYTES), *range(wire.HEADER_BYTES, len(share), step)]
    for place in places:
        with pytest.raises(ShareWrong, match="bank-2"):
            made.accept(dealer, holder, dealing.public, flipped(share, place))
    for place in range(0, len(dealing.public), step):
        with pytest.raises(ShareWrong, match="bank-2"):
            made.accept(dealer, holder, flipped(dealing.public, place), share)
    with pytest.raises(ShareWrong):
        made.accept(dealer, holder, dealing.public, share[:-1])


def test_a_foreign_share_or_dealer_is_refused() -> None:
    made, dealing = dealt(3)
    share = dealing.shares[PartnerId("bank-0")]
    with pytest.raises(ShareWrong):
        made.accept(made.dealers[0], "bank-1", dealing.public, share)
    with pytest.raises(ShareWrong):
        made.accept("bank-0", "bank-0", dealing.public, share)
    other, foreign = dealt(5, "key", 2)  # a key for the same partners, under other terms
    other.accept(other.dealers[0], "bank-0", foreign.public, foreign.shares[PartnerId("bank-0")])
    with pytest.raises(ShareWrong):
        make_engine(5).accept(other.dealers[0], "bank-0", foreign.public, foreign.shares[PartnerId("bank-0")])


def redealt(size: int, change: str) -> tuple[Paillier, bytes, dict[int, bytes]]:
    """A dealing made wrong by its dealer but signed and committed to as a right one would be."""
    made = make_engine(size)
    context, holders, threshold = made._context, size, made.roster.threshold
    material = keys.make(Stream(bytes(32), "peer"), bits=BITS, holders=holders, threshold=threshold, context=context)
    p, q = material.factors
    n, order = p * q, p * q * (p >> 1) * (q >> 1)
    read = {
        place: keys.read_share(share, bits=BITS, holders=holders, context=context)
        for place, share in material.shares.items()
    }
    values = {place: share.value for place, share in read.items()}
    if change == "off the polynomial":
        values[holders] = (values[holders] + 1) % order
    elif change == "no exponent":
        values = {place: value + 1 for place, value in values.items()}
    else:  # decrypts to twice the sum
        values = {place: value * 2 % order for place, value in values.items()}
    public = read[1].public
    delta = gmpy2.fac(holders)
    commitments = [gmpy2.powmod(public.v, delta * values[place], n * n) for place in range(1, holders + 1)]
    body = wire.write_numbers([n], WIDTH) + wire.write_numbers([public.h, public.v, *commitments], 2 * WIDTH)
    bad = Header(form=Form.PUBLIC, bits=BITS, id=context).write() + body
    shares = {
        place: Header(form=Form.SHARE, bits=BITS, id=keys.key_id(bad), holder=place).write()
        + wire.write_numbers([value], 2 * WIDTH)
        + bad
        for place, value in values.items()
    }
    return made, bad, shares


@pytest.mark.parametrize("change", ["off the polynomial", "another exponent", "no exponent"])
def test_a_dealing_that_would_not_open_is_refused_by_every_holder(change: str) -> None:
    made, public, shares = redealt(5, change)
    for partner in made.roster.partners:
        with pytest.raises(ShareWrong, match=made.dealers[0]):
            made.accept(made.dealers[0], partner, public, shares[made.roster.place(partner)])


def test_a_dealing_nobody_checked_voids_the_round() -> None:
    made, public, shares = redealt(5, "no exponent")
    adder = made.adder(COUNT, SLOT, public)
    adder.add(made.encrypt(public, np.arange(COUNT), SLOT, UPLOADER, seeded("x")), UPLOADER)
    total = adder.total()
    answers = {partner: made.answer([shares[made.roster.place(partner)]], total) for partner in made.roster.partners}
    with pytest.raises(RoundVoid, match="does not decrypt"):
        made.open(total, COUNT, 1, answers)


def wrong_answers(made: Paillier, dealing: Dealing, total: bytes) -> dict[str, bytes]:
    """Answers of bank-1 that are well formed and not its answer to this sum."""
    mine = dealing.shares[PartnerId("bank-1")]
    good = made.answer([mine], total)
    powers_at = len(good) - len(dealing.public) - 2 * WIDTH * vectors.ciphertexts(COUNT, BITS)
    return {
        "another power": flipped(good, powers_at + 5),
        "no power": good[:powers_at] + bytes(2 * WIDTH) + good[powers_at + 2 * WIDTH :],
        "another proof": flipped(good, wire.HEADER_BYTES + 3),
        "of another holder": made.answer([dealing.shares[PartnerId("bank-0")]], total),
        "to another sum": made.answer([mine], total_of(made, dealing, [random_lanes(made, COUNT, 9)])),
    }


@pytest.mark.parametrize("what", ["another power", "no power", "another proof", "of another holder", "to another sum"])
def test_a_wrong_answer_is_named_and_the_sum_opens_without_it(what: str) -> None:
    made, dealing = dealt(5)
    lanes = [random_lanes(made, COUNT, seed) for seed in range(4)]
    total = total_of(made, dealing, lanes)
    answers = answers_of(made, dealing, total, list(made.roster.partners))
    answers[PartnerId("bank-1")] = wrong_answers(made, dealing, total)[what]
    opened = made.open(total, COUNT, 4, answers)
    assert opened.wrong == (PartnerId("bank-1"),) and np.array_equal(opened.lanes, sum(lanes))


@pytest.mark.parametrize("what", ["another power", "no power", "another proof", "of another holder", "to another sum"])
def test_a_wrong_answer_among_just_enough_voids_the_round_and_is_named(what: str) -> None:
    made, dealing = dealt(5)
    total = total_of(made, dealing, [random_lanes(made, COUNT, 3)])
    answers = answers_of(made, dealing, total, list(made.roster.partners[: made.roster.threshold]))
    answers[PartnerId("bank-1")] = wrong_answers(made, dealing, total)[what]
    with pytest.raises(RoundVoid, match="bank-1") as void:
        made.open(total, COUNT, 1, answers)
    assert "bank-0" not in str(void.value)


def test_an_answer_that_carries_another_key_is_wrong() -> None:
    made, dealing = dealt(5)
    total = total_of(made, dealing, [random_lanes(made, COUNT, 3)])
    answers = answers_of(made, dealing, total, list(made.roster.partners))
    foreign = dealt(5, "another key")[1]
    sum_of_foreign = total_of(made, foreign, [random_lanes(made, COUNT, 3)])
    answers[PartnerId("bank-0")] = made.answer([foreign.shares[PartnerId("bank-0")]], sum_of_foreign)
    assert made.open(total, COUNT, 1, answers).wrong == (PartnerId("bank-0"),)


def test_a_sum_under_a_key_that_nobody_answers_for_names_nobody() -> None:
    made, dealing = dealt(5)
    total = total_of(made, dealing, [random_lanes(made, COUNT, 3)])
    answers = answers_of(made, dealing, total, list(made.roster.partners))
    foreign = total_of(made, dealt(5, "another key")[1], [random_lanes(made, COUNT, 3)])
    read = vectors.read(total, Form.TOTAL, BITS)
    other_modulus = vectors.write(Form.TOTAL, BITS, read.key, COUNT, gmpy2.next_prime(read.n), read.numbers)
    for bad in (foreign, other_modulus):
        with pytest.raises(RoundVoid, match=r"no answer is for.*from: -$"):
            made.open(bad, COUNT, 1, answers)


def test_every_byte_of_an_answers_header_is_checked() -> None:
    made, dealing = dealt(5)
    total = total_of(made, dealing, [random_lanes(made, COUNT, 3)])
    answers = answers_of(made, dealing, total, list(made.roster.partners))
    good = answers[PartnerId("bank-1")]
    for place in range(wire.HEADER_BYTES):
        answers[PartnerId("bank-1")] = flipped(good, place)
        try:
            made.check_answer(answers[PartnerId("bank-1")], COUNT)
        except AnswerMalformed:
            continue
        assert made.open(total, COUNT, 1, answers).wrong == (PartnerId("bank-1"),)
    for holder in (0, 6, 255):
        with pytest.raises(AnswerMalformed, match="holder"):
            made.check_answer(good[:5] + bytes([holder]) + good[6:], COUNT)


@pytest.mark.parametrize("data", [b"", b"EKP\x01", bytes(10_000)])
def test_random_bytes_are_no_answer(data: bytes) -> None:
    made, _ = dealt(5)
    with pytest.raises(AnswerMalformed):
        made.check_answer(data, COUNT)
    with pytest.raises(AnswerMalformed):
        made.open(b"", COUNT, 1, {PartnerId("bank-1"): data})


def test_an_answer_of_another_length_is_refused() -> None:
    made, dealing = dealt(5)
    good = made.answer([dealing.shares[PartnerId("bank-1")]], total_of(made, dealing, [np.arange(COUNT)]))
    for data, count in ((good[:-1], COUNT), (good + b"0", COUNT), (good, COUNT + 1)):
        with pytest.raises(AnswerMalformed):
            made.check_answer(data, count)


def test_a_sum_that_is_none_voids_the_round() -> None:
    made, dealing = dealt(5)
    total = total_of(made, dealing, [random_lanes(made, COUNT, 3)])
    answers = answers_of(made, dealing, total, list(made.roster.partners))
    for bad in (b"", total[:-1], flipped(total, 5), flipped(total, len(total) - 3), upload(made, dealing)):
        with pytest.raises(RoundVoid):
            made.open(bad, COUNT, 1, answers)


def raw_upload(made: Paillier, dealing: Dealing, lanes: list[int]) -> bytes:
    """An upload whose lanes were not checked against their range."""
    public = keys.read_public(dealing.public, bits=BITS, holders=made.roster.size, context=made._context)
    return Encryptor(public).encrypt(np.array(lanes), _statement(SLOT, UPLOADER), Stream(bytes(32), "raw"))


def test_a_lane_beyond_what_the_cohort_can_send_voids_the_round() -> None:
    made, dealing = dealt(5)
    adder = adder_of(made, dealing, 3)
    adder.add(raw_upload(made, dealing, [1, (1 << 32) - 1, 1]), UPLOADER)
    total = adder.total()
    answers = answers_of(made, dealing, total, list(made.roster.partners))
    with pytest.raises(RoundVoid, match="larger than the cohort"):
        made.open(total, 3, 2, answers)


def test_a_carry_out_of_the_last_lane_voids_the_round() -> None:
    made, dealing = dealt(5)
    for count in (3, vectors.per_ciphertext(BITS)):  # into an unused lane, and out of the packed number
        adder = adder_of(made, dealing, count)
        for _ in range(2):
            adder.add(raw_upload(made, dealing, [0] * (count - 1) + [1 << 31]), UPLOADER)
        total = adder.total()
        with pytest.raises(RoundVoid, match="lane"):
            made.open(total, count, 5, answers_of(made, dealing, total, list(made.roster.partners)))


@pytest.mark.parametrize("lanes", [[-1], [1 << 29], []])
def test_lanes_out_of_range_are_a_callers_fault(lanes: list[int]) -> None:
    made, dealing = dealt(5)
    with pytest.raises(AssertionError):
        hide(made, dealing, np.array(lanes, np.int64), UPLOADER)


@pytest.mark.parametrize("n", ["even", "prime", "square", "short"])
def test_a_modulus_that_cannot_be_one_is_refused(n: str) -> None:
    made, dealing = dealt(3)
    right = keys.read_public(dealing.public, bits=BITS, holders=3, context=made._context).n
    root = gmpy2.next_prime(gmpy2.isqrt(gmpy2.mpz(3) << (BITS - 2)))
    bad = {"even": right - 1, "prime": gmpy2.next_prime(right), "square": root * root, "short": right >> 1 | 1}[n]
    start = wire.HEADER_BYTES
    public = dealing.public[:start] + wire.write_numbers([bad], WIDTH) + dealing.public[start + WIDTH :]
    with pytest.raises(RosterInvalid, match="its modulus is none"):
        made.adder(COUNT, SLOT, public)
