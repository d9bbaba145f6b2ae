"""What the approved plan allows in each round, held at this node: the hub leads the run, it does not extend it.

People approve a number of rounds. So a node takes one input in each of them, weights and settings, trains in rounds 1
to R alone, gives statistics in round 0 and figures in round R + 1, all with one scaling, and makes and holds no more
keys than the plan prepares ahead. Whatever slot a hub names, it gets no more; what is refused is not noted.
"""

import hashlib
from collections.abc import Iterable, Sequence

from federation.horizontal import keys
from federation.horizontal.identity import Identity
from federation.horizontal.member import Member
from federation.horizontal.trainer import FINISH, STATISTICS, TRAINING, Task
from federation.horizontal.wire import Complaint, Dealing, Dealt, Input
from federation.plan_horizontal import HorizontalPlan
from partner_node.horizontal_errors import KeysTooFarAhead, RoundGivenBefore, RoundNotInPlan, ScalingGivenBefore
from privacy.aggregation import Engine, Entropy, Slot
from privacy.ids import PartnerId

SCALING = "scaling"  # name of the digest of the one scaling that the run has here


class PlanMember(Member):
    """A member that stays inside its plan. `slot`: the one whose input it took last in this request."""

    def __init__(
        self, plan: HorizontalPlan, engine: Engine, identity: Identity, store: keys.Store, entropy: Entropy
    ) -> None:
        super().__init__(plan.roster, engine, identity, store, plan.digest, entropy)
        self._plan = plan
        self._held: dict[PartnerId, set[str]] = {}  # dealer -> slots whose shares are kept
        self.slot: Slot | None = None

    def take(self, slot: Slot, given: Input) -> None:
        """Raises RoundNotInPlan, RoundGivenBefore, and what Member.take raises."""
        self._check_round(slot.round, "sum")
        name, content = f"round/{slot.round}", given.content.encode()
        if self._store.get(name, content) != content:
            raise RoundGivenBefore(job=self.job[:16], round=slot.round)
        super().take(slot, given)
        self._store[name] = content
        self.slot = slot

    def check_task(self, task: Task) -> Slot:
        """The slot of what is about to be computed on rows.

        Raises RoundNotInPlan unless it belongs to the slot's round by the plan, ScalingGivenBefore where the run came
        with another scaling before; KeyMissing, KeySpent where there is no key to hide it under.
        """
        slot, rounds = self.slot, self._plan.training.rounds
        assert slot is not None, "an input is taken before anything is computed on it"
        due = {
            TRAINING: range(1, rounds + 1),
            STATISTICS: range(1) if self._plan.standardise else range(0),
            FINISH: range(rounds + 1, rounds + 2),
        }
        if task.round != slot.round or slot.round not in due[task.kind]:
            raise RoundNotInPlan(job=self.job[:16], work=task.kind, round=slot.round)
        if task.kind != STATISTICS:
            digest = hashlib.sha256(task.scaling).digest()
            if self._store.setdefault(SCALING, digest) != digest:
                raise ScalingGivenBefore(job=self.job[:16], round=slot.round)
        self.check_key(slot)
        return slot

    def deal(self, key_names: Sequence[str]) -> Dealt:
        """Raises RoundNotInPlan, KeysTooFarAhead, and what Member.deal raises."""
        self._held = self._index()
        self._check_ahead(self.me, key_names)
        return super().deal(key_names)

    def hold(self, dealings: Sequence[Dealing]) -> tuple[Complaint, ...]:
        self._held = self._index()
        return super().hold(dealings)

    def _open_shares(self, dealing: Dealing) -> dict[str, bytes]:
        shares = super()._open_shares(dealing)
        self._check_ahead(dealing.dealer, dealing.publics)
        return shares

    def _check_round(self, round_: int, work: str) -> None:
        if round_ > self._plan.finish_round:
            raise RoundNotInPlan(job=self.job[:16], work=work, round=round_)

    def _check_ahead(self, dealer: PartnerId, key_names: Iterable[str]) -> None:
        """Keys of the plan's rounds, no more at a time than it prepares; whoever deals again is past the older ones."""
        orders = {name: keys.slot_order(name) for name in key_names if name != keys.JOB_KEY}
        if not orders:
            return
        for round_, _ in orders.values():
            self._check_round(round_, "key")
        held, first = self._held.setdefault(dealer, set()), min(orders.values())
        over = {name for name in held if keys.slot_order(name) < first}
        if len((held - over) | orders.keys()) > self._plan.prepare_rounds:
            raise KeysTooFarAhead(dealer=dealer, most=self._plan.prepare_rounds)
        for name in over:
            self._store.pop(keys.share(name, dealer), None)
            if dealer == self.me:
                self._store.pop(keys.own(name), None)
        self._held[dealer] = (held - over) | orders.keys()

    def _index(self) -> dict[PartnerId, set[str]]:
        found: dict[PartnerId, set[str]] = {}
        for name in self._store:
            kind, _, rest = name.partition("/")
            slot, _, dealer = rest.partition("/")
            if kind == "share" and slot != keys.JOB_KEY:
                found.setdefault(PartnerId(dealer), set()).add(slot)
        return found
