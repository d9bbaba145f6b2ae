"""The score of one client after the run: every holder gives one rounded share, masked, and the sum is all that shows.

The mask of two holders is a stream under a key that only they can compute, over the whole ask as each of them got it:
run, the ask's own id, client, model and end. So a label holder that says one thing to one holder and another to the
other gets noise (design rule b), and no two asks have the same mask. An ask must be answered once: another share under
the same mask would show the difference of one holder's own.

Where the plan has a split, an ask may want one: each holder's share as a multiple of a coarser step, in clear beside
the masked one. It is made of the share alone, so that it tells no more than the share would; the masks are not touched,
and all that the label holder has is the exact sum and these multiples, whatever the words that it got them from.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federation import features
from federation.errors import ScoresImplausible, StepMalformed
from federation.features import Columns, Floats
from federation.scale import UNITS
from federation.vertical import scores
from federation.vertical.part import ModelPart
from federation.vertical.results import DECILES
from privacy import canonical
from privacy.canonical import Value
from privacy.errors import Failure
from privacy.ids import ClientToken, Digest, parse_client_token, parse_digest

_ASK = ("run", "id", "token", "model", "until", "split")
HEX = re.compile(r"([0-9a-f]{2}){0,256}")
WORD_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What the label holder asks all feature holders alike; of trees, of each the splits of its own."""

    run: Digest
    id: Digest  # 32 random bytes
    token: ClientToken  # the client, as the alignment names it
    model: Digest
    until: str  # an instant: the ask is over then
    split: bool = False  # each holder's own share is wanted too, coarsely
    splits: str | None = None  # of trees: the splits of this holder that are asked, a bitmap in hex (trees.single)

    @property
    def digest(self) -> bytes:
        """What the masks are bound to."""
        return canonical.digest("ecohub/score-ask/v1", self._value())

    def encode(self) -> bytes:
        return canonical.encode(self._value())

    @classmethod
    def decode(cls, data: bytes, sender: str) -> "Ask":
        """Raises StepMalformed for anything `encode` would not write."""
        try:
            value = canonical.decode(data)
            if not isinstance(value, dict) or set(value) - {"splits"} != set(_ASK):
                raise StepMalformed(partner=sender, why="the fields of an ask")
            until, split, splits = value["until"], value["split"], value.get("splits", "")
            if not isinstance(until, str) or not isinstance(split, bool) or not _hex(splits):
                raise StepMalformed(partner=sender, why="the fields of an ask")
            run, id_, model = (parse_digest(value[name]) for name in ("run", "id", "model"))
            token = parse_client_token(value["token"])
            asked = str(splits) if "splits" in value else None
            return cls(run=run, id=id_, token=token, model=model, until=until, split=split, splits=asked)
        except StepMalformed:
            raise
        except Failure as failure:
            raise StepMalformed(partner=sender, why=f"an ask: {failure.message()}") from None

    def _value(self) -> dict[str, Value]:
        value: dict[str, Value] = {name: str(getattr(self, name)) for name in _ASK[:-1]}
        value["split"] = self.split
        return value if self.splits is None else {**value, "splits": self.splits}


def _hex(value: Value) -> bool:
    return isinstance(value, str) and HEX.fullmatch(value) is not None


def mask_context(run: str) -> Value:
    """What the key of two holders' masks is for (privacy.seal.SealingKey.shared_key)."""
    return {"use": "score-mask", "run": run}


def share(part: ModelPart, columns: Columns, step_log2: int, asker: str) -> int:
    """A holder's share of one client's score in units of 2^step_log2. columns: one raw value each.

    Raises ColumnMissing, ColumnNotNumeric, RowsDiffer, ColumnHasGaps, ColumnInfinite, WeightsRefused.
    """
    values = features.matrix(part.codings, columns, 1) / float(UNITS)
    return int(scores.rounded(values, part.weights, step_log2, asker)[0])


def hidden(units: int, ask: Ask, me: str, keys: Mapping[str, bytes]) -> bytes:
    """The share under this holder's masks, modulo 2^64. keys: the key shared with each other feature holder."""
    word = np.array([units], np.int64).view(np.uint64)
    for peer, key in keys.items():
        cover = scores.mask(key, ask.run, ask.digest, 1)
        word = word + cover if me < peer else word - cover
    return bytes(word.astype(">u8").tobytes())


def total(words: Mapping[str, bytes], step_log2: int, holders: Sequence[str]) -> int:
    """The sum of all holders' shares in units of 2^step_log2.

    Raises StepMalformed for a word of another form, ScoresImplausible for a sum that no shares have: the masks were
    bound to different asks.
    """
    for holder in holders:
        if len(words[holder]) != WORD_BYTES:
            raise StepMalformed(partner=holder, why="its share")
    found = [np.frombuffer(words[holder], ">u8").astype(np.uint64) for holder in holders]
    return int(scores.unmasked(found, step_log2, holders)[0])


def coarse(units: int, step_log2: int, split_log2: int) -> int:
    """A share in units of 2^step_log2 as the nearest multiple of 2^split_log2, halves up."""
    factor = 1 << split_log2 - step_log2
    return (units + factor // 2) // factor


def with_split(word: bytes, multiple: int) -> bytes:
    """A masked share with the coarse one in clear beside it."""
    return word + multiple.to_bytes(WORD_BYTES, "big", signed=True)


def apart(answer: bytes, holder: str) -> tuple[bytes, int]:
    """(masked share, coarse one) of an answer with both. Raises StepMalformed."""
    if len(answer) != 2 * WORD_BYTES:
        raise StepMalformed(partner=holder, why="its share and the split")
    return answer[:WORD_BYTES], int.from_bytes(answer[WORD_BYTES:], "big", signed=True)


def remainder(units: int, multiples: Mapping[str, int], step_log2: int, split_log2: int) -> int:
    """What rounding leaves of the sum of all shares, in units of 2^step_log2.

    Raises ScoresImplausible where it is more than half a coarse step a holder: a holder's two shares are of two values.
    """
    factor = 1 << split_log2 - step_log2
    left = units - factor * sum(multiples.values())
    if 2 * abs(left) > factor * len(multiples):
        raise ScoresImplausible(partner=", ".join(multiples))
    return left


def decile(score: float, ranked: Floats) -> int:
    """1..10: where a score would stand among those of the run's clients, which rise."""
    below = int(np.searchsorted(ranked, score, side="left"))
    return min(DECILES, 1 + below * DECILES // len(ranked))


def ranked(values: Sequence[float]) -> NDArray[np.float64]:
    return np.sort(np.asarray(values, dtype=np.float64))
