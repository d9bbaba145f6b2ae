"""A settled month of two parties, small and whole, for the examiner's tests: real keys, signatures, logs and chain.

Everything a hub would export is built here from the public rules alone, so that the examiner is tested against them and
not against the hub's code. `Books` holds what the hub controls; `bundle()` signs it with the hub's log key, whatever it
holds: a hub that rewrites its books does exactly that.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache

from contracts import artifacts, keys, settlement, transactions
from contracts.keys import Address
from ecowire import checkpoints, documents, evidence
from privacy import canonical, merkle, seal
from privacy.ids import ClientToken, PartnerId, Period
from revenue_share import ledger, statement
from revenue_share.agreement import Agreement
from revenue_share.referral import EventReport, Referral, ReferralReport, RevenueEvent
from sandbox.chain import admission, answers, genesis
from sandbox.chain.evm import Ledger
from sandbox.chain.store import Store
from sandbox.examine.trust import Cosigned, Signer, Trust
from tests.support.entropy import SeededEntropy
from tests.support.revenue import allocate

ALLIANCE = "test-alliance"
PERIOD = Period("2026-10")
CHAIN_ID = 20261
START = 1_780_000_000
WINDOW = 3600
ENTROPY = SeededEntropy(b"small alliance")
Object = dict[str, canonical.Value]


@dataclass(frozen=True)
class Party:
    """A party with all its keys."""

    id: PartnerId
    signing: seal.SigningKey
    sealing: seal.SealingKey
    chain: keys.Key

    @property
    def public(self) -> Object:
        keys_ = {
            "signing": self.signing.public.hex(),
            "sealing": self.sealing.public.hex(),
            "chain": self.chain.address,
        }
        return {"partner": self.id, **keys_}

    def sign(self, kind: str, body: Object) -> documents.Signed:
        return documents.sign(kind, body, self.id, self.signing)


def _party(name: str) -> Party:
    return Party(PartnerId(name), seal.SigningKey(ENTROPY(32)), seal.SealingKey(ENTROPY(32)), keys.Key(ENTROPY(32)))


PAYER, REFERRER = _party("broker"), _party("platform")
LOG_KEY = seal.SigningKey(ENTROPY(32))
GOVERNOR, SUBMITTER = keys.Key(ENTROPY(32)), keys.Key(ENTROPY(32))
ARBITER = keys.Key(ENTROPY(32))
TOKENS = [ClientToken(ENTROPY(16).hex()) for _ in range(12)]


@dataclass
class Books:
    """What the hub holds and could alter. Values, not bytes, so that a test can change one and export again."""

    contract: Address
    agreement: Object
    approvals: list[documents.Signed]
    reports: list[documents.Signed]
    body: Object
    lines: list[Object]
    salts: list[str]
    total_salt: str
    signatures: Object
    leaves: list[Object]
    checkpoint_sizes: list[int]
    cosignatures: list[documents.Signed]
    confirmations: list[documents.Signed]
    blocks: list[Object]
    genesis: Object
    journal: list[Object] = field(default_factory=list)

    @property
    def statement(self) -> str:
        return documents.digest("statement", self.body)

    def leaf_hashes(self) -> list[bytes]:
        return [merkle.leaf_hash(canonical.encode(leaf)) for leaf in self.leaves]

    def block_hashes(self) -> list[bytes]:
        return [merkle.leaf_hash(bytes.fromhex(str(block["hash"])[2:])) for block in self.blocks]

    def entries(self) -> dict[str, bytes]:
        """The bundle's files, every checkpoint signed anew with the hub's log key."""
        digest = documents.digest("agreement", self.agreement)
        proposal: Object = {
            "kind": "agreement", "body": self.agreement, "state": "APPROVED",
            "approvals": [approval.to_value() for approval in self.approvals],
        }  # fmt: skip
        rows: list[canonical.Value] = [
            {"line": line, "salt": salt} for line, salt in zip(self.lines, self.salts, strict=True)
        ]
        notes = [self._note("audit", size, self.leaf_hashes()) for size in self.checkpoint_sizes]
        notes.append(self._note("chain", len(self.blocks), self.block_hashes()))
        folder = f"statements/{self.statement}"
        made = {
            f"proposals/{digest}.json": canonical.encode(proposal),
            f"{folder}/body.json": canonical.encode(self.body),
            f"{folder}/lines.jsonl": evidence.jsonl(rows),
            f"{folder}/salts.json": canonical.encode({"total": self.total_salt}),
            f"{folder}/signatures.json": canonical.encode(self.signatures),
            "audit/leaves.jsonl": evidence.jsonl(list(self.leaves)),
            "audit/checkpoints.jsonl": evidence.jsonl(notes),
            "audit/cosignatures.jsonl": evidence.jsonl([signed.to_value() for signed in self.cosignatures]),
            "chain/genesis.json": canonical.encode(self.genesis),
            "chain/blocks.jsonl": evidence.jsonl(list(self.blocks)),
            "ledger/entries.jsonl": evidence.jsonl(list(self.journal)),
        }
        for report in self.reports:
            made[f"{report.kind}/{report.digest}.json"] = report.encode()
        for confirmation in self.confirmations:
            made[f"documents/{confirmation.digest}.json"] = confirmation.encode()
        return made

    def bundle(self) -> bytes:
        return evidence.write(self.entries(), alliance=ALLIANCE, period=PERIOD)

    def _note(self, log: str, size: int, hashes: list[bytes]) -> canonical.Value:
        root = merkle.root(hashes[:size])
        checkpoint = checkpoints.Checkpoint(origin=f"ecohub/{ALLIANCE}/{log}", size=size, root=root)
        return {"log": log, "note": checkpoints.sign(checkpoint, LOG_KEY)}


class MiniChain:
    """The sandbox chain's ledger in memory."""

    def __init__(self) -> None:
        senders = frozenset(key.address for key in (GOVERNOR, SUBMITTER, PAYER.chain, REFERRER.chain))
        self.genesis = genesis.Genesis(chain_id=CHAIN_ID, timestamp=START, gas_limit=genesis.GAS_LIMIT, senders=senders)
        self.ledger = Ledger(Store(None), self.genesis)
        self.nonces: dict[str, int] = {}

    def send(self, key: keys.Key, to: Address | None, data: bytes, seconds: int = 1) -> Address | None:
        nonce = self.nonces.get(key.address, 0)
        raw, tx_hash = transactions.sign(
            to=to, data=data, nonce=nonce, chain_id=CHAIN_ID, gas=5_000_000, gas_price=0, key=key
        )
        self.nonces[key.address] = nonce + 1
        timestamp = self.ledger.head().timestamp + seconds
        assert self.ledger.seal([(raw, admission.admit(raw, self.genesis))], timestamp) == [None]
        row = self.ledger.store.tx(bytes.fromhex(tx_hash[2:]))
        assert row is not None
        assert row.status == 1
        return keys.checksum(row.contract) if row.contract else None

    def blocks(self) -> list[Object]:
        rows = [self.ledger.store.block(number) for number in range(self.ledger.head().number + 1)]
        return [answers.exported(row, self.ledger.store.txs(row.number)) for row in rows if row is not None]


