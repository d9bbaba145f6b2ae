"""Partners of a run for the tests: keys of their own, members, and Flower apps that fit a line."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from federation.horizontal.identity import KeyIdentity, KeyVerifier
from federation.horizontal.lanes import Update
from federation.horizontal.member import Member
from federation.horizontal.mod import homomorphic_app
from privacy.aggregation import Engine, Entropy, Roster
from privacy.ids import Digest, PartnerId
from privacy.seal import SealingKey, SigningKey
from privacy.threshold import Threshold, public_seed
from tests.support.entropy import SeededEntropy

JOB = Digest("5e" * 32)
UPDATE = Update(clip=4.0, examples_max=1000, metrics={"loss": 50.0})
NAMES = ("bank-a", "bank-b", "bank-c", "bank-d", "bank-e", "bank-f", "bank-g")
MemberClass = Callable[..., Member]


def roster(count: int, colluders: int = 1) -> Roster:
    names = NAMES[:count] if count <= len(NAMES) else tuple(f"node-{i:02d}" for i in range(count))
    return Roster(partners=tuple(map(PartnerId, names)), colluders=colluders)


def signing_key(partner: str) -> SigningKey:
    return SigningKey(SeededEntropy(f"sign/{partner}".encode())(32))


def sealing_key(partner: str) -> SealingKey:
    return SealingKey(SeededEntropy(f"seal/{partner}".encode())(32))


class Parties:
    """All partners of a roster with their stores, in one process."""

    def __init__(
        self,
        roster: Roster,
        engine: Engine | None = None,
        member: MemberClass = Member,
        entropy: Callable[[str], Entropy] = lambda partner: SeededEntropy(partner.encode()),
    ) -> None:
        self.roster = roster
        self.engine = engine or Threshold(roster, public_seed(JOB))
        self.signing = {p: signing_key(p).public for p in roster.partners}
        self.sealing = {p: sealing_key(p).public for p in roster.partners}
        self.verifier = KeyVerifier(self.signing)
        self.stores: dict[PartnerId, dict[str, bytes]] = {p: {} for p in roster.partners}
        self.members = {
            p: member(roster, self.engine, self.identity(p), self.stores[p], JOB, entropy(p)) for p in roster.partners
        }

    def identity(self, partner: PartnerId) -> KeyIdentity:
        return KeyIdentity(partner, signing_key(partner), sealing_key(partner), self.signing, self.sealing)

    def apps(
        self, update: Update = UPDATE, train: "Train | None" = None, only: Iterable[str] | None = None
    ) -> dict[str, ClientApp]:
        return {p: client(self.members[p], update, train or line(p)) for p in only or self.roster.partners}


Train = Callable[[Message, Context], RecordDict]


def client(member: Member, update: Update, train: Train, noise: Any = None) -> ClientApp:
    """A Flower app behind the mod: "train", and "query.statistics" answered by the node's own counts."""
    app = homomorphic_app(lambda message, context: member, update, noise)

    @app.train()
    def _train(message: Message, context: Context) -> Message:
        return Message(train(message, context), reply_to=message)

    @app.query("statistics")
    def _statistics(message: Message, context: Context) -> Message:
        place = member.roster.place(member.me)
        lanes = ArrayRecord({"lanes": Array(np.arange(5, dtype=np.int64) + 10 * place)})
        return Message(RecordDict({"lanes": lanes, "clear": ConfigRecord({"name": member.me})}), reply_to=message)

    return app


def rows(partner: str) -> tuple[np.ndarray, np.ndarray]:
    """A partner's own rows of y = 2 x1 - x2 + 0.5."""
    draw = np.random.default_rng(int.from_bytes(partner.encode(), "big") % 2**32)
    x = draw.normal(size=(60 + 20 * (ord(partner[-1]) % 5), 2))
    return x, x @ np.array([2.0, -1.0]) + 0.5


def line(partner: str) -> Train:
    """Gradient steps of a line on the partner's rows; deterministic given the weights."""
    x, y = rows(partner)

    def train(message: Message, context: Context) -> RecordDict:
        arrays = message.content["arrays"]
        weights = {name: array.numpy().astype(np.float64) for name, array in arrays.items()}
        loss = float(np.mean((x @ weights["w"] + weights["b"][0] - y) ** 2))
        w, b = weights["w"].copy(), weights["b"].copy()
        for _ in range(5):
            error = x @ w + b[0] - y
            w -= 0.1 * 2 * x.T @ error / len(y)
            b -= 0.1 * 2 * error.mean()
        moved = ArrayRecord(
            {"w": Array(w.astype(arrays["w"].numpy().dtype)), "b": Array(b.astype(arrays["b"].numpy().dtype))}
        )
        return RecordDict({"arrays": moved, "metrics": MetricRecord({"num-examples": len(y), "loss": loss})})

    return train


def start() -> ArrayRecord:
    return ArrayRecord({"w": Array(np.zeros(2)), "b": Array(np.zeros(1))})


def vector(arrays: ArrayRecord) -> np.ndarray:
    return np.concatenate([array.numpy().ravel() for array in arrays.values()])


def plain_rounds(partners: Iterable[str], rounds: int, update: Update, value_bits: int) -> np.ndarray:
    """The same rounds as sums of integers, without any protection: what the encrypted run must equal bit for bit."""
    weights = vector(start())
    for _ in range(rounds):
        lanes, cohort = 0, 0
        for partner in partners:
            arrays = ArrayRecord({"w": Array(weights[:2].copy()), "b": Array(weights[2:].copy())})
            answer = line(partner)(_given(arrays), Context(1, 1, {}, RecordDict(), {}))
            figures: Mapping[str, Any] = answer["metrics"]
            lanes = lanes + update.encode(
                vector(answer["arrays"]) - weights, figures["num-examples"], {"loss": figures["loss"]}, value_bits
            )
            cohort += 1
        weights = weights + update.decode(lanes, cohort, value_bits).update
    return weights


class _given:
    def __init__(self, arrays: ArrayRecord) -> None:
        self.content = RecordDict({"arrays": arrays})
