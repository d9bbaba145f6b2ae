"""SecretFlow's RR22 and KKRT (package spu), as its own matching command runs them, over its own connection (brpc).

It reads its clients from a CSV file and the receiver writes the shared ones to another: it has no other interface, so
both are measured, and our own engine beside it with files as well. To its advantage it is told that clients are
distinct, and the output is not put in a common order.

The package's `__init__` imports jax and numpy 1, which matching does not use: an empty module stands in its place.
"""

import importlib.util
import sys
import types
from typing import Any

from benchmarks.peers.match import DIGITS, RECEIVER, Place, clients

KEY = "id"
CONNECT_RETRIES, RETRY_MILLISECONDS = 300, 100
RECEIVE_MILLISECONDS = 600_000
BUCKET = 1 << 20  # its own default


def library() -> tuple[Any, Any]:
    """(spu.libspu, spu.psi) without the rest of the package."""
    if "spu" not in sys.modules:
        found = importlib.util.find_spec("spu")
        if found is None or not found.submodule_search_locations:
            raise ImportError("package spu is not installed here")
        bare = types.ModuleType("spu")
        bare.__path__ = list(found.submodule_search_locations)
        sys.modules["spu"] = bare
    return importlib.import_module("spu.libspu"), importlib.import_module("spu.psi")


class Spu:
    def __init__(self, place: Place, protocol: str) -> None:
        self._place = place
        self._libspu, self._psi = library()
        self._quiet()
        self._input, self._output = (place.folder / f"{place.rank}-{name}.csv" for name in ("in", "out"))
        numbers, _ = clients(place)
        with self._input.open("w") as file:
            file.write(f"{KEY}\n")
            file.writelines(f"{number:0{DIGITS}}\n" for number in numbers)
        self._config = self._psi.PsiExecuteConfig(
            self._psi.PsiProtocolConfig(
                protocol=self._psi.parse_protocol(protocol),
                receiver_rank=RECEIVER,
                bucket_size=BUCKET,
                broadcast_result=False,
            ),
            self._psi.InputParams(path=str(self._input), selected_keys=[KEY], keys_unique=True),
            self._psi.OutputParams(path=str(self._output), disable_alignment=True),
        )

    def connect(self) -> None:
        link = self._libspu.link
        description = link.Desc()
        for rank, port in enumerate(self._place.ports):
            description.add_party(f"rank{rank}", f"127.0.0.1:{port}")
        description.connect_retry_times, description.connect_retry_interval_ms = CONNECT_RETRIES, RETRY_MILLISECONDS
        description.recv_timeout_ms = RECEIVE_MILLISECONDS
        self._link = link.create_brpc(description, self._place.rank)

    def match(self) -> None:
        self._report = self._psi.psi_execute(self._config, self._link)

    def check(self) -> None:
        if self._place.rank != RECEIVER:
            assert not self._output.exists(), "the sender learned rows"
            return
        lines = self._output.read_text().split()
        numbers, marks = clients(self._place)
        shared = {number for number, mark in zip(numbers, marks, strict=True) if mark}
        assert lines[0].strip('"') == KEY and {int(line.strip('"')) for line in lines[1:]} == shared
        assert len(lines) - 1 == len(shared) == self._report.intersection_count

    def close(self) -> None:
        self._link.stop_link()

    def _quiet(self) -> None:
        logging = self._libspu.logging
        options = logging.LogOptions()
        options.enable_console_logger = False
        options.system_log_path = str(self._place.folder / f"{self._place.rank}-spu.log")
        logging.setup_logging(options)


def rr22(place: Place) -> Spu:
    return Spu(place, "PROTOCOL_RR22")


def kkrt(place: Place) -> Spu:
    return Spu(place, "PROTOCOL_KKRT")
