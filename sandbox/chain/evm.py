"""The EVM behind the sandbox chain: py-evm's Shanghai rules on our store. The only module that knows py-evm.

py-evm's repository is archived: it is pinned, wrapped here, and every ledger can be run again in a second EVM
(sandbox.chain.replay). A `Ledger` is not thread-safe but for `call` and `estimate`; its users hold `store.lock` over
whatever must stay together.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import rlp
from eth.abc import AtomicDatabaseAPI, BlockHeaderAPI
from eth.chains.base import MiningChain
from eth.consensus import ConsensusApplier, NoProofConsensus
from eth.constants import BLANK_ROOT_HASH, ZERO_HASH32
from eth.db.atomic import AtomicDBWriteBatch
from eth.db.backends.base import BaseAtomicDB
from eth.db.schema import SchemaV1
from eth.db.trie import make_trie_root_and_nodes
from eth.exceptions import PyEVMError, Revert, VMError
from eth.vm.forks.shanghai import ShanghaiVM
from eth.vm.forks.shanghai.blocks import ShanghaiBlockHeader
from eth.vm.spoof import SpoofTransaction
from eth_hash.auto import keccak
from eth_utils.exceptions import ValidationError
from trie import HexaryTrie
from trie.exceptions import InvalidNode

from contracts.keys import raw_address
from contracts.transactions import Transaction
from privacy import canonical
from privacy.errors import Failure
from sandbox.chain import admission, genesis, nodes
from sandbox.chain.errors import GenesisDiffers, GenesisInvalid, LedgerAltered, LedgerBroken, NotAdmitted
from sandbox.chain.genesis import Genesis
from sandbox.chain.rows import BlockRow, LogRow, TxRow
from sandbox.chain.store import FORM, FORM_WHOLE, Store

CALL_GAS = 10_000_000  # of a call or estimate: under two seconds of this EVM; a deployment takes half of it
_ZERO_ADDRESS = bytes(20)
_DEPTH_MAX = 8  # of a genesis as JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class CallResult:
    """A call without a transaction. `error` is "" on success, "revert" where `output` is revert data, else a name."""

    output: bytes
    error: str


class Ledger:
    """A chain of blocks on a store."""

    def __init__(self, store: Store, begun: Genesis, form: str = FORM) -> None:
        """Open a ledger; an empty store becomes block 0, in this form.

        Raises GenesisDiffers for another genesis, LedgerAltered where the EVM's newest block is not there.
        """
        self.store, self.genesis = store, begun
        self._db = _Database(store)
        self._rules = _rules(begun.chain_id)
        if new := store.head() is None:
            store.begin(form)
        self.form = store.form
        if new:
            self._chain = self._begin()
        else:
            same_genesis(store, begun)
            try:
                self._chain = self._rules(self._db)
            except PyEVMError:
                raise LedgerAltered(what="row (one after it is missing)", number=self.head().number) from None
        # Calls run beside the sequencer, which writes through `_db`: they read sealed blocks through a view of theirs.
        self._view = self._rules(_Database(store))

    def head(self) -> BlockRow:
        found = self.store.head()
        assert found is not None, "a ledger has a genesis block"
        return found

    def seal(self, batch: Sequence[tuple[bytes, Transaction]], timestamp: int) -> list[Failure | None]:
        """Run admitted transactions in order and seal those that follow their account's nonce in one block.

        timestamp: Unix seconds, later than the head's. Returns, per transaction, None or why it was left out. A batch
        of nothing seals an empty block; a batch of which nothing is left seals none.
        """
        assert timestamp > self.head().timestamp, "block times grow strictly"
        outcome, kept = self._in_order(batch)
        if kept or not batch:
            try:
                self._seal(kept, timestamp)
            except (ValidationError, VMError) as error:
                if len(batch) == 1:
                    return [NotAdmitted(why=str(error)[:200])]
                # One of them breaks a rule admission does not know: give each a block of its own to find it.
                return [self.seal([one], timestamp + i)[0] for i, one in enumerate(batch)]
        return outcome

    def call(
        self, to: bytes | None, data: bytes, sender: bytes, at: BlockHeaderAPI, gas: int, value: int
    ) -> CallResult:
        """Run a call on the state after a block, with that block's number and time. Needs no lock."""
        vm = self._view.get_vm(at)
        plain = vm.create_unsigned_transaction(
            nonce=vm.state.get_nonce(sender), gas_price=0, gas=gas, to=to or b"", value=value, data=data
        )
        try:
            computation = vm.state.apply_transaction(SpoofTransaction(plain, from_=sender))
        except (ValidationError, VMError) as error:
            return CallResult(output=b"", error=str(error)[:200])
        if not computation.is_error:
            return CallResult(output=computation.output, error="")
        name = "revert" if isinstance(computation.error, Revert) else type(computation.error).__name__
        return CallResult(output=computation.output, error=name)

    def estimate(self, to: bytes | None, data: bytes, sender: bytes, at: BlockHeaderAPI, value: int) -> int | None:
        """The least gas with which a call succeeds; None where it fails with any."""
        low, high = 21_000 - 1, self.call_gas_max
        if self.call(to, data, sender, at, high, value).error:
            return None
        while high - low > 1:
            middle = (low + high) // 2
            if self.call(to, data, sender, at, middle, value).error:
                low = middle
            else:
                high = middle
        return high

    @property
    def call_gas_max(self) -> int:
        """The most gas that a call or an estimate may use."""
        return min(self.genesis.transaction_gas_max, CALL_GAS)

    def header(self, number: int) -> BlockHeaderAPI | None:
        """The header of a sealed block, in py-evm's form."""
        row = self.store.block(number)
        return None if row is None else decode_header(row)

    def pending(self, timestamp: int) -> BlockHeaderAPI:
        """The header the next block would begin with."""
        parent = decode_header(self.head())
        return self._chain.create_header_from_parent(parent, difficulty=0).copy(timestamp=timestamp)

    def state(self, at: BlockHeaderAPI) -> Any:
        """py-evm's state after a block: get_balance, get_nonce, get_code, get_storage."""
        return self._view.get_vm(at).state

    def readable(self, accounts: Sequence[bytes]) -> bool:
        """Whether the EVM's own newest block is the head, and the state after it can be read for these accounts."""
        try:
            newest = self._chain.get_canonical_head()
            state = self.state(newest)
            for account in accounts:
                state.get_nonce(account)
        except (KeyError, PyEVMError, InvalidNode, rlp.DecodingError, ValidationError):
            return False
        return bytes(newest.hash) == self.head().hash

    def proof(self, account: bytes, slots: Sequence[int], at: BlockHeaderAPI) -> tuple[list[bytes], list[list[bytes]]]:
        """(account proof, storage proofs): the RLP nodes from the block's state root (EIP-1186)."""
        storage = self.storage_root(account, at)
        found = _prove(self._db, at.state_root, account)
        return found, [_prove(self._db, storage, slot.to_bytes(32, "big")) for slot in slots]

    def storage_root(self, account: bytes, at: BlockHeaderAPI) -> bytes:
        """Root of an account's storage trie; that of the empty trie where the account does not exist."""
        leaf = HexaryTrie(self._db, at.state_root)[keccak(account)]
        return bytes(rlp.decode(leaf)[2]) if leaf else BLANK_ROOT_HASH

    def _begin(self) -> MiningChain:
        header = {
            "coinbase": _ZERO_ADDRESS,
            "difficulty": 0,
            "extra_data": bytes.fromhex(self.genesis.digest),
            "gas_limit": self.genesis.gas_limit,
            "timestamp": self.genesis.timestamp,
            "base_fee_per_gas": 0,
        }
        empty: dict[str, Any] = {"nonce": 0, "code": b"", "storage": {}}
        accounts = {raw_address(account): empty | {"balance": wei} for account, wei in self.genesis.alloc}
        chain = self._rules.from_genesis(self._db, header, accounts)
        first = chain.get_canonical_block_header_by_number(0)
        # Before the block: a crash between the two leaves no block, and the next start writes both again.
        self.store.set_meta("genesis", _canonical(self.genesis))
        self._commit(self._db.take(), first, (), ())
        return self._rules(self._db)

    def _in_order(
        self, batch: Sequence[tuple[bytes, Transaction]]
    ) -> tuple[list[Failure | None], list[tuple[bytes, Transaction]]]:
        state = self.state(decode_header(self.head()))
        nonces: dict[str, int] = {}
        spent: dict[str, int] = {}
        outcome: list[Failure | None] = []
        kept = []
        for raw, found in batch:
            sender = raw_address(found.sender)
            nonce = nonces.get(found.sender, state.get_nonce(sender))
            try:
                admission.in_order(found, nonce, state.get_balance(sender) - spent.get(found.sender, 0))
            except NotAdmitted as failure:
                outcome.append(failure)
                continue
            nonces[found.sender] = nonce + 1
            spent[found.sender] = spent.get(found.sender, 0) + found.value
            outcome.append(None)
            kept.append((raw, found))
        return outcome, kept

    def _seal(self, kept: Sequence[tuple[bytes, Transaction]], timestamp: int) -> None:
        chain = self._chain
        try:
            chain.header = self.pending(timestamp)
            builder = chain.get_vm().get_transaction_builder()
            decoded = [builder.decode(raw) for raw, _ in kept]
            result, receipts, computations = chain.mine_all(decoded, mix_hash=ZERO_HASH32)
            header = result.imported_block.header
            assert header.base_fee_per_gas == 0, "the base fee stays zero"
            txs, logs = _rows(header.block_number, kept, receipts, computations)
            entries = self._db.take()
            if self.form != FORM_WHOLE:
                _leave_out(entries, result.imported_block.transactions, receipts)
            self._commit(entries, header, txs, logs)
        except BaseException:
            self._db.drop()
            self._chain = self._rules(self._db)
            raise

    def _commit(
        self, entries: dict[bytes, bytes | None], header: BlockHeaderAPI, txs: Sequence[TxRow], logs: Sequence[LogRow]
    ) -> None:
        older, parent = dict[bytes, bytes](), self.store.head()
        if self.form == FORM:
            entries.pop(bytes(header.hash), None)  # the header: `_Database` reads it from its block
            if parent is not None:
                before = bytes(decode_header(parent).state_root)
                older = nodes.older(before, bytes(header.state_root), entries, self.store.get)
        self.store.commit(entries, older, block_row(header), txs, logs)


