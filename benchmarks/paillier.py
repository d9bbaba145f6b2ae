"""What per-element Paillier (phe) costs on this machine: each operation measured on a sample, to be scaled.

At the sizes of a training it would take hours to days. Whoever scales these figures says so in the row's case.
"""

from dataclasses import dataclass

import numpy as np
import phe
from numpy.typing import NDArray

from benchmarks.harness import seconds

BITS = 3072
NAME = f"phe {BITS}"
SAMPLE_ROWS, SAMPLE_COLUMNS = 40, 4
SAMPLE = f"scaled from {SAMPLE_ROWS} rows x {SAMPLE_COLUMNS} columns"


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Seconds of one operation: an entry encrypted, multiplied by a plain cell and added, a sum decrypted."""

    encrypt: float
    multiply: float
    decrypt: float

    def product(self, rows: int, columns: int, vectors: int = 1) -> float:
        """Seconds of X^T r for a matrix of this shape and so many vectors r."""
        return vectors * (self.encrypt * rows + self.multiply * rows * columns + self.decrypt * columns)


class Paillier:
    """A key pair, made once."""

    def __init__(self) -> None:
        self._public, self._private = phe.generate_paillier_keypair(n_length=BITS)

    def costs(self, matrix: NDArray[np.int64], vector: NDArray[np.int64]) -> Costs:
        """Of the first rows and columns of a matrix times a vector. Raises AssertionError for a wrong product."""
        sample, short = matrix[:SAMPLE_ROWS, :SAMPLE_COLUMNS], vector[:SAMPLE_ROWS]
        encrypted: list[phe.EncryptedNumber] = []
        sums: list[phe.EncryptedNumber] = []

        def encrypt() -> None:
            encrypted.extend(self._public.encrypt(int(value)) for value in short)

        def multiply() -> None:
            for column in sample.T:
                terms = [cipher * int(value) for cipher, value in zip(encrypted, column, strict=True)]
                sums.append(sum(terms[1:], terms[0]))

        def decrypt() -> None:
            opened = [self._private.decrypt(value) for value in sums]
            assert opened == (sample.T @ short).tolist(), "the product in clear"

        return Costs(
            encrypt=seconds(encrypt) / SAMPLE_ROWS,
            multiply=seconds(multiply) / (SAMPLE_ROWS * SAMPLE_COLUMNS),
            decrypt=seconds(decrypt) / SAMPLE_COLUMNS,
        )
