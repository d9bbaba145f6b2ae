"""The C library's arenas, counted in a process of its own."""

import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, threading
from ecowire import memory
if {few}:
    memory.few_arenas()
library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p
at_once = threading.Barrier(6)
def allocate():
    at_once.wait()
    for _ in range(200):
        library.malloc(1000)
threads = [threading.Thread(target=allocate) for _ in range(6)]
for thread in threads: thread.start()
for thread in threads: thread.join()
library.fdopen.restype = ctypes.c_void_p
out = library.fdopen(1, b"w")
library.malloc_info(0, ctypes.c_void_p(out))
library.fflush(ctypes.c_void_p(out))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep no arenas")
def test_all_threads_share_two_arenas() -> None:
    assert arenas(few=False) > 2 >= arenas(few=True)


def arenas(*, few: bool) -> int:
    program = PROGRAM.format(few=few)
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    return told.count("<heap nr=")
