"""Blocks as evidence: what a header commits to, exported twice and equal, and every altered byte found."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import blocks, export, settlement
from contracts.blocks import SealedBlock
from contracts.chain import Chain
from contracts.errors import BlockInvalid, MethodNotOffered
from tests.support.sandbox_chain import CHAIN_ID, GENESIS, KEYS, Local, local, wishes


@pytest.fixture(scope="module")
def served() -> Iterator[Local]:
    """A chain with a contract, failed and successful transactions, an empty block and one with several."""
    with local() as one:
        contract = one.deploy_settlement()
        submitter, chain = KEYS["submitter"], one.chain
        chain.send(chain.sign(contract, settlement.pause_data(), 0, submitter.secret)[0])
        chain.advance_time(100)
        one.sequencer._batch_seconds = 0.2
        from tests.sandbox.test_chain_sequencer import together

        together(one.sequencer, [wishes(1, key=KEYS[r])[0] for r in ("broker", "arbiter", "referrer")])
        chain.advance_time(100)
        yield one


@pytest.fixture(scope="module")
def sealed(served: Local) -> list[SealedBlock]:
    return export.export(served.chain, 0, served.chain.head())


def test_the_standard_methods_give_the_same_bytes(served: Local, sealed: list[SealedBlock]) -> None:
    assert export.export_standard(served.chain, 0, served.chain.head()) == sealed
    assert max(len(block.transactions) for block in sealed) > 1
    assert min(len(block.transactions) for block in sealed[1:]) == 0


def test_the_genesis_is_exported(served: Local) -> None:
    assert export.genesis(served.chain) == GENESIS.to_body()


def test_headers_receipts_and_hashes_are_the_chains(served: Local, sealed: list[SealedBlock]) -> None:
    hashes = export.block_hashes(served.chain, 0, served.chain.head())
    for block, block_hash in zip(sealed, hashes, strict=True):
        header = blocks.decode_header(block.header)
        found = served.chain.block(block.number)
        assert (header.hash, header.number, header.time) == (block_hash, found.number, found.time)
        assert "0x" + header.parent.hex() == found.parent
        for place, raw in enumerate(block.receipts):
            receipt = served.chain.lookup(found.transactions[place])
            decoded = blocks.decode_receipt(raw)
            assert receipt is not None
            assert (decoded.succeeded, decoded.logs) == (receipt.succeeded, receipt.logs)
    assert blocks.decode_header(sealed[0].header).extra_data.hex() == GENESIS.digest
    failed = [blocks.decode_receipt(raw).succeeded for block in sealed for raw in block.receipts]
    assert failed.count(False) == 1


def test_pages_are_joined(served: Local, sealed: list[SealedBlock], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "PAGE", 2)
    assert export.export(served.chain, 0, served.chain.head()) == sealed


def _chain(sealed: list[SealedBlock]) -> None:
    parent = None
    for block in sealed:
        parent = blocks.check(block, parent)


def test_every_altered_part_of_a_block_is_named(sealed: list[SealedBlock]) -> None:
    _chain(sealed)
    place = next(i for i, block in enumerate(sealed) if len(block.transactions) > 1)
    block = sealed[place]
    header = block.header[:40] + bytes([block.header[40] ^ 1]) + block.header[41:]
    altered = {
        "transactions": replace(block, transactions=block.transactions[::-1]),
        "receipts are": replace(block, receipts=block.receipts[::-1]),
        "number of receipts": replace(block, receipts=block.receipts[:1]),
        "header says": replace(block, number=block.number + 1),
        "transactions are": replace(block, transactions=(block.transactions[0], *block.transactions[:2])),
    }
    for why, other in altered.items():
        with pytest.raises(BlockInvalid, match=why):
            _chain([*sealed[:place], other, *sealed[place + 1 :]])
    with pytest.raises(BlockInvalid):
        _chain([*sealed[:place], replace(block, header=header), *sealed[place + 1 :]])


def test_a_block_left_out_or_exchanged_is_found(sealed: list[SealedBlock]) -> None:
    for other in ([*sealed[:1], *sealed[2:]], [sealed[0], sealed[2], sealed[1]], [*sealed[:2], sealed[1]]):
        with pytest.raises(BlockInvalid, match="follow"):
            _chain(other)


def test_any_flipped_bit_of_a_block_is_found(sealed: list[SealedBlock]) -> None:
    place = next(i for i, block in enumerate(sealed) if block.transactions)
    before, block, after = sealed[place - 1], sealed[place], sealed[place + 1]
    for part in ("header", "transactions", "receipts"):
        value = getattr(block, part)
        raw = value if part == "header" else value[0]
        for byte in range(0, len(raw), max(1, len(raw) // 60)):
            flipped = raw[:byte] + bytes([raw[byte] ^ 0x10]) + raw[byte + 1 :]
            other = replace(block, **{part: flipped if part == "header" else (flipped, *value[1:])})
            with pytest.raises(BlockInvalid):
                _chain([before, other, after])


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_no_header_and_no_receipt(raw: bytes) -> None:
    with pytest.raises(BlockInvalid):
        blocks.decode_header(raw)
    with pytest.raises(BlockInvalid):
        blocks.decode_receipt(raw)


def test_another_kind_of_chain_does_not_offer_the_export(served: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = Chain(served.reader.endpoint, CHAIN_ID)
    reader = served.reader._http.RequestHandlerClass.methods  # type: ignore[attr-defined]
    monkeypatch.delitem(reader._table, "sandbox_export")
    with pytest.raises(MethodNotOffered):
        export.export(chain, 0, 1)
    assert len(export.export_standard(chain, 0, 1)) == 2
    chain.close()
