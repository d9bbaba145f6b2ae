"""How this process's memory is kept by the C library."""

import ctypes
import sys

ARENA_MAX = -8  # M_ARENA_MAX of glibc's malloc.h
ARENAS = 2


def few_arenas() -> None:
    """Let all threads allocate from two arenas, not from eight for each core: what one thread frees serves the others.

    Messages of megabytes come up in one thread and are worked on in another; with an arena for each thread a hub of ten
    nodes took a third more at its peak and was slower (docs/benchmarks.md, round). To be called before threads start.
    Other C libraries keep no arenas for threads: there is nothing to tell them. Source: mallopt(3).
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(ARENA_MAX, ARENAS)
