"""A statement's life in Settlement.vy: its window to the second, pauses, disputes, replacement, payment, lines."""

from dataclasses import replace

import pytest

from contracts import abi, artifacts, errors, settlement
from contracts.settlement import ZERO, Anchor
from privacy import merkle
from tests.contracts.alliance import KEYS, PAYOUT, REASON, WINDOW, Alliance, refused

# --- the whole life ---------------------------------------------------------------------------------------------------


def test_a_statement_goes_from_proposed_to_acknowledged(alliance: Alliance) -> None:
    anchor = alliance.anchor()
    statement = alliance.digest(anchor)
    (proposed,) = alliance.send("stranger", alliance.proposal(anchor)).events
    assert proposed.name == "Proposed"
    assert dict(proposed.values) == {
        "digest": statement,
        "partner": anchor.partner,
        "sequence": 1,
        "root": anchor.root,
        "lines": anchor.lines,
        "total": anchor.total,
        "terms": anchor.terms,
        "closes": alliance.time + WINDOW,
    }
    assert alliance.state(statement) == "PROPOSED"
    alliance.wait_until(alliance.closes(statement))
    assert [e.name for e in alliance.send("stranger", settlement.finalise_data(statement)).events] == ["Finalised"]
    assert alliance.state(statement) == "FINAL"
    (paid,) = alliance.send("broker", settlement.mark_paid_data(statement, PAYOUT)).events
    assert (paid.name, paid["payout"]) == ("Paid", PAYOUT)
    assert alliance.state(statement) == "PAID"
    (acknowledged,) = alliance.send("referrer", settlement.acknowledge_paid_data(statement)).events
    assert (acknowledged.name, acknowledged["digest"]) == ("Acknowledged", statement)
    assert alliance.state(statement) == "ACKED"
    assert alliance.read(abi.selector("last(bytes32)") + anchor.partner) == statement


# --- time -------------------------------------------------------------------------------------------------------------


def test_a_dispute_is_possible_until_the_last_second(alliance: Alliance) -> None:
    statement = alliance.propose()
    alliance.wait_until(alliance.closes(statement) - 1)
    alliance.send("referrer", settlement.dispute_data(statement, REASON))
    assert alliance.state(statement) == "DISPUTED"


def test_at_the_end_a_dispute_is_too_late(alliance: Alliance) -> None:
    statement = alliance.propose()
    alliance.wait_until(alliance.closes(statement))
    refused(alliance, "referrer", settlement.dispute_data(statement, REASON), "window closed")
    alliance.send("stranger", settlement.finalise_data(statement))


def test_a_second_before_the_end_finalising_is_too_early(alliance: Alliance) -> None:
    statement = alliance.propose()
    assert alliance.closes(statement) == alliance.time + WINDOW
    alliance.wait_until(alliance.closes(statement) - 1)
    refused(alliance, "stranger", settlement.finalise_data(statement), "window open")
    alliance.send("stranger", settlement.finalise_data(statement))  # sealed one second later: exactly the end
    assert alliance.state(statement) == "FINAL"


# --- pause ------------------------------------------------------------------------------------------------------------


def test_a_pause_stops_entering_finalising_and_paying_but_not_objecting(alliance: Alliance) -> None:
    final, open_one = alliance.final("other_partner"), alliance.propose()
    alliance.send("governor", settlement.pause_data())
    refused(alliance, "stranger", alliance.proposal(alliance.anchor()), "paused")
    refused(alliance, "stranger", settlement.finalise_data(open_one), "paused")
    refused(alliance, "broker", settlement.mark_paid_data(final, PAYOUT), "paused")
    refused(alliance, "governor", settlement.pause_data(), "paused")
    alliance.send("referrer", settlement.dispute_data(open_one, REASON))


def test_what_is_not_paused_cannot_be_released(alliance: Alliance) -> None:
    refused(alliance, "governor", settlement.unpause_data(), "not paused")


