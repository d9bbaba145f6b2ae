"""JSON-RPC over a real socket: what is malformed, what is refused, and that standard clients find what they expect."""

import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from contracts import abi, settlement
from contracts.chain import Chain
from contracts.errors import ChainRefused
from privacy import merkle
from sandbox.chain import rpc
from sandbox.chain.methods import EXPORT_BLOCKS_MAX
from tests.support.sandbox_chain import CHAIN_ID, GENESIS, KEYS, OUTSIDER, PARTNER, Local, local, wishes

SUBMITTER, GOVERNOR = KEYS["submitter"], KEYS["governor"]
ZERO = "0x" + "00" * 20


@pytest.fixture(scope="module")
def served() -> Iterator[Local]:
    """One chain for the file: tests only add to it."""
    with local() as one:
        yield one


@pytest.fixture(scope="module")
def contract(served: Local) -> str:
    return served.deploy_settlement()


def post(served: Local, body: bytes, headers: dict[str, str] | None = None, port: int | None = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port or served.server.port, timeout=10)
    connection.request("POST", "/", body, headers or {})
    answer = connection.getresponse()
    found = json.loads(answer.read())
    connection.close()
    return answer.status, found


def ask(served: Local, method: str, *parameters: Any, port: int | None = None) -> Any:
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(parameters)}
    return post(served, json.dumps(request).encode(), port=port)[1]


def error(answer: Any) -> tuple[int, str]:
    return answer["error"]["code"], answer["error"]["message"]


# --- the frame --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", -32700),
        (b"{", -32700),
        (b"\xff\xfe", -32700),
        (b"[" * 100_000, -32700),
        (b'{"a":' * 100_000, -32700),
        (b"1", -32600),
        (b"{}", -32600),
        (b"[]", -32600),
        (b'{"method":1}', -32600),
        (b'{"method":"eth_chainId","id":{}}', -32600),
        (b'{"method":"eth_chainId","id":1.5}', -32600),
        (b'{"method":"eth_chainId","params":{}}', -32602),
        (b'{"method":"eth_chainId","params":[1]}', -32602),
        (b'{"method":"eth_getBalance","params":[]}', -32602),
        (b'{"method":"eth_nothing"}', -32601),
        (b'{"method":"_send","params":["0x"]}', -32601),
        (b'{"method":"eth_sendTransaction","params":[{}]}', -32601),
        (b'{"method":"eth_sign","params":[]}', -32601),
        (b"[" + b",".join([b"{}"] * 101) + b"]", -32600),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_malformed_request_is_answered_with_its_error(served: Local, body: bytes, code: int) -> None:
    status, answer = post(served, body)
    assert status == 200
    assert answer["error"]["code"] == code


def test_a_batch_is_answered_one_by_one(served: Local) -> None:
    requests = [{"id": "a", "method": "eth_chainId"}, {"id": 2, "method": "nothing"}, "x"]
    _, answers = post(served, json.dumps(requests).encode())
    assert [answer["id"] for answer in answers] == ["a", 2, None]
    assert answers[0]["result"] == hex(CHAIN_ID)
    assert [answer["error"]["code"] for answer in answers[1:]] == [-32601, -32600]


def test_a_body_over_the_limit_is_not_read(served: Local) -> None:
    with socket.create_connection(("127.0.0.1", served.server.port), timeout=10) as connection:
        head = f"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {rpc.BODY_BYTES_MAX + 1}\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.makefile("rb").readline().split()[1] == b"413"


def test_a_body_of_exactly_the_limit_is_read(served: Local) -> None:
    body = b'{"id":1,"method":"eth_chainId"}'
    status, answer = post(served, body + b" " * (rpc.BODY_BYTES_MAX - len(body)))
    assert (status, answer["result"]) == (200, hex(CHAIN_ID))