def settled_month() -> Books:
    """A fresh copy of the books of one settled month."""
    from copy import deepcopy

    return deepcopy(_settled_month())


def trust(books: Books) -> Trust:
    """What the two parties say themselves; each has co-signed the logs as they stand in these books."""
    sizes = [(party, size) for party, size in ((PAYER, 4), (REFERRER, len(books.leaves)))]
    hashes, blocks = books.leaf_hashes(), books.block_hashes()
    seen = [Cosigned(partner=p.id, log="audit", size=s, root=merkle.root(hashes[:s])) for p, s in sizes]
    seen += [Cosigned(partner=p.id, log="chain", size=len(blocks), root=merkle.root(blocks)) for p in (PAYER, REFERRER)]
    signers = {
        party.id: Signer(
            partner=party.id, signing=party.signing.public, sealing=party.sealing.public, chain=party.chain.address
        )
        for party in (PAYER, REFERRER)
    }
    return Trust(
        authority_sha256="00" * 32,
        log_key=LOG_KEY.public,
        origin=f"ecohub/{ALLIANCE}/audit",
        genesis=documents.digest("chain-genesis", books.genesis),
        chain_id=CHAIN_ID,
        contract=books.contract,
        signers=signers,
        cosigned=tuple(seen),
    )


@cache
def _settled_month() -> Books:
    chain = MiniChain()
    arguments = settlement.constructor_data(GOVERNOR.address, PAYER.chain.address, ARBITER.address, WINDOW)
    contract = chain.send(GOVERNOR, None, artifacts.load("Settlement").bytecode + arguments)
    assert contract is not None
    body = _agreement(contract)
    agreement = Agreement.from_body(body)
    reports = _reports(agreement)
    referrals = ReferralReport.from_body(reports[0].body).referrals
    events = EventReport.from_body(reports[1].body).events
    lines = allocate(agreement, referrals, events, PERIOD)
    salts = statement.Salts(lines=tuple(ENTROPY(32) for _ in lines), total=ENTROPY(32))
    made = statement.build(agreement, PERIOD, statement.Place(), lines, salts)
    anchor = settlement.Anchor(
        partner=bytes.fromhex(made.partner_commitment), sequence=1, period=made.period_number, previous=bytes(32),
        root=bytes.fromhex(made.lines_root), lines=made.lines, total=bytes.fromhex(made.total_commitment),
        terms=bytes.fromhex(agreement.digest),
    )  # fmt: skip
    signed = {
        role: settlement.sign(anchor, CHAIN_ID, contract, party.chain.secret)
        for role, party in (("payer", PAYER), ("referrer", REFERRER))
    }
    chain.send(GOVERNOR, contract, settlement.set_signer_data(anchor.partner, REFERRER.chain.address))
    chain.send(SUBMITTER, contract, settlement.propose_data(anchor, signed["payer"], signed["referrer"]))
    digest = settlement.digest(anchor, CHAIN_ID, contract)
    chain.send(SUBMITTER, contract, settlement.finalise_data(digest), seconds=WINDOW + 1)
    approvals = [_approval(party, documents.digest("agreement", body)) for party in (PAYER, REFERRER)]
    books = Books(
        contract=contract, agreement=body, approvals=approvals, reports=reports, body=made.body,
        lines=[line.to_value() for line in lines], salts=[salt.hex() for salt in salts.lines],
        total_salt=salts.total.hex(),
        signatures={"payer": signed["payer"].hex(), "referrer": signed["referrer"].hex(), "state": "FINAL"},
        confirmations=[_confirmation(party, made.id) for party in (PAYER, REFERRER)],
        leaves=[], checkpoint_sizes=[], cosignatures=[], blocks=chain.blocks(), genesis=chain.genesis.to_body(),
        journal=[_entry(made.id, made.total_minor)],
    )  # fmt: skip
    _log(books)
    return books