def test_a_pause_extends_an_open_window_by_its_length(alliance: Alliance) -> None:
    statement = alliance.propose()
    end = alliance.closes(statement)
    alliance.wait_until(end - 400)
    alliance.send("governor", settlement.pause_data())  # 400 seconds are left
    alliance.wait_until(end + 5_000)
    alliance.send("governor", settlement.unpause_data())
    assert alliance.closes(statement) == end + 5_400
    alliance.wait_until(end + 5_399)
    refused(alliance, "stranger", settlement.finalise_data(statement), "window open")
    alliance.send("stranger", settlement.finalise_data(statement))


def test_during_a_pause_the_window_stays_as_far_away(alliance: Alliance) -> None:
    statement = alliance.propose()
    alliance.wait_until(alliance.closes(statement) - 1)
    alliance.send("governor", settlement.pause_data())
    for later in (10, 10_000):
        alliance.ledger.seal((), alliance.time + later)
        assert alliance.closes(statement) == alliance.time + 1
    alliance.send("broker", settlement.dispute_data(statement, REASON))


def test_pauses_add_up(alliance: Alliance) -> None:
    statement = alliance.propose()
    end = alliance.closes(statement)
    total = 0
    for length in (50, 70):
        alliance.send("governor", settlement.pause_data())
        alliance.wait_until(alliance.time + length)
        alliance.send("governor", settlement.unpause_data())
        total += length
    assert alliance.closes(statement) == end + total


def test_a_pause_before_a_statement_does_not_extend_its_window(alliance: Alliance) -> None:
    alliance.send("governor", settlement.pause_data())
    alliance.wait_until(alliance.time + 500)
    alliance.send("governor", settlement.unpause_data())
    statement = alliance.propose()
    assert alliance.closes(statement) == alliance.time + WINDOW


def test_a_window_that_is_over_does_not_open_again_by_a_pause(alliance: Alliance) -> None:
    statement = alliance.propose()
    alliance.wait_until(alliance.closes(statement) + 10)
    alliance.send("governor", settlement.pause_data())
    refused(alliance, "referrer", settlement.dispute_data(statement, REASON), "window closed")
    alliance.wait_until(alliance.time + 5_000)
    alliance.send("governor", settlement.unpause_data())
    refused(alliance, "referrer", settlement.dispute_data(statement, REASON), "window closed")
    alliance.send("stranger", settlement.finalise_data(statement))


# --- dispute, decision, replacement -----------------------------------------------------------------------------------


def test_a_disputed_statement_is_neither_finalised_nor_disputed_again(alliance: Alliance) -> None:
    statement = alliance.disputed()
    alliance.wait_until(alliance.closes(statement) + 1)
    refused(alliance, "stranger", settlement.finalise_data(statement), "not proposed")
    refused(alliance, "broker", settlement.dispute_data(statement, REASON), "not proposed")


def test_a_dismissed_dispute_leaves_nothing_but_to_finalise(alliance: Alliance) -> None:
    statement = alliance.disputed()
    (resolved,) = alliance.send("arbiter", settlement.resolve_data(statement, False, REASON)).events
    assert (resolved["upheld"], resolved["reason"]) == (False, REASON)
    refused(alliance, "referrer", settlement.dispute_data(statement, REASON), "window closed")
    alliance.send("stranger", settlement.finalise_data(statement))


def test_a_dispute_dismissed_during_a_pause_is_finalised_right_after_it(alliance: Alliance) -> None:
    statement = alliance.disputed()
    alliance.send("governor", settlement.pause_data())
    alliance.wait_until(alliance.time + 300)
    alliance.send("arbiter", settlement.resolve_data(statement, False, REASON))
    alliance.wait_until(alliance.time + 300)
    refused(alliance, "referrer", settlement.dispute_data(statement, REASON), "window closed")
    alliance.send("governor", settlement.unpause_data())
    alliance.send("stranger", settlement.finalise_data(statement))


@pytest.mark.parametrize("upheld", [True, False])
def test_what_is_not_disputed_cannot_be_decided(alliance: Alliance, upheld: bool) -> None:
    statement = alliance.propose()
    refused(alliance, "arbiter", settlement.resolve_data(statement, upheld, REASON), "not disputed")


