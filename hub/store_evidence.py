"""Repository of the logs: leaves, checkpoints, co-signatures, the chain's block hashes. Only ever grows."""

from sqlalchemy import func, select

from ecowire import documents
from hub.records import Checkpoint, Cosignature, Leaf
from hub.store_unit import Repository
from hub.tables import BlockRow, CheckpointRow, CosignatureRow, LeafRow
from privacy.ids import PartnerId


class EvidenceStore(Repository):
    """Append-only records; there is no method that changes or deletes one."""

    def size(self) -> int:
        """How many leaves the audit log has."""
        return int(self._session.scalars(select(func.coalesce(func.max(LeafRow.index), -1))).one()) + 1

    def add_leaf(self, leaf: Leaf) -> None:
        self._session.add(
            LeafRow(
                index=leaf.index,
                time=leaf.time,
                kind=leaf.kind,
                subject=leaf.subject,
                data=leaf.data.decode(),
                hash=leaf.hash.hex(),
            )
        )
        self._session.flush()

    def leaf(self, index: int) -> Leaf | None:
        row = self._session.get(LeafRow, index)
        return _leaf(row) if row else None

    def leaves(self, *, kind: str | None = None, subject: str | None = None) -> tuple[Leaf, ...]:
        """Leaves from index 0; of one kind or subject where given."""
        query = select(LeafRow).order_by(LeafRow.index)
        if kind is not None:
            query = query.where(LeafRow.kind == kind)
        if subject is not None:
            query = query.where(LeafRow.subject == subject)
        return tuple(_leaf(row) for row in self._session.scalars(query))

    def leaf_hashes(self, size: int) -> list[bytes]:
        """The first `size` leaf hashes."""
        query = select(LeafRow.hash).where(LeafRow.index < size).order_by(LeafRow.index)
        return [bytes.fromhex(found) for found in self._session.scalars(query)]

    def add_checkpoint(self, checkpoint: Checkpoint) -> None:
        self._session.add(
            CheckpointRow(
                log=checkpoint.log,
                size=checkpoint.size,
                root=checkpoint.root.hex(),
                note=checkpoint.note,
                time=checkpoint.time,
            )
        )
        self._session.flush()

    def checkpoint(self, log: str, size: int) -> Checkpoint | None:
        row = self._session.get(CheckpointRow, (log, size))
        return _checkpoint(row) if row else None

    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """All checkpoints, oldest first within each log."""
        query = select(CheckpointRow).order_by(CheckpointRow.log, CheckpointRow.size)
        return tuple(_checkpoint(row) for row in self._session.scalars(query))

    def last_checkpoint(self, log: str) -> Checkpoint | None:
        query = select(CheckpointRow).where(CheckpointRow.log == log).order_by(CheckpointRow.size.desc()).limit(1)
        row = self._session.scalars(query).one_or_none()
        return _checkpoint(row) if row else None

    def add_cosignature(self, cosignature: Cosignature) -> None:
        self._session.add(
            CosignatureRow(
                log=cosignature.log,
                size=cosignature.size,
                partner=cosignature.partner,
                document=cosignature.document.encode().decode(),
                received_at=cosignature.received_at,
            )
        )
        self._session.flush()

    def cosignatures(self, log: str | None = None, size: int | None = None) -> tuple[Cosignature, ...]:
        query = select(CosignatureRow).order_by(CosignatureRow.log, CosignatureRow.size, CosignatureRow.partner)
        if log is not None:
            query = query.where(CosignatureRow.log == log)
        if size is not None:
            query = query.where(CosignatureRow.size == size)
        return tuple(
            Cosignature(
                log=row.log,
                size=row.size,
                partner=PartnerId(row.partner),
                document=documents.decode(row.document.encode(), kind="cosignature"),
                received_at=row.received_at,
            )
            for row in self._session.scalars(query)
        )

    def cosigned_size(self, log: str, partner: str) -> int:
        """The largest size of this log that the partner has co-signed; 0 if none."""
        query = select(func.coalesce(func.max(CosignatureRow.size), 0)).where(
            CosignatureRow.log == log, CosignatureRow.partner == partner
        )
        return int(self._session.scalars(query).one())

    def blocks(self) -> list[bytes]:
        """The block hashes seen so far, from block 0."""
        query = select(BlockRow.hash).order_by(BlockRow.number)
        return [bytes.fromhex(found) for found in self._session.scalars(query)]

    def add_blocks(self, first: int, hashes: list[bytes]) -> None:
        """Append the hashes of blocks first, first + 1, …"""
        self._session.add_all(BlockRow(number=first + i, hash=h.hex()) for i, h in enumerate(hashes))
        self._session.flush()


def _leaf(row: LeafRow) -> Leaf:
    data = row.data.encode()
    return Leaf(
        index=row.index, time=row.time, kind=row.kind, subject=row.subject, data=data, hash=bytes.fromhex(row.hash)
    )


def _checkpoint(row: CheckpointRow) -> Checkpoint:
    return Checkpoint(log=row.log, size=row.size, root=bytes.fromhex(row.root), note=row.note, time=row.time)
