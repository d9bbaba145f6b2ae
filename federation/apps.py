"""The two Flower applications of a vertical run: a relay at the hub, a participant at each node.

The ServerApp moves sealed envelopes between the parties, round by round, until all say they are done. It can read only
where an envelope goes. It draws no randomness and reads no clock of its own, so the same answers always lead to the
same requests: executed again after a crash, it walks through the stored answers to where it was.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp

from federation.errors import FlowerContentMalformed, PartyFailed, RoundReplyMalformed, RoundTimedOut, RunStalled
from federation.grid import node_number, read_failure
from federation.plan import TrainingPlan
from privacy import canonical, packing
from privacy.canonical import Value
from privacy.errors import Failure

ACTION = "step"
MESSAGE_TYPE = f"query.{ACTION}"
ROUNDS_MAX = 4096  # of a run: fifty trees of depth 4 take about a thousand
ENVELOPES_MAX = 4096  # of one party in one round
PHASE_CHARACTERS_MAX = 64
RESULT_BYTES_MAX = 1 << 20

Result: TypeAlias = dict[str, Value] | None
# participant(round, head, envelopes in) -> (envelopes out, done, phase, result); head: {"round", "phase"}
Participant: TypeAlias = Callable[[int, dict[str, Value], list[bytes]], tuple[list[bytes], bool, str, Result]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One finished round. bytes: of the envelopes handed out and taken in; seconds: of the whole round."""

    round: int
    phases: dict[str, str]
    done: tuple[str, ...]
    bytes: int
    seconds: float


@dataclass(slots=True, kw_only=True)
class _Relay:
    """The state of one run at the hub: who is where, and what waits for whom."""

    plan: TrainingPlan
    waiting: dict[str, list[bytes]] = field(default_factory=dict)
    phases: dict[str, str] = field(default_factory=dict)
    results: dict[str, Result] = field(default_factory=dict)

    def targets(self, round_: int) -> list[str]:
        """Whom to ask in this round: everybody first, then those an envelope waits for."""
        partners: list[str] = sorted(self.plan.partners)
        return partners if round_ == 1 else [partner for partner in partners if self.waiting.get(partner)]

    def take(self, round_: int, sender: str, reply: Message) -> int:
        """Take one party's answer and sort its envelopes to their recipients; their bytes."""
        envelopes, done, phase, result = _read_reply(round_, sender, reply)
        for envelope in envelopes:
            recipient = _route(round_, sender, envelope, self.plan)
            if recipient in self.results:
                raise RoundReplyMalformed(partner=sender, round=round_, why=f"{recipient} is done and takes no more")
            self.waiting.setdefault(recipient, []).append(envelope)
        self.phases[sender] = phase
        if done:
            self.results[sender] = result
        return sum(map(len, envelopes))


def make_server_app(
    plan: TrainingPlan,
    on_progress: Callable[[Progress], None],
    on_finished: Callable[[dict[str, Result]], None],
    *,
    clock: Callable[[], float],
    timeout_seconds: float = 60.0,
) -> ServerApp:
    """The hub's side of one run. clock: monotonic seconds, for the progress report only.

    Its call raises PartyFailed (a node refused, with the node's own code and texts), RoundTimedOut, RoundReplyMalformed
    or RunStalled; otherwise on_finished gets every party's result.
    """
    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        relay = _Relay(plan=plan)
        for round_ in range(1, ROUNDS_MAX + 1):
            started = clock()
            moved = _round(relay, round_, grid, timeout_seconds)
            done = tuple(sorted(relay.results))
            seconds = clock() - started
            on_progress(Progress(round=round_, phases=dict(relay.phases), done=done, bytes=moved, seconds=seconds))
            if len(done) == len(plan.partners):
                on_finished(dict(relay.results))
                return
            if not any(relay.waiting.values()):
                open_ = ", ".join(sorted(set(plan.partners) - set(done)))
                raise RunStalled(round=round_, why=f"nothing is under way and {open_} is not done")
        raise RunStalled(round=ROUNDS_MAX, why=f"{ROUNDS_MAX} rounds are the limit")

    return app


def make_client_app(participant: Participant) -> ClientApp:
    """A node's side: hands each request to `participant` and answers with what it gives.

    Raises FlowerContentMalformed for a malformed request; failures of the participant pass through.
    """
    app = ClientApp()

    @app.query(ACTION)
    def step(message: Message, context: Context) -> Message:
        round_, head, envelopes = _read_request(message)
        out, done, phase, result = participant(round_, head, envelopes)
        record = ConfigRecord(
            {
                "envelopes": list(out),
                "done": done,
                "phase": phase[:PHASE_CHARACTERS_MAX],
                "result": b"" if result is None else canonical.encode(result),
            }
        )
        return Message(RecordDict({ACTION: record}), reply_to=message)

    return app


