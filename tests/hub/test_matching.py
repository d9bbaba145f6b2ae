"""The relay of a match: envelopes go where their headers say, once and in order; results end it; nothing stays."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from ecowire.status import MalformedMessage
from ecowire.stream import Message
from hub import dispatch, matching
from hub.records import Head
from hub.store import Store
from privacy import packing
from tests.hub.alliance import Hub
from tests.hub.relay import Script, approved, caller, failing

COUNT = {"broker": [["insurer"], []], "insurer": [[], ["broker"]]}
ALIGN = {
    "broker": [["insurer", "bank"], [], ["insurer", "bank"]],
    "insurer": [[], ["broker"], []],
    "bank": [[], ["broker"], []],
}


def count(hub: Hub, **changes: Any) -> Script:
    return Script(hub, approved(hub, "broker", "insurer"), COUNT, **changes)


def test_a_count_runs_to_its_result(hub: Hub) -> None:
    script = count(hub)
    done = script.run()
    assert done.state == "COMPLETED"
    assert script.asked == [
        ("match.start", "broker"),
        ("match.start", "insurer"),
        ("match.step", "broker"),
        ("match.step", "insurer"),
        ("match.step", "insurer"),
        ("match.step", "broker"),
    ]
    found = hub.store.read("d", lambda tx: tx.jobs.documents(done.digest))
    assert sorted((d.document.kind, d.document.signer) for d in found) == [
        ("match-commitment", "broker"),
        ("match-commitment", "insurer"),
        ("match-result", "broker"),
        ("match-result", "insurer"),
    ]
    (result,) = [d.document for d in found if (d.document.kind, d.document.signer) == ("match-result", "broker")]
    assert result.body["count"] == 50


def test_every_party_gets_the_envelopes_that_were_made_for_it_unchanged(hub: Hub) -> None:
    job = approved(hub, "broker", "insurer", "bank", mode="align")
    script = Script(hub, job, ALIGN)
    assert script.run().state == "COMPLETED"
    assert {name: len(taken) for name, taken in script.taken.items()} == {"broker": 2, "insurer": 2, "bank": 2}
    from ecowire import envelopes

    for name, taken in script.taken.items():
        for data in taken:
            header = envelopes.read_header(data)
            assert header.recipient == name
            plain = envelopes.open_envelope(
                data,
                expect=header,
                sender_public=hub.parties[header.sender].signing.public,
                key=hub.parties[name].sealing,
            )
            assert plain == b"secret"


def test_at_the_end_nothing_sealed_is_kept_but_sizes_and_a_transcript(hub: Hub) -> None:
    done = count(hub).run()
    tasks = hub.store.read("t", lambda tx: tx.tasks.of_job(done.digest))
    assert {(task.body, task.reply_body) for task in tasks} == {(None, None)}
    assert hub.store.read("e", lambda tx: tx.jobs.envelopes(done.digest)) == 0
    (leaf,) = hub.store.read("l", lambda tx: tx.evidence.leaves(kind="match-transcript"))
    assert b'"envelopes":2' in leaf.data
    costs = hub.store.read("c", lambda tx: tx.tasks.costs(done.digest))
    assert sum(cost.bytes_up for cost in costs) > 500


def test_each_document_leaves_a_leaf_and_its_party_gets_a_receipt(hub: Hub) -> None:
    done = count(hub).run()
    kinds = [kind for kind, subject in hub.leaves() if subject == done.digest]
    assert kinds.count("match-commitment") == kinds.count("match-result") == 2
    for name in ("broker", "insurer"):
        opened = hub.open_tasks(name)
        receipts = [task for task in opened if task.kind == "receipt"]
        assert len(receipts) == 2


def test_advancing_again_and_again_changes_nothing(hub: Hub) -> None:
    script = count(hub)
    matching.advance(hub.services, script.job.digest)
    for _ in range(4):
        opened = [task.id for task in script.open_tasks()]
        leaves = hub.leaves()
        matching.advance(hub.services, script.job.digest)
        assert [task.id for task in script.open_tasks()] == opened
        assert hub.leaves() == leaves
        for task in script.open_tasks():
            script.answer(task)
    assert hub.proposal(script.job.digest).state == "COMPLETED"
    matching.advance(hub.services, script.job.digest)


def test_a_hub_that_restarts_between_any_two_steps_goes_on(hub: Hub) -> None:
    """The whole state is in the database: a fresh store over the same file continues."""
    script = count(hub)
    matching.advance(hub.services, script.job.digest)
    while script.open_tasks():
        fresh = Store(hub.settings.database)
        object.__setattr__(hub.services, "store", fresh)  # the process died; another one opened the file
        script.answer(script.open_tasks()[0])
    assert hub.proposal(script.job.digest).state == "COMPLETED"


def test_an_answer_stored_just_before_a_crash_is_handled_at_the_start(hub: Hub) -> None:
    from hub import dispatch
    from tests.hub.relay import caller

    script = count(hub)
    matching.advance(hub.services, script.job.digest)
    for task in script.open_tasks():  # the answers are stored, and the process dies before advancing
        script.asked.append((task.kind, task.node))
        dispatch.take_answer(hub.services, {}, caller(hub, task.node), script.reply(task))
    assert script.open_tasks() == []
    assert script.run().state == "COMPLETED"


def test_a_follower_that_has_the_first_word_is_started_too(hub: Hub) -> None:
    script = Script(hub, approved(hub, "broker", "insurer"), {"broker": [[], []], "insurer": [["broker"]]})
    assert script.run().state == "COMPLETED"
    assert ("match.step", "insurer") in script.asked


def with_body(message: Message, envelopes: list[bytes]) -> Message:
    return replace(message, body=packing.pack(envelopes))  # type: ignore[arg-type]


def broken(script: Script, case: str) -> None:
    """Let the broker's first step go wrong in one way."""

    def change(node: str, message: Message) -> Message | None:
        if (node, "-step-0-" in message.id) != ("broker", True):
            return message
        script.sequences.clear()
        make = script.envelope
        match case:
            case "a gap":
                return with_body(message, [make("broker", "insurer", sequence=1)])
            case "a repeat":
                one = make("broker", "insurer")
                return with_body(message, [one, one])
            case "another job":
                return with_body(message, [make("broker", "insurer", job="00" * 32)])
            case "another sender":
                return with_body(message, [make("insurer", "broker")])
            case "to itself":
                return with_body(message, [make("broker", "broker")])
            case "to no party":
                return with_body(message, [make("broker", "bank")])
            case "no envelope":
                return with_body(message, [b"plain text"])
            case "no list":
                return replace(message, body=packing.pack(b"x"))
            case "not packed":
                return replace(message, body=b"x")
            case "done is no truth value":
                return replace(message, head={**message.head, "done": 1})
            case "a failure":
                return failing(message, MalformedMessage(why="test"))
        raise AssertionError(case)

    script.change = change


