"""A holder's columns as the protocol uses them: the m real ones, five secret check combinations, and a secret order.

Everything here follows from the matrix and one 32-byte secret, so a holder that restarts has the same hint again.
Sent order means the order the encryptor sees; it learns neither which columns are checks nor which real column is
which.
"""

import numpy as np

from privacy.linear.errors import EncryptorCheated, HintSelfCheckFailed, InputOutOfRange
from privacy.linear.parameters import CHECK_COLUMNS, UNIFORM_NORM, Parameters
from privacy.ring import Complexes, Floats, Ints, Stream, centred, exact_product

SELF_CHECKS = 16  # random ternary z per hint; a wrong entry escapes one with chance 1/3
COLUMNS_PER_BLOCK = 16  # columns transformed at once: bounds memory, not the result


def public_transform(parameters: Parameters, seed: bytes) -> Complexes:
    """Transforms of a_1..a_blocks and p, drawn from the joint seed: (digits, blocks + 1, N/2)."""
    ring = parameters.ring
    drawn = ring.balanced(ring.uniform(Stream(seed, "public"), parameters.blocks + 1, ring.degree))
    largest = np.sqrt((drawn.astype(np.float64) ** 2).sum(-1)).max()
    assert largest <= UNIFORM_NORM * 2.0 ** (ring.digit_bits - 1) * ring.degree**0.5, (
        "the joint seed gives uniform digits"
    )
    return ring.forward(drawn)


