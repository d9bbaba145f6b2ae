"""What the matching benchmark measures: exactly the shared clients, bytes as the kernel counts them; a side that fails
is reported. Nothing here depends on how fast the machine is."""

import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import privacy.normalise
from benchmarks import matching, matching_alliance, matching_report
from benchmarks.harness import Row, row
from benchmarks.matching_pair import Match, Pair, PartyFailed
from benchmarks.peers import environment, traffic
from benchmarks.peers.channel import Channel, PeerVanished
from benchmarks.peers.match import DIGITS, RECEIVER, SENDER, Place, check_rows, clients
from tests.benchmarks import sides

RECEIVERS, SENDERS = 40, 100
LENGTH = 8  # of a frame's length


def place(tmp_path: Path, rank: int) -> Place:
    return Place(rank=rank, sizes=(RECEIVERS, SENDERS), ports=(0, 0), folder=tmp_path)


def test_half_of_the_smaller_side_is_shared_and_marked(tmp_path: Path) -> None:
    numbers, marks = zip(*(clients(place(tmp_path, rank)) for rank in (RECEIVER, SENDER)), strict=True)
    receiver, sender = (list(one) for one in numbers)
    assert (len(set(receiver)), len(set(sender))) == (RECEIVERS, SENDERS)
    assert max(receiver + sender) < 10**DIGITS
    shared = set(receiver) & set(sender)
    assert len(shared) == RECEIVERS // 2
    for own, own_marks in zip((receiver, sender), marks, strict=True):
        assert {number for number, mark in zip(own, own_marks, strict=True) if mark} == shared


def test_rows_are_compared_one_by_one() -> None:
    check_rows([2, 0], bytes([1, 0, 1]))
    for wrong in ([0, 1], [0], [0, 0], [0, 1, 2], []):
        with pytest.raises(AssertionError):
            check_rows(wrong, bytes([1, 0, 1]))


@pytest.fixture
def connection() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        first = socket.create_connection(server.getsockname())
        second, _ = server.accept()
    with first, second:
        yield first, second


def test_messages_larger_than_the_buffers_cross_each_other(connection: tuple[socket.socket, socket.socket]) -> None:
    ends = [Channel(one) for one in connection]
    sent = [[bytes([rank]) * 20_000_000, b"", b"last"] for rank in (0, 1)]
    for end, messages in zip(ends, sent, strict=True):
        for message in messages:
            end.post(message)
    got = [[end.next() for _ in range(3)] for end in ends]
    assert got == [sent[1], sent[0]]
    assert ends[0].next(wait=False) is None
    for end in ends:
        end.flush()
        end.close()


def test_a_side_that_closes_in_the_middle_is_noticed(connection: tuple[socket.socket, socket.socket]) -> None:
    left, leaving = (Channel(one) for one in connection)
    leaving.close()
    for _ in range(2):
        with pytest.raises(PeerVanished):
            left.next()
    while not left._broken:
        left.post(bytes(1000))
        time.sleep(0.001)
    with pytest.raises(PeerVanished):
        left.flush()
    left.close()


def test_the_kernel_counts_every_byte_of_a_connection(connection: tuple[socket.socket, socket.socket]) -> None:
    before = traffic.received()
    connection[0].sendall(bytes(1000))
    assert len(connection[1].recv(1000, socket.MSG_WAITALL)) == 1000
    connection[1].sendall(bytes(30))
    assert len(connection[0].recv(30, socket.MSG_WAITALL)) == 30
    after = traffic.received()
    assert traffic.between(before, after) == 1030
    with pytest.raises(AssertionError, match="closed during the match"):
        traffic.between(after, {})


def pair(tmp_path: Path, entry: str, sizes: tuple[int, int] = (RECEIVERS, SENDERS)) -> Pair:
    variables = environment.variables(environment.ROOT)
    return Pair(Path(sys.executable), entry, sizes, variables, tmp_path)


def test_a_match_of_two_processes_is_measured_at_both_ends(tmp_path: Path) -> None:
    with pair(tmp_path, f"{sides.__name__}:Exchange") as both:
        match = both.match()
    assert match.received == (sides.ANSWER + LENGTH, sides.REQUEST + LENGTH)
    assert match.seconds > 0 and min(match.cpu) > 0
    assert all(peak >= resident > 0 for peak, resident in zip(match.peak, match.resident, strict=True))
    assert match.peak[SENDER] - match.resident[SENDER] > sides.REQUEST // 2


@pytest.mark.parametrize(
    ("kind", "said"),
    [("Vanishing", "the sender has vanished"), ("Wrong", "the result is wrong"), ("Nothing", "Nothing")],
)
def test_a_side_that_fails_ends_the_match_and_says_why(tmp_path: Path, kind: str, said: str) -> None:
    with pytest.raises(PartyFailed, match=said), pair(tmp_path, f"{sides.__name__}:{kind}") as both:
        both.match()
    assert all(process.poll() is not None for process in both._processes)