CASES = {
    "a gap": "RELAY_REFUSED",
    "a repeat": "RELAY_REFUSED",
    "another job": "RELAY_REFUSED",
    "another sender": "RELAY_REFUSED",
    "to itself": "RELAY_REFUSED",
    "to no party": "RELAY_REFUSED",
    "no list": "RELAY_REFUSED",
    "no envelope": "NOT_PACKED",
    "not packed": "NOT_PACKED",
    "done is no truth value": "MATCH_DOCUMENT_INVALID",
    "a failure": "MALFORMED_MESSAGE",
}


@pytest.mark.parametrize("case", sorted(CASES))
def test_what_is_not_right_ends_the_match_under_its_name(hub: Hub, case: str) -> None:
    script = count(hub)
    broken(script, case)
    ended = script.run()
    assert (ended.state, ended.reason["code"]) == ("FAILED", CASES[case])
    if case == "a failure":
        assert ended.reason["partner"] == "broker"
    assert script.open_tasks() == []
    assert hub.store.read("e", lambda tx: tx.jobs.envelopes(ended.digest)) == 0


def resigned(script: Script, kind: str, **changes: Any) -> None:
    """Let the broker sign another commitment or result than it should."""

    def change(node: str, message: Message) -> Message | None:
        field = "commitment" if kind == "match-commitment" else "result"
        value = message.head.get(field)
        if node != "broker" or not isinstance(value, dict):
            return message
        signer = changes.get("signer", "broker")
        body = {**value["body"], **{k: v for k, v in changes.items() if k not in ("signer", "broken", "signed_as")}}  # type: ignore[dict-item]
        signed = script.hub.parties[signer].sign(changes.get("signed_as", kind), body).to_value()
        if changes.get("broken"):
            signed["signature"] = "00" * 64
        return replace(message, head={**message.head, field: signed})

    script.change = change