@pytest.mark.parametrize("length", ["", "x", "-1", "1e3", "\u0661"])
def test_a_length_is_needed(served: Local, length: str) -> None:
    with socket.create_connection(("127.0.0.1", served.server.port), timeout=10) as connection:
        connection.sendall(f"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n".encode())
        assert connection.makefile("rb").readline().split()[1] in (b"411", b"400")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_only_post_is_answered(served: Local, method: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.server.port, timeout=10)
    connection.request(method, "/")
    assert connection.getresponse().status == 501
    connection.close()


def test_the_server_listens_on_loopback_only(served: Local) -> None:
    assert served.server._http.server_address[0] == "127.0.0.1"


def test_a_fault_of_ours_shows_no_detail(
    served: Local, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def broken(number: int) -> None:
        raise RuntimeError("a secret path")

    monkeypatch.setattr(served.ledger, "header", broken)
    answer = ask(served, "eth_getBalance", ZERO)
    assert error(answer) == (-32603, "internal error")
    assert "secret" not in json.dumps(answer)
    assert "a secret path" in capsys.readouterr().err


# --- transactions -----------------------------------------------------------------------------------------------------


def test_a_refusal_carries_the_stable_code_and_chinese(served: Local) -> None:
    answer = ask(served, "eth_sendRawTransaction", "0x" + wishes(1, key=OUTSIDER)[0].hex())
    assert answer["error"]["code"] == -32000
    assert answer["error"]["data"]["code"] == "TRANSACTION_SENDER_NOT_ALLOWED"
    assert OUTSIDER.address in answer["error"]["data"]["zh"]


@pytest.mark.parametrize("raw", ["0x", "0xzz", "0x123", "c0", None, 5, ["0x"], "0xc0"])
def test_what_is_no_transaction_is_refused(served: Local, raw: object) -> None:
    head = served.chain.head()
    assert error(ask(served, "eth_sendRawTransaction", raw))[0] in (-32602, -32000)
    assert served.chain.head() == head


def test_the_read_only_listener_takes_no_transaction(served: Local) -> None:
    reader = Chain(served.reader.endpoint, CHAIN_ID)
    head = served.chain.head()
    with pytest.raises(ChainRefused, match="read-only"):
        reader.send(wishes(1, first=served.chain.nonce(SUBMITTER.address))[0])
    with pytest.raises(ChainRefused, match="read-only"):
        reader.advance_time(10)
    assert reader.head() == served.chain.head() == head
    assert reader.block(0) == served.chain.block(0)
    reader.close()


def test_the_clock_cannot_be_moved_without_the_flag() -> None:
    with local(test_clock=False) as plain:
        before = plain.chain.head_time()
        with pytest.raises(ChainRefused, match="--test-clock"):
            plain.chain.advance_time(10)
        assert plain.chain.head_time() == before


@pytest.mark.parametrize("seconds", [0, -5, 1.5, True, "0x10", None, 10**10])
def test_the_clock_moves_forward_by_whole_seconds(served: Local, seconds: object) -> None:
    assert error(ask(served, "sandbox_advanceTime", seconds))[0] == -32602


# --- reads ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("eth_getBalance", ["0x12"]),
        ("eth_getBalance", [ZERO, "newest"]),
        ("eth_getBalance", [ZERO, 5]),
        ("eth_getStorageAt", [ZERO, "x"]),
        ("eth_call", ["x"]),
        ("eth_call", [{"to": "0x12"}]),
        ("eth_call", [{"to": ZERO, "data": "0x1"}]),
        ("eth_call", [{"to": ZERO, "gas": "many"}]),
        ("eth_getBlockByHash", ["0x12"]),
        ("eth_getTransactionReceipt", [None]),
        ("eth_getLogs", ["x"]),
        ("eth_getLogs", [{"from": "0x0"}]),
        ("eth_getLogs", [{"address": "0x12"}]),
        ("eth_getLogs", [{"topics": ["0x12"]}]),
        ("sandbox_export", [{"from": 0}]),
        ("sandbox_export", [{"from": "0", "to": "1"}]),
        ("sandbox_export", [{"from": 5, "to": 1}]),
        ("sandbox_export", [{"from": 0, "to": 10**9}]),
        ("sandbox_export", [{"from": -1, "to": 0}]),
        ("sandbox_checkpoint", [10**9]),
        ("sandbox_checkpoint", ["x"]),
        ("sandbox_consistency", [True, 1]),
        ("eth_feeHistory", ["x", "latest"]),
    ],
    ids=str,
)
def test_a_malformed_parameter_is_told(served: Local, method: str, parameters: list) -> None:
    assert error(ask(served, method, *parameters))[0] == -32602


