"""Chain transactions that survive a crash: intent, commit, send, receipt, outcome, commit.

The signed bytes are stored before they are sent, so a restart sends the same bytes again: the chain takes a transaction
once, by its nonce. The outcome closes the intent in the transaction that writes its consequences, so it has them once.
One transaction is under way at a time, and older intents come first; hence the nonce is always the chain's next.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from contracts import keys
from contracts.chain import Chain, Receipt
from contracts.errors import ChainRefused, TransactionReverted
from contracts.keys import Address
from hub.services import Clock
from hub.settlement_errors import ChainSetBack
from hub.store import Store, Transaction
from hub.store_ledger import DONE, FAILED, OPEN, Intent, LedgerStore
from privacy.ids import Digest

Check = Callable[[Transaction], None]
Outcome = Callable[[Transaction, Intent, Receipt, datetime], None]

_one_at_a_time = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainOutbox:
    """`key`: the submitter's 32 bytes. `outcome` writes what a sealed transaction means; it runs once for each."""

    store: Store
    chain: Chain
    key: bytes
    clock: Clock
    outcome: Outcome

    def submit(self, kind: str, statement: Digest, to: Address, data: bytes, check: Check) -> Intent:
        """Carry out one call; gives the intent once it is sealed and its outcome is written.

        `check` runs in the transaction that stores the intent and raises where the call is no longer wanted. Raises
        what it raises, ChainSetBack, TransactionReverted (before anything is stored where the rehearsal fails),
        ChainRefused, ChainUnavailable and ReceiptTimeout; after the last two the intent stays open and `resume` goes
        on with it.
        """
        with _one_at_a_time:
            self._resume()
            sender = keys.address(self.key)
            self.chain.call(to, data, "pending", sender=sender)
            nonce = self.chain.nonce(sender)
            raw, transaction = self.chain.sign(to, data, nonce, self.key)
            intent = Intent(
                number=0, kind=kind, statement=statement, sender=sender, nonce=nonce, raw=raw, transaction=transaction
            )
            return self._carry_out(self._decide(intent, check))

    def resume(self) -> int:
        """Go on with every open intent, oldest first; gives how many were open. A failed one does not stop the next."""
        with _one_at_a_time:
            return self._resume()

    def _resume(self) -> int:
        found = self.store.read("chain.open", lambda tx: LedgerStore(tx.session).intents(state=OPEN))
        for intent in found:
            try:
                self._carry_out(intent)
            except (ChainRefused, TransactionReverted):
                still = self.store.read("chain.open", lambda tx: LedgerStore(tx.session).intents(state=OPEN))
                if intent.number in {other.number for other in still}:
                    raise
        return len(found)

    def _decide(self, intent: Intent, check: Check) -> Intent:
        now = self.clock()

        def body(tx: Transaction) -> Intent:
            check(tx)
            books = LedgerStore(tx.session)
            if any(i.state == DONE and (i.sender, i.nonce) == (intent.sender, intent.nonce) for i in books.intents()):
                raise ChainSetBack(sender=intent.sender, nonce=intent.nonce)
            made = replace(intent, number=books.next_intent_number())
            books.add_intent(made, now)
            return made

        return self.store.run("chain.intent", body)

    def _carry_out(self, intent: Intent) -> Intent:
        try:
            self.chain.send(intent.raw)
        except ChainRefused as failure:
            # the endpoint does not know these bytes and does not admit them: the nonce is still free
            self._fail(intent, failure.message())
            raise
        try:
            receipt = self.chain.receipt(intent.transaction)
        except TransactionReverted as failure:
            self._fail(intent, failure.message())
            raise
        now = self.clock()

        def body(tx: Transaction) -> None:
            if LedgerStore(tx.session).end_intent(intent.number, DONE, now, block=receipt.block):
                self.outcome(tx, intent, receipt, now)

        self.store.run("chain.outcome", body)
        return replace(intent, state=DONE, block=receipt.block)

    def _fail(self, intent: Intent, why: str) -> None:
        now = self.clock()

        def body(tx: Transaction) -> None:
            LedgerStore(tx.session).end_intent(intent.number, FAILED, now, error=why)

        self.store.run("chain.failed", body)
