"""A whole encrypted product between an encryptor and holders, for the tests of `privacy.linear`, and its known answers.

`python -m tests.privacy.linear_session` (PYTHONPATH=.:proto) prints tests/vectors/linear.json.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from privacy import linear
from privacy.linear import wire
from privacy.ring import Ints
from tests.support.entropy import SeededEntropy

CONTEXT = b"order digest and run"
SMALL = {"x_max": 1, "r_max": 1}  # N = 4096: the fastest parameters
SEED = linear.joint_seed([b"a" * 32, b"b" * 32])


@dataclass
class Session:
    """Both roles in one process. `messages` keeps what crossed the wire; `between` runs before each delivery."""

    parameters: linear.Parameters
    matrices: dict[str, Ints]
    entropy: Callable[[int], bytes]
    between: Callable[["Session"], None] = lambda session: None
    messages: dict[str, bytes] = field(default_factory=dict)
    encryptor: linear.Encryptor = field(init=False)
    holders: dict[str, linear.Multiplier] = field(init=False)

    def __post_init__(self) -> None:
        self.encryptor = linear.Encryptor(self.parameters, SEED, CONTEXT, self.entropy)
        self.holders = {
            name: linear.Multiplier(self.parameters, SEED, name, matrix, CONTEXT, self.entropy)
            for name, matrix in self.matrices.items()
        }

    def _kept(self, name: str, message: bytes) -> bytes:
        self.messages[name] = message
        self.between(self)
        return message

    def take_hints(self) -> "Session":
        for name in self.holders:
            hint = self._kept(f"hint {name}", self.holders[name].hint())
            self.encryptor.take_hint(name, hint)
        return self

    def prove(self) -> "Session":
        zero = self._kept("zero", self.encryptor.zero_test())
        for name in self.holders:
            reply = self._kept(f"zero reply {name}", self.holders[name].multiply(zero))
            opened = self._kept(f"zero opened {name}", self.encryptor.decrypt(name, reply))
            proof = self._kept(f"zero proof {name}", self.holders[name].prove(opened))
            self.encryptor.verify_zero(name, proof)
        return self

    def product(self, vectors: Ints, label: str = "") -> dict[str, Ints]:
        message = self._kept(f"product{label}", self.encryptor.encrypt(vectors))
        results = {}
        for name in self.holders:
            reply = self._kept(f"reply{label} {name}", self.holders[name].multiply(message))
            opened = self._kept(f"opened{label} {name}", self.encryptor.decrypt(name, reply))
            results[name] = self.holders[name].open(opened)
        return results


def restarted(
    encryptor: linear.Encryptor,
    parameters: linear.Parameters,
    seed: bytes,
    context: bytes,
    entropy: Callable[[int], bytes],
) -> linear.Encryptor:
    """An encryptor that goes on from what another has stored."""
    pieces = {name: make() for name, make in encryptor.pieces().items()}
    return linear.Encryptor.load(encryptor.dump(), pieces, parameters, seed, context, entropy)


def reload_all(session: Session) -> None:
    """What a `kill -9` of every party between two steps amounts to: each goes on from its stored bytes."""
    p = session.parameters
    session.encryptor = restarted(session.encryptor, p, SEED, CONTEXT, session.entropy)
    for name, holder in session.holders.items():
        matrix = session.matrices[name]
        session.holders[name] = linear.Multiplier.load(holder.dump(), p, SEED, name, matrix, CONTEXT, session.entropy)


def random_matrix(rows: int, columns: int, x_max: int, seed: int = 0) -> Ints:
    return np.random.default_rng(seed).integers(-x_max, x_max + 1, (rows, columns))


def random_vectors(count: int, rows: int, r_max: int, seed: int = 1) -> Ints:
    return np.random.default_rng(seed).integers(-r_max, r_max + 1, (count, rows))


def ready(
    matrices: dict[str, Ints], *, x_max: int, r_max: int, messages: int = 8, entropy_seed: bytes = b"session"
) -> Session:
    """A session whose hints are exchanged and whose zero tests have passed."""
    rows = next(iter(matrices.values())).shape[0]
    columns = max(matrix.shape[1] for matrix in matrices.values())
    p = linear.parameters(rows, columns, x_max, r_max, messages, holders=len(matrices))
    return Session(p, matrices, SeededEntropy(entropy_seed)).take_hints().prove()


def small_session(messages: int = 8) -> Session:
    """A ready session of one holder with 200 rows and 3 columns."""
    return ready({"bank": random_matrix(200, 3, 1)}, **SMALL, messages=messages)


def reframed(message: bytes, body: bytes, *, count: int | None = None, sequence: int | None = None) -> bytes:
    """The message with another body under a fitting header: what a party that lies sends, rather than a bad line."""
    _, kind, bound, old_sequence, old_count, _, _ = wire.HEADER.unpack_from(message)
    new_sequence = old_sequence if sequence is None else sequence
    return wire.frame(wire.MessageKind(kind), bound, new_sequence, old_count if count is None else count, body)


def body_of(message: bytes) -> bytearray:
    return bytearray(message[wire.HEADER.size :])


def opened_values(message: bytes) -> Ints:
    _, _, _, _, count, _, _ = wire.HEADER.unpack_from(message)
    return np.frombuffer(bytes(body_of(message)), "<i8").reshape(count, -1)


def known_answers() -> dict[str, object]:
    """SHA-256 of every message of one seeded session at each ring degree, and its products."""
    cases: dict[str, object] = {}
    for name, (rows, columns, x_max, r_max) in {"N=4096": (300, 2, 1, 1), "N=8192": (300, 2, 2047, 1023)}.items():
        matrices = {"bank": random_matrix(rows, columns, x_max)}
        session = ready(matrices, x_max=x_max, r_max=r_max, entropy_seed=b"known answers")
        products = session.product(random_vectors(2, rows, r_max))["bank"]
        digests = {kind: hashlib.sha256(message).hexdigest() for kind, message in session.messages.items()}
        agreed = session.parameters.agreed()
        cases[name] = {"parameters": agreed, "sha256": digests, "products": products.tolist()}
    return cases


def _vector_file() -> dict[str, object]:
    return {
        "source": "seeded run of this implementation; an independent check of the products is in test_linear.py",
        "command": "PYTHONPATH=.:proto python -m tests.privacy.linear_session > tests/vectors/linear.json",
        "matrix": "numpy default_rng(0).integers(-x_max, x_max + 1, (rows, columns))",
        "vectors": "numpy default_rng(1).integers(-r_max, r_max + 1, (2, rows))",
        "cases": known_answers(),
    }


if __name__ == "__main__":
    print(json.dumps(_vector_file(), indent=1))