DOCUMENTS: list[tuple[str, dict[str, Any], str]] = [
    ("match-commitment", {"job": "00" * 32}, "MATCH_DOCUMENT_INVALID"),
    ("match-commitment", {"signer": "insurer"}, "MATCH_DOCUMENT_INVALID"),
    ("match-commitment", {"broken": True}, "BAD_SIGNATURE"),
    ("match-commitment", {"count": -1}, "MATCH_DOCUMENT_INVALID"),
    ("match-commitment", {"count": "many"}, "MATCH_DOCUMENT_INVALID"),
    ("match-commitment", {"root": "short"}, "MATCH_DOCUMENT_INVALID"),
    ("match-commitment", {"signed_as": "match-result"}, "MALFORMED_MESSAGE"),
    ("match-result", {"job": "00" * 32}, "MATCH_DOCUMENT_INVALID"),
    ("match-result", {"mode": "align"}, "MATCH_DOCUMENT_INVALID"),
    ("match-result", {"broken": True}, "BAD_SIGNATURE"),
    ("match-result", {"count": 9}, "MATCH_DOCUMENT_INVALID"),  # below the minimum nobody shows a count
    ("match-result", {"count": True}, "MATCH_DOCUMENT_INVALID"),
    ("match-result", {"count": None}, "MATCH_DOCUMENT_INVALID"),  # "shared", and no number
    ("match-result", {"outcome": "below minimum"}, "MATCH_DOCUMENT_INVALID"),  # and a number
    ("match-result", {"outcome": "not entitled", "count": None}, "MATCH_DOCUMENT_INVALID"),
    ("match-result", {"outcome": "refused"}, "MATCH_DOCUMENT_INVALID"),  # a count asks nobody
    ("match-result", {"outcome": "gave rows"}, "MATCH_DOCUMENT_INVALID"),
    ("match-result", {"total": 5}, "MATCH_DOCUMENT_INVALID"),
    ("match-result", {"transcripts": {}}, "MATCH_DOCUMENT_INVALID"),
    ("match-result", {"transcripts": {"insurer": 7}}, "MATCH_DOCUMENT_INVALID"),
    ("match-result", {"transcripts": {"insurer": "7a" * 32, "bank": "7a" * 32}}, "MATCH_DOCUMENT_INVALID"),
]


@pytest.mark.parametrize(("kind", "changes", "code"), DOCUMENTS)
def test_a_document_that_does_not_hold_ends_the_match(hub: Hub, kind: str, changes: dict[str, Any], code: str) -> None:
    script = count(hub)
    resigned(script, kind, **changes)
    ended = script.run()
    assert (ended.state, ended.reason["code"]) == ("FAILED", code)


@pytest.mark.parametrize(("liar", "about", "pair"), [
    ("broker", "bank", "bank, broker"), ("bank", "broker", "bank, broker"), ("insurer", "broker", "broker, insurer"),
])  # fmt: skip
def test_two_ends_that_do_not_have_the_same_messages_are_both_named(hub: Hub, liar: str, about: str, pair: str) -> None:
    script = Script(hub, approved(hub, "broker", "insurer", "bank", mode="align"), ALIGN)

    def change(node: str, message: Message) -> Message | None:
        value = message.head.get("result")
        if node != liar or not isinstance(value, dict):
            return message
        body: Any = value["body"]
        signed = hub.parties[node].sign(
            "match-result", {**body, "transcripts": {**body["transcripts"], about: "00" * 32}}
        )
        return replace(message, head={**message.head, "result": signed.to_value()})

    script.change = change
    ended = script.run()
    assert (ended.state, ended.reason["code"]) == ("FAILED", "MATCH_DOCUMENT_INVALID")
    assert f"match-result of {pair} can't be used: the transcripts" in str(ended.reason["en"])


