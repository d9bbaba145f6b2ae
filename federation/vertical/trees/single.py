"""The score of one client by trees, after the run: each holder says where the client goes at splits of its own.

The label holder walks every tree by its own splits; below another party's it goes both ways. Of each holder it asks the
splits that the client may come to, all in one message, and no others. The holder answers a bit for each: the label
holder then knows the client's side of these cuts, as it did in training of every client that came there. The holder
learns which client was asked for, and which of its splits may be on the way, which depends on the asker's columns.

Splits of a holder are named by their places among all of its splits, in the order of trees and nodes, which both sides
have: a bitmap each way.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from federation.errors import StepMalformed
from federation.features import Columns
from federation.vertical.trees.boosting import ROOT
from federation.vertical.trees.model import TreePart, scores
from privacy import canonical

Node = tuple[int, int]  # (tree, node)
Sides = dict[Node, bool]  # whether the client goes left, by split
CHECK_BYTES = 6  # of what must be the same later


def own_sides(part: TreePart, columns: Columns) -> Sides:
    """Where one client goes at every own split. columns: one raw value each, a missing one allowed.

    Raises ColumnMissing, ColumnNotNumeric, RowsDiffer, ColumnInfinite.
    """
    return {node: bool(left[0]) for node, left in part.left(columns, 1).items()}


def asked(part: TreePart, own: Sides) -> dict[str, bytes]:
    """By feature holder: a bitmap of its splits that the client may come to. part: the label holder's."""
    reached = _reached(part, own)
    return {
        holder: np.packbits(np.array([node in reached for node in _splits_of(part, holder)], dtype=bool)).tobytes()
        for holder in part.owners
        if holder != part.partner
    }


def answer(part: TreePart, columns: Columns, bitmap: bytes, asker: str) -> bytes:
    """A holder's bitmap: left or not at each asked split, 0 at all others. Raises StepMalformed, and as `own_sides`."""
    wanted = _bits(bitmap, len(part.cuts), asker)
    sides = own_sides(part, columns)
    left = np.array([sides[tree, node] for tree, node, _ in part.cuts.tolist()], dtype=bool)
    return np.packbits(left & wanted).tobytes()


def score(part: TreePart, sides: Sides) -> float:
    """Log-odds of the client, to the last bit what training gave a client of the same sides."""
    return float(scores(part, {node: np.array([left]) for node, left in sides.items()}, 1)[0])


def all_sides(part: TreePart, own: Sides, answers: Mapping[str, bytes]) -> Sides:
    """At every split; at those that the client doesn't come to they mean nothing. answers: by feature holder.

    Raises StepMalformed for an answer of another length, or that says left of what was not asked.
    """
    sides = dict.fromkeys([(tree, node) for tree, node, _ in part.splits.tolist()], False) | own
    bitmaps = asked(part, own)
    for holder, bitmap in answers.items():
        splits = _splits_of(part, holder)
        wanted, left = _bits(bitmaps[holder], len(splits), holder), _bits(bitmap, len(splits), holder)
        if (left & ~wanted).any():
            raise StepMalformed(partner=holder, why="its answer to what was not asked")
        sides |= dict(zip(splits, left.tolist(), strict=True))
    return sides


def check_number(own: Sides) -> int:
    """Of the own sides, by which it is seen that they are still the same."""
    packed = b"".join(bytes([tree, node, left]) for (tree, node), left in sorted(own.items()))
    return int.from_bytes(canonical.digest_bytes("ecohub/tree-sides/v1", packed)[:CHECK_BYTES], "big")


def booking_number(bitmap: bytes, sides: bytes) -> int:
    """What an answer is booked by: the same splits and sides of a client tell nothing new."""
    return int.from_bytes(canonical.digest_bytes("ecohub/tree-answer/v1", bitmap + sides)[:CHECK_BYTES], "big")


def _splits_of(part: TreePart, holder: str) -> list[Node]:
    owner = part.owners.index(holder)
    return [(tree, node) for tree, node, who in part.splits.tolist() if who == owner]


def _reached(part: TreePart, own: Sides) -> set[Node]:
    """Every split that the client may come to."""
    owner = {(tree, node): who for tree, node, who in part.splits.tolist()}
    found: set[Node] = set()
    waiting = [(tree, ROOT) for tree in {tree for tree, _ in owner}]
    while waiting:
        tree, node = waiting.pop()
        if (tree, node) not in owner:
            continue
        found.add((tree, node))
        sides = {own[tree, node]} if (tree, node) in own else {True, False}
        waiting += [(tree, 2 * node + (not left)) for left in sides]
    return found


def _bits(bitmap: bytes, count: int, sender: str) -> NDArray[np.bool_]:
    found = np.unpackbits(np.frombuffer(bitmap, np.uint8)).astype(bool)
    if len(bitmap) != -(-count // 8) or found[count:].any():
        raise StepMalformed(partner=sender, why="its splits")
    return found[:count]
