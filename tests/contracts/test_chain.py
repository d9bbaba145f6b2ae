"""`Chain` over a real socket: idempotent sending, receipts, reasons, time; hostile and absent endpoints."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from contracts import settlement
from contracts.chain import Chain
from contracts.errors import (
    ChainRefused,
    ChainUnavailable,
    MalformedChainAnswer,
    MethodNotOffered,
    NotEntitled,
    ReceiptTimeout,
    StatementOutOfOrder,
    TransactionReverted,
    TransactionUnknown,
    WindowOpen,
    WrongChain,
)
from contracts.keys import ZERO_ADDRESS
from contracts.settlement import Anchor
from tests.support.sandbox_chain import (
    CHAIN_ID,
    KEYS,
    OUTSIDER,
    PARTNER,
    START,
    WINDOW,
    Local,
    keeper_story,
    local,
    wishes,
)

SUBMITTER, BROKER, REFERRER, GOVERNOR = (KEYS[r] for r in ("submitter", "broker", "referrer", "governor"))
UNKNOWN = "0x" + "ab" * 32


@pytest.fixture
def served() -> Iterator[Local]:
    with local() as one:
        yield one


def first_anchor(**changes: object) -> Anchor:
    fields = {"partner": PARTNER, "sequence": 1, "period": 202610, "previous": settlement.ZERO, "root": b"\x01" * 32}
    return Anchor(**{**fields, "lines": 2, "total": b"\x02" * 32, "terms": b"\x03" * 32, **changes})  # type: ignore[arg-type]


def proposal(anchor: Anchor, contract: str) -> bytes:
    signatures = [settlement.sign(anchor, CHAIN_ID, contract, key.secret) for key in (BROKER, REFERRER)]  # type: ignore[arg-type]
    return settlement.propose_data(anchor, *signatures)


def test_a_statement_is_settled_over_json_rpc(served: Local) -> None:
    chain, contract = served.chain, served.deploy_settlement()
    assert settlement.deployment(chain, contract) == settlement.Deployment(
        governor=GOVERNOR.address,
        registrar=GOVERNOR.address,
        broker=BROKER.address,
        arbiter=KEYS["arbiter"].address,
        window_seconds=WINDOW,
    )
    anchor = first_anchor()
    statement = settlement.digest(anchor, CHAIN_ID, contract)
    assert settlement.state(chain, contract, statement).state == "NONE"
    receipt = chain.execute(contract, proposal(anchor, contract), SUBMITTER.secret)
    assert [event.name for event in settlement.events(receipt.logs, contract)] == ["Proposed"]
    assert chain.logs(contract, 0, chain.head())[-1:] == receipt.logs
    assert settlement.last(chain, contract, PARTNER) == (1, statement)
    assert settlement.signer(chain, contract, PARTNER) == REFERRER.address
    assert settlement.signer(chain, contract, b"\x09" * 32) == ZERO_ADDRESS
    assert not settlement.paused(chain, contract)
    found = settlement.state(chain, contract, statement)
    assert (found.state, found.partner) == ("PROPOSED", PARTNER)
    assert found.closes == int(chain.block(receipt.block).time.timestamp()) + WINDOW
    with pytest.raises(WindowOpen):
        chain.execute(contract, settlement.finalise_data(statement), SUBMITTER.secret)
    chain.advance_time(WINDOW)
    assert int(chain.head_time().timestamp()) >= found.closes
    chain.execute(contract, settlement.finalise_data(statement), SUBMITTER.secret)
    chain.execute(contract, settlement.mark_paid_data(statement, b"\x0e" * 32), BROKER.secret)
    chain.execute(contract, settlement.acknowledge_paid_data(statement), REFERRER.secret)
    now = settlement.state(chain, contract, statement)
    assert (now.state, now.payout) == ("ACKED", b"\x0e" * 32)
    assert settlement.state(chain, contract, statement, receipt.block).state == "PROPOSED"
    assert settlement.state(chain, contract, statement, receipt.block - 1).state == "NONE"


def test_the_contract_proves_a_line_over_json_rpc(served: Local) -> None:
    from privacy import merkle

    leaves = [merkle.leaf_hash(bytes([i])) for i in range(5)]
    contract = served.deploy_settlement()
    anchor = first_anchor(root=merkle.root(leaves), lines=5)
    served.chain.execute(contract, proposal(anchor, contract), SUBMITTER.secret)
    path = merkle.inclusion_proof(leaves, 3)
    assert settlement.proves_line(served.chain, contract, anchor, leaves[3], 3, path)
    assert not settlement.proves_line(served.chain, contract, anchor, leaves[2], 3, path)


def test_code_that_is_not_the_contracts_is_noticed(served: Local) -> None:
    from contracts.errors import CodeDiffers

    with pytest.raises(CodeDiffers):
        settlement.deployment(served.chain, SUBMITTER.address)


def test_sending_the_same_bytes_again_is_fine(served: Local) -> None:
    raw, tx_hash = served.chain.sign(SUBMITTER.address, b"", 0, SUBMITTER.secret)
    assert served.chain.send(raw) == served.chain.send(raw) == tx_hash
    assert served.chain.nonce(SUBMITTER.address) == 1
    served.chain.send(wishes(1, first=1)[0])
    assert served.chain.send(raw) == tx_hash


def test_another_transaction_with_a_used_nonce_is_refused(served: Local) -> None:
    raw, _ = served.chain.sign(SUBMITTER.address, b"", 0, SUBMITTER.secret)
    other, _ = served.chain.sign(SUBMITTER.address, b"\x01", 0, SUBMITTER.secret)
    served.chain.send(raw)
    with pytest.raises(ChainRefused, match="nonce too low"):
        served.chain.send(other)


def test_a_refused_transaction_is_not_taken_for_a_sealed_one(served: Local) -> None:
    raw, _ = served.chain.sign(OUTSIDER.address, b"", 0, OUTSIDER.secret)
    with pytest.raises(ChainRefused, match="sender not allowed"):
        served.chain.send(raw)


def test_a_failed_transaction_tells_the_contracts_reason(served: Local) -> None:
    contract = served.deploy_settlement()
    data = settlement.set_signer_data(PARTNER, OUTSIDER.address)
    raw, tx_hash = served.chain.sign(contract, data, 0, SUBMITTER.secret)
    served.chain.send(raw)
    with pytest.raises(NotEntitled, match="not the registrar"):
        served.chain.receipt(tx_hash)
    found = served.chain.lookup(tx_hash)
    assert found is not None
    assert not found.succeeded


def test_a_rehearsal_that_fails_sends_nothing(served: Local) -> None:
    contract = served.deploy_settlement()
    head = served.chain.head()
    with pytest.raises(StatementOutOfOrder):
        served.chain.execute(
            contract, proposal(first_anchor(sequence=2, previous=b"\x01" * 32), contract), SUBMITTER.secret
        )
    assert served.chain.head() == head


def test_a_transaction_without_enough_gas_has_no_reason(served: Local) -> None:
    contract = served.deploy_settlement()
    raw, tx_hash = served.chain.sign(contract, settlement.pause_data(), 2, GOVERNOR.secret, gas=30_000)
    served.chain.send(raw)
    with pytest.raises(TransactionReverted, match="no reason"):
        served.chain.receipt(tx_hash)


def test_a_failed_deployment_is_told(served: Local) -> None:
    from contracts import artifacts

    arguments = settlement.constructor_data(GOVERNOR.address, BROKER.address, BROKER.address, WINDOW)
    with pytest.raises(TransactionReverted):
        served.chain.deploy(artifacts.load("Settlement"), arguments, GOVERNOR.secret)


def test_a_receipt_that_does_not_come_is_a_timeout(served: Local) -> None:
    assert served.chain.lookup(UNKNOWN) is None
    with pytest.raises(ReceiptTimeout):
        served.chain.receipt(UNKNOWN, deadline_seconds=0.2)


def test_a_block_that_does_not_exist_is_not_found(served: Local) -> None:
    assert served.chain.block(0).time.timestamp() == START
    with pytest.raises(TransactionUnknown):
        served.chain.block(7)


def test_the_chains_time_runs_without_blocks(served: Local) -> None:
    assert served.chain.head_time().timestamp() == START + 100
    served.now += 50
    assert served.chain.head_time().timestamp() == START + 150
    assert served.chain.head() == 0


def test_another_chain_id_is_noticed_before_anything_is_sent(served: Local) -> None:
    wrong = Chain(served.server.endpoint, CHAIN_ID + 1)
    for ask in (wrong.head, lambda: wrong.send(wishes(1)[0]), lambda: wrong.nonce(SUBMITTER.address)):
        with pytest.raises(WrongChain):
            ask()
    wrong.close()
    assert served.chain.head() == 0


def test_a_method_that_is_not_offered_is_told(served: Local) -> None:
    with pytest.raises(MethodNotOffered):
        served.chain.ask("eth_sign", ZERO_ADDRESS, "0x")


def test_an_idle_connection_that_the_server_closed_is_opened_again(served: Local) -> None:
    assert served.chain.head() == 0
    served.chain._client._connection.sock.close()  # type: ignore[union-attr]
    assert served.chain.head() == 0


def test_threads_share_one_client(served: Local) -> None:
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(served.chain.head())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [0] * 8


@pytest.mark.parametrize("endpoint", ["ftp://127.0.0.1:1", "127.0.0.1:1", "http://", ""])
def test_an_address_that_is_none_is_unavailable(endpoint: str) -> None:
    with pytest.raises(ChainUnavailable):
        Chain(endpoint, 1)


def test_an_absent_endpoint_is_unavailable_and_the_message_says_what_to_do() -> None:
    chain = Chain("http://user:secret@127.0.0.1:9", 1, timeout_seconds=1)
    with pytest.raises(ChainUnavailable, match="check that it runs") as caught:
        chain.head()
    assert "secret" not in str(caught.value)


# --- chains that are final only later, or charge ----------------------------------------------------------------------


@pytest.fixture
def later(served: Local) -> Iterator[Chain]:
    with Chain(served.server.endpoint, CHAIN_ID, confirmations=2, receipt_seconds=0.3) as one:
        yield one


def test_a_transaction_counts_once_enough_blocks_follow(served: Local, later: Chain) -> None:
    transaction = later.send(wishes(1)[0])
    for _ in range(2):
        assert later.lookup(transaction) is not None
        with pytest.raises(ReceiptTimeout, match="may be sent again"):
            later.receipt(transaction)
        served.chain.advance_time(1)
    assert later.receipt(transaction).block == 1
    assert (served.chain.head(), later.head()) == (3, 1)


def test_reads_stop_at_the_newest_final_block(served: Local, later: Chain) -> None:
    contract, raws = keeper_story([1, 2, 3])
    for raw in raws:
        served.chain.send(raw)
    assert served.chain.call(contract, b"")[-1] == 3
    assert later.call(contract, b"")[-1] == 1
    assert later.call(contract, b"", "pending")[-1] == 3
    assert later.call(contract, b"", 3)[-1] == 2


def test_a_chain_shorter_than_its_confirmations_begins_at_block_0(later: Chain) -> None:
    assert later.head() == 0


def test_a_receipt_of_a_block_that_was_replaced_is_not_final(hostile: "Hostile") -> None:
    chain = Chain(hostile.chain._client.endpoint, 1, confirmations=1, receipt_seconds=0.2)
    hostile.by_parameter[UNKNOWN] = result(RECEIPT)
    hostile.by_parameter["0x1"] = result(BLOCK | {"number": "0x1", "transactions": []})
    hostile.body = result("0x9")
    assert chain.receipt(UNKNOWN).block == 1
    replaced = BLOCK | {"number": "0x1", "transactions": [], "hash": "0x" + "cd" * 32}
    hostile.by_parameter["0x1"] = result(replaced)
    with pytest.raises(ReceiptTimeout):
        chain.receipt(UNKNOWN)
    chain.close()


def test_a_gas_price_from_the_settings_stands_in_every_transaction() -> None:
    from contracts import transactions

    chain = Chain("http://127.0.0.1:1", CHAIN_ID, gas_price=7 * 10**9)
    raw, _ = chain.sign(SUBMITTER.address, b"", 0, SUBMITTER.secret)
    assert transactions.decode(raw).gas_price == 7 * 10**9


# --- an endpoint that does not play by the rules ----------------------------------------------------------------------


class Hostile:
    """An HTTP endpoint that answers eth_chainId rightly and everything else as told."""

    def __init__(self) -> None:
        self.status, self.body = 200, b""
        self.by_parameter: dict[str, bytes] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["content-length"])))
                honest = request["method"] == "eth_chainId"
                told = next(
                    (outer.by_parameter[p] for p in map(str, request["params"]) if p in outer.by_parameter), outer.body
                )
                body = told.replace(b"ID", str(request["id"]).encode())
                if honest:
                    body = json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": "0x1"}).encode()
                self.send_response(200 if honest else outer.status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.http = HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,))
        self.thread.start()
        self.chain = Chain(f"http://127.0.0.1:{self.http.server_address[1]}", 1, timeout_seconds=5)

    def close(self) -> None:
        self.chain.close()
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def hostile() -> Iterator[Hostile]:
    one = Hostile()
    yield one
    one.close()


def result(value: object) -> bytes:
    return b'{"jsonrpc":"2.0","id":ID,"result":' + json.dumps(value).encode() + b"}"


BLOCK = {"number": "0x0", "hash": UNKNOWN, "parentHash": UNKNOWN, "stateRoot": UNKNOWN, "timestamp": "0x1"}
RECEIPT = {
    "transactionHash": UNKNOWN,
    "status": "0x1",
    "blockNumber": "0x1",
    "blockHash": UNKNOWN,
    "gasUsed": "0x1",
    "from": ZERO_ADDRESS,
    "contractAddress": None,
    "logs": [],
}
LOG = {"address": ZERO_ADDRESS, "topics": [UNKNOWN], "data": "0x"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"[" * 100_000,
        b'{"id":ID}',
        b'{"id":0,"result":"0x1"}',
        b'{"id":ID,"error":"no"}',
        b'{"id":ID,"error":{"code":"x"}}',
        result(1),
        result("1"),
        result("0xzz"),
        result("0x" + "1" * 65),
        result(None),
    ],
)
def test_an_answer_that_is_no_number_is_malformed(hostile: Hostile, body: bytes) -> None:
    hostile.body = body
    with pytest.raises(MalformedChainAnswer):
        hostile.chain.head()


@pytest.mark.parametrize(
    "change",
    [
        {"transactionHash": "0x" + "cd" * 32},
        {"status": None},
        {"from": "0x00"},
        {"logs": None},
        {"blockHash": "0x"},
        {"contractAddress": "0x12"},
        {"logs": [LOG | {"topics": ["0x00"]}]},
        {"logs": [LOG | {"topics": [UNKNOWN] * 5}]},
        {"logs": [LOG | {"data": "0x1"}]},
        {"logs": ["x"]},
    ],
    ids=str,
)
def test_a_malformed_receipt_is_refused(hostile: Hostile, change: dict) -> None:
    from privacy.errors import Failure

    hostile.body = result(RECEIPT)
    assert hostile.chain.receipt(UNKNOWN).succeeded
    hostile.body = result(RECEIPT | change)
    with pytest.raises(Failure):
        hostile.chain.receipt(UNKNOWN)


@pytest.mark.parametrize(
    "change", [{"number": "0x7"}, {"transactions": None}, {"hash": "0x"}, {"timestamp": "0x" + "f" * 20}], ids=str
)
def test_a_malformed_block_is_refused(hostile: Hostile, change: dict) -> None:
    hostile.body = result(BLOCK | {"transactions": []})
    assert hostile.chain.block(0).number == 0
    hostile.body = result(BLOCK | {"transactions": []} | change)
    with pytest.raises(MalformedChainAnswer):
        hostile.chain.block(0)


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        (-32000, ChainRefused),
        (-32602, ChainRefused),
        (-32601, MethodNotOffered),
        (-32002, ChainUnavailable),
        (-32005, ChainUnavailable),
        (-32603, ChainUnavailable),
    ],
)
def test_an_error_says_whether_to_try_again(hostile: Hostile, code: int, failure: type[Exception]) -> None:
    hostile.body = b'{"id":ID,"error":{"code":%d,"message":"something"}}' % code
    with pytest.raises(failure):
        hostile.chain.head()


def test_a_chain_that_is_stopping_is_unavailable_and_not_a_refusal(served: Local) -> None:
    served.sequencer.stop()
    with pytest.raises(ChainUnavailable, match="send the same transaction again"):
        served.chain.send(wishes(1)[0])


def test_another_hash_than_that_of_the_bytes_sent_is_refused(hostile: Hostile) -> None:
    hostile.body = result(UNKNOWN)
    with pytest.raises(MalformedChainAnswer):
        hostile.chain.send(wishes(1)[0])


def test_logs_that_are_no_list_are_refused(hostile: Hostile) -> None:
    hostile.body = result({})
    with pytest.raises(MalformedChainAnswer):
        hostile.chain.logs(ZERO_ADDRESS, 0, 1)


@pytest.mark.parametrize("status", [401, 404, 500, 503])
def test_an_http_error_is_unavailable(hostile: Hostile, status: int) -> None:
    hostile.status, hostile.body = status, b"no"
    with pytest.raises(ChainUnavailable, match=str(status)):
        hostile.chain.head()


@pytest.mark.parametrize("pending", [b"null", None])
def test_an_endpoint_without_a_pending_block_gives_the_newest_ones_time(
    hostile: Hostile, pending: bytes | None
) -> None:
    hostile.body = result(BLOCK | {"transactions": [], "timestamp": "0x64"})
    refusal = b'{"id":ID,"error":{"code":-32000,"message":"pending block is not available"}}'
    hostile.by_parameter["pending"] = refusal if pending is None else result(None)
    assert hostile.chain.head_time().timestamp() == 100


def test_an_answer_over_the_limit_is_refused(hostile: Hostile, monkeypatch: pytest.MonkeyPatch) -> None:
    from contracts import jsonrpc

    monkeypatch.setattr(jsonrpc, "ANSWER_BYTES_MAX", 1_000)
    hostile.body = result("0x" + "00" * 1_000)
    with pytest.raises(MalformedChainAnswer, match="1000"):
        hostile.chain.code(ZERO_ADDRESS)