@pytest.mark.parametrize("silent", ["broker", "insurer"])
def test_a_party_that_gives_no_result_completes_nothing(hub: Hub, silent: str) -> None:
    """A follower of a count learns nothing; without its transcript nobody knows what it was sent."""
    script = count(hub)
    script.change = lambda node, message: (
        replace(message, head={**message.head, "result": None}) if node == silent else message
    )
    ended = script.run()
    assert (ended.state, ended.reason["code"]) == ("FAILED", "MATCH_DOCUMENT_INVALID")
    assert silent in str(ended.reason["en"])


def test_a_count_below_the_minimum_is_a_result_without_a_number(hub: Hub) -> None:
    done = count(hub, count=None).run()
    assert done.state == "COMPLETED"


def test_parties_that_hold_different_orders_do_not_complete_an_alignment(hub: Hub) -> None:
    job = approved(hub, "broker", "insurer", "bank", mode="align")
    script = Script(hub, job, ALIGN, order={"bank": "ff" * 32})
    ended = script.run()
    assert (ended.state, ended.reason["code"]) == ("FAILED", "MATCH_DOCUMENT_INVALID")


@pytest.mark.parametrize(
    ("mode", "outcomes", "state"),
    [
        ("count-then-rows", ("shared", "gave rows"), "COMPLETED"),
        ("count-then-rows", ("refused", "refused"), "COMPLETED"),
        ("count-then-rows", ("shared", "refused"), "FAILED"),
        ("count-then-rows", ("refused", "gave rows"), "FAILED"),
        ("count-then-rows", ("shared", "shared"), "FAILED"),
        ("count-then-rows", ("gave rows", "gave rows"), "FAILED"),
        ("align-hidden", ("shared", "shared"), "COMPLETED"),
        ("align-hidden", ("shared", "refused"), "FAILED"),
        ("align-hidden", ("shared", "not entitled"), "FAILED"),
    ],
)
def test_the_parties_outcomes_fit_the_mode_and_each_other(
    hub: Hub, mode: str, outcomes: tuple[str, str], state: str
) -> None:
    job = approved(hub, "broker", "insurer", mode=mode, version=2)
    script = Script(hub, job, COUNT)
    said = dict(zip(("broker", "insurer"), outcomes, strict=True))

    def change(node: str, message: Message) -> Message | None:
        value = message.head.get("result")
        if not isinstance(value, dict):
            return message
        body = {**value["body"], "outcome": said[node], "count": 50}  # type: ignore[dict-item]
        signed = hub.parties[node].sign("match-result", body).to_value()
        return replace(message, head={**message.head, "result": signed})

    script.change = change
    assert script.run().state == state


def test_a_match_in_which_nobody_has_more_to_say_does_not_hang(hub: Hub) -> None:
    script = Script(hub, approved(hub, "broker", "insurer"), {"broker": [["insurer"], []], "insurer": [[], []]})
    ended = script.run()
    assert (ended.state, ended.reason["code"]) == ("FAILED", "MATCH_STALLED")


def test_a_cancelled_match_takes_no_more_answers(hub: Hub) -> None:
    from hub import proposals

    script = count(hub)
    matching.advance(hub.services, script.job.digest)
    (first, _) = script.open_tasks()
    reply = script.reply(first)
    hub.store.run(
        "c", lambda tx: proposals.cancel(hub.services, tx, hub.proposal(script.job.digest), hub.now(), "dana")
    )
    from hub import dispatch
    from tests.hub.relay import caller

    dispatch.take_answer(hub.services, {}, caller(hub, first.node), reply)
    matching.advance(hub.services, script.job.digest)
    assert hub.proposal(script.job.digest).state == "CANCELLED"
    with hub.store.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM document WHERE kind = 'match-commitment'")).scalar() == 0


