"""Our matching engines as sides of the benchmark: clients in memory, sessions without I/O, one connection."""

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from benchmarks.peers import channel
from benchmarks.peers.match import DIGITS, RECEIVER, SENDER, Place, check_rows, clients
from privacy import psi
from privacy.psi import oprf
from privacy.psi.oprf.options import CHECKED_LISTED, CHECKED_UNLISTED, SEMI_HONEST
from privacy.psi.oprf.packed import PackedIdentifiers
from privacy.psi.values import AlignResult, CountResult

CONTEXT = b"one job of the matching benchmark"
PACKED_FROM = 1 << 22  # clients: from here on those of oprf come in two arrays, as objects they take 70 bytes each
NAMES = {RECEIVER: "receiver", SENDER: "sender"}


class Engine:
    """What the engines share. `ids` is let go when the session has it, as a node does."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._me, self._peer = NAMES[place.rank], NAMES[1 - place.rank]
        numbers, self._shared = clients(place)
        self._ids = self._taken(b"cid:%0*d" % (DIGITS, number) for number in numbers)
        self._counts = dict(zip(NAMES.values(), place.sizes, strict=True))

    def _taken(self, ids: Iterable[bytes]) -> Sequence[bytes]:
        """Clients in the form that the engine takes."""
        return list(ids)

    def connect(self) -> None:
        self._channel = channel.connect(self._place)

    def close(self) -> None:
        self._channel.close()

    def _run(self, session: oprf.Session | psi.Session) -> None:
        """Deliver and work until the session is done. What has come is taken before this side works on."""
        waiting = session.start() if self._place.rank == RECEIVER else []
        while True:
            for out in waiting:
                self._channel.post(out.message)
            if session.done:
                break
            message = self._channel.next(wait=not session.ready)
            waiting = session.work() if message is None else session.receive(self._peer, message)
        self._channel.flush()


class Oprf(Engine):
    """Rows to the receiver, in one process a side; `option` is what the session guards against."""

    def __init__(self, place: Place, option: str = SEMI_HONEST.name) -> None:
        super().__init__(place)
        self._option = option

    def _taken(self, ids: Iterable[bytes]) -> Sequence[bytes]:
        return list(ids) if self._place.sizes[self._place.rank] < PACKED_FROM else PackedIdentifiers.of(ids)

    def match(self) -> None:
        ids, self._ids = self._ids, []
        self._session = session = oprf.create(
            role=self._me,
            me=self._me,
            peer=self._peer,
            ids=ids,
            counts=self._counts,
            context=CONTEXT,
            minimum=1,
            entropy=os.urandom,
            option=self._option,
        )
        del ids
        self._run(session)

    def check(self) -> None:
        found = self._session.result()
        assert self._place.rank == RECEIVER or not len(found.rows)
        if self._place.rank == RECEIVER:
            check_rows(found.rows.tolist(), self._shared)


class OprfFiles(Oprf):
    """The same from a CSV file, the receiver's shared clients to another: what `spu` is measured with."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._input, self._output = (place.folder / f"{place.rank}-{name}.csv" for name in ("in", "out"))
        with self._input.open("wb") as file:
            file.write(b"id\n")
            file.writelines(client + b"\n" for client in self._ids)
        self._ids = []

    def match(self) -> None:
        with self._input.open("rb") as file:
            next(file)
            self._ids = self._taken(line.rstrip() for line in file)
        super().match()
        if self._place.rank == RECEIVER:
            found = np.zeros(self._place.sizes[RECEIVER], bool)
            found[self._session.result().rows] = True
            with self._input.open("rb") as file, self._output.open("wb") as output:
                output.write(next(file))
                output.writelines(line for line, shared in zip(file, found.tolist(), strict=True) if shared)

    def check(self) -> None:
        super().check()
        if self._place.rank == RECEIVER:
            lines = self._input.read_bytes().splitlines()[1:]
            shared = [line for line, mark in zip(lines, self._shared, strict=True) if mark]
            assert self._output.read_bytes().splitlines() == [b"id", *shared]


class Ecdh(Engine):
    """A mode of the Diffie-Hellman engine; its arithmetic in as many threads as there are cores."""

    def __init__(self, place: Place, mode: str) -> None:
        super().__init__(place)
        self._mode = mode

    def match(self) -> None:
        ids, self._ids = self._ids, []
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            self._session = session = psi.create(
                mode=self._mode,
                role="leader" if self._place.rank == RECEIVER else "follower",
                me=self._me,
                peers=[self._peer],
                ids=ids,
                counts=self._counts,
                context=CONTEXT,
                minimum=1,
                entropy=os.urandom,
                map=pool.map,
            )
            del ids
            self._run(session)

    def check(self) -> None:
        found = self._session.result()
        if isinstance(found, AlignResult):
            check_rows(found.rows.tolist(), self._shared)
        elif isinstance(found, CountResult) and self._place.rank == RECEIVER:
            assert found.count == self._place.shared, f"{found.count} counted of {self._place.shared}"


def oprf_rows(place: Place) -> Oprf:
    return Oprf(place)


def oprf_checked_listed(place: Place) -> Oprf:
    return Oprf(place, CHECKED_LISTED.name)


def oprf_checked_unlisted(place: Place) -> Oprf:
    return Oprf(place, CHECKED_UNLISTED.name)


def oprf_files(place: Place) -> OprfFiles:
    return OprfFiles(place)


def ecdh_count(place: Place) -> Ecdh:
    return Ecdh(place, "count")


def ecdh_align(place: Place) -> Ecdh:
    return Ecdh(place, "align")
