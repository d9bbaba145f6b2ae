"""What a demo knows as it goes: the world, the data, and what each step found. Plain values for the final summary."""

import csv
import gzip
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from privacy.errors import Failure, Kind
from privacy.ids import Period, parse_period
from sandbox.world import World

SHANGHAI = timezone(timedelta(hours=8))
NAMES = {
    "broker": "Broker / 券商",
    "bank": "Bank / 银行",
    "platform": "Shopping platform / 消费平台",
    "insurer": "Insurer / 保险",
}
ID_COLUMN = "client_id"
LABEL = "y_direct"


class DataFolderInvalid(Failure):
    code = "DATA_FOLDER_INVALID"
    kind = Kind.INVALID
    en = "{folder} is not an alliance's data folder: {why}; `ecohub sandbox synthetic` and `import-scf` write one"
    zh = "{folder} 不是联盟数据目录：{why}；可用 `ecohub sandbox synthetic` 或 `import-scf` 生成"


class DemoWrong(Failure):
    code = "DEMO_EXPECTATION_FAILED"
    kind = Kind.INTEGRITY
    en = "step {step} did not show what it must: {what}"
    zh = "第 {step} 步未得到应有结果：{what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """An alliance's data folder: which party has which columns, and what the data is."""

    folder: Path
    origin: str
    columns: Mapping[str, tuple[str, ...]]  # the columns a party brings into the joint model
    headers: Mapping[str, tuple[str, ...]]  # every column of its file, the id left out

    @property
    def synthetic(self) -> bool:
        return self.origin.startswith("synthetic")

    def file(self, party: str) -> Path:
        return self.folder / f"party_{party}.csv.gz"

    def client_ids(self, party: str) -> list[str]:
        """The party's client ids, in the order of its file."""
        with gzip.open(self.file(party), "rt", encoding="utf-8", newline="") as stream:
            return [row[ID_COLUMN] for row in csv.DictReader(stream)]


@dataclass(slots=True)
class Step:
    """One step: what it took and what it showed. bytes: what hub and nodes exchanged for it."""

    number: int
    title: str
    seconds: float = 0.0
    bytes: int = 0
    lines: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Scene:
    """Everything a demo learns. `say` announces a step's begin and end, `doing` what it is at."""

    world: World
    results: Path
    say: Callable[[Step], None]
    doing: Callable[[str], None]
    steps: list[Step] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    learned: list[tuple[str, str]] = field(default_factory=list)

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Time a step; it is announced when it begins and when it has ended."""
        made = Step(len(self.steps) + 1, title)
        self.steps.append(made)
        self.say(made)
        begun, before = time.perf_counter(), self.world.relayed_bytes()
        yield made
        made.seconds, made.bytes = time.perf_counter() - begun, self.world.relayed_bytes() - before
        self.say(made)

    def learn(self, job: str, body: Mapping[str, Any]) -> None:
        """Keep a job's own sentences of who learns what: those that every party approved."""
        self.learned += [(job, str(sentence)) for sentence in body["disclosure"]]

    def expect(self, true: bool, what: str) -> None:
        """Raises DemoWrong unless it is true: the demo proves what it says, or fails."""
        if not true:
            raise DemoWrong(step=len(self.steps), what=what)


@dataclass(slots=True, kw_only=True)
class Story(Scene):
    """The main job: the alliance's data, and the month that is settled."""

    data: Data
    period: Period


def read_data(folder: Path) -> Data:
    """The data folder's description. Raises DataFolderInvalid."""
    try:
        described = json.loads((folder / "parties.json").read_text(encoding="utf-8"))
        columns = {party: tuple(described["columns"][party]) for party in NAMES}
        headers = {party: _header(folder / f"party_{party}.csv.gz") for party in NAMES}
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        raise DataFolderInvalid(folder=str(folder), why=f"{type(error).__name__}: {error}"[:200]) from None
    for party, names in columns.items():
        wanted = {ID_COLUMN, *names, *([LABEL] if party == "broker" else [])}
        if missing := sorted(wanted - set(headers[party])):
            raise DataFolderInvalid(folder=str(folder), why=f"party_{party}.csv.gz has no column {missing[0]}")
    without_id = {party: tuple(name for name in header if name != ID_COLUMN) for party, header in headers.items()}
    origin = str(described.get("origin", f"data of {folder.name}"))
    return Data(folder=folder, origin=origin, columns=columns, headers=without_id)


def last_month(now: datetime) -> Period:
    """The last calendar month that is over in Shanghai."""
    first = now.astimezone(SHANGHAI).replace(day=1)
    return parse_period(f"{first - timedelta(days=1):%Y-%m}")


def utc_now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the demo is a root


def _header(path: Path) -> tuple[str, ...]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
        return tuple(next(csv.reader(stream), []))
