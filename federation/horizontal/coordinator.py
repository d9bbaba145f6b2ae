"""The hub's side of secure sums, without Flower: who deals, who holds, whose updates are in, who answers.

It never holds a key to anything but the sum of a whole cohort. What it decides about people's presence (who is asked,
who is in the cohort) goes through `decide`, whose first value is durable: executed again after a crash it takes the
same way. Everything else follows from the replies.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from federation.horizontal import keys, wire
from federation.horizontal.errors import PartnerRefused, QuorumMissing, UploadMalformed
from federation.horizontal.identity import Verifier
from federation.horizontal.keyring import Keyring
from federation.horizontal.wire import Dealing, Dealt, SignedHeader, Upload
from privacy.aggregation import Engine, Opened, Roster, Slot
from privacy.canonical import Value
from privacy.errors import Failure
from privacy.ids import Digest, PartnerId
from privacy.packing import Packed

DEAL, HOLD, ANSWER = "deal", "hold", "answer"
ASKED, DONE, SILENT = "asked", "ok", "no answer"
NONE: Mapping[PartnerId, Failure] = {}

Reply: TypeAlias = "tuple[PartnerId, bytes | Failure]"
# sends one request of a phase to each partner and brings what comes back in time, one at a time
Exchange: TypeAlias = Callable[[str, Slot, Mapping[PartnerId, bytes]], Iterable[Reply]]
Decide: TypeAlias = Callable[[str, Callable[[], Value]], Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Where a slot is. states: partner -> "asked", "ok", "no answer" or the code of what went wrong there.

    failures: of those with a code, the failure itself; PartnerRefused where the node said no.
    """

    round: int
    attempt: int
    phase: str
    states: Mapping[str, str]
    failures: Mapping[str, Failure] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Gathered:
    """A fixed cohort: its signed headers, the encrypted sum, and the uploads where holders must see them."""

    slot: Slot
    body: Digest
    count: int
    headers: Sequence[SignedHeader]
    partners: tuple[PartnerId, ...]
    total: bytes = field(repr=False)
    bodies: Sequence[bytes] = field(repr=False)


def decide_now(name: str, make: Callable[[], Value]) -> Value:
    """Decisions of a run that is not resumed: made when they are asked for."""
    return make()


def ignore(event: Event) -> None:
    """For whoever does not watch."""


