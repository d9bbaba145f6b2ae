"""The chain as a process of its own: start, end, `kill -9`, wrong folder, wrong flags, and its commands."""

import json
import signal
import sqlite3
import subprocess
import threading
import time
from pathlib import Path

import pytest

from contracts import keys, settlement
from contracts.chain import Chain
from contracts.errors import ChainRefused, ChainUnavailable
from contracts.keys import ZERO_ADDRESS
from sandbox.chain import genesis
from tests.support.sandbox_chain import (
    CHAIN_ID,
    GENESIS,
    KEYS,
    PARTNER,
    START,
    WINDOW,
    command,
    environment,
    process,
    run,
    wishes,
)

pytestmark = [pytest.mark.flow, pytest.mark.slow_flow]

SUBMITTER, GOVERNOR, BROKER, ARBITER, REFERRER = (
    KEYS[role] for role in ("submitter", "governor", "broker", "arbiter", "referrer")
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    genesis.write(GENESIS, tmp_path / "genesis.json")
    return tmp_path


def failed(done: subprocess.CompletedProcess[str], code: str, status: int) -> None:
    assert done.returncode == status, done.stderr
    assert done.stderr.startswith(code + ": "), done.stderr
    assert "Traceback" not in done.stderr


# --- start and end ----------------------------------------------------------------------------------------------------


def test_a_chain_says_when_it_is_ready_and_ends_on_sigterm(folder: Path) -> None:
    with process(folder, "--read-only-port", "0") as (served, ready):
        chain = Chain(ready["endpoint"], CHAIN_ID)
        assert (ready["chain_id"], ready["genesis"], ready["head"]) == (CHAIN_ID, GENESIS.digest, 0)
        for raw in wishes(3):
            chain.send(raw)
        head = chain.block(chain.head())
        reader = Chain(ready["read_only_endpoint"], CHAIN_ID)
        assert reader.block(3) == head
        with pytest.raises(ChainRefused, match="read-only"):
            reader.send(wishes(1, first=3)[0])
        served.send_signal(signal.SIGTERM)
        assert served.wait(10) == 0
        with pytest.raises(ChainUnavailable):
            chain.head()
        reader.close()
    with process(folder) as (_, ready):
        chain = Chain(ready["endpoint"], CHAIN_ID)
        assert ready["head"] == 3
        assert chain.block(3) == head
        assert chain.nonce(SUBMITTER.address) == 3
        chain.close()


def test_two_processes_do_not_serve_one_ledger(folder: Path) -> None:
    with process(folder):
        failed(run("serve", "--dir", str(folder), "--port", "0"), "CHAIN_LEDGER_BUSY", 4)
        failed(run("verify", "--json", "--dir", str(folder)), "CHAIN_LEDGER_BUSY", 4)


def test_a_ledger_is_not_reopened_with_another_genesis(folder: Path) -> None:
    with process(folder) as (_, ready):
        chain = Chain(ready["endpoint"], CHAIN_ID)
        chain.send(wishes(1)[0])
        chain.close()
    body = json.loads((folder / "genesis.json").read_text())
    body["senders"].append("0x" + "42" * 20)
    (folder / "genesis.json").write_text(json.dumps(body))
    for name in ("serve", "verify"):
        options = ("--port", "0") if name == "serve" else ()
        failed(run(name, "--dir", str(folder), *options), "CHAIN_GENESIS_DIFFERS", 5)
    (folder / "genesis.json").write_text(json.dumps(GENESIS.to_body()))
    with process(folder) as (_, ready):
        assert ready["head"] == 1


def test_a_folder_without_genesis_is_refused(tmp_path: Path) -> None:
    failed(run("serve", "--dir", str(tmp_path), "--port", "0"), "CHAIN_GENESIS_INVALID", 2)


def test_a_port_in_use_is_told(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    genesis.write(GENESIS, other / "genesis.json")
    with process(folder) as (_, ready):
        port = ready["endpoint"].rsplit(":", 1)[1]
        failed(run("serve", "--dir", str(other), "--port", port), "CHAIN_PORT_IN_USE", 4)


# --- the test clock ---------------------------------------------------------------------------------------------------


def test_the_clock_moves_only_with_the_flag_and_keeps_its_place(folder: Path) -> None:
    real = time.time()
    with process(folder, "--test-clock") as (_, ready):
        endpoint = ("--endpoint", ready["endpoint"], "--chain-id", str(CHAIN_ID))
        assert run("advance", *endpoint, "1000000").returncode == 0
        chain = Chain(ready["endpoint"], CHAIN_ID)
        moved = chain.head_time().timestamp()
        assert real + 1_000_000 <= moved <= time.time() + 1_000_010
        chain.close()
    with process(folder) as (_, ready):
        chain = Chain(ready["endpoint"], CHAIN_ID)
        assert chain.head_time().timestamp() >= moved
        endpoint = ("--endpoint", ready["endpoint"], "--chain-id", str(CHAIN_ID))
        refused = run("advance", *endpoint, "10")
        failed(refused, "CHAIN_REFUSED", 3)
        assert "--test-clock" in refused.stderr
        assert chain.head() == 1
        chain.send(wishes(1)[0])
        assert chain.block(2).time > chain.block(1).time
        chain.close()


# --- kill -9 ----------------------------------------------------------------------------------------------------------


def test_a_killed_chain_loses_nothing_it_answered_and_goes_on(folder: Path) -> None:
    answered: list[str] = []
    raws = list(wishes(2_000))
    heads = []
    for round_number in range(3):
        with process(folder) as (served, ready):
            chain = Chain(ready["endpoint"], CHAIN_ID, timeout_seconds=5)
            start = chain.nonce(SUBMITTER.address)
            assert start in (len(answered), len(answered) + 1)  # sealed, but killed before the answer
            sender = threading.Thread(target=_send, args=(chain, raws[len(answered) :], answered))
            sender.start()
            end = time.monotonic() + 20
            while len(answered) < start + 15 + 7 * round_number:
                assert time.monotonic() < end, "no progress"
                time.sleep(0.001)
            served.kill()
            sender.join()
            assert served.wait(10) == -signal.SIGKILL
            chain.close()
        with sqlite3.connect(folder / "ledger.db") as ledger:
            heads.append(ledger.execute("select max(number) from block").fetchone()[0])
            sealed = {"0x" + row[0].hex() for row in ledger.execute("select hash from tx")}
        ledger.close()
        assert set(answered) <= sealed
        assert len(sealed) - len(answered) <= 1
    assert heads == sorted(set(heads))
    assert heads[0] >= 15
    done = run("verify", "--json", "--dir", str(folder))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["blocks"] == heads[-1] + 1


def _send(chain: Chain, raws: list[bytes], answered: list[str]) -> None:
    for raw in raws:
        try:
            answered.append(chain.send(raw))
        except ChainUnavailable:
            return


# --- commands ---------------------------------------------------------------------------------------------------------


def test_init_writes_a_genesis_and_never_over_another(tmp_path: Path) -> None:
    senders = [option for key in KEYS.values() for option in ("--sender", key.address.lower())]
    options = ("--dir", str(tmp_path / "new"), "--chain-id", str(CHAIN_ID), "--timestamp", str(START), *senders)
    done = run("init", *options)
    assert done.returncode == 0, done.stderr
    found = genesis.read(tmp_path / "new" / "genesis.json")
    assert json.loads(done.stdout)["genesis"] == found.digest
    assert found.senders == GENESIS.senders
    failed(run("init", *options), "CHAIN_GENESIS_INVALID", 2)
    assert genesis.read(tmp_path / "new" / "genesis.json") == found


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--chain-id", "0", "--sender", "0x" + "42" * 20), "CHAIN_GENESIS_INVALID"),
        (("--chain-id", "5", "--sender", "0x42"), "MALFORMED_ADDRESS"),
    ],
)
def test_init_checks_what_it_writes(tmp_path: Path, options: tuple[str, ...], code: str) -> None:
    failed(run("init", "--dir", str(tmp_path), *options), code, 2)
    assert not (tmp_path / "genesis.json").exists()


