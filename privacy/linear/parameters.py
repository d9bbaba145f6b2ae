"""Parameters of the encrypted product and the reasons for each number. Pure arithmetic, no randomness.

q = 2^modulus_bits, plain values modulo t = 2^plain_bits, Delta = q / t. All numbers follow from seven agreed ones, so
both sides compute them and bind them into every message.
"""

import math
from dataclasses import dataclass
from functools import cache

from privacy import canonical
from privacy.linear.errors import ParametersImpossible
from privacy.ring import ERROR_MAX, ERROR_VARIANCE, EXACT_BITS, MODULUS_BITS_MAX, Ring, fft_error

CHECK_COLUMNS = 5  # secret random combinations of the columns
CHECK_WEIGHT_MAX = (
    127  # their weights are uniform in -127..127: an altered opening passes one with chance 1/255 at most
)
ZERO_VECTORS = 4  # vectors of a zero test, each under its own key
FAILURE_LOG2_MAX = -40.0  # chance that any opened value of the whole training is off by one
UNIFORM_NORM = 0.62  # a uniform balanced digit has root mean square 2^(w-1) / sqrt 3 = 0.577 * 2^(w-1); asserted

DEGREE_MIN = 4096  # one key answers `columns` products of plain_bits each: smaller rings leave too little of it
ROWS_MAX = 1 << 20
COLUMNS_MAX = 512
MESSAGES_MAX = 1 << 16
HOLDERS_MAX = 16
LINKS_MAX = 1 << 10
X_MAX = 1 << 15
R_MAX = 1 << 31


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """Agreed bounds and what follows from them. Made by `parameters`; a value that exists satisfies every rule there.

    rows: clients; columns: the most columns a holder's matrix has; x_max, r_max: largest absolute entry of matrix and
    vector; messages: encrypted vectors over the whole training, each under its own key (zero tests not counted);
    holders: feature holders that answer one encryptor; links: products with own parameters in the whole training.
    """

    rows: int
    columns: int
    x_max: int
    r_max: int
    messages: int
    holders: int
    links: int
    degree: int
    modulus_bits: int
    plain_bits: int
    digit_bits: int
    failure_log2: float  # log2 of the bound on any off-by-one in this link, computed; over all links 2^-40 at most

    @property
    def ring(self) -> Ring:
        return _ring(self.degree, self.modulus_bits, self.digit_bits)

    @property
    def delta_bits(self) -> int:
        return self.modulus_bits - self.plain_bits

    @property
    def blocks(self) -> int:
        """Polynomials that the rows fill."""
        return -(-self.rows // self.degree)

    @property
    def vectors_max(self) -> int:
        """Vectors one holder answers at most, zero tests included (one may be made anew for each holder)."""
        return self.messages + ZERO_VECTORS * self.holders

    def message_bytes(self, vectors: int) -> int:
        """Body bytes of an encrypted message of that many vectors."""
        return vectors * (self.rows + self.degree) * self.ring.coefficient_bytes

    def agreed(self) -> canonical.Value:
        """The numbers both sides must share, as a canonical value."""
        names = ("rows", "columns", "x_max", "r_max", "messages", "holders")
        derived = ("degree", "modulus_bits", "plain_bits", "digit_bits")
        return {name: int(getattr(self, name)) for name in (*names, *derived)}


def parameters(
    n: int, columns: int, x_max: int, r_max: int, messages: int, holders: int = 1, links: int = 1
) -> Parameters:
    """The smallest parameters for an (n, columns) matrix with |X| <= x_max and vectors with |r| <= r_max.

    links: how many such products a training has, of encryptors and parts of the rows: each may fail with its share.
    Raises ParametersImpossible when a limit is exceeded or no ring of the tables is large enough.
    """
    limits = (
        ("rows", n, ROWS_MAX),
        ("columns", columns, COLUMNS_MAX),
        ("x_max", x_max, X_MAX),
        ("r_max", r_max, R_MAX),
        ("messages", messages, MESSAGES_MAX),
        ("holders", holders, HOLDERS_MAX),
        ("links", links, LINKS_MAX),
    )
    for name, value, limit in limits:
        if not 1 <= value <= limit:
            raise ParametersImpossible(why=f"{name} {value} is not in 1..{limit}")
    plain_bits = _plain_bits(n, x_max, r_max)
    if plain_bits > 62:
        raise ParametersImpossible(why=f"a product needs {plain_bits} bits, 62 are possible")
    why = ""
    for degree, modulus_bits_max in MODULUS_BITS_MAX.items():
        if degree < DEGREE_MIN:
            continue
        noise = _expected_carries_log2(n, columns, x_max, messages, holders, degree)
        modulus_bits = 8 * math.ceil((plain_bits + math.ceil(noise + math.log2(links) - FAILURE_LOG2_MAX)) / 8)
        digit_bits = _digit_bits(n, x_max, degree, modulus_bits)
        if modulus_bits > modulus_bits_max:
            why = f"N = {degree} holds {modulus_bits_max} bits, {modulus_bits} are needed"
        elif (columns + CHECK_COLUMNS) * plain_bits * holders > degree:
            # what crafted hints could read of one key, all holders together, stays well under its N * 1.58 bits
            why = f"{holders} holders x {columns} columns x {plain_bits} bits exceed N = {degree}"
        else:
            chosen = Parameters(
                rows=n, columns=columns, x_max=x_max, r_max=r_max, messages=messages, holders=holders, links=links,
                degree=degree, modulus_bits=modulus_bits, plain_bits=plain_bits, digit_bits=digit_bits,
                failure_log2=noise - (modulus_bits - plain_bits),
            )  # fmt: skip
            _assert_sound(chosen)
            return chosen
    raise ParametersImpossible(why=why)


def columns_max(n: int, x_max: int, r_max: int, holders: int = 1) -> int:
    """The most columns of a matrix for which the caps leave a ring; below 1 where even one is too many."""
    room = max(MODULUS_BITS_MAX) // (_plain_bits(n, x_max, r_max) * holders) - CHECK_COLUMNS
    return min(room, COLUMNS_MAX)


@cache
def _ring(degree: int, modulus_bits: int, digit_bits: int) -> Ring:
    return Ring(degree=degree, modulus_bits=modulus_bits, digit_bits=digit_bits)


def _plain_bits(n: int, x_max: int, r_max: int) -> int:
    # An offset between two values inside the bound is at most 2 * bound; times the difference of two weights (254) it
    # must not wrap modulo t, or an offset of t/2 would pass every even weight.
    return (4 * CHECK_WEIGHT_MAX * n * x_max * r_max).bit_length()


def _expected_carries_log2(n: int, columns: int, x_max: int, messages: int, holders: int, degree: int) -> float:
    """log2 of Delta times the expected number of off-by-one values over all messages.

    Value j is off by one exactly when pad_low + noise leaves [0, Delta); pad_low is uniform and independent, so the
    chance is E|noise| / Delta, and E|noise| <= sqrt(variance) with noise = <e, X_j> + <e', u_j> + <e_j, s>.
    """
    plain = math.sqrt(ERROR_VARIANCE * (n * x_max**2 + 2 * degree))
    check = math.sqrt(ERROR_VARIANCE * (n * (CHECK_WEIGHT_MAX * columns * x_max) ** 2 + 2 * degree))
    vectors = holders * (messages + ZERO_VECTORS * holders)
    return math.log2(vectors * (columns * plain + CHECK_COLUMNS * check))


def _digit_bits(n: int, x_max: int, degree: int, modulus_bits: int) -> int:
    """The widest digit for which transforms and float64 matrix products are exact, evened out over the digits."""
    blocks = -(-n // degree)
    norms = UNIFORM_NORM * math.sqrt(degree) * (blocks * x_max * math.sqrt(min(n, degree)) + math.sqrt(degree))
    for_transform = math.floor(math.log2(0.5 / (fft_error(degree) * norms))) + 1  # |digit| <= 2^(w-1)
    for_sums = EXACT_BITS - math.ceil(math.log2(n * x_max + degree))
    widest = min(for_transform, for_sums, 30)
    if widest < 8:
        raise ParametersImpossible(why=f"exact products would need digits of {widest} bits")
    return -(-modulus_bits // -(-modulus_bits // widest))


def _assert_sound(p: Parameters) -> None:
    """The rules every parameter set meets, checked on the finished value rather than trusted from its derivation."""
    assert p.failure_log2 + math.log2(p.links) <= FAILURE_LOG2_MAX, "off-by-one over the whole training at most 2^-40"
    assert p.modulus_bits <= MODULUS_BITS_MAX[p.degree], "modulus within the limit for 128 bit"
    assert 2 * p.rows * p.x_max * p.r_max < 1 << p.plain_bits, "every true product fits modulo t"
    assert ((p.rows * p.x_max + p.degree) << p.digit_bits) <= 1 << EXACT_BITS, "sums of digits are exact in float64"
    worst = ERROR_MAX * (p.rows * CHECK_WEIGHT_MAX * p.columns * p.x_max + 2 * p.degree)
    assert worst < 1 << (p.delta_bits - 1), "the worst noise moves a value by one at most"
    assert p.r_max.bit_length() + p.digit_bits <= 62, "a shifted vector entry fits an int64"
