"""An alliance that settles: a hub without ports, a served chain, a payer and a referrer with an active agreement."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from contracts import settlement as chain_settlement
from contracts.keys import Address
from ecowire import codec_settlement
from ecowire.documents import Signed
from ecowire.stream import Message
from hub import settlement, settlement_intake, settlement_terms
from hub.identity import Caller
from hub.records import Head
from hub.services import Reply, Services
from hub.settings import ChainSettings, load
from hub.store_ledger import LedgerStore
from hub.store_settlement import SettlementStore, StatementRecord
from privacy.ids import Digest, PartnerId, Period
from revenue_share import statement
from revenue_share.agreement import Agreement
from revenue_share.ledger import JournalEntry
from revenue_share.referral import EventReport, Referral, ReferralReport, RevenueEvent
from sandbox.chain.evm import Ledger
from tests.hub.alliance import Hub, Party, hub_without_ports, opened, party
from tests.support.revenue import agreement_body, event, referral
from tests.support.sandbox_chain import CHAIN_ID, GENESIS, KEYS, WINDOW, Local, copied, local
from tests.support.scratch import scratch

FEI = Caller(name="fei", role="finance", fingerprint="f1" * 32)
CAI = Caller(name="cai", role="finance", fingerprint="ca" * 32)
PAYER, REFERRER = PartnerId("broker"), PartnerId("platform-a")
OCTOBER, NOVEMBER = Period("2026-10"), Period("2026-11")
ALIGNMENT = Digest("ef" * 32)
AFTER_OCTOBER = datetime(2026, 11, 2, tzinfo=UTC)


@dataclass
class Settling:
    """A hub with its chain and one active agreement."""

    hub: Hub
    chain: Local
    contract: Address
    agreement: Agreement = field(init=False)

    @property
    def services(self) -> Services:
        return self.hub.services

    def activate(self, **changes: Any) -> Agreement:
        """Propose and approve an agreement, and register its referrer on the chain."""
        roles = ((PAYER, "payer"), (REFERRER, "referrer"))
        parties = [{"partner": name, "role": role} for name, role in roles]
        terms = {"chain_id": CHAIN_ID, "contract": self.contract, "window_seconds": WINDOW}
        body = agreement_body(parties=parties, settlement=terms, **changes)
        made = self.hub.propose("agreement", body, settlement.KIND.check)
        for name in (PAYER, REFERRER):
            self.hub.decide(name, made.digest, "agreement")
        self.agreement = Agreement.from_body(made.body)
        partner = bytes.fromhex(statement.partner_commitment(self.agreement))
        data = chain_settlement.set_signer_data(partner, KEYS["referrer"].address)
        self.chain.chain.execute(self.contract, data, KEYS["governor"].secret)
        return self.agreement

    # --- what nodes bring

    def bring(self, kind: str, signer: str, head: Head) -> Reply:
        handler = settlement_intake.NODE_REQUESTS[kind]
        message = Message(id="request", kind=kind, head=head)
        reply: Reply = self.hub.run(handler, self.hub.partner(signer), self.hub.now(), message)
        return reply

    def report_referrals(self, referrals: Sequence[Referral], signer: str = REFERRER) -> Signed:
        report = ReferralReport(
            agreement=self.agreement.digest, alignment=ALIGNMENT, referrals=tuple(referrals)
        ).to_body()
        document = self.hub.parties[signer].sign("referrals", report)
        self.bring("referrals", signer, {"report": document.to_value()})
        return document

    def report_events(
        self, events: Sequence[RevenueEvent], period: Period = OCTOBER, signer: str = PAYER, currency: str = "CNY"
    ) -> Signed:
        report = EventReport(
            agreement=self.agreement.digest, period=period, currency=currency, events=tuple(events)
        ).to_body()
        document = self.hub.parties[signer].sign("events", report)
        self.bring("events", signer, {"report": document.to_value()})
        return document

    def report_october(self) -> None:
        """Three referrals, of which one has no event; 5 % of 123457 and 10010 fen: 6173 + 500 = 6673 fen."""
        self.report_referrals([referral(1), referral(2), referral(3)])
        self.report_events([event("e1", 1, 123457), event("e2", 2, 10010)])

    def confirm(self, record: StatementRecord, name: str, **changes: Any) -> Reply:
        anchor = codec_settlement.anchor(settlement_terms.value_of(record))
        who = self.hub.parties[name]
        signature = chain_settlement.sign(anchor, CHAIN_ID, self.contract, who.chain.secret)
        body: Head = {
            "statement": record.id,
            "signature": "0x" + signature.hex(),
            "person": "somebody",
            "time": "2026-11-02T08:00:00+00:00",
            **changes,
        }
        return self.bring("statement.confirm", name, {"confirmation": who.sign("confirmation", body).to_value()})

    def dispute(self, record: StatementRecord, name: str, reason: str = "a client is missing") -> Reply:
        body: Head = {
            "statement": record.id,
            "reason": reason,
            "lines": [],
            "person": "somebody",
            "time": "2026-11-02T08:00:00+00:00",
        }
        document = self.hub.parties[name].sign("dispute", body)
        return self.bring("statement.dispute", name, {"dispute": document.to_value()})

    # --- what finance does

    def command(self, name: str, /, by: Caller = FEI, **head: Any) -> Reply:
        found = settlement.COMMANDS[name]
        if found.call is not None:
            return found.call(self.services, by, self.hub.now(), head)
        assert found.run is not None
        reply: Reply = self.hub.run(found.run, by, self.hub.now(), head)
        return reply

    def draft(self, period: Period = OCTOBER) -> StatementRecord:
        """FEI closes a period of the one agreement; its statement, which nobody released yet."""
        if self.hub.clock.now < AFTER_OCTOBER:
            self.hub.clock.now = AFTER_OCTOBER
        (made,) = self.command("close", period=period).head["statements"]
        return self.record(made["statement"])

    def close(self, period: Period = OCTOBER) -> StatementRecord:
        """FEI closes, CAI releases; the one statement."""
        record = self.draft(period)
        self.command("release", by=CAI, statement=record.id)
        return record

    def confirmed(self, period: Period = OCTOBER) -> StatementRecord:
        record = self.close(period)
        for name in (PAYER, REFERRER):
            self.confirm(record, name)
        return record

    def settle(self, record: StatementRecord) -> str:
        return str(self.command("settle", statement=record.id).head["state"])

    def pass_window(self) -> None:
        self.chain.chain.advance_time(WINDOW)

    # --- what the books say

    def record(self, statement_id: object) -> StatementRecord:
        found: StatementRecord = self.hub.store.read("test", lambda tx: settlement_terms.get(tx, statement_id))
        return found

    def entries(self) -> tuple[JournalEntry, ...]:
        found: tuple[JournalEntry, ...] = self.hub.store.read("test", lambda tx: LedgerStore(tx.session).entries())
        return found

    def lines(self, record: StatementRecord) -> list[Head]:
        found = self.hub.store.read("test", lambda tx: SettlementStore(tx.session).lines(record.id))
        return [line for line, _ in found]


@contextmanager
def settling(folder: Path, **changes: str) -> Iterator[Settling]:
    """The hub, its chain, and an agreement "5 % of first-month commission" in force since January.

    A copy of one that is begun once for all tests; with `changes` (another database) one that is begun here.
    """
    if changes:
        with begun(folder, **changes) as made:
            yield made
        return
    kept = _template()
    shutil.copytree(kept.folder / "hub", folder / "hub")
    with (
        local(begun=copied(kept.ledger)) as chain,
        opened(load(folder / "hub" / "hub.toml"), b"settling") as hub,
    ):
        hub.parties.update(kept.parties)
        made = _joined(hub, chain, kept.contract)
        made.agreement = kept.agreement
        yield made


@dataclass(frozen=True, kw_only=True)
class _Begun:
    """What is copied: the hub's folder, which nobody has open, and the chain's ledger."""

    folder: Path
    ledger: Ledger
    parties: dict[str, Party]
    contract: Address
    agreement: Agreement


@cache
def _template() -> _Begun:
    folder = scratch("settling")
    with begun(folder) as made:
        ledger = Ledger(copied(made.chain.ledger), GENESIS)
    return _Begun(
        folder=folder, ledger=ledger, parties=made.hub.parties, contract=made.contract, agreement=made.agreement
    )


def _joined(hub: Hub, chain: Local, contract: Address) -> Settling:
    """The hub uses this chain and contract."""
    settings = replace(
        hub.settings, chain=ChainSettings(endpoint=chain.server.endpoint, chain_id=CHAIN_ID, contract=contract)
    )
    hub.services = replace(
        hub.services, settings=settings, chain=lambda: chain.chain, submitter=lambda: KEYS["submitter"]
    )
    return Settling(hub=hub, chain=chain, contract=contract)


@contextmanager
def begun(folder: Path, **changes: str) -> Iterator[Settling]:
    """A new hub on a new chain, with the contract deployed, three partners enrolled and the agreement active."""
    with local() as chain, hub_without_ports(folder, **changes) as hub:
        made = _joined(hub, chain, chain.deploy_settlement())
        hub.enrol(replace(party(PAYER), chain=KEYS["broker"]))
        hub.enrol(replace(party(REFERRER), chain=KEYS["referrer"]))
        hub.enrol(party("bank"))
        made.activate()
        yield made