class Coordinator:
    """Leads the sums of one job. prepare_rounds: for how many rounds, up to last_round, keys are dealt at a time."""

    def __init__(
        self,
        roster: Roster,
        engine: Engine,
        verifier: Verifier,
        job: Digest,
        *,
        prepare_rounds: int = 8,
        last_round: int = keys.ROUNDS_MAX,
        decide: Decide = decide_now,
        on_event: Callable[[Event], None] = ignore,
    ) -> None:
        assert 1 <= prepare_rounds <= wire.KEYS_MAX
        self.roster, self.engine, self.job, self.decide = roster, engine, job, decide
        self._verifier = verifier
        self._prepare_rounds, self._last_round = prepare_rounds, last_round
        self.silent: set[PartnerId] = set()  # who did not answer when last asked, and was waited for then
        self._on_event = on_event
        self._ring = Keyring(engine.dealers)
        self._opened: dict[Digest, tuple[PartnerId, ...]] = {}  # body of input -> the cohort that was asked to open it

    @property
    def quorum(self) -> int:
        """Partners without whom no sum opens."""
        return max(self.roster.minimum, self.roster.threshold)

    def state(self) -> dict[str, Packed]:
        """What a resumed run needs of earlier rounds: keys dealt ahead, shares not delivered yet, cohorts opened."""
        opened: dict[str, Packed] = {str(body): ",".join(names) for body, names in self._opened.items()}
        return {"ring": self._ring.state(), "opened": opened}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take `state()` of the run that was left."""
        self._ring.restore(state["ring"])
        self._opened = {Digest(body): tuple(map(PartnerId, _listed(names))) for body, names in state["opened"].items()}

    def bound_cohort(self, body: Digest) -> tuple[PartnerId, ...] | None:
        """The only cohort for which a sum over this input may be opened again; None where none was (decision 0004)."""
        return self._opened.get(body)

    def refused(self, key: str) -> tuple[PartnerId, ...]:
        """Partners who are out of the sums under keys of this name because of complaints."""
        return self._ring.refused(key)

    # --- keys ---------------------------------------------------------------------------------------------------------

    def prepare(self, slot: Slot, asked: Sequence[PartnerId], exchange: Exchange) -> tuple[PartnerId, ...]:
        """Have keys dealt and shares held as far as they are wanting; who of `asked` can upload in this slot.

        Raises QuorumMissing.
        """
        name = keys.slot_name(slot)
        key = name if self.engine.every_slot else keys.JOB_KEY
        self._ring.forget_before(name)
        wanting = {p: self._ring.wanting(p, self._ahead(slot)) for p in asked if self._ring.needs(p, key)}
        told = self._deal(slot, wanting, exchange) if wanting else {}
        if waiting := [p for p in asked if self._ring.waiting(p)]:
            self._hold(slot, waiting, exchange)
        if not self.engine.every_slot:
            return self._with_job_key(slot, asked, told)
        ready = tuple(p for p in asked if self._ring.usable(key, p))
        if len(ready) < self.quorum:
            refused = dict.fromkeys(self._ring.refused(key), "in a complaint about keys")
            raise self._missing(f"round {name}", ready, states={**told, **refused})
        return ready

    def _ahead(self, slot: Slot) -> list[str]:
        if not self.engine.every_slot:
            return [keys.JOB_KEY]
        name = keys.slot_name(slot)
        if slot.attempt:
            return [name]
        last = min(slot.round + self._prepare_rounds - 1, self._last_round)
        return [name, *(f"{round_}.0" for round_ in range(slot.round + 1, last + 1))]

    def _deal(self, slot: Slot, wanting: Mapping[PartnerId, Sequence[str]], exchange: Exchange) -> dict[PartnerId, str]:
        requests = {partner: wire.encode_deal(names) for partner, names in wanting.items()}

        def take(partner: PartnerId, data: bytes) -> None:
            dealt = wire.decode_dealt(data)
            self._check_dealt(slot, partner, wanting[partner], dealt)
            self._ring.take(partner, dealt)

        return self._ask(DEAL, slot, requests, exchange, take)

    def _check_dealt(self, slot: Slot, partner: PartnerId, names: Sequence[str], dealt: Dealt) -> None:
        """What was asked for, in its size: all that dealers reply goes on to every holder in one request."""
        packet_max = wire.packet_bytes_max(len(names), self.engine.share_bytes)
        checks = {
            "other keys than asked for": set(dealt.publics) == set(names),
            "packets for other holders": set(dealt.sealed) == set(self.roster.partners) - {partner},
            "a key of another size": {len(data) for data in dealt.publics.values()} <= {self.engine.public_bytes},
            "a packet larger than its shares": max(map(len, dealt.sealed.values()), default=0) <= packet_max,
        }
        if wrong := [why for why, holds in checks.items() if not holds]:
            raise UploadMalformed(partner=partner, slot=keys.slot_name(slot), why="; ".join(wrong))

    def _hold(self, slot: Slot, waiting: Sequence[PartnerId], exchange: Exchange) -> None:
        packets: dict[PartnerId, tuple[Dealing, ...]] = {p: self._ring.waiting(p) for p in waiting}
        requests = {partner: wire.encode_hold(dealings) for partner, dealings in packets.items()}

        def take(partner: PartnerId, data: bytes) -> None:
            self._ring.held(partner, packets[partner], wire.decode_held(data))

        self._ask(HOLD, slot, requests, exchange, take)

    def _with_job_key(
        self, slot: Slot, asked: Sequence[PartnerId], told: Mapping[PartnerId, str]
    ) -> tuple[PartnerId, ...]:
        dealer = self.engine.dealers[0]
        if not self._ring.usable(keys.JOB_KEY, dealer):
            raise self._missing(f"the key that {dealer} deals", (), states=told)
        ready = tuple(p for p in asked if p == dealer or self._ring.holds(p, keys.JOB_KEY, dealer))
        if len(ready) < self.quorum:
            raise self._missing(f"round {keys.slot_name(slot)}", ready)
        return ready

    # --- uploads ------------------------------------------------------------------------------------------------------

    def gather(
        self,
        slot: Slot,
        given: wire.Input,
        asked: Sequence[PartnerId],
        uploads: Iterable[tuple[PartnerId, Upload | Failure]],
        count: int,
        phase: str,
    ) -> Gathered:
        """Add uploads as they come, one in memory at a time, and fix the cohort. Raises QuorumMissing."""
        name = keys.slot_name(slot)
        allowed = set(self._opened.get(given.body, asked))
        sum_: _Sum | None = None

        def collect(wanted: set[PartnerId]) -> _Sum:
            made = _Sum(self.engine, slot, count, b"" if self.engine.every_slot else self._ring.job_public)
            states, failures = dict.fromkeys(asked, SILENT), {}
            for partner, upload in uploads:
                if partner not in wanted or partner in made.headers:
                    continue
                try:
                    if isinstance(upload, Failure):
                        raise upload
                    self._check_upload(slot, given, partner, upload, count)
                    made.add(partner, upload)
                    states[partner] = DONE
                except Failure as failure:
                    states[partner], failures[partner] = _code(failure), failure
            self.tell(slot, phase, states, failures)
            missing = self._opened.get(given.body, ())
            if len(made.headers) < max(self.roster.minimum, len(missing)):
                raise self._missing(f"round {name}", tuple(made.headers), len(missing) or self.roster.minimum, states)
            return made

        def first() -> Value:
            nonlocal sum_
            sum_ = collect(allowed)
            cohort: list[Value] = [str(p) for p in sorted(sum_.headers)]
            return cohort

        decided = self.decide(f"{name}.cohort", first)
        assert isinstance(decided, list), "written by first"
        cohort = tuple(PartnerId(str(p)) for p in decided)
        if sum_ is None:
            sum_ = collect(set(cohort))
        if set(sum_.headers) != set(cohort):
            raise self._missing(f"the cohort of round {name}", tuple(sum_.headers), len(cohort))
        return sum_.gathered(slot, given.body, cohort)

    def _check_upload(self, slot: Slot, given: wire.Input, partner: PartnerId, upload: Upload, count: int) -> None:
        header = upload.header.read()
        self._verifier.verify(partner, upload.header.signature, upload.header.message)
        key = keys.slot_name(slot) if self.engine.every_slot else keys.JOB_KEY
        dealer = partner if self.engine.every_slot else self.engine.dealers[0]
        checks = {
            "it names another partner": header.partner == partner,
            "it is of another round or run": header.slot == slot,
            "it was made from another input": header.input == given.digest,
            "it has another length": header.count == count,
            "it is under another key than the one dealt": header.public == self._ring.public(key, dealer),
            "its bytes are not those it signed": wire.sha256(upload.ciphertext) == header.ciphertext,
        }
        if wrong := [why for why, holds in checks.items() if not holds]:
            raise UploadMalformed(partner=partner, slot=keys.slot_name(slot), why="; ".join(wrong))

    # --- opening ------------------------------------------------------------------------------------------------------

    def open(self, gathered: Gathered, asked: Sequence[PartnerId], exchange: Exchange) -> Opened:
        """Ask the holders among `asked` for their one answer and open the cohort's sum.

        Raises QuorumMissing for too few answers, RoundVoid (which names wrong answerers where the answers allow it).
        """
        slot, name = gathered.slot, keys.slot_name(gathered.slot)
        request = wire.encode_ask(slot, gathered.headers, gathered.bodies)
        holders = [p for p in asked if self._holds_all(p, name, gathered.partners)]
        cohort = wire.cohort_digest(gathered.headers)
        answers: dict[PartnerId, bytes] = {}
        self._opened[gathered.body] = gathered.partners

        def take(partner: PartnerId, data: bytes) -> None:
            made = wire.decode_answer(data)
            message = wire.answer_message(slot, partner, cohort, made.answer)
            self._verifier.verify(partner, made.signature, message)
            self.engine.check_answer(made.answer, gathered.count)
            answers[partner] = made.answer

        states = self._ask(ANSWER, slot, dict.fromkeys(holders, request), exchange, take)
        if len(answers) < self.roster.threshold:
            raise self._missing(f"opening round {name}", tuple(answers), self.roster.threshold, states)
        return self.engine.open(gathered.total, gathered.count, len(gathered.partners), answers)

    def _holds_all(self, holder: PartnerId, name: str, cohort: Sequence[PartnerId]) -> bool:
        if not self.engine.every_slot:
            dealer = self.engine.dealers[0]
            return holder == dealer or self._ring.holds(holder, keys.JOB_KEY, dealer)
        return all(holder == dealer or self._ring.holds(holder, name, dealer) for dealer in cohort)

    # --- exchanges ----------------------------------------------------------------------------------------------------

    def _ask(
        self,
        phase: str,
        slot: Slot,
        requests: Mapping[PartnerId, bytes],
        exchange: Exchange,
        take: Callable[[PartnerId, bytes], None],
    ) -> dict[PartnerId, str]:
        """One phase with all of them; what came of each."""
        self._on_event(
            Event(round=slot.round, attempt=slot.attempt, phase=phase, states=dict.fromkeys(requests, ASKED))
        )
        states, failures = dict.fromkeys(requests, SILENT), {}
        for partner, reply in exchange(phase, slot, requests):
            try:
                if isinstance(reply, Failure):
                    raise reply
                take(partner, reply)
                states[partner] = DONE
            except Failure as failure:
                states[partner], failures[partner] = _code(failure), failure
        self.tell(slot, phase, states, failures)
        return states

    def tell(
        self, slot: Slot, phase: str, states: Mapping[PartnerId, str], failures: Mapping[PartnerId, Failure] = NONE
    ) -> None:
        """Pass on where a slot is; note who stays silent."""
        for partner, state in states.items():
            if state == SILENT:
                self.silent.add(partner)
            elif state != ASKED:
                self.silent.discard(partner)
        told = {str(partner): state for partner, state in states.items()}
        why = {str(partner): failure for partner, failure in failures.items()}
        self._on_event(Event(round=slot.round, attempt=slot.attempt, phase=phase, states=told, failures=why))

    def _missing(
        self,
        what: str,
        have: Sequence[PartnerId],
        needed: int | None = None,
        states: Mapping[PartnerId, str] | None = None,
    ) -> QuorumMissing:
        told = states or {}
        missing = [f"{p} ({told[p]})" if p in told else p for p in self.roster.partners if p not in have]
        return QuorumMissing(what=what, needed=needed or self.quorum, have=len(have), missing=", ".join(missing))


class _Sum:
    """Uploads as they are added."""

    def __init__(self, engine: Engine, slot: Slot, count: int, key: bytes) -> None:
        self.headers: dict[PartnerId, SignedHeader] = {}
        self._bodies: dict[PartnerId, bytes] = {}
        self._adder = engine.adder(count, slot, key)
        self._keep = engine.answers_total
        self._count = count

    def add(self, partner: PartnerId, upload: Upload) -> None:
        self._adder.add(upload.ciphertext, partner)
        self.headers[partner] = upload.header
        if self._keep:
            self._bodies[partner] = upload.ciphertext

    def gathered(self, slot: Slot, body: Digest, cohort: tuple[PartnerId, ...]) -> Gathered:
        return Gathered(
            slot=slot,
            body=body,
            count=self._count,
            headers=[self.headers[p] for p in cohort],
            partners=cohort,
            total=self._adder.total(),
            bodies=[self._bodies[p] for p in cohort] if self._keep else (),
        )


def _code(failure: Failure) -> str:
    """A failure that a node reported keeps its own code."""
    return str(failure.facts["party_code"]) if isinstance(failure, PartnerRefused) else failure.code


def _listed(names: Any) -> Sequence[str]:
    """Names as `state` joins them; earlier versions kept a list."""
    return names.split(",") if isinstance(names, str) else [str(name) for name in names]
