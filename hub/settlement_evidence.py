"""Settlement in the evidence bundle: reports, statements with every line and salt, signatures, the journal.

The form is `ecowire.evidence`. Everything up to now goes in, not the bundle's period alone: a statement names the one
before it, and the chain and the log hold them all.
"""

from ecowire import evidence
from hub import payment_evidence, proposals
from hub.store import Transaction
from hub.store_ledger import LedgerStore
from hub.store_settlement import SettlementStore, StatementRecord
from privacy import canonical
from privacy.ids import PartnerId

Entries = dict[str, bytes]
REPORTS = ("events", "referrals")


def entries(tx: Transaction) -> Entries:
    """The entries by name."""
    books = SettlementStore(tx.session)
    found: Entries = {}
    for agreement in tx.jobs.proposals(kind=proposals.AGREEMENT):
        for kind in REPORTS:
            for report in books.reports(agreement.digest, kind):
                found[f"{kind}/{report.document.digest}.json"] = report.document.encode()
    for record in books.statements():
        found |= _statement(books, record)
    journal: list[canonical.Value] = [entry.to_value() for entry in LedgerStore(tx.session).entries()]
    found["ledger/entries.jsonl"] = evidence.jsonl(journal)
    return found | payment_evidence.entries(tx)


def _statement(books: SettlementStore, record: StatementRecord) -> Entries:
    folder = f"statements/{record.id}"
    lines: list[canonical.Value] = [{"line": line, "salt": salt.hex()} for line, salt in books.lines(record.id)]
    by_partner = {item.partner: item.signature.removeprefix("0x") for item in books.confirmations(record.id)}
    signed: dict[str, canonical.Value] = {"state": record.state}
    for role in ("payer", "referrer"):
        signature = by_partner.get(PartnerId(str(record.body[role])))
        if signature is not None:
            signed[role] = signature
    return {
        f"{folder}/body.json": canonical.encode(record.body),
        f"{folder}/lines.jsonl": evidence.jsonl(lines),
        f"{folder}/salts.json": canonical.encode({"total": record.total_salt.hex()}),
        f"{folder}/signatures.json": canonical.encode(signed),
    }