def test_the_governor_deploys_the_contract_and_registers_a_signer(folder: Path) -> None:
    key, output = folder / "governor.key", folder / "contract.json"
    GOVERNOR.write(key)
    BROKER.write(folder / "broker.key")
    with process(folder) as (_, ready):
        endpoint = ("--endpoint", ready["endpoint"], "--chain-id", str(CHAIN_ID))
        roles = ("--broker", BROKER.address, "--arbiter", ARBITER.address, "--window-seconds", str(WINDOW))
        done = run("deploy-settlement", *endpoint, "--key", str(key), *roles, "--output", str(output))
        assert done.returncode == 0, done.stderr
        written = json.loads(output.read_text())
        assert json.loads(done.stdout) == written
        assert written["governor"] == GOVERNOR.address
        contract = keys.parse_address(written["contract"])
        chain = Chain(ready["endpoint"], CHAIN_ID)
        assert settlement.deployment(chain, contract).window_seconds == WINDOW
        signer = ("set-signer", *endpoint, "--contract", contract, "--partner", PARTNER.hex())
        assert run(*signer, "--key", str(key), "--signer", REFERRER.address).returncode == 0
        assert settlement.signer(chain, contract, PARTNER) == REFERRER.address
        head = chain.head()
        failed(
            run(*signer, "--key", str(folder / "broker.key"), "--signer", ZERO_ADDRESS), "CHAIN_CALLER_NOT_ENTITLED", 3
        )
        failed(run(*signer, "--key", str(key), "--signer", BROKER.address), "CHAIN_SIGNER_REFUSED", 3)
        failed(run(*signer[:-1], "12", "--key", str(key), "--signer", REFERRER.address), "ANCHOR_INVALID", 2)
        key.chmod(0o644)
        failed(run(*signer, "--key", str(key), "--signer", ZERO_ADDRESS), "CHAIN_KEY_INVALID", 2)
        wrong = (*endpoint[:-1], "7")
        key.chmod(0o600)
        failed(run("set-signer", *wrong, *signer[5:], "--key", str(key), "--signer", ZERO_ADDRESS), "WRONG_CHAIN", 5)
        assert chain.head() == head
        chain.close()
    failed(run(*signer, "--key", str(key), "--signer", ZERO_ADDRESS), "CHAIN_UNAVAILABLE", 4)


def test_verify_names_the_altered_block(folder: Path) -> None:
    with process(folder) as (_, ready):
        chain = Chain(ready["endpoint"], CHAIN_ID)
        for raw in wishes(5):
            chain.send(raw)
        chain.close()
    assert run("verify", "--json", "--dir", str(folder)).returncode == 0
    with sqlite3.connect(folder / "ledger.db") as ledger:
        ledger.execute("update tx set gas_used = 1 where number = 3")
    ledger.close()
    done = run("verify", "--json", "--dir", str(folder))
    failed(done, "CHAIN_LEDGER_ALTERED", 5)
    assert "block 3" in done.stderr


def test_every_command_has_help() -> None:
    done = subprocess.run([*command(), "--help"], capture_output=True, text=True, env=environment(), timeout=60)
    for name in ("serve", "init", "verify", "advance", "deploy-settlement", "set-signer"):
        assert name in done.stdout
