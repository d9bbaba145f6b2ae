"""The plan's run once more, in one process and without protection: the same fixed-point sums, added in the open.

What the encrypted run must equal to the last bit. Only the owner of all data can compute it, so it stays in the
sandbox.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from flwr.app import Context, RecordDict
from flwr.clientapp import ClientApp

from federation.grid import LocalGrid
from federation.horizontal import client, server
from federation.horizontal.checkpoint import Checkpoint
from federation.horizontal.coordinator import decide_now, ignore
from federation.horizontal.identity import KeyIdentity, KeyVerifier
from federation.horizontal.member import Member
from federation.horizontal.results import RunResult
from federation.horizontal.trainer import Trainer
from federation.plan_horizontal import HorizontalPlan
from federation.tabular import Rows
from privacy.aggregation import (
    Adder,
    AnswerMalformed,
    CiphertextMalformed,
    Dealing,
    Engine,
    Entropy,
    Lanes,
    Opened,
    Roster,
    Slot,
)
from privacy.ids import PartnerId
from privacy.seal import SealingKey, SigningKey

PLAIN = b"plain"


class _Sum:
    """Plain lanes, added."""

    def __init__(self, count: int) -> None:
        self._total = np.zeros(count, np.int64)

    def add(self, ciphertext: bytes, partner: str) -> None:
        lanes = np.frombuffer(ciphertext, np.int64)
        if lanes.shape != self._total.shape:
            raise CiphertextMalformed(why="another length")
        self._total = self._total + lanes

    def total(self) -> bytes:
        return self._total.tobytes()


class PlainEngine:
    """`privacy.aggregation.Engine` that hides nothing."""

    name = "plain"
    every_slot = True
    answers_total = False
    public_bytes = share_bytes = len(PLAIN)

    def __init__(self, roster: Roster, like: Engine) -> None:
        """like: the engine whose lanes it takes."""
        self.dealers = roster.partners
        self.value_bits = like.value_bits

    def deal(self, me: str, entropy: Entropy) -> Dealing:
        return Dealing(secret=PLAIN, public=PLAIN, shares=dict.fromkeys(self.dealers, PLAIN))

    def accept(self, dealer: str, holder: str, public: bytes, share: bytes) -> None:
        assert public == share == PLAIN, "nobody cheats in one process"

    def encrypt(self, key: bytes, lanes: Lanes, slot: Slot, me: str, entropy: Entropy) -> bytes:
        return lanes.astype(np.int64).tobytes()

    def adder(self, count: int, slot: Slot, key: bytes = b"") -> Adder:
        return _Sum(count)

    def answer(self, shares: Sequence[bytes], total: bytes) -> bytes:
        return PLAIN

    def check_answer(self, answer: bytes, count: int) -> None:
        if answer != PLAIN:
            raise AnswerMalformed(why="not a plain answer")

    def open(self, total: bytes, count: int, cohort: int, answers: Mapping[PartnerId, bytes]) -> Opened:
        return Opened(lanes=np.frombuffer(total, np.int64).copy())


def rerun(
    plan: HorizontalPlan, banks: Mapping[str, Rows], save: Callable[[Checkpoint], None] = lambda _: None
) -> RunResult:
    """The plan's whole run over these rows, every bank there in every round, nothing hidden, nobody dropping out.

    save: is shown the state after the statistics and after each round.
    """
    engine = PlainEngine(plan.roster, plan.new_engine())
    signing: dict[str, SigningKey] = {name: SigningKey(os.urandom(32)) for name in plan.partners}  # noqa: TID251 - a root
    sealing: dict[str, SealingKey] = {name: SealingKey(os.urandom(32)) for name in plan.partners}  # noqa: TID251 - a root
    known = {name: key.public for name, key in signing.items()}, {name: key.public for name, key in sealing.items()}

    def app(name: PartnerId) -> ClientApp:
        identity = KeyIdentity(name, signing[name], sealing[name], *known)
        member = Member(plan.roster, engine, identity, {}, plan.digest, os.urandom)  # noqa: TID251 - a root
        trainer = Trainer(plan, name, banks[name])
        return client.make_client_app(plan, lambda _: trainer, member, os.urandom, lambda result: result.record())  # noqa: TID251 - a root

    finished: list[RunResult] = []
    ports = server.Ports(
        verifier=KeyVerifier(known[0]),
        load=lambda: None,
        save=save,
        decide=decide_now,
        on_event=ignore,
        on_finished=finished.append,
        clock=time.monotonic,
    )
    grid = LocalGrid({name: app(name) for name in plan.partners}, plan.digest)
    context = Context(run_id=1, node_id=1, node_config={}, state=RecordDict(), run_config={})
    server.make_server_app(plan, engine, ports)(grid=grid, context=context)
    (result,) = finished
    return result
