"""Nothing that the bench starts for a peer outlives it: orphans in sessions of their own, after a failure too."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.peers import environment

# starts a child in a session of its own that starts a grandchild, as Flower's SuperExec is started; then the child ends
PARENT = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", {child!r}], start_new_session=True).wait()
time.sleep(600)
"""
CHILD = """
import subprocess, sys
from pathlib import Path
orphan = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
Path({note!r}).write_text(str(orphan.pid))
"""
KEEPER = """
import sys, time
from pathlib import Path
from benchmarks.peers.brood import Brood
note = Path({note!r})
with Brood() as brood:
    brood.start([sys.executable, "-c", {parent!r}], {{}}, note.with_suffix(".log"))
    while not (note.exists() and note.read_text()):
        time.sleep(0.01)
    print("ready", flush=True)
    {end}
"""
ENDS = {"at its end": "", "after a failure": "raise ValueError('the peer failed')", "when told to": "time.sleep(600)"}


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize("case", sorted(ENDS))
def test_an_orphan_of_a_peer_is_ended_and_reaped(tmp_path: Path, case: str) -> None:
    note = str(tmp_path / "orphan")
    parent = PARENT.format(child=CHILD.format(note=note))
    keeper = subprocess.Popen(
        [sys.executable, "-P", "-c", KEEPER.format(note=note, parent=parent, end=ENDS[case])],
        env=environment.variables(environment.ROOT),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert keeper.stdout is not None and keeper.stdout.readline() == "ready\n"
        orphan = int(Path(note).read_text())
        if case == "when told to":
            assert not gone(orphan)
            keeper.terminate()
        keeper.wait(20)
        end = time.monotonic() + 5
        while not gone(orphan) and time.monotonic() < end:
            time.sleep(0.01)
        assert gone(orphan)
    finally:
        keeper.kill()
        keeper.wait()
        if keeper.stdout is not None:
            keeper.stdout.close()