def test_an_upheld_dispute_makes_void_and_the_replacement_names_it(alliance: Alliance) -> None:
    statement = alliance.disputed()
    alliance.send("arbiter", settlement.resolve_data(statement, True, REASON))
    assert alliance.state(statement) == "VOID"
    anchor = alliance.anchor(replaces=statement)
    assert anchor.previous == statement
    events = alliance.send("stranger", alliance.proposal(anchor)).events
    assert [event.name for event in events] == ["Replaced", "Proposed"]
    assert (events[0]["digest"], events[0]["replacement"]) == (statement, alliance.digest(anchor))
    assert alliance.read(abi.selector("replacement(bytes32)") + statement) == alliance.digest(anchor)


def test_the_parties_may_replace_a_disputed_statement_without_the_arbiter(alliance: Alliance) -> None:
    statement = alliance.disputed()
    replacement = alliance.propose(replaces=statement)
    assert (alliance.state(statement), alliance.state(replacement)) == ("VOID", "PROPOSED")
    refused(alliance, "arbiter", settlement.resolve_data(statement, False, REASON), "not disputed")


def test_a_statement_is_replaced_once(alliance: Alliance) -> None:
    statement = alliance.disputed()
    alliance.propose(replaces=statement)
    refused(alliance, "stranger", alliance.proposal(alliance.anchor(replaces=statement)), "replaced before")


@pytest.mark.parametrize("state", ["PROPOSED", "FINAL", "PAID"])
def test_only_a_disputed_or_void_statement_can_be_replaced(alliance: Alliance, state: str) -> None:
    statement = {"PROPOSED": alliance.propose, "FINAL": alliance.final, "PAID": alliance.paid}[state]()
    refused(alliance, "stranger", alliance.proposal(alliance.anchor(replaces=statement)), "replaces state")


def test_another_partners_or_an_unknown_statement_cannot_be_replaced(alliance: Alliance) -> None:
    foreign = alliance.disputed("other_partner")
    refused(alliance, "stranger", alliance.proposal(alliance.anchor(replaces=foreign)), "replaces")
    refused(alliance, "stranger", alliance.proposal(alliance.anchor(replaces=b"\x44" * 32)), "replaces")


# --- successor --------------------------------------------------------------------------------------------------------


def test_a_succeeded_contract_takes_nothing_new_and_ends_what_it_has(alliance: Alliance) -> None:
    disputed, final, open_one = alliance.disputed("other_partner"), alliance.final(), alliance.propose()
    heir = alliance.deploy(alliance.arguments)
    (told,) = alliance.send("governor", settlement.set_successor_data(heir)).events
    assert (told.name, told["successor"]) == ("SuccessorSet", heir)
    refused(alliance, "stranger", alliance.proposal(alliance.anchor()), "succeeded")
    refused(alliance, "governor", settlement.set_successor_data(alliance.deploy(alliance.arguments)), "succeeded")
    alliance.send("arbiter", settlement.resolve_data(disputed, False, REASON))
    alliance.send("stranger", settlement.finalise_data(disputed))
    alliance.send("broker", settlement.mark_paid_data(final, PAYOUT))
    alliance.send("referrer", settlement.acknowledge_paid_data(final))
    alliance.send("referrer", settlement.dispute_data(open_one, REASON))
    assert [alliance.state(one) for one in (disputed, final, open_one)] == ["FINAL", "ACKED", "DISPUTED"]


def test_only_another_contract_succeeds(alliance: Alliance) -> None:
    refused(alliance, "governor", settlement.set_successor_data(KEYS["stranger"].address), "successor")
    refused(alliance, "governor", settlement.set_successor_data(alliance.contract), "successor is this")


# --- payment ----------------------------------------------------------------------------------------------------------


def test_only_a_final_statement_is_paid(alliance: Alliance) -> None:
    refused(alliance, "broker", settlement.mark_paid_data(alliance.propose(), PAYOUT), "not final")
    refused(alliance, "broker", settlement.mark_paid_data(b"\x44" * 32, PAYOUT), "not final")


def test_a_statement_is_paid_once(alliance: Alliance) -> None:
    statement = alliance.paid()
    refused(alliance, "broker", settlement.mark_paid_data(statement, b"\x0f" * 32), "not final")