class Columns:
    """The matrix, its blinding polynomials u_j, the check weights and the secret order."""

    def __init__(self, parameters: Parameters, secret: bytes, matrix: Ints) -> None:
        _check_matrix(parameters, matrix)
        self._parameters, self._secret = parameters, secret
        self.real = matrix.shape[1]
        self.total = self.real + CHECK_COLUMNS
        self._matrix: Floats = matrix.astype(np.float64)
        self._bounds = np.abs(matrix).sum(0) * parameters.r_max
        self._weights = Stream(secret, "check weights").below_odd_byte(CHECK_COLUMNS, self.real)
        self._order = Stream(secret, "order").permutation(self.total)  # sent column i is internal column order[i]
        self._blind: Floats = Stream(secret, "blinding").ternary(self.total, parameters.degree).astype(np.float64)
        self._blind_turned = np.ascontiguousarray(self._blind[:, ::-1].T)  # coefficient N-1 of B u is <B, turned u>

    def hint(self, seed: bytes) -> bytes:
        """h_j = sum_i a_i X_ij + p u_j + e_j for every column, in sent order, packed.

        Raises HintSelfCheckFailed when random combinations of the result differ from their exact recomputation.
        """
        ring = self._parameters.ring
        public = public_transform(self._parameters, seed)
        probes = Stream(self._secret, "self-check").ternary(SELF_CHECKS, ring.degree)
        expected = self._probe(public, probes)
        turned = probes[:, ::-1].T.astype(np.float64)
        noise = Stream(self._secret, "errors").errors(self.total, ring.degree)
        packed: list[bytes] = []

        def finish(plain: Ints) -> None:
            columns = slice(len(packed), len(packed) + plain.shape[1])
            element = self._blinded(public, plain, columns)
            found = exact_product(element, turned)
            if (ring.normalise(found) != expected[..., columns].transpose(0, 2, 1)).any():
                raise HintSelfCheckFailed
            element[0] += noise[columns]
            ring.normalise(element)
            packed.extend(ring.pack(element[:, column]) for column in range(element.shape[1]))

        checks = np.zeros((ring.digits, CHECK_COLUMNS, ring.degree), np.int64)
        for first in range(0, self.real, COLUMNS_PER_BLOCK):
            columns = slice(first, min(first + COLUMNS_PER_BLOCK, self.real))
            plain = ring.normalise(ring.inverse(self._times_public(public, columns)))
            checks += np.matmul(self._weights[:, columns], plain)
            finish(plain)
        finish(checks)
        return b"".join(packed[column] for column in self._order)

    def product(self, elements: Ints) -> Ints:
        """coeff_{N-1}(sum_i b_i X_ij + B u_j) of k encrypted vectors (digits, k, n + N) -> (digits, k, m + 5).

        Every partial sum of the two matrix products is an integer below 2^53 (parameters), so float64 is exact in any
        order.
        """
        ring, rows = self._parameters.ring, self._parameters.rows
        plain = exact_product(elements[..., :rows], self._matrix)
        blind = exact_product(elements[..., rows:], self._blind_turned)
        return ring.normalise(self._with_checks(ring.normalise(plain), blind))[..., self._order]

    def restore(self, sent: Ints) -> Ints:
        """The exact products (k, m) of unmasked residues (k, m + 5) in sent order.

        Raises EncryptorCheated when a value exceeds r_max * sum |X_ij| or a check column is not its combination.
        """
        bits = self._parameters.plain_bits
        internal = np.empty_like(sent)
        internal[:, self._order] = sent
        values = centred(internal[:, : self.real], bits)
        if (np.abs(values) > self._bounds).any():
            raise EncryptorCheated(why="a value is larger than any agreed vector could give")
        # products stay below 2^62 modulo 2^64 wrap-around, which a power-of-two plain modulus does not notice
        difference = values @ self._weights.T - internal[:, self.real :]
        if centred(difference, bits).any():
            raise EncryptorCheated(why="a check column is not its combination")
        return values

    def _with_checks(self, plain: Ints, blind: Ints) -> Ints:
        """Real products (digits, ., m) and blinding products (digits, ., m + 5) -> all columns, internal order."""
        return np.concatenate([plain, plain @ self._weights.T], axis=-1) + blind

    def _times_public(self, public: Complexes, columns: slice) -> Complexes:
        """Transform of sum_i a_i X_ij for internal real columns: (digits, columns, N/2)."""
        ring = self._parameters.ring
        width = columns.stop - columns.start
        total = np.zeros((ring.digits, width, ring.degree // 2), np.complex128)
        for block, rows in self._row_blocks():
            polynomial = np.zeros((width, ring.degree))
            polynomial[:, ring.degree - len(rows) :] = rows[::-1, columns].T  # row r at N-1-r: its product meets at N-1
            total += public[:, block, None, :] * ring.forward(polynomial)
        return total

    def _blinded(self, public: Complexes, plain: Ints, columns: slice) -> Ints:
        """plain + p u_j for internal columns, canonical: (digits, columns, N)."""
        ring = self._parameters.ring
        return ring.normalise(plain + ring.inverse(public[:, -1, None, :] * ring.forward(self._blind[columns])))

    def _probe(self, public: Complexes, probes: Ints) -> Ints:
        """coeff_{N-1} of (sum_i a_i X_ij + p u_j) z for every probe z, by exact matrix products: (digits, z, m + 5)."""
        ring = self._parameters.ring
        transform = ring.forward(probes)
        plain = np.zeros((ring.digits, len(probes), self.real), np.int64)
        for block, rows in self._row_blocks():
            turned = ring.normalise(ring.inverse(public[:, block, None, :] * transform))
            plain += exact_product(turned[..., : len(rows)], rows)
        turned = ring.normalise(ring.inverse(public[:, -1, None, :] * transform))
        blind = exact_product(turned, self._blind_turned)
        return ring.normalise(self._with_checks(ring.normalise(plain), blind))

    def _row_blocks(self) -> list[tuple[int, Floats]]:
        degree = self._parameters.degree
        return [(i, self._matrix[i * degree : (i + 1) * degree]) for i in range(self._parameters.blocks)]


def _check_matrix(parameters: Parameters, matrix: Ints) -> None:
    if matrix.dtype != np.int64 or matrix.ndim != 2 or matrix.shape[0] != parameters.rows:
        raise InputOutOfRange(what="matrix", why=f"int64 with {parameters.rows} rows is expected")
    if not 1 <= matrix.shape[1] <= parameters.columns:
        raise InputOutOfRange(what="matrix", why=f"{matrix.shape[1]} columns where 1..{parameters.columns} are agreed")
    if matrix.max() > parameters.x_max or matrix.min() < -parameters.x_max:
        raise InputOutOfRange(what="matrix", why=f"an entry beyond {parameters.x_max}")