def _log(books: Books) -> None:
    recorded = [("agreement", documents.digest("agreement", books.agreement))]
    recorded += [(approval.kind, approval.digest) for approval in books.approvals]
    recorded += [(report.kind, report.digest) for report in books.reports]
    recorded.append(("statement", books.statement))
    recorded += [(confirmation.kind, confirmation.digest) for confirmation in books.confirmations]
    for index, (kind, digest) in enumerate(recorded):
        books.leaves.append({"index": index, "kind": kind, "subject": kind, "digest": digest, "facts": {}, "time": "x"})
    facts: Object = {"state": "FINAL"}
    final = {"kind": "statement.final", "subject": books.statement, "digest": documents.digest("facts", facts)}
    books.leaves.append({"index": len(recorded), **final, "facts": facts, "time": "x"})
    _witness(books)


def log(books: Books, kind: str, facts: Object) -> None:
    """One more leaf of small facts; the nodes co-sign the log with it."""
    told = {"kind": kind, "subject": kind, "digest": documents.digest("facts", facts)}
    books.leaves.append({"index": len(books.leaves), **told, "facts": facts, "time": "x"})
    _witness(books)


def _witness(books: Books) -> None:
    books.checkpoint_sizes, books.cosignatures = [4, len(books.leaves)], []
    hashes, blocks = books.leaf_hashes(), books.block_hashes()
    for party in (PAYER, REFERRER):
        for log, leaves in (("audit", hashes), ("chain", blocks)):
            origin, root = f"ecohub/{ALLIANCE}/{log}", merkle.root(leaves).hex()
            body: Object = {"log": log, "origin": origin, "size": len(leaves), "root": root}
            books.cosignatures.append(party.sign("cosignature", body))


def _confirmation(party: Party, statement_id: str) -> documents.Signed:
    return party.sign("confirmation", {"statement": statement_id, "person": party.id})


def _approval(party: Party, digest: str) -> documents.Signed:
    """The payer's is one of an earlier version, which names no partner."""
    named: Object = {"partner": party.id} if party is not PAYER else {}
    return party.sign("approval", {"proposal": digest, "kind": "agreement", "decision": "approve", **named})


def _agreement(contract: Address) -> Object:
    return {
        "kind": "agreement", "version": 1, "title": "travel platform", "currency": "CNY",
        "parties": [{"role": "payer", **PAYER.public}, {"role": "referrer", **REFERRER.public}],
        "time_zone": "Asia/Shanghai", "valid_from": "2026-08-01", "valid_until": None, "attribution_days": 90,
        "rules": [
            {"id": "first-month", "kind": "percent_of_base", "event": "commission", "rate": "1/20",
             "months_from_referral": 1}
        ],
        "settlement": {"chain_id": CHAIN_ID, "contract": contract, "window_seconds": WINDOW},
        "purpose": "referral settlement", "expires": "2027-01-01T00:00:00Z", "nonce": "11" * 16,
        "disclosure": ["the referrer learns the bases of its own clients"],
    }  # fmt: skip


def _reports(agreement: Agreement) -> list[documents.Signed]:
    begin = datetime(2026, 10, 1, tzinfo=UTC)
    referrals = tuple(Referral(token=token, time=begin + timedelta(days=i - 4)) for i, token in enumerate(TOKENS[:10]))
    events = tuple(
        RevenueEvent(
            id=f"e-{i:03d}", token=TOKENS[i % 11], kind="commission", time=begin + timedelta(days=i, hours=3),
            base_minor=1000 + 137 * i,
        )
        for i in range(20)
    )  # fmt: skip
    referred = ReferralReport(agreement=agreement.digest, alignment=agreement.digest, referrals=referrals)
    income = EventReport(agreement=agreement.digest, period=PERIOD, currency="CNY", events=events)
    return [REFERRER.sign("referrals", referred.to_body()), PAYER.sign("events", income.to_body())]


def _entry(subject: str, minor: int) -> Object:
    entry = ledger.accrual(subject, PERIOD, REFERRER.id, "CNY", minor)
    assert entry is not None
    return entry.become(ledger.EntryState.POSTED).to_value()