@pytest.mark.parametrize(
    "engine", [engine for engine in matching.ENGINES if engine.ours and engine.entry], ids=lambda one: one.key
)
def test_our_engines_find_the_shared_clients_in_two_processes(tmp_path: Path, engine: matching.Engine) -> None:
    with pair(tmp_path, engine.entry) as both:
        match = both.match()
    assert min(match.received) > 0


def measured(seconds: float, wire: int = 90_000_000, peak: int = 200_000_000) -> Match:
    return Match(
        seconds=seconds, cpu=(4.0, 5.0), received=(wire // 3, wire - wire // 3), peak=(peak, 1), resident=(1, 1)
    )


def rows(oprf: Match, peer: float, count: float) -> list[Row]:
    made = matching.rows_of(matching_report.OURS, matching_report.MILLION, [oprf])
    made += matching.rows_of(matching_report.FILES, matching_report.MILLION, [replace(oprf, seconds=oprf.seconds + 1)])
    made += matching.rows_of(matching_report.FASTEST_PEER, matching_report.MILLION, [measured(peer)])
    made += matching.rows_of(matching_report.OURS, matching_report.MIDDLE, [replace(oprf, seconds=oprf.seconds / 8)])
    for sizes in matching_report.RELAY_SIZES:
        made += matching.rows_of(matching_report.RELAYED, sizes, [measured(10.0)])
        made += matching.rows_of(matching_report.RELAY, sizes, [replace(oprf, seconds=oprf.seconds + 2)])
    return made + matching.rows_of(matching_report.COUNT, matching_report.MIDDLE, [measured(count)])


def test_every_target_of_matching_is_judged_by_our_own_figure() -> None:
    assert [t.met for t in matching_report.targets(rows(measured(9.0), 11.0, 19.0))] == [True] * 11
    missed = matching_report.targets(rows(measured(13.0, 110_000_000, 310_000_000), 12.0, 21.0))
    assert [t.met for t in missed] == [False, False, False, False, True, *[False] * 6]


def test_two_nodes_have_the_clients_of_the_engines_benchmark(tmp_path: Path) -> None:
    sizes = (RECEIVERS, SENDERS)
    lists = [matching_alliance.write(tmp_path, sizes, rank).read_text().splitlines()[1:] for rank in (RECEIVER, SENDER)]
    assert tuple(map(len, lists)) == sizes
    assert all(privacy.normalise.normalise("resident_id", client) for one in lists for client in one)
    for rank, own, other in ((RECEIVER, *lists), (SENDER, *reversed(lists))):
        _, marks = clients(place(tmp_path, rank))
        assert [client in set(other) for client in own] == [mark == 1 for mark in marks]


@pytest.mark.flow
@pytest.mark.slow_flow
def test_a_match_through_the_relay_is_measured(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("r")
    with matching_alliance.relay(folder, (128, 256)) as relay:
        found = relay.match()
        relay.check(folder)
    assert 0 < found.match.seconds < found.job_seconds
    assert min(found.match.received) > 10_000 and min(found.match.peak) > 0 and found.hub_peak > 0
    made = [*matching.rows_of(matching_report.RELAY, (128, 256), [found.match])]
    made += matching_alliance.rows_of((128, 256), [found])
    assert {row.engine for row in made} == {matching_report.RELAY}


def test_what_was_not_measured_is_not_judged() -> None:
    assert matching_report.targets([row("4,096 x 4,096", "oprf, rows", 4096, [1.0], metric="seconds", unit="s")]) == []


def test_names_of_engines_are_those_that_the_targets_look_for() -> None:
    names = {engine.name for engine in matching.ENGINES}
    assert {matching_report.OURS, matching_report.COUNT, matching_report.FASTEST_PEER} <= names
    assert {matching_report.RELAY, matching_report.RELAYED} <= names


def test_cases_and_engines_are_chosen_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert matching.asked_cases()[-1] == (1 << 10, 1 << 20) and matching.asked_engines() == list(matching.ENGINES)
    monkeypatch.setenv("ECOHUB_BENCH_SIZES", "8,2x5")
    monkeypatch.setenv("ECOHUB_BENCH_ENGINES", "kkrt,oprf")
    assert matching.asked_cases() == [(8, 8), (2, 5)]
    assert [engine.key for engine in matching.asked_engines()] == ["kkrt", "oprf"]
    monkeypatch.setenv("ECOHUB_BENCH_ENGINES", "voprf")
    with pytest.raises(ValueError, match="voprf"):
        matching.asked_engines()


def test_peers_that_cannot_be_installed_stop_the_benchmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interpreter = tmp_path / "bin" / "python"
    interpreter.parent.mkdir()
    interpreter.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    interpreter.chmod(0o700)
    bare = tmp_path / "bare.txt"
    bare.write_text("spu==0.9.5 --hash=sha256:" + "0" * 64 + "\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setattr(environment, "FOLDER", tmp_path)
    monkeypatch.setattr(environment, "BARE_LOCK", bare)
    (tmp_path / "lock.sha256").write_text(environment._digest(environment.LOCK))
    assert environment.python() == interpreter
    with pytest.raises(environment.PeersNotInstalled, match=r"bare\.txt"):
        environment.python(bare=True)
    assert not (tmp_path / "bare.sha256").exists()
