"""A holder's answer: its power of every ciphertext of the sum, and one proof that all are powers of its own share.

The proof is that of Fouque, Poupard and Stern (2000): equal discrete logarithms to the bases v and c^4, made
non-interactive by hashing. It covers all ciphertexts at once by a random product of them; a wrong power survives that
with chance 2^-128, since every square other than 1 has an order without small factors.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from privacy.paillier import keys, primes, vectors, wire
from privacy.paillier.gmp import Mpz, gmpy2
from privacy.paillier.keys import Public, Share
from privacy.paillier.wire import Form, Header, Malformed
from privacy.ring import SEED_BYTES, Stream

SECURITY_BITS = 128  # challenges, random weights, statistical distance of the proof's mask


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """powers: c^(2 Delta s_i) of every ciphertext; challenge and response: the proof; public: the key it is for."""

    holder: int
    key: bytes
    powers: list[Mpz]
    challenge: int
    response: Mpz
    public: bytes


def make(share: Share, public: bytes, count: int, numbers: Sequence[Mpz]) -> bytes:
    """The answer over the sum's ciphertexts. The same sum gives the same answer: the mask is drawn from the share."""
    key = share.public
    square, secret = key.square, key.delta * share.value
    powers = [gmpy2.powmod_sec(number, 2 * secret, square) for number in numbers]
    width = key.bits // 4
    seed = hashlib.sha256(
        b"ecohub paillier mask v1" + wire.write_numbers([share.value, *numbers, *powers], width)
    ).digest()
    assert len(seed) == SEED_BYTES, "a digest is a seed"
    mask = primes.bits(Stream(seed, "paillier proof"), mask_bits(key))
    base, power = _batch(key, share.holder, numbers, powers)
    shown = (gmpy2.powmod_sec(key.v, mask, square), gmpy2.powmod_sec(base, mask, square))
    challenge = _challenge(key, share.holder, base, power, shown)
    response = mask + challenge * secret
    header = Header(form=Form.ANSWER, bits=key.bits, id=key.id, holder=share.holder, lanes=count)
    return b"".join(
        [
            header.write(),
            wire.write_numbers([challenge], SECURITY_BITS // 8),
            wire.write_numbers([response], _response_bytes(key.bits, len(key.commitments))),
            wire.write_numbers(powers, width),
            public,
        ]
    )


def read(data: bytes, *, bits: int, holders: int, count: int) -> Answer:
    """Form, lengths and ranges; the proof is `verify`'s. Raises Malformed."""
    header, body = wire.read(data, Form.ANSWER, bits)
    if header.lanes != count:
        raise Malformed(f"{count} lanes are expected")
    if header.holder > holders:
        raise Malformed("its holder is out of range")
    challenge_end = SECURITY_BITS // 8
    response_end = challenge_end + _response_bytes(bits, holders)
    powers_end = response_end + bits // 4 * vectors.ciphertexts(count, bits)
    if len(body) != powers_end + keys.public_bytes(bits, holders):
        raise Malformed(f"{wire.HEADER_BYTES + powers_end + keys.public_bytes(bits, holders)} bytes are expected")
    (challenge,) = wire.read_numbers(body[:challenge_end], challenge_end, 1)
    (response,) = wire.read_numbers(body[challenge_end:response_end], response_end - challenge_end, 1)
    powers = wire.read_numbers(body[response_end:powers_end], bits // 4, vectors.ciphertexts(count, bits))
    return Answer(
        holder=header.holder,
        key=header.id,
        powers=powers,
        challenge=int(challenge),
        response=response,
        public=body[powers_end:],
    )


def verify(answer: Answer, public: Public, numbers: Sequence[Mpz]) -> None:
    """The powers are those of the holder's committed share. Raises Malformed."""
    keys.check_units(answer.powers, public.n)
    square = public.square
    commitment = public.commitments[answer.holder - 1]
    base, power = _batch(public, answer.holder, numbers, answer.powers)
    shown = tuple(
        gmpy2.powmod(of, answer.response, square) * gmpy2.powmod(result, -answer.challenge, square) % square
        for of, result in ((public.v, commitment), (base, power))
    )
    if _challenge(public, answer.holder, base, power, (shown[0], shown[1])) != answer.challenge:
        raise Malformed("its powers are not those of its share")


def mask_bits(public: Public) -> int:
    """The response hides Delta s_i: a mask longer than challenge times secret by the security parameter."""
    return 2 * public.bits + int(public.delta).bit_length() + 2 * SECURITY_BITS


def _response_bytes(bits: int, holders: int) -> int:
    return (2 * bits + int(gmpy2.fac(holders)).bit_length() + 2 * SECURITY_BITS) // 8 + 1


def _batch(public: Public, holder: int, numbers: Sequence[Mpz], powers: Sequence[Mpz]) -> tuple[Mpz, Mpz]:
    """prod c_k^(4 w_k) and prod a_k^(2 w_k): the second is the first to the power of Delta s_i if the answer is right.

    The weights are hashed from all that they weigh.
    """
    square, width = public.square, public.bits // 4
    said = public.id + bytes([holder]) + wire.write_numbers([*numbers, *powers], width)
    drawn = hashlib.shake_256(b"ecohub paillier weights v1" + said).digest(SECURITY_BITS // 8 * len(powers))
    weights = wire.read_numbers(drawn, SECURITY_BITS // 8, len(powers))
    base, power = gmpy2.mpz(1), gmpy2.mpz(1)
    for weight, number, answered in zip(weights, numbers, powers, strict=True):
        base = base * gmpy2.powmod(number, weight, square) % square
        power = power * gmpy2.powmod(answered, weight, square) % square
    return gmpy2.powmod(base, 4, square), gmpy2.powmod(power, 2, square)


def _challenge(public: Public, holder: int, base: Mpz, power: Mpz, shown: tuple[Mpz, Mpz]) -> int:
    said = public.id + bytes([holder]) + wire.write_numbers([base, power, *shown], public.bits // 4)
    return int.from_bytes(hashlib.sha256(b"ecohub paillier proof v1" + said).digest()[: SECURITY_BITS // 8], "little")