@pytest.mark.parametrize("method", ["eth_getBalance", "eth_getCode", "eth_getTransactionCount"])
def test_a_block_that_does_not_exist_has_no_state(served: Local, method: str) -> None:
    assert error(ask(served, method, ZERO, "0xffff")) == (-32000, "header not found")


def test_what_does_not_exist_is_null(served: Local) -> None:
    unknown = "0x" + "ab" * 32
    for method in (
        "eth_getBlockByHash",
        "eth_getTransactionByHash",
        "eth_getTransactionReceipt",
        "eth_getRawTransactionByHash",
    ):
        assert ask(served, method, unknown)["result"] is None
    assert ask(served, "eth_getBlockByNumber", "0xffff", False)["result"] is None


def test_a_revert_carries_its_data(served: Local, contract: str) -> None:
    request = {"to": contract, "data": "0x" + settlement.pause_data().hex()}
    for method in ("eth_call", "eth_estimateGas"):
        answer = ask(served, method, request)
        assert error(answer) == (3, "execution reverted")
        assert abi.revert_reason(bytes.fromhex(answer["error"]["data"][2:])) == "not the governor"


def test_logs_are_found_by_block_contract_and_topics(served: Local, contract: str) -> None:
    def found(**wanted: object) -> list[int]:
        answer = ask(served, "eth_getLogs", {"fromBlock": "0x0", **wanted})["result"]
        return [int(log["blockNumber"], 16) for log in answer]

    everything = found()
    assert everything == sorted(everything)
    (number,) = found(topics=["0x" + abi.topic("PartnerSet(bytes32,address,uint256)").hex()])
    topic, partner = "0x" + abi.topic("PartnerSet(bytes32,address,uint256)").hex(), "0x" + PARTNER.hex()
    other = "0x" + "01" * 32
    assert found(address=contract) == everything
    assert found(address=[contract, ZERO]) == everything
    assert found(address=ZERO) == []
    assert found(topics=[None, partner]) == [number]
    assert found(topics=[[topic, other], [partner]]) == [number]
    assert found(topics=[topic, other]) == found(topics=[other]) == found(topics=[topic, partner, None, None]) == []
    assert found(toBlock=hex(number - 1)) == []
    block_hash = served.chain.block(number).hash
    answer = ask(served, "eth_getLogs", {"blockHash": block_hash})["result"]
    assert [log["blockHash"] for log in answer] == [block_hash]


