"""The codes: generators of the textbooks, the premises of the distance theorems, and words of low weight searched."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.psi.oprf import code
from privacy.psi.oprf.code import Bytes, Field, LinearCode

BCH = code.bch()
REED_SOLOMON = code.reed_solomon()
CODES = pytest.mark.parametrize("chosen", [BCH, REED_SOLOMON], ids=["bch", "reed-solomon"])
FIELD_512 = Field(0b1000010001)
# Lin and Costello, Error Control Coding, 2nd edition, appendix C, in octal (highest coefficient first)
TEXTBOOK = [
    (0b10011, 5, "721"),  # [15, 7, 5]
    (0b10011, 7, "2467"),  # [15, 5, 7]
    (0b100101, 5, "3551"),  # [31, 21, 5]
    (0b100101, 7, "107657"),  # [31, 16, 7]
    (0b1000011, 5, "12471"),  # [63, 51, 5]
]


def remainder(dividend: int, divisor: int) -> int:
    while dividend.bit_length() >= divisor.bit_length():
        dividend ^= divisor << dividend.bit_length() - divisor.bit_length()
    return dividend


def value(polynomial: int, field: Field, exponent: int) -> int:
    """polynomial(α^exponent)."""
    out = 0
    for i in range(polynomial.bit_length()):
        out ^= field.power(i * exponent) if polynomial >> i & 1 else 0
    return out


def generator(chosen: LinearCode) -> Bytes:
    """The codewords of the unit words as bits."""
    units = np.packbits(np.eye(chosen.dimension, dtype=np.uint8), axis=1, bitorder="little")
    return np.unpackbits(chosen.encode(units), axis=1, bitorder="little")


def reduced(matrix: Bytes, order: Bytes) -> Bytes:
    """Row echelon form with pivots in the first columns of `order` that allow it."""
    out, row = matrix.copy(), 0
    for column in order:
        found = np.flatnonzero(out[row:, column])
        if len(found) == 0:
            continue
        out[[row, row + found[0]]] = out[[row + found[0], row]]
        others = np.flatnonzero(out[:, column])
        out[others[others != row]] ^= out[row]
        row += 1
        if row == len(out):
            break
    return out


@pytest.mark.parametrize(("modulus", "distance", "octal"), TEXTBOOK)
def test_generators_of_the_textbook(modulus: int, distance: int, octal: str) -> None:
    assert code.bch_generator(Field(modulus), distance) == int(octal, 8)


def test_bch_bound_holds_for_the_generator() -> None:
    polynomial = code.bch_generator(FIELD_512, 171)
    assert polynomial.bit_length() - 1 == 511 - 76
    assert remainder((1 << 511) | 1, polynomial) == 0
    assert all(value(polynomial, FIELD_512, e) == 0 for e in range(1, 171))
    assert value(polynomial, FIELD_512, 171) != 0


def test_bch_words_are_multiples_of_the_generator_less_the_highest_coefficients() -> None:
    polynomial = code.bch_generator(FIELD_512, 171)
    assert (BCH.length, BCH.dimension, BCH.distance) == (456, 64, 128)
    for i, row in enumerate(generator(BCH)):
        word = sum(int(bit) << j for j, bit in enumerate(row))
        missing = (polynomial << i) ^ word
        assert missing % (1 << 456) == 0 and missing >> 499 == 0  # 43 coefficients: 456 … 498
    assert 499 <= 511 and 171 - (499 - 456) == 128


@pytest.mark.parametrize("dimension", [8, 72])
def test_other_bch_dimensions(dimension: int) -> None:
    chosen = code.bch(dimension)
    assert (chosen.length, chosen.dimension, chosen.distance) == (dimension + 392, dimension, 128)


def test_inner_code_has_distance_4() -> None:
    words = [code._inner(symbol) for symbol in range(64)]
    assert min(a.bit_count() for a in words[1:]) == 4
    assert all(words[a] ^ words[b] == words[a ^ b] for a, b in combinations(range(64), 2))
    assert all(word & 63 == symbol and word < 1 << 11 for symbol, word in enumerate(words))


@pytest.mark.parametrize(("symbols", "length", "dimension"), [(7, 416, 40), (23, 592, 136), (31, 680, 184)])
def test_outer_code_is_reed_solomon_and_few_symbols_agree(symbols: int, length: int, dimension: int) -> None:
    chosen = code.reed_solomon(symbols)
    assert (chosen.length, chosen.dimension, chosen.distance) == (length, dimension, 128)
    # before shortening: two polynomials of degree < K agree in at most K - 1 of the K + 31 points, so 32 differ
    field = Field(0b1000011)
    points = [field.power(i) for i in range(symbols + 31)]
    assert len(set(points)) == symbols + 31 and 0 not in points


def test_a_reed_solomon_word_of_least_weight_has_32_symbols() -> None:
    """The product of (x - point) over K - 1 points, scaled: the theorem's extreme case, coefficient by coefficient."""
    field = Field(0b1000011)
    product = [1]
    for i in range(22):
        shifted, scaled = [0, *product], [field.multiply(field.power(i), c) for c in product] + [0]
        product = [a ^ b for a, b in zip(shifted, scaled, strict=True)]
    values = []
    for i in range(54):
        total = 0
        for degree, coefficient in enumerate(product):
            total ^= field.multiply(coefficient, field.power(i * degree))
        values.append(total)
    assert sum(v != 0 for v in values) == 32
    assert (
        min(sum(code._inner(field.multiply(v, field.power(k))).bit_count() for v in values) for k in range(63)) >= 128
    )


