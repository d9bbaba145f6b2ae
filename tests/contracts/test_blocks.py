"""Blocks as evidence: what a header commits to, exported twice and equal, and every altered byte found."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import rlp
from eth_hash.auto import keccak
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


# --- headers of proof-of-authority chains -----------------------------------------------------------------------------

VALIDATORS = [bytes([i]) * 20 for i in range(1, 5)]


def _poa(sealed: list[SealedBlock], extra: bytes, mix: bytes, *, number: int | None = None) -> bytes:
    header = rlp.decode(sealed[1].header)
    header[12], header[13] = extra, mix
    if number is not None:
        header[8] = number.to_bytes(1, "big").lstrip(b"\0")
    return bytes(rlp.encode(header))


def _qbft(round_number: int, seals: int, vote: list[bytes] | None = None) -> bytes:
    shown = round_number.to_bytes(4, "big") if round_number else b""
    signatures = [bytes([7 + i]) * 65 for i in range(seals)]
    return bytes(rlp.encode([bytes(32), VALIDATORS, vote or [], shown.lstrip(b"\0"), signatures]))


def test_extra_data_of_clique_is_hashed_as_it_stands(sealed: list[SealedBlock]) -> None:
    extra = bytes(32) + b"".join(VALIDATORS) + b"\x09" * 65
    raw = _poa(sealed, extra, bytes(32))
    header = blocks.decode_header(raw)
    assert (header.hash, header.extra_data) == (keccak(raw), extra)


@pytest.mark.parametrize("vote", [None, [VALIDATORS[0], b"\xff"], [VALIDATORS[0], b""]], ids=["none", "add", "drop"])
def test_a_qbft_block_is_named_without_its_round_and_seals(sealed: list[SealedBlock], vote: list[bytes] | None) -> None:
    agreed = keccak(_poa(sealed, _qbft(0, 0, vote), blocks.BFT_MIX))
    for round_number, seals in ((0, 0), (0, 3), (2, 4), (300, 4)):
        raw = _poa(sealed, _qbft(round_number, seals, vote), blocks.BFT_MIX)
        assert blocks.decode_header(raw).hash == agreed
    assert keccak(raw) != agreed
    others = [
        bytes(rlp.encode([bytes(32), VALIDATORS[:3], vote or [], b"", []])),
        _qbft(0, 0, [VALIDATORS[1], b"\xff"]),
    ]
    assert all(blocks.decode_header(_poa(sealed, extra, blocks.BFT_MIX)).hash != agreed for extra in others)


def test_block_0_of_a_qbft_chain_is_hashed_as_it_stands(sealed: list[SealedBlock]) -> None:
    raw = _poa(sealed, _qbft(0, 0), blocks.BFT_MIX, number=0)
    assert blocks.decode_header(raw).hash == keccak(raw)


@pytest.mark.parametrize("extra", [b"", b"\xff" * 40, bytes(32), bytes(rlp.encode([bytes(32), []])), b"\x01"])
def test_extra_data_that_is_not_qbfts_is_refused(sealed: list[SealedBlock], extra: bytes) -> None:
    with pytest.raises(BlockInvalid, match="QBFT"):
        blocks.decode_header(_poa(sealed, extra, blocks.BFT_MIX))


def test_blocks_of_a_qbft_endpoint_are_rebuilt_and_follow_each_other(served: Local) -> None:
    """The standard methods of an endpoint whose headers carry seals: hashes are told as such a chain tells them."""

    class Sealing:
        """The sandbox's answers with QBFT's extra data, parents linked by the hashes that such a chain gives."""

        def __init__(self) -> None:
            self.parents: dict[int, str] = {}

        def ask(self, method: str, *parameters: Any) -> Any:
            answer = served.chain.ask(method, *parameters)
            if method != "eth_getBlockByNumber":
                return answer
            number = int(parameters[0], 16)
            answer |= {"extraData": "0x" + _qbft(number, 4).hex(), "mixHash": "0x" + blocks.BFT_MIX.hex()}
            if number:
                answer["parentHash"] = self.parents[number - 1]
            fields = [export._field(answer, name, length) for name, length in (*export._HEADER, export._SINCE[0])]
            agreed = rlp.encode([bytes(32), VALIDATORS, [], b"", []]) if number else fields[12]
            self.parents[number] = answer["hash"] = (
                "0x" + keccak(rlp.encode([*fields[:12], agreed, *fields[13:]])).hex()
            )
            return answer

    found = export.export_standard(Sealing(), 0, 3)  # type: ignore[arg-type]
    assert [block.number for block in found] == [0, 1, 2, 3]
