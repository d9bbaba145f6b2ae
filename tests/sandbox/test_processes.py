"""Processes of the alliance in a box: ready or failed with a reason, stopped also after a failure, killed for good."""

import os
from pathlib import Path

import pytest

from sandbox import processes
from sandbox.processes import CommandFailed, Process, ProcessFailed, run
from sandbox.world import Partner, World

pytestmark = [pytest.mark.flow, pytest.mark.slow_flow]


@pytest.fixture
def chain(tmp_path: Path) -> Process:
    """A sandbox chain that is founded and not started."""
    sender = "0x" + "11" * 20
    folder = tmp_path / "chain"
    run("sandbox", "chain", "init", "--dir", str(folder), "--chain-id", "7", "--sender", sender).check()
    (port,) = processes.free_ports(1)
    command = ["sandbox", "chain", "serve", "--dir", str(folder), "--port", str(port)]
    return Process("chain", command, tmp_path / "chain.log", lambda: processes.port_open(port))


def test_a_process_is_started_killed_started_again_and_stopped(chain: Process) -> None:
    with chain:
        chain.wait_ready()
        assert chain.alive
        chain.kill()
        assert not chain.alive
        chain.start()
        chain.wait_ready()
    assert not chain.alive


def test_a_process_that_ends_before_it_is_ready_says_why(tmp_path: Path) -> None:
    command = ["sandbox", "chain", "serve", "--dir", str(tmp_path / "absent"), "--port", "0"]
    process = Process("chain", command, tmp_path / "chain.log", lambda: False)
    process.start()
    with pytest.raises(ProcessFailed, match="CHAIN_GENESIS_INVALID"):
        process.wait_ready()


def test_a_process_that_never_becomes_ready_is_given_up(chain: Process) -> None:
    never = Process(chain.name, chain.arguments, chain.log, lambda: False)
    with never, pytest.raises(ProcessFailed, match="not ready within"):
        never.wait_ready(0.2)


def test_a_command_gives_its_output_and_exit_code() -> None:
    done = run("--version").check()
    assert done.stdout.startswith("ecohub ")
    refused = run("regulator", "trust", "merge", os.devnull, "--out", "/dev/null/x")
    assert refused.exit_code == 2
    with pytest.raises(CommandFailed, match="regulator trust merge"):
        refused.check()


def test_the_failure_code_is_the_one_on_stderr(tmp_path: Path) -> None:
    (tmp_path / "part.toml").write_text("[[signer]]\n")
    refused = run("regulator", "trust", "merge", str(tmp_path / "part.toml"), "--out", str(tmp_path / "trust.toml"))
    assert refused.failure_code == "TRUST_INVALID"


def test_free_ports_are_different() -> None:
    assert len(set(processes.free_ports(8))) == 8


def test_a_world_stops_what_it_started_when_something_fails(tmp_path: Path) -> None:
    world = World(tmp_path, [Partner(id="broker", name="Broker", source=tmp_path / "none.csv")], entropy=os.urandom)
    sender = "0x" + "22" * 20
    folder = ["--dir", str(world.chain_folder)]
    run("sandbox", "chain", "init", *folder, "--chain-id", "7", "--sender", sender).check()
    with pytest.raises(CommandFailed), world:  # noqa: PT012 - the block is what fails
        world.processes["chain"].start()
        world.processes["chain"].wait_ready()
        world.chain("advance", "1").check()  # the founding of the chain in `world` was left out: another chain id
    assert not world.processes["chain"].alive
    assert not processes.port_open(world.chain_port)
