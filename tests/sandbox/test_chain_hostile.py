"""What one caller can take of the chain's process is bounded, and the read-only listener writes nothing."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from contracts import export
from contracts.chain import Chain
from sandbox.chain import methods, rpc
from sandbox.chain.evm import CALL_GAS, Ledger
from tests.sandbox.test_chain_rpc import ask, error, post
from tests.support.sandbox_chain import CHAIN_ID, KEYS, Local, keeper_story, local, until, wishes

ZERO = "0x" + "00" * 20
FOREVER = "0x5b600056"  # JUMPDEST, PUSH1 0, JUMP, run as a deployment


@pytest.fixture
def served() -> Iterator[Local]:
    with local() as one:
        yield one


def connected(served: Local) -> socket.socket:
    return socket.create_connection(("127.0.0.1", served.server.port), timeout=10)


# --- reading only -----------------------------------------------------------------------------------------------------

WRITING = {
    "eth_sendRawTransaction": ["0x" + wishes(1)[0].hex()],
    "sandbox_advanceTime": [60],
}
NEVER = [  # what other clients offer that hold keys, mine, or move their state
    "eth_sendTransaction", "eth_sign", "eth_signTransaction", "eth_signTypedData_v4", "personal_sendTransaction",
    "personal_unlockAccount", "miner_start", "evm_mine", "evm_increaseTime", "evm_setNextBlockTimestamp", "evm_revert",
    "evm_snapshot", "anvil_setBalance", "anvil_impersonateAccount", "hardhat_reset", "debug_setHead", "admin_addPeer",
    "txpool_content", "clique_propose", "qbft_proposeVote", "perm_addAccountsToAllowlist", "engine_getPayloadV2",
]  # fmt: skip


@pytest.mark.parametrize("method", list(WRITING))
def test_the_reader_refuses_whatever_writes(served: Local, method: str) -> None:
    before = (served.ledger.head(), served.chain.head_time())
    request = {"id": 1, "method": method, "params": WRITING[method]}
    for body in (request, [request, request]):
        answer = post(served, json.dumps(body).encode(), port=served.reader.port)[1]
        for one in answer if isinstance(answer, list) else [answer]:
            assert one["error"]["data"]["code"] == "CHAIN_READ_ONLY"
    assert (served.ledger.head(), served.chain.head_time()) == before


@pytest.mark.parametrize("method", NEVER)
def test_neither_listener_has_a_method_that_signs_mines_or_sets_state(served: Local, method: str) -> None:
    for port in (served.server.port, served.reader.port):
        assert error(ask(served, method, {}, port=port))[0] == -32601
    assert served.ledger.head().number == 0


def test_every_method_is_known_to_write_or_not(served: Local) -> None:
    """A method that is added must be put on one of the two sides."""
    table = methods.Methods(served.sequencer, read_only=True, test_clock=True)._table
    reads = {
        "web3_clientVersion", "net_version", "eth_chainId", "eth_syncing", "eth_accounts", "eth_gasPrice",
        "eth_maxPriorityFeePerGas", "eth_feeHistory", "eth_blockNumber", "eth_getBlockByNumber", "eth_getBlockByHash",
        "eth_getTransactionByHash", "eth_getTransactionReceipt", "eth_getRawTransactionByHash", "eth_getLogs",
        "eth_getBalance", "eth_getTransactionCount", "eth_getCode", "eth_getStorageAt", "eth_getProof", "eth_call",
        "eth_estimateGas", "sandbox_export", "sandbox_checkpoint", "sandbox_consistency",
    }  # fmt: skip
    assert set(table) == reads | set(WRITING)


# --- wrong types ------------------------------------------------------------------------------------------------------

VALUES: list[Any] = [None, True, -1, 1.5, 10**30, "", "0x", "0x" + "f" * 64, "0x" + "f" * 65, "latest", "\ud800",
                     [], [[]], {}, {"to": {}}, {"data": 5}, {"gas": -1}, {"from": 0}, ["x"] * 101]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda value: str(value)[:20])
def test_no_value_of_another_type_is_a_fault_of_ours(
    served: Local, value: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    table = methods.Methods(served.sequencer, read_only=True, test_clock=False)._table
    for method in table:
        for parameters in ([value], [value, value], [ZERO, value], [ZERO, "0x0", value], [value] * 5):
            answer = ask(served, method, *parameters)
            assert ("result" in answer) != ("error" in answer)
            assert answer.get("error", {}).get("code") != -32603, (method, parameters)
    assert capsys.readouterr().err == ""
    assert served.chain.head() <= 1


@pytest.mark.parametrize(
    "body",
    [
        b'{"method":"eth_chainId","id":' + b"9" * 5_000 + b"}",
        b'{"method":"eth_chainId","params":[NaN]}',
        b'{"method":"eth_chainId","params":[1e999]}',
        b'{"method":"eth_chainId"}{"method":"eth_chainId"}',
        b'{"method":"' + b"x" * 500_000 + b'"}',
        b"[" + b",".join([b'{"method":"eth_nothing","id":"' + b"y" * 9_000 + b'"}'] * 100) + b"]",
        b'{"method":"eth_chainId","method":"eth_sign"}',
        b'["eth_chainId"]',
        b"\x00" * 1_000,
    ],
    ids=lambda body: str(body[:40]),
)
def test_an_odd_body_gets_an_answer(served: Local, body: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    status, answer = post(served, body)
    assert status == 200
    answers = answer if isinstance(answer, list) else [answer]
    assert all("error" in one and one["error"]["code"] != -32603 for one in answers)
    assert len(json.dumps(answer)) < 2 * len(body) + 1_000
    assert capsys.readouterr().err == ""


# --- much at once -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("eth_getLogs", [{"fromBlock": "0x0", "address": [ZERO] * 101}]),
        ("eth_getLogs", [{"topics": [["0x" + "00" * 32] * 101]}]),
        ("eth_getLogs", [{"topics": [None] * 101}]),
        ("eth_getProof", [ZERO, ["0x0"] * 101]),
        ("eth_feeHistory", ["0x400", "latest", [1] * 101]),
        ("eth_feeHistory", [-5, "latest"]),
        ("eth_feeHistory", [True, "latest"]),
    ],
    ids=str,
)
def test_a_request_names_so_many_things_and_no_more(served: Local, method: str, parameters: list[Any]) -> None:
    assert error(ask(served, method, *parameters))[0] == -32602


def test_code_that_runs_forever_ends_with_its_gas(served: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    from sandbox.chain import evm

    monkeypatch.setattr(evm, "CALL_GAS", 300_000)
    for method in ("eth_call", "eth_estimateGas"):
        request = {"data": FOREVER, "gas": hex(2**60)}
        assert error(ask(served, method, request)) == (-32000, "OutOfGas")
    assert CALL_GAS == 10_000_000


def test_a_long_call_holds_up_no_block(served: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on, answered = threading.Event(), threading.Event(), []
    honest = Ledger.call

    def slow(self: Ledger, *arguments: Any) -> Any:
        begun.set()
        assert go_on.wait(10)
        return honest(self, *arguments)

    monkeypatch.setattr(Ledger, "call", slow)
    caller = threading.Thread(target=lambda: answered.append(ask(served, "eth_call", {"to": ZERO})))
    caller.start()
    assert begun.wait(10)
    served.chain.send(wishes(1)[0])
    assert served.chain.head() == 1
    assert not answered
    go_on.set()
    caller.join()
    assert answered[0]["result"] == "0x"


def test_a_call_beside_a_block_in_work_reads_sealed_state(served: Local) -> None:
    """Calls read while the sequencer writes: each sees what one block left, and time does not go back."""
    contract, raws = keeper_story(range(1, 41))
    served.chain.send(raws[0])
    served.chain.send(raws[1])
    found: list[list[int]] = [[], [], []]
    done = threading.Event()

    def read(seen: list[int]) -> None:
        with Chain(served.reader.endpoint, CHAIN_ID) as reader:
            while not done.is_set():
                seen.append(int.from_bytes(reader.call(contract, b""), "big"))
            seen.append(int.from_bytes(reader.call(contract, b""), "big"))

    readers = [threading.Thread(target=read, args=(seen,)) for seen in found]
    for reader in readers:
        reader.start()
    for raw in raws[2:]:
        served.chain.send(raw)
    done.set()
    for reader in readers:
        reader.join()
    for seen in found:
        assert seen == sorted(seen)
        assert set(seen) <= set(range(1, 41))
        assert seen[-1] == 40


def test_a_batch_that_takes_too_long_is_answered_in_part(served: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc, "BATCH_SECONDS", -1.0)
    requests = [{"id": i, "method": "eth_chainId"} for i in range(3)]
    _, answers = post(served, json.dumps(requests).encode())
    assert [(one["id"], one["error"]["code"]) for one in answers] == [(0, -32005), (1, -32005), (2, -32005)]


def test_a_batch_whose_answers_grow_too_large_is_answered_in_part(
    served: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rpc, "BATCH_BYTES_MAX", 1_000)
    requests = [{"id": i, "method": "sandbox_export", "params": [{"from": 0, "to": 0}]} for i in range(4)]
    _, answers = post(served, json.dumps(requests).encode())
    assert ["result" in one for one in answers] == [True, False, False, False]


def test_large_blocks_are_exported_in_several_answers(served: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    for raw in keeper_story([1, 2, 3, 4])[1]:
        served.chain.send(raw)
    whole = export.export(served.chain, 0, 5)
    monkeypatch.setattr(methods, "EXPORT_BYTES_MAX", 1)
    assert len(served.chain.ask("sandbox_export", {"from": 0, "to": 5})["blocks"]) == 1
    assert export.export(served.chain, 0, 5) == whole
    assert [block.number for block in whole] == list(range(6))


# --- slow clients -----------------------------------------------------------------------------------------------------

HEAD = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 40\r\n\r\n"


@pytest.mark.parametrize(
    "begun", [b"P", HEAD[:20], HEAD, HEAD + b'{"method"'], ids=["a byte", "head", "no body", "body"]
)
def test_a_request_that_trickles_in_is_cut_off(served: Local, begun: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc, "REQUEST_SECONDS", 0.3)
    with connected(served) as client:
        client.sendall(begun)
        end = time.monotonic() + 5
        closed = False
        while not closed and time.monotonic() < end:  # each byte comes well before an idle timeout
            try:
                client.sendall(b" ")
                client.settimeout(0.05)
                closed = client.recv(1) == b""
            except TimeoutError:
                continue
            except OSError:
                closed = True
        assert closed
    assert served.chain.head() == 0


def test_an_idle_connection_is_closed_and_a_kept_one_serves_on(served: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc, "REQUEST_SECONDS", 0.3)
    assert served.chain.head() == 0
    time.sleep(0.5)  # longer than a request may take: between requests that does not count
    connection = served.chain._client._connection.sock
    assert served.chain.head() == 0
    assert served.chain._client._connection.sock is connection
    monkeypatch.setattr(rpc, "IDLE_SECONDS", 0.2)
    with connected(served) as client:
        client.settimeout(5)
        assert client.recv(1) == b""


def test_a_client_that_does_not_read_its_answer_is_left(served: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc, "ANSWER_SECONDS", 0.2)
    body = json.dumps([{"id": "x" * 9_000, "method": "eth_chainId"}] * 100).encode()
    request = f"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
    before = threading.active_count()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.connect(("127.0.0.1", served.server.port))
        sender = threading.Thread(target=_pour, args=(client, request * 20))
        sender.start()
        until(lambda: threading.active_count() <= before, 10)
        sender.join()
    assert served.chain.head() == 0


def _pour(client: socket.socket, data: bytes) -> None:
    try:
        client.sendall(data)
    except OSError:
        return  # the server has left


def test_more_connections_than_there_are_places_are_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc, "CONNECTIONS_MAX", 3)
    with local() as served:
        held = [connected(served) for _ in range(3)]
        for one in held:
            one.sendall(b"P")
        until(lambda: served.server._http._places._value == 0)
        with connected(served) as late:
            assert late.makefile("rb").readline().split()[1] == b"503"
        with Chain(served.reader.endpoint, CHAIN_ID) as reader:
            assert reader.head() == 0  # the other listener has places of its own
        for one in held:
            one.close()
        until(lambda: served.server._http._places._value == 3)
        served.chain.send(wishes(1, key=KEYS["broker"])[0])
        assert served.chain.head() == 1