def test_only_what_everybody_approved_is_started(hub: Hub) -> None:
    from tests.hub.test_proposals import propose

    made = propose(hub)
    hub.decide("broker", made.digest, "match")
    matching.advance(hub.services, made.digest)
    assert hub.proposal(made.digest).state == "PROPOSED"
    tasks = hub.store.read("t", lambda tx: tx.tasks.of_job(made.digest))
    assert {task.kind for task in tasks} == {"proposal"}


def test_nodes_are_given_everybodys_signed_approvals(hub: Hub) -> None:
    script = count(hub)
    matching.advance(hub.services, script.job.digest)
    for task in script.open_tasks():
        listed = task.head["approvals"]
        assert isinstance(listed, list)
        assert [item["signer"] for item in listed if isinstance(item, dict)] == ["broker", "insurer"]


def test_a_decision_names_the_number_and_is_given_once(hub: Hub) -> None:
    """The record shows one decision a party; the same request again gets its first answer."""
    job = approved(hub, "broker", "insurer", mode="count-then-rows", version=2)
    matching.advance(hub.services, job.digest)

    def said(name: str, decision: str, count: Any = 50) -> Message:
        body: Head = {
            "job": job.digest,
            "partner": "broker",
            "decision": decision,
            "count": count,
            "person": "x",
            "time": "t",
        }
        signed = hub.parties["broker"].sign("match-decision", body).to_value()
        request = Message(id=name, kind="match.decision", head={"decision": signed})
        return dispatch.run_request(hub.services, matching.NODE_REQUESTS, caller(hub, "broker"), request)

    for number, count in enumerate((None, True, 9, "50", [50])):
        assert said(f"bad {number}", "agree", count).head["code"] == "MATCH_DOCUMENT_INVALID"
    first = said("first", "agree")
    assert first.kind == "ok"
    assert said("first", "agree") == first
    assert said("second", "refuse").head["code"] == "MATCH_DOCUMENT_INVALID"
    kept = hub.store.read("d", lambda tx: tx.jobs.documents(job.digest, "match-decision"))
    assert [found.document.body["decision"] for found in kept] == ["agree"]


def working(script: Script, steps: int) -> None:
    """Let the broker say of its first steps that it has more to work on."""

    def change(node: str, message: Message) -> Message | None:
        if node != "broker" or "done" not in message.head:
            return message
        step = int(message.id.split("-step-")[1].split("-")[0])
        return replace(message, head={**message.head, "more": step < steps, "progress": [min(step, steps), steps]})

    script.change = change


def test_a_party_with_more_to_work_on_is_asked_again_at_once_without_envelopes(hub: Hub) -> None:
    sends = {"broker": [[], [], ["insurer"], []], "insurer": [[], ["broker"]]}
    script = Script(hub, approved(hub, "broker", "insurer"), sends)
    working(script, 2)
    done = script.run()
    assert done.state == "COMPLETED", done.reason
    steps = [node for kind, node in script.asked if kind == "match.step"]
    assert sorted(steps[:4]) == ["broker"] * 3 + ["insurer"] and steps[4:] == ["insurer", "broker"]
    parties = done.progress["parties"]
    assert isinstance(parties, dict)
    assert parties["broker"]["parts"] == [2, 2]  # type: ignore[index, call-overload]


@pytest.mark.parametrize(
    "changes",
    [{"more": 1}, {"done": True, "more": True}, {"progress": [2, 1]}, {"progress": [1]}, {"progress": "x"}],
    ids=str,
)
def test_an_answer_that_does_not_say_how_it_stands_ends_the_match(hub: Hub, changes: dict[str, Any]) -> None:
    script = count(hub)

    def change(node: str, message: Message) -> Message | None:
        first = node == "broker" and "-step-0-" in message.id
        return replace(message, head={**message.head, **changes}) if first else message

    script.change = change
    ended = script.run()
    assert (ended.state, ended.reason["code"]) == ("FAILED", "MATCH_DOCUMENT_INVALID")


DECIDING = {"broker": [["insurer"], [], ["insurer"], []], "insurer": [[], ["broker"], [], ["broker"]]}