@pytest.mark.parametrize("partner", ["referrer", "other_partner"])
def test_one_payment_pays_one_statement(alliance: Alliance, partner: str) -> None:
    alliance.paid()
    other = alliance.final(partner)
    refused(alliance, "broker", settlement.mark_paid_data(other, PAYOUT), "payout used")
    alliance.send("broker", settlement.mark_paid_data(other, b"\x0f" * 32))


def test_a_payment_has_a_reference(alliance: Alliance) -> None:
    refused(alliance, "broker", settlement.mark_paid_data(alliance.final(), ZERO), "payout")


def test_only_a_paid_statement_is_acknowledged_and_once(alliance: Alliance) -> None:
    statement = alliance.final()
    refused(alliance, "referrer", settlement.acknowledge_paid_data(statement), "not paid")
    alliance.send("broker", settlement.mark_paid_data(statement, PAYOUT))
    alliance.send("referrer", settlement.acknowledge_paid_data(statement))
    refused(alliance, "referrer", settlement.acknowledge_paid_data(statement), "not paid")


def test_no_function_takes_value(alliance: Alliance) -> None:
    for entry in artifacts.load("Settlement").abi:
        if entry["type"] in ("function", "constructor"):
            assert entry["stateMutability"] in ("view", "nonpayable")


# --- lines ------------------------------------------------------------------------------------------------------------


def proves(alliance: Alliance, anchor: Anchor, leaf: bytes, index: int, path: list[bytes]) -> bool:
    return abi.boolean(alliance.read(settlement.prove_line_data(anchor, leaf, index, path)))


@pytest.mark.parametrize("lines", [1, 2, 3, 5, 8, 13])
def test_each_line_proves_itself_and_nothing_else_does(alliance: Alliance, lines: int) -> None:
    leaves = [merkle.leaf_hash(b"salt" + bytes([i])) for i in range(lines)]
    anchor = alliance.anchor(root=merkle.root(leaves), lines=lines)
    alliance.send("stranger", alliance.proposal(anchor))
    for index, leaf in enumerate(leaves):
        path = merkle.inclusion_proof(leaves, index)
        assert proves(alliance, anchor, leaf, index, path)
        assert not proves(alliance, anchor, merkle.leaf_hash(b"forged"), index, path)
        assert not proves(alliance, anchor, leaf, index, [*path, leaf])
        # a statement that was never entered: of another size over the same root, or of another root
        assert not proves(alliance, replace(anchor, lines=lines + 1), leaf, index, path)
        assert not proves(alliance, replace(anchor, sequence=2, previous=b"\x01" * 32), leaf, index, path)
        if path:
            assert not proves(alliance, anchor, leaf, index, path[:-1])
        # also leaf 2 of 3, whose path of one hash looks like the first step from leaf 1
        elsewhere = [other for other in range(lines) if other != index]
        assert not any(proves(alliance, anchor, leaf, other, path) for other in elsewhere)


def test_an_inner_node_is_not_a_line(alliance: Alliance) -> None:
    leaves = [merkle.leaf_hash(b"salt" + bytes([i])) for i in range(4)]
    anchor = alliance.anchor(root=merkle.root(leaves), lines=4)
    alliance.send("stranger", alliance.proposal(anchor))
    left, right = merkle.root(leaves[:2]), merkle.root(leaves[2:])
    assert not proves(alliance, anchor, left, 0, [right])
    # three leaves with the last one doubled are four other leaves: the tree of three has another root
    assert merkle.root(leaves[:3]) != merkle.root([*leaves[:3], leaves[2]])


def test_a_line_beyond_the_statement_is_refused(alliance: Alliance) -> None:
    anchor = alliance.anchor()
    alliance.send("stranger", alliance.proposal(anchor))
    with pytest.raises(errors.TransactionReverted) as caught:
        proves(alliance, anchor, b"\x01" * 32, anchor.lines, [])
    assert caught.value.facts["reason"] == "index"


def test_a_root_of_nothing_is_a_root_like_any_other_but_no_line_stands_under_it(alliance: Alliance) -> None:
    anchor = alliance.anchor(root=merkle.root([]), lines=1)
    alliance.send("stranger", alliance.proposal(anchor))
    assert not proves(alliance, anchor, merkle.leaf_hash(b""), 0, [])
