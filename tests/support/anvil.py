"""Foundry's anvil as a chain of another make: found on PATH, in node_modules, or where ECOHUB_ANVIL says."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from contracts.chain import Chain
from contracts.errors import ChainUnavailable
from tests.support.sandbox_chain import CHAIN_ID, ROOT, until

PACKAGE = Path("node_modules") / "@foundry-rs" / "anvil-linux-amd64" / "bin" / "anvil"


def binary() -> str:
    """Path of anvil; skips the test where there is none."""
    named = os.environ.get("ECOHUB_ANVIL")
    places = [named] if named else [shutil.which("anvil"), str(ROOT / PACKAGE)]
    found = next((place for place in places if place and Path(place).is_file()), None)
    if found is None:
        pytest.skip("anvil is not here: npm install @foundry-rs/anvil-linux-amd64, or set ECOHUB_ANVIL to its path")
    return found


@contextmanager
def anvil(*options: str, gas_price: int = 0) -> Iterator[str]:
    """The endpoint of a fresh anvil on a Shanghai chain of our number; its base fee is the gas price."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    fees = ("--gas-price", str(gas_price), "--base-fee", str(gas_price))
    arguments = (binary(), "--silent", "--port", str(port), "--chain-id", str(CHAIN_ID), "--hardfork", "shanghai")
    served = subprocess.Popen([*arguments, *fees, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    endpoint = f"http://127.0.0.1:{port}"
    try:
        with Chain(endpoint, CHAIN_ID) as chain:
            until(lambda: _answers(chain))
        yield endpoint
    finally:
        served.terminate()
        served.wait(10)


def _answers(chain: Chain) -> bool:
    try:
        return chain.head() == 0
    except ChainUnavailable:
        return False
