"""A run through Flower's ServerApp and ClientApps: in process, over bytes, killed and resumed, refused by name."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp

from federation import apps
from federation.apps import Participant, Progress, make_client_app, make_server_app
from federation.errors import FlowerContentMalformed, PartyFailed, RoundReplyMalformed, RoundTimedOut, RunStalled
from federation.grid import AllianceGrid, LocalGrid, Request, node_number
from federation.plan import TrainingPlan
from privacy import packing
from tests.federation.alliance import Node, body, synthetic
from tests.federation.channel import MemoryChannel

TABLES, COLUMNS = synthetic(900)
PLAN = TrainingPlan.from_body(body(COLUMNS, minimum_rows=300))
Results = dict[str, Any]


def context() -> Context:
    return Context(run_id=1, node_id=1, node_config={}, state=RecordDict(), run_config={})


def ticks() -> Callable[[], float]:
    """A clock that moves one second a reading."""
    now = iter(range(10_000))
    return lambda: float(next(now))


def server(plan: TrainingPlan, finished: Results, progress: list[Progress], **options: Any) -> ServerApp:
    return make_server_app(plan, progress.append, finished.update, clock=ticks(), **options)


def nodes() -> dict[str, Node]:
    return {partner: Node(PLAN, partner, TABLES[partner]) for partner in PLAN.partners}


def run_locally(plan: TrainingPlan, parties: dict[str, Node]) -> tuple[Results, list[Progress]]:
    finished: Results = {}
    progress: list[Progress] = []
    grid = LocalGrid({partner: node.app for partner, node in parties.items()}, plan.digest)
    server(plan, finished, progress)(grid=grid, context=context())
    return finished, progress


def test_both_grids_give_the_same_result() -> None:
    here, over = nodes(), nodes()
    finished, progress = run_locally(PLAN, here)
    channel = MemoryChannel({partner: node.app for partner, node in over.items()})
    remote: Results = {}
    told: list[Progress] = []
    server(PLAN, remote, told)(grid=AllianceGrid(channel, PLAN.digest), context=context())
    assert remote == finished
    assert set(finished) == set(PLAN.partners)
    assert finished["broker"]["variants"][-1]["auc"]["value_ppm"] > 700_000
    assert [(one.round, one.phases) for one in told] == [(one.round, one.phases) for one in progress]
    assert all(one.seconds == 1.0 and one.bytes > 0 for one in told[:-1])
    assert {head["phase"] for head in channel.heads} >= {"start", "seed", "zero test", "products", "moments", "weights"}


class HubKilledError(Exception):
    """Stands for kill -9 of the hub's process."""


@pytest.mark.parametrize("last_round", [1, 4, 9])
def test_a_hub_that_is_killed_goes_on_from_the_stored_answers(last_round: int) -> None:
    undisturbed, _ = run_locally(PLAN, nodes())
    parties = nodes()
    channel = MemoryChannel({partner: node.app for partner, node in parties.items()})

    def die(progress: Progress) -> None:
        if progress.round == last_round:
            raise HubKilledError

    app = make_server_app(PLAN, die, lambda _: None, clock=ticks())
    with pytest.raises(HubKilledError):
        app(grid=AllianceGrid(channel, PLAN.digest), context=context())
    before = list(channel.executed)
    finished: Results = {}
    server(PLAN, finished, [])(grid=AllianceGrid(channel, PLAN.digest), context=context())
    assert finished == undisturbed
    assert channel.executed[: len(before)] == before
    assert len(set(channel.executed)) == len(channel.executed)  # no node was asked twice for anything


def test_a_node_that_refuses_ends_the_run_by_name() -> None:
    parties = nodes()
    tables = {
        **TABLES,
        "bank": TABLES["bank"].__class__(tokens=TABLES["bank"].tokens[::-1], columns=TABLES["bank"].columns),
    }
    parties["bank"] = Node(PLAN, "bank", tables["bank"])
    with pytest.raises(PartyFailed) as caught:
        run_locally(PLAN, parties)
    assert caught.value.facts["party_code"] == "ORDER_DIFFERS"
    assert caught.value.facts["round"] == 2
    assert "ORDER_DIFFERS" in caught.value.message("zh")
    assert "顺序不同" in caught.value.message("zh")


def test_a_node_that_stays_silent_ends_the_run_by_name() -> None:
    channel = MemoryChannel({partner: node.app for partner, node in nodes().items()})
    channel.silent = {"platform"}
    app = server(PLAN, {}, [], timeout_seconds=3.0)
    with pytest.raises(RoundTimedOut, match="no answer from platform within 3 s"):
        app(grid=AllianceGrid(channel, PLAN.digest), context=context())


# --- replies that are not well formed ---------------------------------------------------------------------------------


def envelope(sender: str, recipient: str, job: str = PLAN.digest) -> bytes:
    header: packing.Packed = {"job": job, "sender": sender, "recipient": recipient, "sequence": 0}
    return packing.pack({"header": header, "sealed": b"", "signature": b""})


