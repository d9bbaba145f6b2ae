"""A hub of its own for the retail year: its real database, audit log, intake and close, without ports and chain.

Two institutions: the shop's platform refers customers and is paid, the broker pays. Their keys are drawn for the run.
Reports are signed documents that go through the hub's own intake, months through its own close. What the chain does
between a draft and a final statement (both signatures, the dispute window) is left out: the statement is moved along
its table of states, and its entry posted, as the hub does it once the chain says FINAL.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from contracts import keys as chain_keys
from ecowire import documents
from ecowire.stream import Message
from hub import books, drafts_finance, founding, proposals, settlement_close, settlement_intake, wiring
from hub import settlement_terms as terms
from hub.audit import Log
from hub.identity import Caller
from hub.records import Head, Partner
from hub.services import Entropy, Services
from hub.settings import load
from hub.store import Store, Transaction
from hub.store_ledger import LedgerStore
from hub.store_settlement import SettlementStore, StatementRecord
from hub.waiters import Waiters
from privacy import canonical, seal
from privacy.ids import Digest, PartnerId, Period
from revenue_share.agreement import Agreement
from revenue_share.ledger import EntryState
from revenue_share.referral import REPORT_ROWS_MAX, EventReport, Referral, ReferralReport, RevenueEvent
from revenue_share.statement import State

PAYER, REFERRER = PartnerId("broker"), PartnerId("shop-platform")
FINANCE = Caller(name="retail-finance", role="finance", fingerprint="")
Row = TypeVar("Row")
CONTRACT: Head = {"chain_id": 20261, "contract": "0x4133FF3db9304D5467562f3d1cF8B8e245a03e23", "window_seconds": 259200}
ALIGNMENT = Digest("00" * 32)  # no match job gave these tokens


@dataclass
class Clock:
    """The instant that the hub is told; moved from month to month."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now


@dataclass(frozen=True, slots=True, kw_only=True)
class Institution:
    """A party with its keys."""

    id: PartnerId
    signing: seal.SigningKey
    sealing: seal.SealingKey
    chain: chain_keys.Key

    @classmethod
    def draw(cls, name: PartnerId, entropy: Entropy) -> "Institution":
        signing, sealing = seal.SigningKey(entropy(32)), seal.SealingKey(entropy(32))
        return cls(id=name, signing=signing, sealing=sealing, chain=chain_keys.generate(entropy))

    def sign(self, kind: str, body: Head) -> documents.Signed:
        return documents.sign(kind, body, self.id, self.signing)

    def enrolled(self, now: datetime) -> Partner:
        keys = {"signing": self.signing.public.hex(), "sealing": self.sealing.public.hex(), "chain": self.chain.address}
        card = self.sign("card", {"partner": self.id, "name": self.id, **keys})
        return Partner(id=self.id, name=self.id, card=card, state="ACTIVE", enrolled_at=now, **keys)


