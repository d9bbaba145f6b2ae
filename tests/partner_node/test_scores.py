"""One client's score through the nodes: equal to the label matrix, refused where anybody must, counted once."""

import json
import math
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ecowire import documents, envelopes
from ecowire.status import code_of
from ecowire.stream import FAILURE, Message
from federation.release import in_release
from federation.vertical import single
from federation.vertical.part import ModelPart
from federation.vertical.single import Ask
from partner_node import score_run, sessions, store, store_scores
from partner_node.grants import Gate
from partner_node.labels_errors import NotLabelHolder
from privacy import packing
from privacy.errors import Failure
from privacy.ids import PartnerId
from privacy.normalise import normalise
from tests.partner_node import alliance, scoring, test_training
from tests.partner_node.scoring import Alliance, Change

pytestmark = pytest.mark.slow_flow


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """Folders of the nodes after an alignment and a released run with `scoring`; the run's digest, the step's."""
    return scoring.finished(tmp_path_factory.mktemp("trained"))


@pytest.fixture
def made(run: tuple[Path, str, str], tmp_path: Path) -> Alliance:
    return scoring.opened(run[0], tmp_path, *run[1:])


CLIENT = alliance.resident_id(7)


def test_the_score_is_that_of_the_label_matrix_while_nothing_has_changed(made: Alliance) -> None:
    matrix = made.matrix()
    for number in (0, 7, 55, 699):
        client = alliance.resident_id(number)
        found = made.scored(client)
        assert float(found["score"]) == matrix[client]["score"]
        assert found["chance_ppm"] == round(matrix[client]["chance"] * 1_000_000)
        assert (found["decile"], found["changed"]) == (matrix[client]["decile"], False)
        assert found["model"] == matrix[client]["model"]
        assert found["valid_until"] == matrix[client]["valid_until"]


def refused(made: Alliance, client: str = CLIENT, **arguments: Any) -> str:
    """The code with which a person's command is refused."""
    with pytest.raises(Failure) as caught:
        made.scored(client, **arguments)
    return code_of(caught.value)


def left(made: Alliance, name: str) -> int:
    """How many sealed shares a node has let out."""
    return sum(kind == "envelope/score" for kind, _ in made[name].seen)


# --- values that changed


def test_a_changed_value_is_scored_as_it_is_now_by_every_side(made: Alliance) -> None:
    before = made.scored(CLIENT)
    part = ModelPart.decode((made["bank"].parts.node.settings.results / f"model-{made.job[:16]}.bin").read_bytes())
    file = made["bank"].folder / "clients.csv"
    saving = next(row.split(",")[1] for row in file.read_text().splitlines() if row.startswith(CLIENT))
    made.rewrite("bank", "SAVING", CLIENT, str(float(saving) + 3.0))
    after = made.scored(CLIENT)
    expected = 3.0 / part.codings["SAVING"].deviation * part.weights[part.names.index("SAVING")]  # type: ignore[union-attr]
    moved = float(after["score"]) - float(before["score"])
    assert after["changed"] and moved != 0.0 and abs(moved - expected) <= 2.0**-4 + 0.01  # a step, and a quantum
    made.rewrite("broker", "AGE", CLIENT, "9.5")
    assert float(made.scored(CLIENT)["score"]) != float(after["score"])
    assert not made.scored(alliance.resident_id(8))["changed"]


