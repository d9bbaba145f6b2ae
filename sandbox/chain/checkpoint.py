"""A Merkle tree over the block hashes: what partners' nodes co-sign, so that the one sequencer cannot rewrite history.

Leaf i is the leaf hash of block i's 32-byte hash (RFC 6962 section 2.1).
"""

from privacy import merkle
from sandbox.chain.genesis import Genesis
from sandbox.chain.store import Store

_PAGE = 10_000


class BlockTree:
    """The tree over a store's blocks; it catches up with the store whenever it is asked. Users hold `store.lock`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tree = merkle.Tree()

    def size(self) -> int:
        """Number of sealed blocks, block 0 included."""
        while page := self._store.block_hashes(self._tree.size, self._tree.size + _PAGE):
            for block_hash in page:
                self._tree.append(merkle.leaf_hash(block_hash))
        return self._tree.size

    def root(self, size: int) -> bytes:
        """Root over the first `size` blocks. Raises NoSuchLeaf beyond the head."""
        self.size()
        return self._tree.root(size)

    def inclusion(self, number: int, size: int) -> list[bytes]:
        """Proof that a block stands in the tree of `size` blocks. Raises NoSuchLeaf."""
        self.size()
        return self._tree.inclusion_proof(number, size)

    def consistency(self, old: int, size: int) -> list[bytes]:
        """Proof that the tree of `size` blocks only adds to that of `old`. Raises NoSuchLeaf."""
        self.size()
        return self._tree.consistency_proof(old, size)


def origin(genesis: Genesis) -> str:
    """The name of a chain's log: its id and genesis digest."""
    return f"ecohub/chain/{genesis.chain_id}/{genesis.digest[:16]}"
