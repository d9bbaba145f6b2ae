"""One command of a hub in a process of its own, on the database and the chain of a test, which may kill it half way.

    python -P -m tests.support.hub_process SPEC      SPEC: one JSON document, see `Call`

It says "ready", waits for a line on its standard input, so that several can be let go at one moment, carries the
command out and prints {"head"} or {"code"}. A fault kills this very process as kill -9 would (`launch_entry.plant`).
"""

import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from contracts.chain import Chain
from hub import settlement
from hub.identity import Caller
from hub.services import Services
from hub.settings import ChainSettings, load
from hub.settlement_courier import Courier
from privacy.errors import Failure
from tests.hub import alliance
from tests.support import launch_entry
from tests.support.launch import Fault
from tests.support.sandbox_chain import CHAIN_ID, KEYS, environment

SECONDS_MAX = 60.0
RESUME = "resume"  # what a hub does at its start


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A command by a person of finance, at an instant. `settings`: the hub's hub.toml."""

    settings: str
    endpoint: str
    contract: str
    now: str
    seed: str
    command: str
    person: str = "fei"
    head: dict[str, Any] = field(default_factory=dict)
    faults: Sequence[Fault] = ()


class Running:
    """A started process. `go` lets it carry its command out; `answer` waits for its end."""

    def __init__(self, call: Call) -> None:
        arguments = [sys.executable, "-P", "-m", "tests.support.hub_process", json.dumps(asdict(call))]
        pipe = subprocess.PIPE
        self._popen = subprocess.Popen(arguments, stdin=pipe, stdout=pipe, text=True, env=environment())
        assert self._popen.stdout is not None
        assert self._popen.stdout.readline() == "ready\n"

    def go(self) -> None:
        assert self._popen.stdin is not None
        self._popen.stdin.write("\n")
        self._popen.stdin.flush()

    def answer(self) -> tuple[int, dict[str, Any]]:
        """(exit code, negative where a signal ended it; what it printed)."""
        out, _ = self._popen.communicate(timeout=SECONDS_MAX)
        return self._popen.returncode, json.loads(out) if out else {}


def run(call: Call) -> tuple[int, dict[str, Any]]:
    """One command to its end."""
    started = Running(call)
    started.go()
    return started.answer()


def main(spec: dict[str, Any]) -> None:
    """The child side."""
    threading.Thread(target=launch_entry.outlive_no_parent, args=(launch_entry.os.getppid(),), daemon=True).start()
    call = Call(**spec)
    with alliance.opened(load(Path(call.settings)), call.seed.encode()) as hub:
        chain = Chain(call.endpoint, CHAIN_ID)
        configured = ChainSettings(endpoint=call.endpoint, chain_id=CHAIN_ID, contract=call.contract)
        services = replace(
            hub.services,
            settings=replace(hub.settings, chain=configured),
            chain=lambda: chain,
            submitter=lambda: KEYS["submitter"],
        )
        hub.clock.now = datetime.fromisoformat(call.now)
        for fault in call.faults:
            launch_entry.plant(**fault)  # type: ignore[arg-type]
        print("ready", flush=True)
        sys.stdin.readline()
        try:
            answer = {"head": _carry_out(services, call)}
        except Failure as failure:
            answer = {"code": failure.code}
        print(json.dumps(answer), flush=True)


def _carry_out(services: Services, call: Call) -> Any:
    if call.command == RESUME:
        Courier(services).resume()
        return {}
    command, now = settlement.COMMANDS[call.command], services.clock()
    caller = Caller(name=call.person, role="finance", fingerprint=call.person.encode().hex().rjust(64, "0"))
    if command.call is not None:
        return command.call(services, caller, now, call.head).head
    body = command.run
    assert body is not None
    return services.store.run(call.command, lambda tx: body(services, tx, caller, now, call.head)).head


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
