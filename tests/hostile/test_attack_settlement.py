"""Money: a hub with a referrer in league, and a hub that lies about what became of a statement.

Attack 1: the hub reads tokens in every report. A referrer signs a report of another partner's tokens under its own
agreement; the payer's node would report those clients' revenue to it and owe it a share. Attack 2: the hub calls a
final statement void, so the next one forgets what was brought forward. Attack 3: two drafts for one place, both signed.
Attack 4: a spoilt disclosure sent first keeps the true one from ever being confirmed.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ecowire import documents
from ecowire.documents import Signed
from ecowire.stream import FAILURE, Message
from hub import settlement_terms
from hub.settlement_intake import REFERRALS_TASK
from partner_node import sessions, store, store_settlement
from partner_node.sessions import Aligned
from partner_node.settlement_errors import AlignmentOfOthers, NoReferrals, PlaceConfirmed
from partner_node.store import Proposal
from privacy.errors import Failure
from privacy.ids import Digest, PartnerId
from revenue_share.referral import ReferralReport
from tests.hub.settling import PAYER, REFERRER
from tests.partner_node.test_settlement import Forger
from tests.support.revenue import referral
from tests.support.settling_nodes import ALIGNMENT, PERSON, Month, month_of_nodes

OTHERS = Digest("aa" * 32)  # an alignment of the payer with a third partner


@pytest.fixture
def month(tmp_path: Path) -> Iterator[Month]:
    with month_of_nodes(tmp_path) as made:
        yield made


def align_with_third(month: Month, name: str) -> None:
    """The node holds an alignment of the same clients with another partner than the other side of the agreement."""
    database = month.nodes[name].parts.node.database
    rows = database.read(lambda session: sessions.alignment(session, ALIGNMENT))
    theirs = [Aligned(token=referral(100 + i).token, row_key=row.row_key) for i, row in enumerate(rows)]
    body: Any = {"parties": [{"partner": name}, {"partner": "third"}], "purpose": "alignment"}
    job = Proposal(digest=OTHERS, kind="match", body=body, received="", expires="2026-10-02T00:00:00+00:00")
    database.write("match", lambda session: store.keep_proposal(session, job))
    database.write("align", lambda session: sessions.keep_alignment(session, OTHERS, theirs))


def claim(month: Month, alignment: Digest, *numbers: int) -> Signed:
    """A report that the referrer in league signs."""
    made = ReferralReport(
        agreement=Digest(month.agreement), alignment=alignment, referrals=tuple(referral(n) for n in numbers)
    )
    own = month.nodes[REFERRER].parts.node
    return documents.sign("referrals", made.to_body(), PartnerId(REFERRER), own.keys.signing)


@pytest.mark.parametrize("alignment", [OTHERS, Digest("bb" * 32)], ids=["of others", "unknown"])
def test_a_referrer_cannot_claim_the_clients_of_another_partners_alignment(month: Month, alignment: Digest) -> None:
    align_with_third(month, PAYER)
    report = claim(month, alignment, 100, 101)
    node = month.nodes[PAYER]
    reply = node.ask(Message(id="steal", kind=REFERRALS_TASK, head={"report": report.to_value()}))
    assert reply.kind == FAILURE
    assert reply.head["code"] in ("ALIGNMENT_OF_OTHERS", "UNKNOWN_JOB")
    with pytest.raises(NoReferrals):
        month.earn("1,2026-10-05T14:00:00+08:00,commission,1234.57,e1")
    everything = b"".join(plain for _, plain in node.seen)
    assert b"123457" not in everything, "no client's revenue was reported for the claim"


def test_a_referrer_does_not_show_tokens_of_another_alignment_to_the_payer(month: Month) -> None:
    align_with_third(month, REFERRER)
    path = month.file("referrals.csv", "client_id,time\n")
    with pytest.raises(AlignmentOfOthers):
        month.nodes[REFERRER].command("referrals.report", file=path, agreement=month.agreement, alignment=OTHERS[:16])


def tell(month: Month, name: str, identifier: str, state: str, *transactions: str) -> Message:
    """The hub tells a node what became of a statement."""
    head: Any = {"statement": identifier, "state": state, "transactions": [*transactions]}
    request = Message(id=f"lie-{state}-{len(transactions)}", kind=settlement_terms.FINAL_TASK, head=head)
    return month.nodes[name].ask(request)


@pytest.mark.parametrize(
    ("state", "transactions"), [("VOID", ["ab" * 32]), ("DRAFT", ["ab" * 32]), ("DISPUTED", ["ab" * 32]), ("FINAL", [])]
)
def test_a_final_statement_does_not_become_void_or_leave_the_chain(
    month: Month, state: str, transactions: list[str]
) -> None:
    identifier = month.october()
    assert tell(month, REFERRER, identifier, "PROPOSED", "ab" * 32).kind == "ok"
    assert tell(month, REFERRER, identifier, "FINAL", "ab" * 32).kind == "ok"
    before = month.state(REFERRER, identifier)
    reply = tell(month, REFERRER, identifier, state, *transactions)
    assert (reply.kind, reply.head["code"]) == (FAILURE, "STATEMENT_TURNED_BACK")
    assert month.state(REFERRER, identifier) == before
    assert tell(month, REFERRER, identifier, "PAID", "ab" * 32, "cd" * 32).kind == "ok"


@pytest.fixture
def forger(month: Month) -> Forger:
    return Forger(month)


def test_two_statements_for_one_place_are_not_both_signed(forger: Forger) -> None:
    node = forger.month.nodes[REFERRER]
    dear, cheap = forger.disclose(REFERRER), forger.disclose(REFERRER, events=[], lines=_no_income(forger))
    for message in (dear, cheap):
        assert node.ask(message).head["check"] == "matches", "the referrer can't know the payer's events"
    first, second = (str(message.head["statement"]) for message in (dear, cheap))
    node.command("statement.confirm", statement=first, person=PERSON)
    with pytest.raises(PlaceConfirmed):
        node.command("statement.confirm", statement=second, person=PERSON)
    node.command("statement.dispute", statement=first, reason="the second is right", person=PERSON)
    node.command("statement.confirm", statement=second, person=PERSON)


def test_a_spoilt_disclosure_does_not_keep_out_the_true_one(forger: Forger) -> None:
    node, true = forger.month.nodes[PAYER], forger.disclose(PAYER)
    identifier = str(true.head["statement"])
    # the same statement, its grounds left out
    spoilt = forger.disclose(PAYER, events=[])
    assert spoilt.head["statement"] == identifier
    assert (
        node.ask(Message(id="first", kind=spoilt.kind, head=spoilt.head, body=spoilt.body)).head["check"] == "differs"
    )
    assert node.ask(true).head["check"] == "matches"
    assert node.command("statement.show", statement=identifier)["check"] == "matches"
    node.command("statement.confirm", statement=identifier, person=PERSON)
    node.ask(Message(id="late", kind=spoilt.kind, head=spoilt.head, body=spoilt.body))
    assert node.command("statement.show", statement=identifier)["check"] == "matches", "decided is decided"


def test_a_statement_is_kept_under_its_own_agreement_only(forger: Forger) -> None:
    month, true = forger.month, forger.disclose(PAYER)
    other = month.propose(nonce="cd" * 32)
    month.nodes[PAYER].command("approve", job=other, person=PERSON)
    head: Any = {**true.head, "agreement": other}
    reply = month.nodes[PAYER].ask(Message(id="swap", kind=true.kind, head=head, body=true.body))
    assert reply.kind == FAILURE
    with pytest.raises(Failure):
        month.nodes[PAYER].command("statement.show", statement=str(true.head["statement"]))
    kept = month.nodes[PAYER].parts.node.database.read(lambda s: store_settlement.statements(s, other))
    assert kept == []


def _no_income(forger: Forger) -> list[Any]:
    events, forger.events = forger.events, []
    lines = forger.lines()
    forger.events = events
    return lines
