"""A settled month that is paid: two people of finance, approved accounts, a bank that tells what it did."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hub.identity import Caller
from hub.payment_suspense import signed
from hub.records import Head
from hub.services import Reply
from hub.store_bank import BankStore
from hub.store_ledger import LedgerStore
from hub.store_payments import PaymentOrder, PaymentStore
from hub.store_settlement import StatementRecord
from revenue_share import accounts
from tests.hub.settling import CAI, FEI, OCTOBER, PAYER, REFERRER, Settling, settling
from tests.support.bank_files import CREDITOR, IBAN, Booked, camt

PAYABLE = 6673  # October's statement in fen
OURS: Head = {"partner": PAYER, "currency": "CNY", "name": "Broker 券商", "account": IBAN, "bic": "COBADEFFXXX"}
THEIRS: Head = {"partner": REFERRER, "currency": "CNY", "name": "Platform A", "account": CREDITOR, "bic": "NWBKGB2L"}


@dataclass
class Paying:
    """The month with what its finance people do."""

    month: Settling

    def run(self, caller: Caller, name: str, /, **head: Any) -> Reply:
        return self.month.command(name, caller, **head)

    def do(self, name: str, /, **head: Any) -> Head:
        return self.run(FEI, name, **head).head

    def approve_details(self, *several: Head) -> list[str]:
        digests = []
        for details in several or (OURS, THEIRS):
            digest = str(self.do("details.propose", **details)["digest"])
            self.run(CAI, "details.decide", digest=digest, decision="approve")
            digests.append(digest)
        return digests

    def final(self) -> StatementRecord:
        """October's statement, final on the chain."""
        self.month.report_october()
        record = self.month.confirmed()
        self.month.settle(record)
        self.month.pass_window()
        self.month.settle(record)
        return self.month.record(record.id)

    def ordered(self, form: str = "pain.001") -> PaymentOrder:
        """The order of October's statement, with approved accounts."""
        record = self.final()
        self.approve_details()
        self.do("pay", period=OCTOBER, format=form)
        return self.order(record)

    def order(self, record: StatementRecord) -> PaymentOrder:
        """The newest order of a statement."""
        orders = self.read(lambda tx: PaymentStore(tx.session).orders(statement=record.id))
        return orders[-1]

    def bank(self, *entries: Booked, caller: Caller = FEI, **options: Any) -> Head:
        """The bank's file comes in."""
        return self.file(camt(entries, **options), caller=caller)

    def file(self, data: bytes, form: str = "camt.053", caller: Caller = FEI, **head: Any) -> Head:
        encoded = base64.b64encode(data).decode()
        return self.run(caller, "bank.import", **{"format": form, "account": IBAN, "data": encoded, **head}).head

    def read(self, body: Any) -> Any:
        return self.month.hub.store.read("test", body)

    def balance(self, account: str) -> int:
        """Debits less credits of an account's posted entries in fen."""
        found = self.read(lambda tx: LedgerStore(tx.session).balances())
        return sum(one.net_minor for one in found if one.account == account)

    def owed(self) -> int:
        return -self.balance(accounts.payable(REFERRER))

    def at_bank(self) -> int:
        return self.balance(accounts.bank("transfer"))

    def in_suspense(self) -> int:
        """What stands in suspense: less than zero where more left the account than came in."""
        return -self.balance(accounts.SUSPENSE)

    def booked_by_bank(self, *, unsettled: bool = False) -> int:
        """What the bank's entries sum to, all of them or those that no match settled."""
        return sum(map(signed, self.read(lambda tx: BankStore(tx.session).entries(unsettled=unsettled))))

    def days_pass(self, days: int) -> None:
        self.month.hub.clock.now += timedelta(days=days)

    def kinds(self) -> list[str]:
        """The classes of the exceptions now."""
        listed: Any = self.do("exceptions")["exceptions"]
        return [item["class"] for item in listed]


def booked(order: PaymentOrder, **changes: Any) -> Booked:
    """The debit by which the bank carries an order out."""
    told: dict[str, Any] = {
        "minor": order.amount_minor,
        "reference": order.end_to_end_id,
        "booked": order.due.isoformat(),
    }
    return Booked(**told | changes)


@contextmanager
def paying(folder: Path, **changes: str) -> Iterator[Paying]:
    """changes: of the hub's settings, such as its database."""
    with settling(folder, **changes) as month:
        month.hub.clock.now = datetime(2026, 11, 2, 4, tzinfo=UTC)
        yield Paying(month=month)
