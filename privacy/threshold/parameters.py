"""The parameter set of the default engine, and what follows from it for a number of partners and of lanes.

A ciphertext coefficient is c = (a s)_k + e_k + Delta m_k modulo q = 2^48 in Z[X]/(X^2048 + 1), Delta = 2^16: 32 bits
for the sum of the lanes above 16 bits for the sum of the errors.

Table: log2 q <= 53 for N = 2048 and 128 bit, classical, with a uniform ternary secret and errors of standard deviation
3.19 (Bossuat et al., "Security Guidelines for Implementing Homomorphic Encryption", 2024, table 5.2; the
HomomorphicEncryption.org standard of 2018, table 1, allows 54). Key and error here are wider: centred binomial with
standard deviation 6.40; and 4.53 is left to each of two honest partners whose sum is known (docs/aggregation.md).
"""

import math
from dataclasses import dataclass

from privacy.aggregation import PARTNERS_MAX
from privacy.ring import GUIDELINES_2024_MODULUS_BITS_MAX, ROUNDING_MAX, fft_error

TABLE_DEVIATION = 3.19  # the error width the tables assume
LANES_MAX = 1 << 26


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterSet:
    """A named set of numbers. A value that exists meets every rule of `__post_init__`.

    binomial: keys and errors are Binomial(2 * binomial, 1/2) - binomial, so |x| <= binomial and variance binomial / 2.
    masks: random polynomials beside a dealt key, one for each random combination that checks the shares.
    check_lanes: coefficients that encrypt zero, at the front of every ciphertext.
    """

    name: str
    code: int  # its byte in serialised forms
    degree: int
    modulus_bits: int
    sum_bits: int
    binomial: int
    prime: int
    masks: int
    check_lanes: int
    table: str

    def __post_init__(self) -> None:
        assert self.modulus_bits <= GUIDELINES_2024_MODULUS_BITS_MAX[self.degree], "the modulus is within the table"
        assert self.pair_deviation > TABLE_DEVIATION, "two honest partners given their sum keep more than the table's"
        assert self.binomial * PARTNERS_MAX < 1 << (self.delta_bits - 1), "the whole roster's noise never moves a lane"
        assert 2 * self.binomial * PARTNERS_MAX < self.prime, "a sum of keys is read off its residue"
        assert self.factor_max >= self.binomial, "a product with one key is exact"
        assert self.modulus_bits == 48 and self.modulus_bits % 2 == 0, "a coefficient is a 32-bit and a 16-bit word"
        assert self.prime == (1 << 31) - 1, "field arithmetic is written for this Mersenne prime"

    @property
    def delta_bits(self) -> int:
        return self.modulus_bits - self.sum_bits

    @property
    def limb_bits(self) -> int:
        """The public matrix is multiplied in two balanced halves."""
        return self.modulus_bits // 2

    @property
    def deviation(self) -> float:
        return math.sqrt(self.binomial / 2)

    @property
    def pair_deviation(self) -> float:
        """Standard deviation of one of two honest partners' coefficient given their sum, at the mean of the sum.

        Given K ones among 4b fair bits, the ones among the first 2b are hypergeometric: variance
        2b (K/4b)(1 - K/4b) 2b/(4b - 1), here for K = 2b.
        """
        bits = 2 * self.binomial
        return math.sqrt(bits / 4 * bits / (2 * bits - 1))

    @property
    def factor_max(self) -> int:
        """The largest |coefficient| of a factor whose product with a limb is exact for every input.

        `privacy.ring.fft_error` times both 2-norms bounds the distance from the true integer: 2^(w-1) sqrt(N) for a
        balanced limb, factor_max sqrt(N) for the factor.
        """
        limb = 1 << (self.limb_bits - 1)
        return math.floor(0.99 * ROUNDING_MAX / (fft_error(self.degree) * limb * self.degree))


RLWE_2048_48 = ParameterSet(
    name="rlwe-2048-48-cbd82",
    code=1,
    degree=2048,
    modulus_bits=48,
    sum_bits=32,
    binomial=82,
    prime=(1 << 31) - 1,
    masks=5,
    check_lanes=4,
    table="N = 2048, 128 bit classical: log2 q <= 53 (Security Guidelines 2024), <= 54 (HE Standard 2018)",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a parameter set gives `parties` partners and vectors of `count` lanes."""

    coefficients: int  # of a ciphertext: check lanes, lanes, zeros up to one polynomial
    polynomials: int
    value_bits: int  # lanes are below 2^value_bits
    guard_bits: int
    key_bound: int  # |coefficient| of the sum of all keys
    noise_bound: int  # |error| of the sum of all ciphertexts
    noise_limit: int  # at which a lane would move: never reached
    product_error: float  # bound on the distance of a computed product coefficient from its integer
    failure_log2: float  # chance that an honest sum opens wrongly: log2 0 = -inf, since noise_bound < noise_limit
    forgery_log2: float  # chance that a random wrong key passes the residuals of the coefficients known to be zero
    upload_bytes: int  # body of a ciphertext


def bounds(parameters: ParameterSet, parties: int, count: int) -> Bounds:
    """Everything that follows for (parties, count). Pure arithmetic; every rule is asserted on the result."""
    assert 2 <= parties <= PARTNERS_MAX, "a roster has 2 to 64 partners"
    assert 1 <= count <= LANES_MAX, "a vector has 1 to 2^26 lanes"
    p = parameters
    coefficients = max(p.degree, p.check_lanes + count)
    guard_bits = (parties - 1).bit_length()
    noise_bound, zeros = p.binomial * parties, coefficients - count
    limb_norm = math.ldexp(math.sqrt(p.degree), p.limb_bits - 1)
    result = Bounds(
        coefficients=coefficients,
        polynomials=-(-coefficients // p.degree),
        value_bits=p.sum_bits - guard_bits,
        guard_bits=guard_bits,
        key_bound=p.binomial * parties,
        noise_bound=noise_bound,
        noise_limit=1 << (p.delta_bits - 1),
        product_error=fft_error(p.degree) * limb_norm * p.factor_max * math.sqrt(p.degree),
        failure_log2=-math.inf,
        forgery_log2=zeros * (math.log2(2 * noise_bound + 1) - p.modulus_bits),
        upload_bytes=coefficients * p.modulus_bits // 8,
    )
    assert parties * ((1 << result.value_bits) - 1) < 1 << p.sum_bits, "the sum of all lanes fits"
    assert result.noise_bound < result.noise_limit, "the sum of all errors never moves a lane"
    assert result.product_error < ROUNDING_MAX, "products are exact"
    assert result.forgery_log2 <= -128, "a random wrong key is noticed"
    return result
