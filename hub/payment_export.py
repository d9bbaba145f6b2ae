"""What finance takes into a spreadsheet: a statement's lines, the journal, the exceptions; CSV or XLSX, no formulas."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from hub import payment_matching
from hub import settlement_terms as terms
from hub.identity import Caller
from hub.payment_sheets import Cell, Number, csv_bytes, xlsx_bytes
from hub.records import Head
from hub.services import HeadInvalid, Reply, Services, only
from hub.store import Transaction
from hub.store_ledger import LedgerStore
from hub.store_settlement import SettlementStore
from revenue_share.ledger import Side
from revenue_share.money import Money

Table = tuple[Sequence[str], list[Sequence[Cell]]]
LEDGER = ("entry", "period", "state", "memo", "subject", "reverses", "account", "asset", "debit_minor", "credit_minor")
EXCEPTIONS = (
    *("class", "age_days", "since", "entry", "account", "booked", "currency", "amount", "amount_minor", "name"),
    *("counterparty", "references", "text", "orders", "statements", "ordered_minor"),
)


def export(services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
    """A table as a file in the answer's body. what: statement (with its id), ledger, exceptions; format: csv, xlsx."""
    only(head, "what", "format", "statement")
    what, form = head.get("what"), head.get("format")
    if what not in TABLES:
        raise HeadInvalid(field="what", why=f"one of {', '.join(TABLES)} is expected")
    if form not in ("csv", "xlsx"):
        raise HeadInvalid(field="format", why="csv or xlsx is expected")
    columns, rows = TABLES[str(what)](tx, now, head)
    data = csv_bytes(columns, rows) if form == "csv" else xlsx_bytes(str(what), columns, rows)
    return Reply(head={"what": what, "format": form, "rows": len(rows)}, body=data)


def _statement(tx: Transaction, now: datetime, head: Head) -> Table:
    """Every line in full: the fields of the lines, in the order of the alphabet after the line's number."""
    record = terms.get(tx, head.get("statement"))
    lines = [line for line, _ in SettlementStore(tx.session).lines(record.id)]
    names = sorted({name for line in lines for name, cell in line.items() if _is_cell(cell)} - {"index"})
    columns = ("index", *names)
    return columns, [[_cell(line.get(name)) for name in columns] for line in lines]


def _ledger(tx: Transaction, now: datetime, head: Head) -> Table:
    """Every posting of the journal."""
    rows: list[Sequence[Cell]] = []
    for entry in LedgerStore(tx.session).entries():
        for posting in entry.postings:
            debit, credit = (posting.amount_minor if posting.side is side else 0 for side in (Side.DEBIT, Side.CREDIT))
            told = (entry.id, entry.period, entry.state.value, entry.memo, entry.subject, entry.reverses)
            rows.append((*told, posting.account, posting.asset, debit, credit))
    return LEDGER, rows


def _exceptions(tx: Transaction, now: datetime, head: Head) -> Table:
    """Every exception of reconciliation as of today. Amounts of entries are signed: less than zero left the account."""
    found, entries = payment_matching.compute(tx, now)
    listed: Any = payment_matching.told(tx, found, entries)["exceptions"]
    return EXCEPTIONS, [_exception(item) for item in listed]


def _exception(item: Mapping[str, Any]) -> Sequence[Cell]:
    entry, orders = item["entry"], item["orders"]
    told: list[Cell] = [item["class"], item["age_days"], item["since"]]
    if entry is None:
        told += [None] * 10
    else:
        minor = -entry["amount_minor"] if entry["debit"] else entry["amount_minor"]
        told += [entry["entry"], entry["account"], entry["booked"], entry["currency"]]
        amount = Money(currency=entry["currency"], minor=minor)
        told += [Number(amount.to_text()), minor, entry["name"], entry["counterparty"]]
        told += [" ".join(entry["references"]), entry["text"]]
    told += [" ".join(order[name] for order in orders) for name in ("order", "statement")]
    return [*told, sum(order["amount_minor"] for order in orders) if orders else None]


def _is_cell(value: object) -> bool:
    return value is None or isinstance(value, str | int)


def _cell(value: object) -> Cell:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str | int) else None


TABLES = {"statement": _statement, "ledger": _ledger, "exceptions": _exceptions}
