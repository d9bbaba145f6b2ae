"""Pairwise masks as in SecAgg (Bonawitz et al., CCS 2017), its cheapest part only: the physical limit.

Every pair agrees on a key (X25519), both derive the same AES-256-CTR stream from it, one adds it and the other
subtracts it, modulo 2^32; the streams cancel in the sum of all. What SecAgg needs besides, the self-masks and the
shares of both keys that let a round survive a drop-out, is left out: a party that fails here voids the round.
"""

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from benchmarks.peers.scheme import CLIP, Values


class Masks:
    answers = 0

    def __init__(self, size: int, parties: int) -> None:
        self.count, self._parties = size, parties
        bits = 32 - (parties - 1).bit_length()
        self._offset = 1 << (bits - 1)
        self._scale = (self._offset - 1) / CLIP
        self.tolerance = parties / self._scale
        self._round = 0
        self._joined = 0
        self._sum = np.zeros(size, np.uint32)

    def setup(self) -> None:
        self._secrets = [X25519PrivateKey.generate() for _ in range(self._parties)]
        self._publics = [secret.public_key() for secret in self._secrets]
        # one party's agreements are its share of the setup; the others' are made when their masks are
        self._pair_keys = [self._agree(party) for party in range(self._parties)]

    def _agree(self, party: int) -> list[bytes]:
        def key(peer: int) -> bytes:
            shared = self._secrets[party].exchange(self._publics[peer])
            return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"pairwise mask").derive(shared)

        return [b"" if peer == party else key(peer) for peer in range(self._parties)]

    def prepare(self) -> tuple[int, int]:
        """Keys last: a round's stream is told apart by its counter block."""
        return 0, 0

    def quantise(self, party: int, values: Values, weight: float) -> NDArray[np.uint32]:
        scaled = values * np.float64(weight * self._scale)
        return np.rint(scaled, out=scaled).astype(np.int64).astype(np.uint32) + np.uint32(self._offset)

    def encrypt(self, party: int, quantised: NDArray[np.uint32]) -> NDArray[np.uint32]:
        block = self._round.to_bytes(8, "big") + bytes(8)
        zeros = bytes(4 * self.count)
        masked = quantised.copy()
        for peer, key in enumerate(self._pair_keys[party]):
            if peer == party:
                continue
            stream = np.frombuffer(Cipher(algorithms.AES(key), modes.CTR(block)).encryptor().update(zeros), np.uint32)
            masked = np.add(masked, stream, out=masked) if party < peer else np.subtract(masked, stream, out=masked)
        return masked

    def serialise(self, hidden: NDArray[np.uint32]) -> bytes:
        return hidden.tobytes()

    def add(self, upload: bytes) -> None:
        self._sum += np.frombuffer(upload, np.uint32)
        self._joined += 1

    def total(self) -> bytes:
        return self._sum.tobytes()

    def answer(self, holder: int) -> bytes:
        raise AssertionError("nobody is asked")

    def open(self, answers: list[bytes]) -> NDArray[np.float64]:
        assert self._joined == self._parties, "masks cancel only in the sum of all"
        opened = (self._sum.astype(np.int64) - self._parties * self._offset) / self._scale
        self._sum[:] = 0
        self._joined, self._round = 0, self._round + 1
        return opened


def scheme(size: int, parties: int) -> Masks:
    return Masks(size, parties)
