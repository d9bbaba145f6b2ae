"""Seeded synthetic clients of three parties for the vertical benchmark: a broker with a label, a bank and a platform.

Every client has a hidden taste for investing that the columns and the label follow. Half of a party's columns are plain
numbers, a quarter amounts of money (most small, a few large), a quarter flags. All parties know the same clients, each
in an order of its own.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.csv
from numpy.typing import NDArray

from sandbox import party_files

LABEL_HOLDER = "broker"
LABEL = "y"
CLIENT = "client_id"
COLUMNS = {"broker": 20, "bank": 40, "platform": 20}  # of each party's file; a plan takes the first of them
SEED = 2026


def names(party: str, count: int) -> list[str]:
    """A party's first columns."""
    assert count <= COLUMNS[party], "the file has them"
    return [f"{party.upper()}{place:02}" for place in range(count)]


def write(folder: Path, clients: int) -> dict[str, Path]:
    """A CSV file for each party."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(SEED)
    keys = [str(place) for place in range(clients)]
    ids = np.array(party_files.client_ids(keys, [40] * clients, SEED, "benchmark"))
    taste = generator.standard_normal(clients)
    label = (taste + generator.standard_normal(clients) > 0.5).astype(np.int64)
    written = {}
    for party in COLUMNS:
        columns: dict[str, NDArray[np.generic]] = {CLIENT: ids, **_columns(generator, party, taste)}
        if party == LABEL_HOLDER:
            columns[LABEL] = label
        order = generator.permutation(clients)
        written[party] = _file(folder / f"{party}.csv", {name: values[order] for name, values in columns.items()})
    return written


def _columns(generator: np.random.Generator, party: str, taste: NDArray[np.float64]) -> dict[str, NDArray[np.generic]]:
    made: dict[str, NDArray[np.generic]] = {}
    for place, name in enumerate(names(party, COLUMNS[party])):
        number = generator.uniform(0.0, 0.5) * taste + generator.standard_normal(len(taste))
        kinds = (number.round(4), number.round(4), np.exp(8.0 + number).round(2), (number > 0.8).astype(np.int64))
        made[name] = kinds[place % len(kinds)]
    return made


def _file(path: Path, columns: Mapping[str, NDArray[np.generic]]) -> Path:
    pyarrow.csv.write_csv(pyarrow.table(dict(columns)), path)
    return path