def same_genesis(store: Store, begun: Genesis) -> None:
    """Raises GenesisDiffers unless a store's ledger was begun with this genesis; LedgerBroken where it names none."""
    stored = store.meta("genesis")
    if stored != _canonical(begun):
        try:
            found = genesis.from_body(canonical.parse_json((stored or "null").encode(), _DEPTH_MAX)).digest
        except (ValueError, GenesisInvalid):
            raise LedgerBroken(why="its genesis is not readable") from None
        raise GenesisDiffers(stored=found[:16], given=begun.digest[:16])


def decode_header(row: BlockRow) -> BlockHeaderAPI:
    """A stored header in py-evm's form."""
    header: BlockHeaderAPI = rlp.decode(row.header, ShanghaiBlockHeader)
    return header


def block_row(header: BlockHeaderAPI) -> BlockRow:
    return BlockRow(
        number=header.block_number, hash=bytes(header.hash), timestamp=header.timestamp, header=rlp.encode(header)
    )


def receipt_fields(receipt: bytes) -> tuple[int, bytes]:
    """(cumulative gas, bloom of 256 bytes) of a stored receipt."""
    _, gas, bloom, _ = rlp.decode(receipt)
    return int.from_bytes(gas, "big"), bytes(bloom)


class _Database(BaseAtomicDB):  # type: ignore[misc]
    """py-evm's view of the store: writes wait here until `take` hands them over for the block's SQL transaction."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: dict[bytes, bytes | None] = {}

    def take(self) -> dict[bytes, bytes | None]:
        """What was written since the last block."""
        waiting, self._waiting = self._waiting, {}
        return waiting

    def drop(self) -> None:
        """Forget what was written since the last block."""
        self._waiting = {}

    def _find(self, key: bytes) -> bytes | None:
        key = bytes(key)
        if key in self._waiting:
            return self._waiting[key]
        if (value := self._store.get(key)) is None and (block := self._store.block_by_hash(key)) is not None:
            return block.header
        return value

    def __getitem__(self, key: bytes) -> bytes:
        if (value := self._find(key)) is None:
            raise KeyError(key)
        return value

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self._waiting[bytes(key)] = bytes(value)

    def __delitem__(self, key: bytes) -> None:
        self[key]  # a missing key must raise KeyError
        self._waiting[bytes(key)] = None

    def _exists(self, key: bytes) -> bool:
        return self._find(key) is not None

    @contextmanager
    def atomic_batch(self) -> Iterator[AtomicDatabaseAPI]:
        with AtomicDBWriteBatch._commit_unless_raises(self) as batch:
            yield batch


def _rules(number: int) -> Any:
    """The chain class: Shanghai from block 0, no proof of work, a constant gas limit."""

    class SandboxChain(MiningChain):  # type: ignore[misc]
        chain_id = number
        vm_configuration = ConsensusApplier(NoProofConsensus).amend_vm_configuration(((0, ShanghaiVM),))

        def create_header_from_parent(self, parent_header: BlockHeaderAPI, **fields: Any) -> BlockHeaderAPI:
            fields["gas_limit"] = parent_header.gas_limit
            return super().create_header_from_parent(parent_header, **fields)

    return SandboxChain


def _rows(
    number: int, kept: Sequence[tuple[bytes, Transaction]], receipts: Sequence[Any], computations: Sequence[Any]
) -> tuple[list[TxRow], list[LogRow]]:
    txs: list[TxRow] = []
    logs: list[LogRow] = []
    before = 0
    for position, ((raw, found), receipt, computation) in enumerate(zip(kept, receipts, computations, strict=True)):
        tx_hash = bytes.fromhex(found.hash[2:])
        txs.append(
            TxRow(
                hash=tx_hash,
                number=number,
                position=position,
                sender=raw_address(found.sender),
                recipient=raw_address(found.to) if found.to else None,
                status=int(computation.is_success),
                gas_used=receipt.gas_used - before,
                contract=computation.msg.storage_address if computation.msg.is_create else None,
                raw=raw,
                receipt=receipt.encode(),
            )
        )
        before = receipt.gas_used
        for log in receipt.logs:
            topics = [topic.to_bytes(32, "big") for topic in log.topics]
            logs.append(
                LogRow(
                    number=number,
                    log_index=len(logs),
                    position=position,
                    address=log.address,
                    topic0=topics[0] if topics else None,
                    topics=b"".join(topics),
                    data=log.data,
                    tx=tx_hash,
                )
            )
    return txs, logs


def _leave_out(entries: dict[bytes, bytes | None], txs: Sequence[Any], receipts: Sequence[Any]) -> None:
    """Take the nodes of the block's transaction and receipt tries, and py-evm's lookup of hashes, out of its data.

    py-evm reads them for whole blocks alone, which we answer from the tx table.
    """
    for items in (txs, receipts):
        for key in make_trie_root_and_nodes(items)[1]:
            entries.pop(key, None)
    for tx in txs:
        entries.pop(SchemaV1.make_transaction_hash_to_block_lookup_key(tx.hash), None)


def _prove(db: _Database, root: bytes, key: bytes) -> list[bytes]:
    nodes = HexaryTrie(db, root).get_proof(keccak(key))
    return [rlp.encode(node) for node in nodes]


def _canonical(begun: Genesis) -> str:
    return canonical.encode(begun.to_body()).decode()