def relay(participants: dict[str, Participant] | Participant, timeout_seconds: float = 5.0) -> list[Progress]:
    progress: list[Progress] = []
    chosen = participants if isinstance(participants, dict) else dict.fromkeys(PLAN.partners, participants)
    apps = {partner: make_client_app(chosen[partner]) for partner in PLAN.partners}
    server(PLAN, {}, progress, timeout_seconds=timeout_seconds)(grid=LocalGrid(apps, PLAN.digest), context=context())
    return progress


def idle(round_: int, head: dict[str, Any], incoming: list[bytes]) -> tuple[list[bytes], bool, str, None]:
    return [], False, "waiting", None


def done(round_: int, head: dict[str, Any], incoming: list[bytes]) -> tuple[list[bytes], bool, str, None]:
    return [], True, "done", None


def sending(*envelopes: bytes) -> Participant:
    return lambda round_, head, incoming: (list(envelopes), False, "sending", None)


def test_parties_that_are_done_at_once_need_one_round() -> None:
    assert [one.round for one in relay(done)] == [1]


def test_a_run_in_which_nothing_is_under_way_is_stalled() -> None:
    with pytest.raises(RunStalled, match="bank, broker, platform is not done"):
        relay(idle)


def test_a_run_without_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apps, "ROUNDS_MAX", 64)
    talking = {
        "bank": sending(envelope("bank", "broker")),
        "broker": sending(envelope("broker", "bank")),
        "platform": done,
    }
    with pytest.raises(RunStalled, match="64 rounds"):
        relay(talking)


BAD_ENVELOPES = {
    "not packed": b"x",
    "another run": envelope("bank", "broker", "cd" * 32),
    "another sender": envelope("broker", "platform"),
    "to itself": envelope("bank", "bank"),
    "to a stranger": envelope("bank", "insurer"),
    "no header": packing.pack({"sealed": b""}),
    "a list": packing.pack([1]),
}


@pytest.mark.parametrize("case", BAD_ENVELOPES)
def test_an_envelope_that_cannot_be_routed_ends_the_run(case: str) -> None:
    with pytest.raises(RoundReplyMalformed) as caught:
        relay({"bank": sending(BAD_ENVELOPES[case]), "broker": idle, "platform": idle})
    assert caught.value.facts["partner"] == "bank"


def test_an_envelope_to_a_party_that_is_done_ends_the_run() -> None:
    late = {"broker": done, "bank": done, "platform": sending(envelope("platform", "bank"))}
    with pytest.raises(RoundReplyMalformed, match="takes no more"):
        relay(late)


def replying(**fields: Any) -> dict[str, ClientApp]:
    """Apps of which the bank's answers with these fields instead."""
    apps = {partner: make_client_app(idle) for partner in PLAN.partners}
    app = ClientApp()

    @app.query("step")
    def step(message: Message, ctx: Context) -> Message:
        record = {"envelopes": [], "done": False, "phase": "x", "result": b""} | fields
        return Message(RecordDict({"step": ConfigRecord(record)}), reply_to=message)  # type: ignore[arg-type]

    return {**apps, "bank": app}


@pytest.mark.parametrize(
    "fields",
    [
        {"done": 1},
        {"phase": "x" * 65},
        {"phase": 3},
        {"envelopes": ["text"]},
        {"envelopes": b"x"},
        {"result": b"not json"},
        {"result": b"[1]"},
        {"result": b" " * ((1 << 20) + 1)},
        {"extra": 1},
    ],
)
def test_a_malformed_answer_ends_the_run_by_name(fields: dict[str, Any]) -> None:
    app = server(PLAN, {}, [])
    with pytest.raises(RoundReplyMalformed) as caught:
        app(grid=LocalGrid(replying(**fields), PLAN.digest), context=context())
    assert caught.value.facts["partner"] == "bank"


@pytest.mark.parametrize(
    "record",
    [
        {"round": 0, "phase": "", "envelopes": []},
        {"round": apps.ROUNDS_MAX + 1, "phase": "", "envelopes": []},
        {"round": True, "phase": "", "envelopes": []},
        {"round": 1, "phase": "", "envelopes": [1]},
        {"round": 1, "phase": ""},
    ],
)
def test_a_malformed_request_is_refused_by_the_node(record: dict[str, Any]) -> None:
    app = make_client_app(idle)
    grid: Grid = LocalGrid({"bank": app}, PLAN.digest)
    request = grid.create_message(RecordDict({"step": ConfigRecord(record)}), "query.step", node_number("bank"), "1")
    with pytest.raises(FlowerContentMalformed):
        app(message=request, context=context())


def test_rows_of_the_tables_never_stand_in_what_the_hub_relays() -> None:
    """The hub sees sealed bytes only: no column's values in any of the usual encodings pass through it."""
    parties = nodes()
    seen: list[bytes] = []

    class Watching(MemoryChannel):
        def post(self, requests: Sequence[Request]) -> None:
            seen.extend(request.content for request in requests)
            super().post(requests)

    channel = Watching({partner: node.app for partner, node in parties.items()})
    server(PLAN, {}, [])(grid=AllianceGrid(channel, PLAN.digest), context=context())
    relayed = b"".join(seen)
    column = TABLES["bank"].columns["score"]
    assert not any(value.tobytes() in relayed for value in column[:200].astype(np.float64))
    assert not any(token.encode() in relayed for token in TABLES["bank"].tokens[:200])