@CODES
def test_encoding_is_linear_and_one_to_one(chosen: LinearCode) -> None:
    rng = np.random.default_rng(4)
    a, b = rng.integers(0, 256, (2, 50, chosen.word_bytes), dtype=np.uint8)
    assert (chosen.encode(a) ^ chosen.encode(b) == chosen.encode(a ^ b)).all()
    assert not chosen.encode(np.zeros((1, chosen.word_bytes), np.uint8)).any()
    pivots = reduced(generator(chosen), np.arange(chosen.length))
    assert pivots.any(axis=1).all()


@CODES
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_encoding_is_the_sum_of_generator_rows(chosen: LinearCode, data: st.DataObject) -> None:
    word = np.frombuffer(data.draw(st.binary(min_size=chosen.word_bytes, max_size=chosen.word_bytes)), np.uint8)
    chosen_bits = np.unpackbits(word, bitorder="little").astype(bool)
    expected = np.bitwise_xor.reduce(generator(chosen)[chosen_bits], axis=0, initial=0)
    assert (np.unpackbits(chosen.encode(word[None])[0], bitorder="little") == expected).all()


@CODES
def test_no_word_below_the_distance_is_found(chosen: LinearCode) -> None:
    """Not the proof (see the module), but a search where light words are: single bits, pairs, random, and the
    combinations of one and two rows of echelon forms (Lee and Brickell, Eurocrypt '88)."""
    rng = np.random.default_rng(5)
    rows = generator(chosen)
    weights = [rows.sum(axis=1).min()]
    weights.append(min((rows[i] ^ rows[i + 1 :]).sum(axis=1).min() for i in range(len(rows) - 1)))
    words = rng.integers(0, 256, (50_000, chosen.word_bytes), dtype=np.uint8)
    weights.append(np.bitwise_count(chosen.encode(words)).sum(axis=1).min())
    for _ in range(15):
        echelon = reduced(rows, rng.permutation(chosen.length))
        weights.append(echelon.sum(axis=1).min())
        weights.append(min((echelon[i] ^ echelon[i + 1 :]).sum(axis=1).min() for i in range(len(echelon) - 1)))
    assert min(weights) >= chosen.distance
    assert min(weights) < 1.5 * chosen.distance, "the search does find light words"


def test_a_code_with_a_row_in_the_span_of_others_is_a_defect() -> None:
    matrix = np.array([[1, 0, 1, 1], [0, 1, 1, 0], [1, 1, 0, 1]], np.uint8)
    with pytest.raises(IndexError):
        code.shortened(matrix, 1)


@CODES
def test_tables_cannot_be_changed(chosen: LinearCode) -> None:
    with pytest.raises(ValueError, match="read-only"):
        chosen.tables[0, 0, 0] = 1


def test_words_of_another_size_are_a_defect() -> None:
    with pytest.raises(AssertionError):
        BCH.encode(np.zeros((3, 9), np.uint8))