def test_of_a_changed_score_chance_and_decile_are_of_the_run_that_was_signed(made: Alliance) -> None:
    made.rewrite("platform", "SPEND", CLIENT, "50")
    found = made.scored(CLIENT)
    result = made.database("broker").read(lambda session: store.result(session, made.job))
    assert result is not None
    line: Any = result.document.body["record"]["variants"][-1]["calibration"]  # type: ignore[index,call-overload]
    odds = float(found["score"]) * line["slope_ppm"] / 1e6 + line["offset_ppm"] / 1e6
    assert found["chance_ppm"] == round(1e6 / (1 + math.exp(-odds)))
    scores = [row["score"] for row in made.matrix().values()]
    assert found["decile"] == min(10, 1 + sum(one < float(found["score"]) for one in scores) * 10 // len(scores))


def test_a_value_that_is_gone_is_refused_without_saying_which(made: Alliance) -> None:
    made.rewrite("bank", "INCOME", CLIENT, "")
    assert refused(made) == "CLIENT_NOT_SCORED"
    assert "INCOME" not in str(made.given["bank"].head)
    assert made.scored(alliance.resident_id(8))


# --- consent


@pytest.mark.parametrize("name", ["bank", "platform"])
def test_consent_withdrawn_at_a_holder_since_the_training_lets_nothing_leave(made: Alliance, name: str) -> None:
    made[name].command("consent.withdraw", client_id=CLIENT)
    assert refused(made) == "CLIENT_NOT_SCORED"
    assert (left(made, name), made.booked(name), made.given[name].body) == (0, 0, b"")
    assert set(made.given[name].head) == {"code", "kind", "en", "zh"}
    assert "consent of" not in str(made.given[name].head["en"])
    assert made.scored(alliance.resident_id(8))


def test_consent_that_ends_between_the_reading_and_the_answer_lets_nothing_leave(
    made: Alliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank, share = made["bank"], single.share

    def withdrawn(*arguments: Any) -> int:
        bank.command("consent.withdraw", client_id=CLIENT)
        return share(*arguments)

    made.scored(alliance.resident_id(8))
    monkeypatch.setattr(single, "share", withdrawn)
    assert refused(made) == "CLIENT_NOT_SCORED"
    assert (made.booked("bank"), made.given["bank"].kind) == (1, FAILURE)


def test_consent_that_ends_by_the_clock_ends_scores(made: Alliance) -> None:
    until = "2026-10-02T00:00:00+00:00"
    alliance.consent(made["bank"], [7], until=until)
    assert made.scored(CLIENT)
    made.clock.now += timedelta(days=1)
    assert refused(made) == "CLIENT_NOT_SCORED"


def test_without_own_consent_nothing_is_asked(made: Alliance) -> None:
    made["broker"].command("consent.withdraw", client_id=CLIENT)
    assert refused(made) == "OWN_CONSENT_MISSING"
    assert not made.requests and not left(made, "broker")


def test_own_consent_withdrawn_while_the_ask_runs_ends_it_without_a_score(made: Alliance) -> None:
    def withdrawn(message: Message) -> Message:
        made["broker"].command("consent.withdraw", client_id=CLIENT)
        return message

    assert refused(made, change={"broker": withdrawn}) == "OWN_CONSENT_MISSING"


def test_a_client_that_opted_out_of_labels_is_scored_no_more_until_it_wants_them(made: Alliance) -> None:
    made["broker"].command("labels.opt_out.add", client_ids=[CLIENT])
    assert refused(made) == "CLIENT_OPTED_OUT"
    assert not made.requests and not left(made, "broker")
    made["broker"].command("labels.opt_out.remove", client_ids=[CLIENT])

    def opted_out(message: Message) -> Message:
        made["broker"].command("labels.opt_out.add", client_ids=[CLIENT])
        return message

    assert refused(made, change={"broker": opted_out}) == "CLIENT_OPTED_OUT"
    made["broker"].command("labels.opt_out.remove", client_ids=[CLIENT])
    assert made.scored(CLIENT)


# --- the budget of a day


def test_a_day_is_for_as_many_clients_as_the_plan_says_and_the_same_ones_again(made: Alliance) -> None:
    clients = [alliance.resident_id(number) for number in range(scoring.PER_DAY)]
    first = [made.scored(client)["score"] for client in clients]
    assert [made.scored(client)["score"] for client in clients] == first
    assert {made.booked(name) for name in made.holders()} == {scoring.PER_DAY}
    for name in scoring.NAMES:
        made.reopen(name)
    assert refused(made, alliance.resident_id(100)) == "SCORING_BUDGET_SPENT"
    assert made.scored(clients[0])["score"] == first[0]
    made.clock.now += timedelta(days=1)
    assert made.scored(alliance.resident_id(100))
    assert (made.booked("bank", "2026-10-02"), made.booked("bank")) == (1, scoring.PER_DAY)


def test_a_share_that_changed_counts_as_another_client(made: Alliance) -> None:
    for number in range(scoring.PER_DAY):
        made.rewrite("bank", "SAVING", CLIENT, str(10.0 * number - 20.0))
        made.scored(CLIENT)
    assert (made.booked("bank"), made.booked("platform")) == (scoring.PER_DAY, 1)
    made.rewrite("bank", "SAVING", CLIENT, "7.0")
    assert refused(made) == "SCORING_BUDGET_SPENT"


def test_a_refusal_by_one_holder_costs_nothing_there(made: Alliance) -> None:
    made["platform"].command("consent.withdraw", client_id=CLIENT)
    refused(made)
    assert (made.booked("bank"), made.booked("platform")) == (1, 0)


# --- asks that are not what they should be


def test_an_ask_that_comes_again_under_another_name_gets_the_same_bytes(made: Alliance) -> None:
    made.scored(CLIENT)
    request, first = made.requests[-1], made.given["bank"]
    again = made.ask(request, "bank", again="-again")
    assert (again.head, made.booked("bank")) == (first.head, 1)
    made.rewrite("bank", "SAVING", CLIENT, "9.0")
    assert made.ask(request, "bank", again="-later").head == first.head  # never another share under one mask
    made["bank"].command("consent.withdraw", client_id=CLIENT)
    assert made.ask(request, "bank", again="-withdrawn").head["code"] == "CLIENT_NOT_SCORED"


def test_an_ask_is_over_when_it_says_so(made: Alliance) -> None:
    made.scored(CLIENT)
    made.clock.now += timedelta(seconds=600)
    assert made.ask(made.requests[-1], "bank", again="-late").head["code"] == "SCORE_ASK_OVER"


def forged(made: Alliance, to: str, **changes: Any) -> Change:
    """What a label holder that deviates sends to one holder in place of the ask."""
    keys = made["broker"].parts.node.keys

    def change(message: Message) -> Message:
        said: Any = message.head
        known: Any = made.database("broker").read(lambda session: store_scores.asked(session, said["ask"]))
        values = {"run": known.run, "id": known.id, "token": known.token, "model": known.model, "until": known.until}
        ask = Ask(**{**values, **changes})
        header = score_run.header(known.id, PartnerId("broker"), PartnerId(to))
        public = made[to].parts.node.keys.sealing.public
        sealed = envelopes.make(ask.encode(), header=header, sealing_public=public, key=keys.signing)
        return Message(id=message.id, kind=message.kind, head=message.head, body=sealed)

    return change


def test_a_label_holder_that_asks_holders_for_different_clients_gets_noise(made: Alliance) -> None:
    rows = made.database("broker").read(lambda s: sessions.alignment(s, made.alignment()))
    other = {"platform": forged(made, "platform", token=rows[8].token)}
    assert refused(made, change=other) == "SCORES_IMPLAUSIBLE"
    assert {made.given[name].kind for name in made.holders()} == {"ok"}  # each saw an ask in order


def test_a_client_of_no_alignment_is_refused_by_its_name(made: Alliance) -> None:
    assert refused(made, change={"bank": forged(made, "bank", token="00" * 16)}) == "CLIENT_NOT_ALIGNED"
    assert refused(made, alliance.resident_id(5000)) == "CLIENT_NOT_IN_RUN"


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "another run than its head's": ({"run": "ab" * 32}, "ENVELOPE_NOT_FOR_THIS"),
    "another name than its head's": ({"id": "ab" * 32}, "ENVELOPE_NOT_FOR_THIS"),
    "an end that is none": ({"until": "tomorrow"}, "MALFORMED_MESSAGE"),
    "an end in the past": ({"until": "2026-10-01T07:00:00+00:00"}, "SCORE_ASK_OVER"),
}


@pytest.mark.parametrize(("change", "code"), BAD.values(), ids=BAD)
def test_an_ask_with_another_content_is_refused(made: Alliance, change: dict[str, Any], code: str) -> None:
    assert refused(made, change={"bank": forged(made, "bank", **change)}) == code
    assert (made.booked("bank"), left(made, "bank")) == (0, 0)


@pytest.mark.parametrize("name", ["bank", "broker"])
def test_every_altered_byte_is_refused_and_the_ask_is_over(made: Alliance, name: str) -> None:
    def altered(message: Message) -> Message:
        body = message.body[:-1] + bytes([message.body[-1] ^ 1])
        return Message(id=message.id, kind=message.kind, head=message.head, body=body)

    assert refused(made, change={name: altered}) in ("BAD_SIGNATURE", "CANNOT_OPEN")
    (last, *_) = made["broker"].command("scores", job=made.job)["asked"]
    assert last["state"] == "REFUSED"
    assert made.scored(CLIENT)


def test_an_ask_that_another_party_signed_is_refused(made: Alliance) -> None:
    def change(message: Message) -> Message:
        node = made["platform"].parts.node
        said: Any = message.head
        header = score_run.header(said["ask"], PartnerId("broker"), PartnerId("bank"))
        public = made["bank"].parts.node.keys.sealing.public
        sealed = envelopes.make(b"{}", header=header, sealing_public=public, key=node.keys.signing)
        return Message(id=message.id, kind=message.kind, head=message.head, body=sealed)

    assert refused(made, change={"bank": change}) == "BAD_SIGNATURE"


def test_an_answer_of_another_ask_does_not_count(made: Alliance) -> None:
    made.scored(alliance.resident_id(8))
    older = {name: reply.head["envelope"] for name, reply in made.given.items()}

    def swapped(message: Message) -> Message:
        body = packing.pack({name: bytes.fromhex(str(sealed)) for name, sealed in older.items()})
        return Message(id=message.id, kind=message.kind, head=message.head, body=body)

    assert refused(made, change={"broker": swapped}) == "ENVELOPE_NOT_FOR_THIS"


def test_an_answer_that_nobody_asked_for_is_refused(made: Alliance) -> None:
    message = Message(id="x", kind="score.answer", head={"run": made.job, "ask": "ab" * 32})
    assert made["broker"].ask(message).head["code"] == "SCORE_ASK_UNKNOWN"


# --- runs


def test_a_plan_without_scoring_gives_no_single_score(made: Alliance) -> None:
    nodes = made.nodes
    body = test_training.plan_body(nodes, made.alignment(), nonce="02" * 16)
    test_training.run(nodes, body)
    job = documents.digest("train", body)
    scoring.ended(nodes, job)
    made.job = job
    assert refused(made) == "SCORING_NOT_IN_PLAN"  # before any release is looked at
    message = Message(id="y", kind="score", head={"run": job, "ask": "ab" * 32})
    assert made["bank"].ask(message).head["code"] == "SCORING_NOT_IN_PLAN"


def test_a_plan_without_split_shows_no_share_alone_at_either_end(made: Alliance) -> None:
    assert refused(made, split=True) == "SPLIT_NOT_IN_PLAN"
    assert not made.requests
    assert refused(made, change={"bank": forged(made, "bank", split=True)}) == "SPLIT_NOT_IN_PLAN"
    assert (made.booked("bank"), left(made, "bank")) == (0, 0)
    assert made.scored(CLIENT)["split"] is None


def test_a_run_that_is_not_completed_gives_no_single_score(made: Alliance) -> None:
    body = scoring.plan_body(made.nodes, made.alignment(), nonce="03" * 16)
    made.job = alliance.propose(made.nodes, "train", body)
    assert refused(made) == "NOT_APPROVED"
    alliance.approve(made.nodes, made.job)
    assert refused(made) == "RUN_NOT_COMPLETED"
    scoring.ended(made.nodes, made.job, "CANCELLED")
    assert refused(made) == "RUN_NOT_COMPLETED"


def test_scores_end_with_the_results_of_the_run(made: Alliance) -> None:
    made.scored(CLIENT)
    made.clock.now += timedelta(days=30)
    assert refused(made) == "LABEL_MATRIX_EXPIRED"


def test_only_the_label_holder_asks(made: Alliance) -> None:
    with pytest.raises(NotLabelHolder):
        made["bank"].command("score", job=made.job, client=CLIENT, person="a clerk")


def test_a_model_that_no_step_releases_scores_nobody_and_a_release_its_share(made: Alliance) -> None:
    ended = scoring.step(made["broker"], made.job, number=2, before=made.released)
    assert refused(made) == "MODEL_NOT_RELEASED"
    scoring.step(made["broker"], made.job, 500_000, number=3, before=ended)
    ids = [alliance.resident_id(number) for number in range(50)]
    node = made["broker"].parts.node
    gate = Gate(secret=b"", client_key=node.keys.consent, database=node.database)
    keys = gate.row_keys([normalise("resident_id", client) for client in ids])
    inside = [in_release(key, bytes.fromhex("5a" * 16), 500_000) for key in keys]
    assert made.scored(ids[inside.index(True)])
    assert refused(made, ids[inside.index(False)]) == "MODEL_SERVES_OTHERS"


# --- waiting, restarts, two at once


def test_a_holder_that_is_offline_ends_the_waiting_and_the_same_command_gets_the_answer_of_the_same_ask(
    made: Alliance,
) -> None:
    thread, told = made.begin(CLIENT, seconds=1)
    request = made.request(thread)
    assert request is not None
    made.settle(request)
    bank = made.ask(request, "bank")
    thread.join(30)
    assert code_of(told["error"]) == "SCORE_PENDING"
    made.reopen("broker")
    made.reopen("bank")
    again, told = made.begin(CLIENT)
    made.tell(request, {"bank": bank, "platform": made.ask(request, "platform")})
    assert made.request(again) is None  # it waited for the same ask
    assert float(told["found"]["score"]) == made.matrix()[CLIENT]["score"]
    assert {made.booked(name) for name in made.holders()} == {1}


def test_an_ask_that_nobody_answered_in_time_is_over_and_a_new_one_begins(made: Alliance) -> None:
    thread, told = made.begin(CLIENT, seconds=1)
    request = made.request(thread)
    assert request is not None
    made.settle(request)
    thread.join(30)
    assert code_of(told["error"]) == "SCORE_PENDING"
    made.clock.now += timedelta(seconds=600)
    (known,) = made["broker"].command("scores")["asked"]
    assert known["state"] == "OVER"
    late = {name: made.ask(request, name) for name in made.holders()}
    assert {reply.head["code"] for reply in late.values()} == {"SCORE_ASK_OVER"}
    made.tell(request, late)
    assert made.scored(CLIENT)["ask"] != known["ask"]


def test_two_commands_for_one_client_make_one_ask_and_for_two_clients_two(made: Alliance) -> None:
    begun = [made.begin(client) for client in (CLIENT, CLIENT, alliance.resident_id(8))]
    requests = [made.request(begun[0][0]), made.request(begun[0][0])]
    for request in requests:
        assert request is not None
        made.settle(request)
        made.tell(request, {name: made.ask(request, name) for name in made.holders()})
    for thread, _ in begun:
        thread.join(30)
    assert {message.kind for message in made["broker"].parts.worker._outbox.pending()} == {"approval"}
    asks = [told["found"]["ask"] for _, told in begun]
    assert asks[0] == asks[1] != asks[2]
    assert made.booked("bank") == 2


def test_a_refusal_of_the_hub_ends_the_ask(made: Alliance) -> None:
    thread, told = made.begin(CLIENT)
    request = made.request(thread)
    assert request is not None
    head = {"code": "SCORING_REFUSED", "kind": "refused", "en": "no", "zh": "否"}
    made["broker"].parts.worker._outbox.settle(request.reply(FAILURE, head))
    thread.join(30)
    assert code_of(told["error"]) == "SCORING_REFUSED"
    (known,) = made["broker"].command("scores")["asked"]
    assert (known["state"], known["failure"]["code"]) == ("REFUSED", "SCORING_REFUSED")


def test_both_sides_keep_who_asked_and_how_often(made: Alliance) -> None:
    made.scored(CLIENT)
    assert (left(made, "broker"), left(made, "bank")) == (2, 1)
    (asked,) = made["broker"].command("scores", job=made.job[:12])["asked"]
    assert (asked["person"], asked["state"], asked["run"]) == ("a clerk", "ANSWERED", made.job)
    assert CLIENT not in json.dumps(asked)
    assert made["bank"].command("scores")["given"] == [
        {"run": made.job, "day": "2026-10-01", "clients": 1, "splits": 0}
    ]
