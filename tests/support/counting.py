"""Runs of the modes that begin with a count of both sides, to their end, with people who decide."""

from collections.abc import Mapping, Sequence

from privacy import psi
from privacy.psi.count_then_rows import DECISION
from tests.support.matching import Alliance, clients

ROWS, SUM_OF_LEADER, SUM_OF_FOLLOWER = "count-then-rows", "sum of the leader's", "sum of the follower's"
KINDS = [ROWS, SUM_OF_LEADER, SUM_OF_FOLLOWER]
PAIR = {"broker": clients(1, 2, 3, 4, 5), "bank": clients(3, 4, 5, 6)}
BITS = 10
AGREE = {"broker": "agree", "bank": "agree"}


def value_of(client: bytes) -> int:
    return int(client[4:]) ** 3 % 1024


def prepared(
    kind: str, sets: Mapping[str, Sequence[bytes]] = PAIR, minimum: int = 0, chunk: int = 8192, seed: str = ""
) -> Alliance:
    if kind == ROWS:
        return Alliance(ROWS, sets, minimum=minimum, points_per_message=chunk, seed=seed)
    side = "broker" if kind == SUM_OF_LEADER else "bank"
    return Alliance(
        "sum",
        sets,
        minimum=minimum,
        points_per_message=chunk,
        seed=seed,
        value_side=side,
        bits=BITS,
        values=[value_of(client) for client in sets[side]],
    )


def decide(run: Alliance, decisions: Mapping[str, str] = AGREE) -> bool:
    """Let the people of every session that waits for them decide; whether there was any."""
    asked = [name for name in decisions if run.sessions[name].phase == DECISION]
    for name in asked:
        session = run.sessions[name]
        assert isinstance(session, psi.CountThenRows)
        run.post(name, session.agree() if decisions[name] == "agree" else session.refuse())
    return bool(asked)


def finish(run: Alliance, decisions: Mapping[str, str] = AGREE) -> Alliance:
    while run.deliver_one() or decide(run, decisions):
        assert len(run.delivered) < 1000
    assert all(session.done for session in run.sessions.values())
    return run


def step(run: Alliance, decisions: Mapping[str, str] = AGREE) -> bool:
    """One message, or one round of decisions where nothing travels."""
    return run.deliver_one() is not None or decide(run, decisions)


def paused(kind: str, before: int, minimum: int = 0, chunk: int = 8192) -> Alliance:
    """A run whose next message to deliver is number `before`."""
    run = prepared(kind, minimum=minimum, chunk=chunk)
    while len(run.delivered) < before or not any(run.waiting.values()):
        assert step(run)
    return run


def rows(run: Alliance, name: str) -> psi.CountedRowsResult:
    result = run.sessions[name].result()
    assert isinstance(result, psi.CountedRowsResult)
    return result


def total(run: Alliance, name: str) -> psi.SumResult:
    result = run.sessions[name].result()
    assert isinstance(result, psi.SumResult)
    return result
