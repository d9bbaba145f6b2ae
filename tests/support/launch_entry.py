"""The child side of a launched process: the product's own command line, under a plan that the test handed in.

    python -P -m tests.support.launch_entry PLAN ARGUMENTS…

PLAN is one JSON document (`tests.support.launch.Plan`). A tap records what a node hands to its transport; settings
replace module constants; a mutant is a named defect (`launch_mutants`); a fault kills this very process, as kill -9
would, before or after the n-th call of a named function. All of it is patched into this process alone: the product has
no hooks but the `tap` parameter of its node.
"""

import functools
import importlib
import itertools
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.support import tap

# a node asks again soon whether a hub that was killed is back
SOON = {"partner_node.rpc:WAIT_SECONDS_MAX": 0.5}


def main(plan: dict[str, Any], arguments: Sequence[str]) -> int:
    """Patch, then run the command line to its end; its exit code."""
    threading.Thread(target=outlive_no_parent, args=(os.getppid(),), daemon=True).start()
    settings = (SOON if [*arguments[:2]] == ["partner", "run"] else {}) | plan["settings"]
    for place, value in settings.items():
        owner, name = target(place)
        assert type(getattr(owner, name)) is type(value), f"{place} is of another type"
        setattr(owner, name, value)
    if plan["mutants"]:
        from tests.support import launch_mutants

        for mutant in plan["mutants"]:
            launch_mutants.APPLY[mutant]()
    for fault in plan["faults"]:
        plant(**fault)
    if plan["tap"]:
        record(Path(plan["tap"]))
    from sandbox import cli

    return cli.run(arguments)


def outlive_no_parent(parent: int) -> None:
    """End with the test run, also where that was killed and could stop nothing."""
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGKILL)


def target(place: str) -> tuple[Any, str]:
    """(owner, attribute) of "module:name" or "module:Class.name"; an AttributeError where there is none."""
    module, _, path = place.partition(":")
    *parents, name = path.split(".")
    owner: Any = functools.reduce(getattr, parents, importlib.import_module(module))
    getattr(owner, name)
    return owner, name


def plant(*, at: str, when: str, call: int, first: str | None, within: str | None) -> None:
    """Die at the `call`-th call of a function; with `first`, of those whose first argument is this text; with `within`,
    of those where this stands in the text form of an argument."""
    owner, name = target(at)
    original: Callable[..., Any] = getattr(owner, name)
    place = 1 if isinstance(owner, type) else 0  # a method's own object comes before its arguments
    counter = itertools.count(1)

    @functools.wraps(original)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        meant = first is None or arguments[place] == first
        meant = meant and (within is None or any(within in repr(argument) for argument in arguments[place:]))
        due = meant and next(counter) == call
        if due and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments, **named)
        if due:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, wrapped)


def record(path: Path) -> None:
    """Hand the node a recording tap, and watch beside it what is truly sealed and sent."""
    from partner_node import enrolment, wiring

    recorder = tap.Recorder(path)
    watch_transport(recorder)
    wiring.run = functools.partial(wiring.run, tap=recorder)
    enrolment.Outbound = functools.partial(enrolment.Outbound, tap=recorder)  # type: ignore[misc]


def watch_transport(recorder: tap.Recorder) -> None:
    """Record at the last place before encryption too: every HPKE plain, every message framed for the stream.

    The test compares the two records: what the gate did not see, but left all the same, would be found here.
    """
    from partner_node import rpc
    from privacy import canonical, seal

    sealing, framing = seal.seal, rpc.to_frames

    @functools.wraps(sealing)
    def seal_watched(plain: bytes, *arguments: Any, **named: Any) -> bytes:
        recorder("sealed", plain)
        return sealing(plain, *arguments, **named)

    @functools.wraps(framing)
    def frame_watched(message: Any) -> Any:
        recorder(f"framed/{message.kind}", canonical.encode(message.head) + message.body)
        recorder("id", f"{message.id} {message.reply_to} {message.kind}".encode())
        return framing(message)

    seal.seal, rpc.to_frames = seal_watched, frame_watched


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1]), sys.argv[2:]))