def deciding(hub: Hub) -> Script:
    """A count that waits for people, after the second step of each."""
    job = approved(hub, "broker", "insurer", mode="count-then-rows", version=2)
    script = Script(hub, job, DECIDING, outcomes={"insurer": "gave rows"})

    def change(node: str, message: Message) -> Message | None:
        waits = "-step-1-" in message.id
        return replace(message, head={**message.head, "phase": "decision"}) if waits else message

    script.change = change
    return script


def decision(script: Script, node: str, **changes: Any) -> Message:
    body = {"job": script.job.digest, "partner": node, "decision": "agree", "count": 50, "person": "p", "time": "t"}
    signed = script.hub.parties[node].sign("match-decision", {**body, **changes})
    return Message(id=f"match-decision/{node}", kind="match.decision", head={"decision": signed.to_value()})


def told(script: Script, node: str, message: Message) -> Message:
    from hub import dispatch
    from tests.hub.relay import caller

    reply = dispatch.run_request(script.hub.services, matching.NODE_REQUESTS, caller(script.hub, node), message)
    matching.advance(script.hub.services, script.job.digest)
    return reply


def test_a_match_waits_for_people_and_goes_on_with_each_decision(hub: Hub) -> None:
    script = deciding(hub)
    found = script.run()
    assert found.state == "RUNNING", found.reason
    assert script.open_tasks() == [], "nobody is asked, and the match has not stalled"
    reply = told(script, "insurer", decision(script, "insurer"))
    assert "receipt" in reply.head
    assert [task.node for task in script.open_tasks()] == ["insurer"]
    assert script.run().state == "RUNNING"
    told(script, "broker", decision(script, "broker"))
    assert script.run().state == "COMPLETED"
    kinds = [kind for kind, subject in hub.leaves() if subject == script.job.digest]
    assert kinds.count("match-decision") == 2


def test_a_party_that_keeps_waiting_after_its_decision_is_asked_once(hub: Hub) -> None:
    script = deciding(hub)
    script.run()
    always = script.change
    script.change = lambda node, message: replace(
        always(node, message) or message, head={**message.head, "phase": "decision", "done": False, "result": None}
    )
    told(script, "insurer", decision(script, "insurer"))
    before = len(script.asked)
    script.run()
    assert script.asked[before:].count(("match.step", "insurer")) == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"decision": "perhaps"}, "MALFORMED_MESSAGE"),
        ({"partner": "bank"}, "MALFORMED_MESSAGE"),
        ({"more": 1}, "MALFORMED_MESSAGE"),
        ({"job": "00" * 32}, "PROPOSAL_UNKNOWN"),
    ],
    ids=str,
)
def test_a_decision_that_is_none_is_refused(hub: Hub, changes: dict[str, Any], code: str) -> None:
    script = deciding(hub)
    script.run()
    assert told(script, "insurer", decision(script, "insurer", **changes)).head["code"] == code
    assert script.open_tasks() == []


def test_a_decision_on_a_match_without_one_is_refused(hub: Hub) -> None:
    script = count(hub)
    matching.advance(hub.services, script.job.digest)
    assert told(script, "insurer", decision(script, "insurer")).head["code"] == "PROPOSAL_STATE"


def test_two_counts_that_differ_do_not_complete_a_match(hub: Hub) -> None:
    sends = {"broker": [["insurer"], []], "insurer": [["broker"]]}
    job = approved(hub, "broker", "insurer", mode="rows", engine="oprf", version=2, both=True)
    script = Script(hub, job, {**sends, "insurer": [[], ["broker"]]})
    resigned(script, "match-result", count=51)
    ended = script.run()
    assert (ended.state, ended.reason["code"]) == ("FAILED", "MATCH_DOCUMENT_INVALID")


def test_who_is_not_entitled_shows_no_count(hub: Hub) -> None:
    job = approved(hub, "insurer", "broker", mode="rows", engine="oprf", version=2)
    script = Script(hub, job, {"insurer": [["broker"], []], "broker": [["insurer"]]})
    resigned(script, "match-result", count=50)
    ended = script.run()
    assert (ended.state, ended.reason["code"]) == ("FAILED", "MATCH_DOCUMENT_INVALID")