@dataclass
class RetailHub:
    """The hub with one agreement in force."""

    services: Services
    clock: Clock
    parties: dict[PartnerId, Institution]
    agreement: Agreement = field(init=False)

    @property
    def store(self) -> Store:
        return self.services.store

    def agree(self, given: Head) -> Agreement:
        """Propose terms and let both parties approve them."""
        now = self.clock.now
        body = drafts_finance.agreement(
            {**given, "payer": PAYER, "referrer": REFERRER}, CONTRACT, now, self.services.entropy
        )

        def run(tx: Transaction) -> Head:
            for party in self.parties.values():
                tx.members.put_partner(party.enrolled(now))
            made = proposals.propose(self.services, tx, now, FINANCE.name, proposals.AGREEMENT, body, terms.KIND.check)
            for party in self.parties.values():
                decision: Head = {
                    "proposal": made.digest,
                    "kind": made.kind,
                    "partner": party.id,
                    "decision": "approve",
                    "reason": "",
                    "person": f"{party.id} finance",
                    "time": now.isoformat(),
                }
                approval = party.sign("approval", decision)
                proposals.decide(self.services, tx, party.enrolled(now), now, approval)
            return made.body

        self.agreement = Agreement.from_body(self.store.run("retail.agree", run))
        return self.agreement

    def report_referrals(self, referrals: Sequence[Referral]) -> None:
        for rows in _parts(referrals):
            report = ReferralReport(agreement=self.agreement.digest, alignment=ALIGNMENT, referrals=tuple(rows))
            self._bring("referrals", REFERRER, report.to_body())

    def report_events(self, period: Period, events: Sequence[RevenueEvent]) -> None:
        for rows in _parts(events):
            report = EventReport(
                agreement=self.agreement.digest, period=period, currency=self.agreement.currency, events=tuple(rows)
            )
            self._bring("events", PAYER, report.to_body())

    def _bring(self, kind: str, who: PartnerId, body: Head) -> None:
        party, now = self.parties[who], self.clock.now
        document = party.sign(kind, body)
        message = Message(id=document.digest, kind=kind, head={"report": document.to_value()})
        handler = settlement_intake.NODE_REQUESTS[kind]
        self.store.run("retail.report", lambda tx: handler(self.services, tx, party.enrolled(now), now, message))

    def close(self, period: Period) -> StatementRecord:
        """Draft the agreement's statement of a month, with its pending entry."""

        def run(tx: Transaction) -> StatementRecord:
            head: Head = {"period": period, "agreement": self.agreement.digest}
            reply = settlement_close.close(self.services, tx, FINANCE, self.clock.now, head)
            (made,) = _list(reply.head["statements"])
            return terms.get(tx, made["statement"])

        return self.store.run("retail.close", run)

    def post(self, record: StatementRecord) -> StatementRecord:
        """Make a draft final and post its entry."""

        def run(tx: Transaction) -> StatementRecord:
            now = self.clock.now
            for target in (State.PROPOSED, State.FINAL):
                terms.move(self.services, tx, terms.get(tx, record.id), target, now)
            LedgerStore(tx.session).decide(record.id, EntryState.POSTED, now)
            return terms.get(tx, record.id)

        return self.store.run("retail.post", run)

    def lock(self, period: Period) -> None:
        """Lock the books of a month."""
        now, head = self.clock.now, {"period": period}
        self.store.run("retail.lock", lambda tx: books.lock(self.services, tx, FINANCE, now, dict(head)))

    def lines(self, record: StatementRecord) -> tuple[Head, ...]:
        """The stored lines of a statement."""
        found = self.store.read("retail.lines", lambda tx: SettlementStore(tx.session).lines(record.id))
        return tuple(line for line, _ in found)

    def trial_balance(self) -> list[Head]:
        """The books' own answer to `finance ledger`."""
        reply = self.store.read("retail.books", lambda tx: books.ledger(self.services, tx, FINANCE, self.clock.now, {}))
        return _list(reply.head["balances"])


@contextmanager
def retail_hub(folder: Path, begin: datetime, entropy: Entropy, database: str = "") -> Iterator[RetailHub]:
    """A new hub in an empty folder; its clock stands at `begin`. database: a URL, or empty for SQLite in the folder."""
    clock = Clock(now=begin)
    plan = founding.Plan(
        folder=folder,
        alliance="retail-year",
        listen="127.0.0.1:0",
        enrol="127.0.0.1:0",
        operator="retail-operator",
        database=database,
        chain_id=int(str(CONTRACT["chain_id"])),
        contract=str(CONTRACT["contract"]),
    )
    settings = load(founding.found(plan, clock, entropy).settings)
    store = Store(settings.database)
    services = Services(
        settings=settings,
        store=store,
        log=Log(settings.alliance, wiring.load_log_key(settings)),
        authority=wiring.load_authority(settings),
        clock=clock,
        entropy=entropy,
        connected=frozenset,
        waiters=Waiters(store),
        chain=lambda: wiring.open_chain(settings),
        submitter=lambda: chain_keys.read(settings.keys / "submitter.key"),
    )
    try:
        parties = {name: Institution.draw(name, entropy) for name in (PAYER, REFERRER)}
        yield RetailHub(services=services, clock=clock, parties=parties)
    finally:
        services.waiters.close()
        store.close()


def _parts(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """As many rows at once as one report holds."""
    return (rows[start : start + REPORT_ROWS_MAX] for start in range(0, len(rows), REPORT_ROWS_MAX))


def _list(value: canonical.Value) -> list[Head]:
    assert isinstance(value, list)
    return [item for item in value if isinstance(item, dict)]