def test_too_many_logs_are_refused(served: Local, contract: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from sandbox.chain import methods

    monkeypatch.setattr(methods, "LOGS_MAX", 0)
    assert "fewer blocks" in error(ask(served, "eth_getLogs", {"fromBlock": "0x0"}))[1]


def test_the_pending_block_has_the_time_the_next_one_would_have(served: Local) -> None:
    block = ask(served, "eth_getBlockByNumber", "pending", False)["result"]
    assert int(block["number"], 16) == served.chain.head() + 1
    assert block["hash"] is None
    assert block["parentHash"] == served.chain.block(served.chain.head()).hash


def test_the_chain_in_the_words_of_a_standard_client(contract: str, served: Local) -> None:
    from web3 import HTTPProvider, Web3

    from contracts import artifacts

    web3 = Web3(HTTPProvider(served.server.endpoint))
    assert web3.is_connected()
    assert (web3.eth.chain_id, web3.eth.block_number) == (CHAIN_ID, served.chain.head())
    assert (web3.eth.gas_price, web3.eth.max_priority_fee, web3.net.version) == (0, 0, str(CHAIN_ID))
    assert web3.eth.get_balance(GOVERNOR.address) == 10**18
    bound = web3.eth.contract(address=contract, abi=artifacts.load("Settlement").abi)  # type: ignore[call-overload]
    assert bound.functions.BROKER().call() == KEYS["broker"].address
    transaction = bound.functions.pause().build_transaction(
        {"from": GOVERNOR.address, "nonce": web3.eth.get_transaction_count(GOVERNOR.address), "gasPrice": 0}
    )
    signed = web3.eth.account.sign_transaction(transaction, GOVERNOR.secret)
    receipt = web3.eth.wait_for_transaction_receipt(web3.eth.send_raw_transaction(signed.raw_transaction))
    assert receipt["status"] == 1
    assert bound.events.PausedSet().process_receipt(receipt)[0]["args"] == {"paused": True}
    (found,) = bound.events.PausedSet().get_logs(from_block=0)
    assert found["transactionHash"] == receipt["transactionHash"]
    block = web3.eth.get_block(receipt["blockNumber"], full_transactions=True)
    assert block["transactions"][0]["from"] == GOVERNOR.address
    assert block["logsBloom"] == receipt["logsBloom"]
    assert web3.eth.get_transaction(receipt["transactionHash"])["input"] == settlement.pause_data()
    assert web3.eth.get_code(contract) == served.chain.code(contract)  # type: ignore[arg-type]
    assert web3.eth.get_proof(contract, [0])["codeHash"] == web3.keccak(web3.eth.get_code(contract))  # type: ignore[arg-type]
    assert web3.eth.fee_history(2, "latest")["baseFeePerGas"] == [0, 0, 0]
    assert bound.functions.paused().call(block_identifier=receipt["blockNumber"] - 1) is False
    release = bound.functions.unpause().build_transaction(
        {"from": GOVERNOR.address, "nonce": transaction["nonce"] + 1, "gasPrice": 0}
    )
    signed = web3.eth.account.sign_transaction(release, GOVERNOR.secret)
    web3.eth.wait_for_transaction_receipt(web3.eth.send_raw_transaction(signed.raw_transaction))


# --- checkpoints ------------------------------------------------------------------------------------------------------


def test_a_checkpoint_is_the_tree_over_the_block_hashes(served: Local, contract: str) -> None:
    from contracts import export
    from ecowire import checkpoints

    size = served.chain.head() + 1
    found = served.chain.ask("sandbox_checkpoint")
    leaves = [merkle.leaf_hash(one) for one in export.block_hashes(served.chain, 0, size - 1)]
    assert (found["size"], found["root"]) == (size, merkle.root(leaves).hex())
    assert found["origin"] == f"ecohub/chain/{CHAIN_ID}/{GENESIS.digest[:16]}"
    checkpoint = checkpoints.Checkpoint(origin=found["origin"], size=size, root=bytes.fromhex(found["root"]))
    assert found["note"] == checkpoint.text()


def test_a_checkpoint_only_adds_to_an_earlier_one(served: Local, contract: str) -> None:
    new = served.chain.ask("sandbox_checkpoint")
    for size in range(1, new["size"] + 1):
        old = served.chain.ask("sandbox_checkpoint", size)
        proof = [bytes.fromhex(node) for node in served.chain.ask("sandbox_consistency", size, new["size"])]
        merkle.verify_consistency(size, bytes.fromhex(old["root"]), new["size"], bytes.fromhex(new["root"]), proof)
        with pytest.raises(merkle.BadProof):
            merkle.verify_consistency(size, b"\x01" * 32, new["size"], bytes.fromhex(new["root"]), proof)


def test_a_proof_of_more_blocks_than_there_are_is_refused(served: Local) -> None:
    size = served.chain.head() + 2
    assert error(ask(served, "sandbox_consistency", 1, size))[0] == -32602
    assert error(ask(served, "sandbox_consistency", 3, 2))[0] in (-32000, -32602)


def test_a_client_asks_for_no_more_blocks_than_are_given() -> None:
    from contracts import export

    assert export.PAGE <= EXPORT_BLOCKS_MAX
