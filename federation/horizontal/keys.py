"""What a member keeps of one job, by name: a `MutableMapping[str, bytes]` that the node, or Flower, makes durable.

| name | value | written | removed |
|---|---|---|---|
| `own/{key}` | digest of the dealing's public part (32 B), own secret | dealt | uploaded, or a later slot begins |
| `share/{key}/{dealer}` | that digest (32 B), a share of the dealer's key | held | answered, or a later slot begins |
| `public/{key}` | the public part that all encrypt to (one-time dealer only) | held | with the job |
| `given/{slot}` | digests of what this member was given | its input arrived | a later slot begins |
| `uploaded/{slot}` | digest of its signed upload header, empty where none may be | uploaded | a later slot begins |
| `used/{slot}/{dealer}` | digest of the cohort answered for | answered | with the job |
| `lanes/{body}` | digest of the lanes uploaded without noise, for one body of input | uploaded | with the job |
| `answered/{body}` | digest of the cohort's names, for one body of input | answered | with the job |
| `latest` | the newest slot this member was asked in | its input arrived | with the job |

A slot is `{round}.{attempt}`; a key is named by its slot, or is `job` where one dealer deals once. Names are
prefix-free: no name is the beginning of another up to a `/`. All changes of one call belong in one transaction with
the reply it leads to. Removing means removing: the store must not keep an older state of a removed name.
"""

import re
from collections.abc import Iterator, MutableMapping
from typing import TypeAlias

from federation.horizontal.errors import PhaseMalformed
from privacy.aggregation import Slot

Store: TypeAlias = MutableMapping[str, bytes]

JOB_KEY = "job"
LATEST = "latest"
DIGEST_BYTES = 32
ROUNDS_MAX = 100_000
ATTEMPTS_MAX = 1_000
_SLOT = re.compile(r"(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,3})")
_OF_SLOT = ("own", "share", "given", "uploaded")


def slot_name(slot: Slot) -> str:
    """`round.attempt`."""
    return f"{slot.round}.{slot.attempt}"


def slot_order(name: str) -> tuple[int, int]:
    """(round, attempt) of a slot's name. Raises PhaseMalformed."""
    found = _SLOT.fullmatch(name)
    if found is None or int(found[1]) > ROUNDS_MAX or int(found[2]) > ATTEMPTS_MAX:
        raise PhaseMalformed(why="a round and an attempt are expected")
    return int(found[1]), int(found[2])


def check_key(name: str) -> None:
    """Raises PhaseMalformed unless it names a slot's key or the job's."""
    if name != JOB_KEY:
        slot_order(name)


def own(key: str) -> str:
    return f"own/{key}"


def share(key: str, dealer: str) -> str:
    return f"share/{key}/{dealer}"


def public(key: str) -> str:
    return f"public/{key}"


def given(slot: str) -> str:
    return f"given/{slot}"


def uploaded(slot: str) -> str:
    return f"uploaded/{slot}"


def used(slot: str, dealer: str) -> str:
    return f"used/{slot}/{dealer}"


def lanes(body: str) -> str:
    return f"lanes/{body}"


def answered(body: str) -> str:
    return f"answered/{body}"


def older(store: Store, slot: str) -> Iterator[str]:
    """Names of what was kept for slots before this one. What was used and answered is remembered for the whole job."""
    limit = slot_order(slot)
    for name in list(store):
        kind, _, rest = name.partition("/")
        key = rest.split("/")[0]
        if kind in _OF_SLOT and key != JOB_KEY and slot_order(key) < limit:
            yield name
