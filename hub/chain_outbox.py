"""Chain transactions that survive a crash: intent, commit, send, receipt, outcome, commit.

The signed bytes are stored before they are sent, so a restart sends the same bytes again: the chain takes a transaction
once, by its nonce. The outcome closes the intent in the transaction that writes its consequences, so it has them once.
One transaction is under way at a time, and older intents come first; hence the nonce is always the chain's next.

Before anything is sent the chain must still hold the newest transaction that the books have as sealed: a ledger put
back from an older copy, or another chain behind the endpoint, stops here and not in the middle of a month.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from contracts import keys, transactions
from contracts.chain import Chain, Receipt
from contracts.errors import ChainRefused, ReceiptTimeout, TransactionReverted
from contracts.keys import Address, parse_address
from hub.chain_errors import ChainNonceStuck, ChainNonceTaken, ChainSetBack, ChainStepUnderWay
from hub.services import Clock
from hub.store import Store, Transaction
from hub.store_ledger import DONE, FAILED, OPEN, Intent, LedgerStore
from privacy.ids import Digest

Check = Callable[[Transaction], None]
Outcome = Callable[[Transaction, Intent, Receipt, datetime], None]
Subject = Digest | tuple[str, int]  # a statement, or a checkpoint by log and size

_one_at_a_time = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainOutbox:
    """`key`: the submitter's 32 bytes. `outcome` writes what a sealed step of a statement means; it runs once for each.

    A checkpoint that is handed in means nothing more in the books than that it is.
    """

    store: Store
    chain: Chain
    key: bytes
    clock: Clock
    outcome: Outcome

    def submit(self, kind: str, of: Subject, to: Address, data: bytes, check: Check) -> Intent:
        """Carry out one call; gives the intent once it is sealed and its outcome is written.

        `check` runs in the transaction that stores the intent and raises where the call is no longer wanted. Raises
        what it raises, ChainSetBack, ChainNonceTaken, TransactionReverted (before anything is stored where the
        rehearsal fails), ChainRefused, ChainUnavailable, ReceiptTimeout and ChainNonceStuck; after the last three the
        intent stays open and `resume` goes on with it.
        """
        with _one_at_a_time:
            self._resume()
            sender = keys.address(self.key)
            self.chain.call(to, data, "pending", sender=sender)
            nonce = self.chain.nonce(sender)
            raw, transaction = self.chain.sign(to, data, nonce, self.key)
            intent = Intent(
                number=0,
                kind=kind,
                statement=None if isinstance(of, tuple) else of,
                checkpoint=of if isinstance(of, tuple) else None,
                sender=sender,
                nonce=nonce,
                raw=raw,
                transaction=transaction,
            )
            return self._carry_out(self._decide(intent, check))

    def submit_signed(self, kind: str, statement: Digest, raw: bytes, check: Check) -> Intent:
        """Carry out a call that another account signed, of the number that is the chain's next for it.

        Raises as `submit`, and MalformedTransaction.
        """
        with _one_at_a_time:
            self._resume()
            made = transactions.decode(raw)
            assert made.to is not None, "a call has a contract"
            self.chain.call(made.to, made.data, "pending", sender=made.sender)
            intent = Intent(
                number=0,
                kind=kind,
                statement=statement,
                sender=made.sender,
                nonce=made.nonce,
                raw=raw,
                transaction=made.hash,
            )
            return self._carry_out(self._decide(intent, check))

    def resume(self) -> int:
        """Go on with every open intent, oldest first; gives how many were open. A failed one does not stop the next.

        Raises ChainSetBack and ChainNonceTaken, which people must explain first.
        """
        with _one_at_a_time:
            return self._resume()

    def _resume(self) -> int:
        self._check_history()
        found = self.store.read("chain.open", lambda tx: LedgerStore(tx.session).intents(state=OPEN))
        for intent in found:
            try:
                self._carry_out(intent)
            except (ChainRefused, TransactionReverted):
                still = self.store.read("chain.open", lambda tx: LedgerStore(tx.session).intents(state=OPEN))
                if intent.number in {other.number for other in still}:
                    raise
        return len(found)

    def _check_history(self) -> None:
        """Raises ChainSetBack unless the chain holds our newest sealed transaction where the books have it."""
        sender = keys.address(self.key)
        newest = self.store.read("chain.newest", lambda tx: LedgerStore(tx.session).newest_done(sender))
        if newest is None:
            return
        receipt = self.chain.lookup(newest.transaction)
        if receipt is None or receipt.block != newest.block:
            raise ChainSetBack(sender=sender, nonce=newest.nonce, block=str(newest.block))

    def _decide(self, intent: Intent, check: Check) -> Intent:
        now = self.clock()

        def body(tx: Transaction) -> Intent:
            check(tx)
            books = LedgerStore(tx.session)
            if others := books.intents(state=OPEN):  # decided since we looked, by another hub on these books
                raise ChainStepUnderWay(kind=others[0].kind, subject=others[0].subject)
            newest = books.newest_done(intent.sender)
            if newest is not None and newest.nonce >= intent.nonce:
                raise ChainSetBack(sender=intent.sender, nonce=newest.nonce, block=str(newest.block))
            if (refused := books.again(intent)) is not None:
                return refused
            made = replace(intent, number=books.next_intent_number())
            books.add_intent(made, now)
            return made

        try:
            return self.store.run("chain.intent", body)
        except ChainSetBack:
            self._check_history()  # the chain has it: another hub on these books was faster
            raise ChainStepUnderWay(kind=intent.kind, subject=intent.subject) from None

    def _carry_out(self, intent: Intent) -> Intent:
        try:
            self.chain.send(intent.raw)
        except ChainRefused as failure:
            raise self._refused(intent, failure) from None
        try:
            receipt = self.chain.receipt(intent.transaction)
        except TransactionReverted as failure:
            self._fail(intent, failure.message())
            raise
        except ReceiptTimeout:
            following = self.chain.nonce(parse_address(intent.sender), "latest")
            if following < intent.nonce:
                raise ChainNonceStuck(sender=intent.sender, nonce=intent.nonce, next=following) from None
            raise
        now = self.clock()

        def body(tx: Transaction) -> None:
            ended = LedgerStore(tx.session).end_intent(intent.number, DONE, now, block=receipt.block)
            if ended and intent.statement is not None:
                self.outcome(tx, intent, receipt, now)

        self.store.run("chain.outcome", body)
        return replace(intent, state=DONE, block=receipt.block)

    def _refused(self, intent: Intent, failure: ChainRefused) -> ChainRefused | ChainNonceTaken | ChainSetBack:
        """The endpoint does not know these bytes and does not admit them: what that means, and the intent's end.

        A number that is ahead of the chain's can still come true on the right chain: that intent stays open.
        """
        following = self.chain.nonce(parse_address(intent.sender), "latest")
        if following < intent.nonce:
            return ChainSetBack(sender=intent.sender, nonce=intent.nonce - 1, block="?")
        self._fail(intent, failure.message())
        if following > intent.nonce:
            return ChainNonceTaken(sender=intent.sender, nonce=intent.nonce)
        return failure

    def _fail(self, intent: Intent, why: str) -> None:
        now = self.clock()

        def body(tx: Transaction) -> None:
            LedgerStore(tx.session).end_intent(intent.number, FAILED, now, error=why)

        self.store.run("chain.failed", body)
