"""A step's answer and what follows from it are one transaction; one that can't be handled is kept for the engine."""

from dataclasses import replace

from hub import dispatch, matching
from privacy import packing
from tests.hub.alliance import Hub
from tests.hub.relay import Script, approved, caller

COUNT = {"broker": [["insurer"], []], "insurer": [[], ["broker"]]}


def begun(hub: Hub) -> Script:
    """A count whose parties have committed and are asked for their first steps."""
    script = Script(hub, approved(hub, "broker", "insurer"), COUNT)
    matching.advance(hub.services, script.job.digest)
    for task in script.open_tasks():
        script.answer(task)
    return script


def test_a_match_goes_to_its_end_in_the_transactions_that_store_the_answers(hub: Hub) -> None:
    script = begun(hub)
    while tasks := script.open_tasks():  # no engine advances from here on
        script.asked.append((tasks[0].kind, tasks[0].node))
        dispatch.take_answer(hub.services, matching.ANSWERS, caller(hub, tasks[0].node), script.reply(tasks[0]))
    assert hub.proposal(script.job.digest).state == "COMPLETED"
    assert [node for kind, node in script.asked if kind == "match.step"] == ["broker", "insurer", "insurer", "broker"]


def test_an_answer_that_can_not_be_handled_is_stored_and_left_to_the_engine(hub: Hub) -> None:
    script = begun(hub)
    task = script.open_tasks()[0]
    script.asked.append((task.kind, task.node))
    gap = packing.pack([script.envelope("broker", "insurer", sequence=7)])
    wrong = replace(script.reply(task), body=gap, sha256=b"")
    dispatch.take_answer(hub.services, matching.ANSWERS, caller(hub, task.node), wrong)
    stored = hub.store.read("t", lambda tx: tx.tasks.get(task.id))
    assert stored is not None and (stored.state, stored.handled) == ("ANSWERED", False)
    assert hub.store.read("e", lambda tx: tx.jobs.envelopes(script.job.digest)) == 0
    assert hub.proposal(script.job.digest).state == "RUNNING"
    matching.advance(hub.services, script.job.digest)
    failed = hub.proposal(script.job.digest)
    assert (failed.state, failed.reason["code"]) == ("FAILED", "RELAY_REFUSED")


def test_envelopes_travel_while_their_recipient_works_and_later_ones_wait(hub: Hub) -> None:
    sends = {"broker": [["insurer"], ["insurer"], ["insurer"], []], "insurer": [[], [], [], ["broker"]]}
    script = Script(hub, approved(hub, "broker", "insurer"), sends)
    matching.advance(hub.services, script.job.digest)
    for task in script.open_tasks():
        script.answer(task)

    def answer(node: str, *, more: bool) -> list[int]:
        """The oldest open step of a node is answered; how many envelopes each of the insurer's open steps has."""
        task = next(task for task in script.open_tasks() if task.node == node)
        script.asked.append((task.kind, node))
        reply = script.reply(task)
        told = replace(reply, head={**reply.head, "more": more})
        dispatch.take_answer(hub.services, matching.ANSWERS, caller(hub, node), told)
        opened = [task for task in script.open_tasks() if task.node == "insurer"]
        return [len(packing.unpack(task.body or b"")) for task in opened]  # type: ignore[arg-type]

    assert answer("broker", more=True) == [0, 1]
    assert answer("broker", more=True) == [0, 1]
    assert answer("broker", more=False) == [0, 1]
    assert answer("insurer", more=False) == [1, 2], "what waited goes together"
    assert answer("insurer", more=False) == [2]
    assert len(script.taken["insurer"]) == 1
