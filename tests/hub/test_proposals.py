"""Proposals: exactly what the parties signed for, in the states of the table and no others."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ecowire import documents
from ecowire.status import MalformedMessage
from hub import matching, partners, proposals
from hub.proposals import (
    AlreadyDecided,
    ApprovalOfOther,
    KeysDiffer,
    PartyUnknown,
    PrefixShort,
    ProposalAmbiguous,
    ProposalInvalid,
    ProposalState,
    ProposalUnknown,
)
from hub.records import Head, Proposal
from hub.store import Transaction
from privacy.errors import Failure
from privacy.seal import BadSignature
from tests.hub.alliance import OPERATOR, Hub, hub_without_ports, match_body, party


def propose(hub: Hub, **changes: object) -> Proposal:
    return hub.propose("match", {**match_body("broker", "insurer"), **changes}, matching.check)  # type: ignore[dict-item]


def test_the_hub_fills_in_the_keys_and_the_digest_covers_them(hub: Hub) -> None:
    made = propose(hub)
    assert made.digest == documents.digest("match", made.body)
    for body in made.party_bodies:
        own = hub.parties[str(body["partner"])]
        assert (body["signing"], body["chain"]) == (own.signing.public.hex(), own.chain.address)
    tasks = hub.store.read("tasks", lambda tx: tx.tasks.of_job(made.digest))
    assert [(t.kind, t.node, t.head["digest"]) for t in tasks] == [
        ("proposal", "broker", made.digest),
        ("proposal", "insurer", made.digest),
    ]
    assert ("proposal", made.digest) in hub.leaves()


def test_the_same_proposal_twice_is_one(hub: Hub) -> None:
    assert propose(hub) == propose(hub)
    assert len(hub.store.read("all", lambda tx: tx.jobs.proposals())) == 1


BAD_BODIES: list[tuple[str, Head, type[Failure]]] = [
    (
        "one party",
        {"parties": [{"partner": "broker", "role": "leader", "asset": "a", "id_column": "i"}]},
        ProposalInvalid,
    ),
    ("no parties", {"parties": "broker"}, ProposalInvalid),
    ("party is no object", {"parties": ["broker", "insurer"]}, ProposalInvalid),
    ("a stranger", match_body("broker", "stranger"), PartyUnknown),
    ("a partner twice", match_body("broker", "broker"), ProposalInvalid),
    ("expired", {"expires": "2026-09-30T00:00:00Z"}, ProposalInvalid),
    ("expiry without zone", {"expires": "2026-10-02T00:00:00"}, ProposalInvalid),
    ("no disclosure", {"disclosure": []}, ProposalInvalid),
    ("disclosure of numbers", {"disclosure": [1]}, ProposalInvalid),
    ("no purpose", {"purpose": ""}, ProposalInvalid),
    ("unknown field", {"colour": "red"}, ProposalInvalid),
    ("unknown mode", {"mode": "rows"}, ProposalInvalid),
    ("unknown engine", {"engine": "magic"}, ProposalInvalid),
    ("other normaliser", {"normaliser": 1}, ProposalInvalid),
    ("minimum of zero", {"minimum": 0}, ProposalInvalid),
    ("minimum that is a truth value", {"minimum": True}, ProposalInvalid),
    ("count of three", match_body("broker", "insurer", "bank"), ProposalInvalid),
    ("too large", {"disclosure": ["x" * 150_000]}, ProposalInvalid),
    ("too large, whoever its parties are", {**match_body("a", "b"), "disclosure": ["x" * 150_000]}, ProposalInvalid),
    ("a hidden character in a sentence", {"disclosure": ["all rows \x1b[2J stay"]}, ProposalInvalid),
    ("a text that runs backwards", {"purpose": "joint\u202eprofile"}, ProposalInvalid),
    ("a hidden character in a name", {"colour\u200b": "red"}, ProposalInvalid),
]


def test_a_hidden_character_is_refused_at_the_hub_and_its_field_is_named(hub: Hub) -> None:
    body = match_body("broker", "insurer")
    body["parties"][1]["asset"] = "clients\u200b"  # type: ignore[index, call-overload]
    with pytest.raises(ProposalInvalid, match=r"parties\[1\]\.asset has control or invisible characters"):
        hub.propose("match", body, matching.check)


@pytest.mark.parametrize(
    ("changes", "failure"), [case[1:] for case in BAD_BODIES], ids=[case[0] for case in BAD_BODIES]
)
def test_a_bad_body_is_refused_and_leaves_nothing(hub: Hub, changes: Head, failure: type[Failure]) -> None:
    before = hub.leaves()
    with pytest.raises(failure):
        propose(hub, **changes)
    assert hub.leaves() == before
    assert hub.store.read("all", lambda tx: tx.jobs.proposals()) == ()


@pytest.mark.parametrize("key", ["signing", "sealing", "chain"])
def test_keys_that_are_not_the_cards_are_refused(hub: Hub, key: str) -> None:
    body = match_body("broker", "insurer")
    other = party("insurer", b"other")
    value = other.chain.address if key == "chain" else getattr(other, key).public.hex()
    body["parties"][1][key] = value  # type: ignore[index, call-overload]
    with pytest.raises(KeysDiffer):
        hub.propose("match", body, matching.check)


def test_all_approvals_make_it_approved_and_each_leaves_a_leaf_and_a_receipt(hub: Hub) -> None:
    made = propose(hub)
    receipt = hub.decide("broker", made.digest, "match")
    receipt.verify(hub.services.log.key.public)
    assert hub.proposal(made.digest).state == "PROPOSED"
    hub.decide("insurer", made.digest, "match")
    assert hub.proposal(made.digest).state == "APPROVED"
    kinds = [kind for kind, subject in hub.leaves() if subject == made.digest]
    assert kinds == ["proposal", "approval", "approval", "job"]


def test_one_refusal_ends_it(hub: Hub) -> None:
    made = propose(hub)
    hub.decide("broker", made.digest, "match")
    hub.decide("insurer", made.digest, "match", "refuse", reason="not this month")
    ended = hub.proposal(made.digest)
    assert (ended.state, ended.reason["en"]) == ("REFUSED", "not this month")
    for name in ("broker", "insurer"):  # all that is still to be sent is the word that it ended, and why
        (told,) = [task.id for task in hub.open_tasks(name)]
        task = hub.store.read("told", lambda tx, t=told: tx.tasks.get(t))
        assert (task.kind, task.head["job"], task.head["state"]) == ("job.ended", made.digest, "REFUSED")
        assert task.head["reason"] == ended.reason


def test_each_party_is_told_of_a_cancellation_but_not_one_that_left(hub: Hub) -> None:
    made = propose(hub)
    hub.run(partners.revoke, OPERATOR, hub.now(), {"partner": "broker", "reason": "left"})
    assert hub.proposal(made.digest).state == "FAILED"
    told = hub.store.read("told", lambda tx: tx.tasks.of_job("", kind="job.ended"))
    assert [task.node for task in told] == ["insurer"]


def test_the_same_decision_again_gets_the_same_receipt(hub: Hub) -> None:
    made = propose(hub)
    first = hub.decide("broker", made.digest, "match")
    assert hub.decide("broker", made.digest, "match") == first
    assert [kind for kind, _ in hub.leaves()].count("approval") == 1


def test_a_decision_can_not_be_taken_back(hub: Hub) -> None:
    made = propose(hub)
    hub.decide("broker", made.digest, "match")
    with pytest.raises(AlreadyDecided):
        hub.decide("broker", made.digest, "match", "refuse")


def test_an_approval_of_any_other_digest_fails(hub: Hub) -> None:
    made = propose(hub)
    changed = documents.digest("match", {**made.body, "minimum": 11})
    with pytest.raises(ApprovalOfOther):
        hub.decide("broker", changed, "match")
    with pytest.raises(ApprovalOfOther):
        hub.decide("broker", made.digest, "train")
    with pytest.raises(ApprovalOfOther):
        hub.decide("bank", made.digest, "match")  # the bank is no party
    assert hub.proposal(made.digest).state == "PROPOSED"


def test_an_approval_signed_by_another_key_or_for_another_partner_fails(hub: Hub) -> None:
    made = propose(hub)
    forged = party("broker", b"forger").approval(made.digest, "match")
    with pytest.raises(BadSignature):
        hub.run(proposals.decide, hub.partner("broker"), hub.now(), forged)
    insurers = hub.parties["insurer"].approval(made.digest, "match")
    in_their_name = hub.parties["broker"].approval(made.digest, "match", partner="insurer")
    for approval in (insurers, in_their_name):
        with pytest.raises(ApprovalOfOther):
            hub.run(proposals.decide, hub.partner("broker"), hub.now(), approval)
    assert hub.store.read("a", lambda tx: tx.jobs.approvals(made.digest)) == ()


def test_an_approval_of_an_earlier_version_which_names_no_partner_is_taken(hub: Hub) -> None:
    made = propose(hub)
    for name in ("broker", "insurer"):
        given = hub.parties[name].approval(made.digest, "match")
        older = {field: value for field, value in given.body.items() if field != "partner"}
        hub.run(proposals.decide, hub.partner(name), hub.now(), hub.parties[name].sign("approval", older))
    assert hub.proposal(made.digest).state == "APPROVED"


@pytest.mark.parametrize("changes", [{"decision": "maybe"}, {"extra": "x"}, {"person": 7}])
def test_an_approval_of_another_form_fails(hub: Hub, changes: Head) -> None:
    made = propose(hub)
    approval = hub.parties["broker"].approval(made.digest, "match", **{"decision": "approve", **changes})  # type: ignore[arg-type]
    with pytest.raises((MalformedMessage, Failure)):
        hub.run(proposals.decide, hub.partner("broker"), hub.now(), approval)
    assert hub.store.read("a", lambda tx: tx.jobs.approvals(made.digest)) == ()


def test_an_approval_after_the_expiry_fails_even_before_the_timer_ran(hub: Hub) -> None:
    made = propose(hub)
    hub.clock.forward(86_400)
    with pytest.raises(ProposalState, match="EXPIRED"):
        hub.decide("broker", made.digest, "match")


def test_a_key_that_changed_since_the_proposal_does_not_approve_it(hub: Hub) -> None:
    made = propose(hub)
    hub.enrol(party("broker", b"new keys"))
    with pytest.raises(KeysDiffer):
        hub.decide("broker", made.digest, "match")


def test_a_job_is_found_by_an_unambiguous_prefix_of_eight_digits(hub: Hub) -> None:
    made = propose(hub)

    def get(prefix: object) -> Proposal:
        return hub.store.read("get", lambda tx: proposals.get(tx, prefix))

    assert get(made.digest[:8]).digest == made.digest
    for bad in ("zz" * 10, "%" * 10, "ff" * 32, made.digest + "0", 7, None):
        with pytest.raises(ProposalUnknown):
            get(bad)
    for short in (made.digest[:7], "b4", ""):
        with pytest.raises(PrefixShort, match="8 or more"):
            get(short)


def test_an_ambiguous_prefix_is_named(hub: Hub) -> None:
    from dataclasses import replace

    from privacy.ids import Digest

    made = propose(hub)
    twin = replace(made, digest=Digest(made.digest[:10] + "f" * 54))
    hub.store.run("twin", lambda tx: tx.jobs.add_proposal(twin))
    with pytest.raises(ProposalAmbiguous):
        hub.store.read("get", lambda tx: proposals.get(tx, made.digest[:10]))


def test_every_state_is_in_the_table_and_ends_have_no_way_out() -> None:
    states = set(proposals.TRANSITIONS)
    assert set().union(*proposals.TRANSITIONS.values()) <= states
    assert {s for s in states if not proposals.TRANSITIONS[s]} == {
        "COMPLETED",
        "REFUSED",
        "EXPIRED",
        "FAILED",
        "CANCELLED",
    }


class Life(RuleBasedStateMachine):
    """A job's life under any order of decisions, cancellations, failures and time, beside a plain model of it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.context = hub_without_ports(Path(self.folder.name), "broker", "insurer")
        self.hub = self.context.__enter__()
        self.decided: dict[str, str] = {}
        self.model = "PROPOSED"

    def teardown(self) -> None:
        self.context.__exit__(None, None, None)
        self.folder.cleanup()

    @initialize()
    def proposed(self) -> None:
        self.job = propose(self.hub).digest

    @property
    def expired(self) -> bool:
        return self.hub.now() >= self.hub.proposal(self.job).expires_at

    @rule(who=st.sampled_from(["broker", "insurer"]), decision=st.sampled_from(["approve", "approve", "refuse"]))
    def decide(self, who: str, decision: str) -> None:
        try:
            self.hub.decide(who, self.job, "match", decision)
        except AlreadyDecided:
            assert self.decided[who] != decision
            return
        except ProposalState:
            assert who not in self.decided
            assert self.model != "PROPOSED" or self.expired
            return
        if who in self.decided:
            assert self.decided[who] == decision
            return
        assert self.model == "PROPOSED"
        self.decided[who] = decision
        if decision == "refuse":
            self.model = "REFUSED"
        elif len(self.decided) == 2:
            self.model = "APPROVED"

    @rule(to=st.sampled_from(["RUNNING", "COMPLETED", "FAILED", "EXPIRED", "APPROVED"]))
    def move(self, to: str) -> None:
        def body(tx: Transaction) -> None:
            job = tx.jobs.proposal(self.job)
            assert job is not None
            proposals.move(self.hub.services, tx, job, to, self.hub.now())

        legal = to in proposals.TRANSITIONS[self.model]
        if legal and not (self.model == "PROPOSED" and to == "APPROVED"):
            self.hub.store.run("move", body)
            self.model = to
        elif not legal:
            with pytest.raises(AssertionError, match="not a transition"):
                self.hub.store.run("move", body)

    @rule()
    def cancel(self) -> None:
        def body(tx: Transaction) -> None:
            job = tx.jobs.proposal(self.job)
            assert job is not None
            proposals.cancel(self.hub.services, tx, job, self.hub.now(), "dana")

        if "CANCELLED" in proposals.TRANSITIONS[self.model]:
            self.hub.store.run("cancel", body)
            self.model = "CANCELLED"
        else:
            with pytest.raises(ProposalState):
                self.hub.store.run("cancel", body)

    @rule(seconds=st.sampled_from([1, 3_600, 90_000]))
    def time_passes(self, seconds: int) -> None:
        self.hub.clock.forward(seconds)

    @precondition(lambda self: self.expired)
    @rule()
    def timer(self) -> None:
        self.hub.run(proposals.expire_due, self.hub.now())
        if self.model in proposals.OPEN_STATES:
            self.model = "EXPIRED"

    @invariant()
    def the_database_agrees(self) -> None:
        if hasattr(self, "job"):
            job = self.hub.proposal(self.job)
            assert job.state == self.model
            assert (job.ended_at is not None) == (not proposals.TRANSITIONS[self.model])
            last = [subject for kind, subject in self.hub.leaves() if kind == "job"]
            assert bool(last) == (self.model != "PROPOSED")


Life.TestCase.settings = settings(max_examples=25, stateful_step_count=12, deadline=None)
TestLife = Life.TestCase
