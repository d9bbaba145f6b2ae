"""`make bench NAME=matching`: the engine `ecdh` in one process, both sides in turn on one core; the relay is not in it.

Sizes 2^10 to 2^14, half of the clients shared. Bytes are those of the messages before sealing.
"""

import os

from benchmarks.harness import Row, publish, row, seconds
from privacy.psi import create

RUNS = 3
SIZES = [1 << 10, 1 << 12, 1 << 14]


def run() -> None:
    rows: list[Row] = []
    for mode in ("count", "align"):
        for size in SIZES:
            timed, sent = [], 0
            for _ in range(RUNS):
                carried = [0]
                timed.append(seconds(lambda m=mode, n=size, c=carried: _match(m, n, c)))
                sent = carried[0]
            rows.append(
                row(f"{mode} 2^{size.bit_length() - 1}", "ecdh", size, timed, metric="both sides, one core", unit="s")
            )
            rows.append(row(f"{mode} 2^{size.bit_length() - 1}", "ecdh", size, [sent], metric="messages", unit="B"))
    publish("matching", rows)


def _match(mode: str, size: int, carried: list[int]) -> None:
    ids = {
        "leader": [b"cid:%018d" % i for i in range(size)],
        "follower": [b"cid:%018d" % i for i in range(size // 2, size + size // 2)],
    }
    sessions = {
        me: create(
            mode=mode,
            role=me,
            me=me,
            peers=[other],
            ids=ids[me],
            counts={"leader": size, "follower": size},
            context=b"benchmark context",
            minimum=1,
            entropy=os.urandom,
        )
        for me, other in (("leader", "follower"), ("follower", "leader"))
    }
    waiting = [("leader", out) for out in sessions["leader"].start()]
    while waiting:
        sender, out = waiting.pop(0)
        carried[0] += len(out.message)
        waiting += [(out.recipient, reply) for reply in sessions[out.recipient].receive(sender, out.message)]
    result = sessions["leader"].result()
    shared = result.count if mode == "count" else len(result.rows)  # type: ignore[union-attr]
    assert shared == size // 2