def _round(relay: _Relay, round_: int, grid: Grid, timeout_seconds: float) -> int:
    """Ask everybody who has something to do, take all answers in node order; the bytes moved."""
    requests, moved = {}, 0
    for partner in relay.targets(round_):
        envelopes = relay.waiting.pop(partner, [])
        moved += sum(map(len, envelopes))
        record = ConfigRecord({"round": round_, "phase": relay.phases.get(partner, "start"), "envelopes": envelopes})
        content = RecordDict({ACTION: record})
        number = node_number(partner)
        requests[number] = (partner, grid.create_message(content, MESSAGE_TYPE, number, str(round_)))
    replies = grid.send_and_receive([request for _, request in requests.values()], timeout=timeout_seconds)
    answered: dict[int, Message] = {reply.metadata.src_node_id: reply for reply in replies}
    if missing := [partner for number, (partner, _) in requests.items() if number not in answered]:
        raise RoundTimedOut(round=round_, partners=", ".join(missing), seconds=round(timeout_seconds))
    for number in sorted(answered):
        moved += relay.take(round_, requests[number][0], answered[number])
    return moved


def _read_reply(round_: int, sender: str, reply: Message) -> tuple[list[bytes], bool, str, Result]:
    if reply.has_error():
        told = read_failure(reply)
        facts = {"party_code": told["code"], "party_en": told["en"], "party_zh": told["zh"]}
        raise PartyFailed(partner=sender, round=round_, **facts)
    try:
        fields = _fields(reply, {"envelopes": list, "done": bool, "phase": str, "result": bytes})
        raw = fields["result"]
        result = canonical.decode(raw) if 0 < len(raw) <= RESULT_BYTES_MAX else None
    except Failure as failure:
        raise RoundReplyMalformed(partner=sender, round=round_, why=failure.message()) from None
    if len(raw) > RESULT_BYTES_MAX or not (result is None or isinstance(result, dict)):
        raise RoundReplyMalformed(partner=sender, round=round_, why="its result")
    return fields["envelopes"], fields["done"], fields["phase"], result


def _read_request(message: Message) -> tuple[int, dict[str, Value], list[bytes]]:
    fields = _fields(message, {"round": int, "phase": str, "envelopes": list})
    if not 1 <= fields["round"] <= ROUNDS_MAX:
        raise FlowerContentMalformed(why="round number")
    return fields["round"], {"round": fields["round"], "phase": fields["phase"]}, fields["envelopes"]


def _fields(message: Message, kinds: dict[str, type]) -> dict[str, Any]:
    """The one record's fields, exactly these and of these types."""
    content = message.content
    record = content.get(ACTION)
    if set(content) != {ACTION} or not isinstance(record, ConfigRecord) or set(record) != set(kinds):
        raise FlowerContentMalformed(why="its fields")
    values: dict[str, Any] = dict(record.items())
    for name, kind in kinds.items():
        if type(values[name]) is not kind:
            raise FlowerContentMalformed(why=f"its {name}")
    if len(values["phase"]) > PHASE_CHARACTERS_MAX:
        raise FlowerContentMalformed(why="its phase")
    _check_envelopes(values["envelopes"])
    return values


def _check_envelopes(envelopes: Iterable[Any]) -> None:
    found = list(envelopes)
    if len(found) > ENVELOPES_MAX or not all(isinstance(envelope, bytes) for envelope in found):
        raise FlowerContentMalformed(why="its envelopes")


def _route(round_: int, sender: str, envelope: bytes, plan: TrainingPlan) -> str:
    """The recipient in an envelope's clear header. What is sealed stays sealed; its signature is the parties' affair.

    Raises RoundReplyMalformed unless it belongs to this run, names its real sender and goes to another party.
    """
    try:
        value = packing.unpack(envelope)
    except packing.NotPacked as failure:
        raise RoundReplyMalformed(partner=sender, round=round_, why=failure.message()) from None
    header = value.get("header") if isinstance(value, dict) else None
    if not isinstance(header, dict) or header.get("job") != plan.digest or header.get("sender") != sender:
        raise RoundReplyMalformed(partner=sender, round=round_, why="an envelope of another run or sender")
    recipient = header.get("recipient")
    if recipient == sender or recipient not in plan.partners:
        raise RoundReplyMalformed(partner=sender, round=round_, why="an envelope to somebody else")
    return str(recipient)
