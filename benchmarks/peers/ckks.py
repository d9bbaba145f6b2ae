"""TenSEAL CKKS as NVFlare uses it: N = 8192, modulus chain [60, 40, 40], scale 2^40, symmetric encryption.

NVFlare 2.9 (tool `tenseal_builder.py` and `HEModelEncryptor`) gives every client the one secret key and the hub the
public context: whoever joins a client and the hub reads everybody's update. Weights are applied before encryption, a
client opens the encrypted sum itself, so the whole sum goes down to every client.
"""

import numpy as np
import tenseal  # type: ignore[import-not-found]  # installed in the peers' environment alone
from numpy.typing import NDArray

from benchmarks.peers.scheme import Values


class Ckks:
    answers = 0
    tolerance = 1e-6  # an approximate scheme: about 2^-40 of the scale and its noise a summand

    def __init__(self, size: int) -> None:
        self.count = size
        self._sum: tenseal.CKKSVector | None = None

    def setup(self) -> None:
        self._client = tenseal.context(
            tenseal.SCHEME_TYPE.CKKS,
            poly_modulus_degree=8192,
            coeff_mod_bit_sizes=[60, 40, 40],
            encryption_type=tenseal.ENCRYPTION_TYPE.SYMMETRIC,
            n_threads=1,
        )
        self._client.global_scale = 2**40
        public = self._client.serialize(
            save_public_key=False, save_secret_key=False, save_galois_keys=False, save_relin_keys=False
        )
        self._hub = tenseal.context_from(public, n_threads=1)

    def prepare(self) -> tuple[int, int]:
        """The key lasts for the whole job."""
        return 0, 0

    def quantise(self, party: int, values: Values, weight: float) -> list[float]:
        """CKKS rounds by itself; TenSEAL takes Python numbers."""
        weighted: list[float] = (values * np.float32(weight)).tolist()
        return weighted

    def encrypt(self, party: int, quantised: list[float]) -> tenseal.CKKSVector:
        return tenseal.ckks_vector(self._client, quantised)

    def serialise(self, hidden: tenseal.CKKSVector) -> bytes:
        data: bytes = hidden.serialize()
        return data

    def add(self, upload: bytes) -> None:
        received = tenseal.ckks_vector_from(self._hub, upload)
        if self._sum is None:
            self._sum = received
        else:
            self._sum += received

    def total(self) -> bytes:
        assert self._sum is not None
        self._handed = bytes(self._sum.serialize())
        self._sum = None
        return self._handed

    def answer(self, holder: int) -> bytes:
        raise AssertionError("nobody is asked")

    def open(self, answers: list[bytes]) -> NDArray[np.float64]:
        """A client reads the encrypted sum and opens it with the key that all clients hold."""
        return np.array(tenseal.ckks_vector_from(self._client, self._handed).decrypt())


def scheme(size: int, parties: int) -> Ckks:
    return Ckks(size)
