"""The statements of one agreement as a chain: each follows the one it names, brings its balance forward, and there is
one living statement a period. The amounts to pay follow from that, and the chain's anchor does not hold them.
"""

from collections.abc import Iterator, Mapping

from revenue_share.statement import NO_DIGEST, Place
from sandbox.examine.case import Case
from sandbox.examine.statements import Recomputed


def check(case: Case, settled: tuple[Recomputed, ...]) -> None:
    """Each statement's place, as its predecessors in the bundle give it."""
    by_anchor = {one.digest.hex(): one for one in settled}
    living: dict[tuple[str, str], str] = {}
    for one in settled:
        expected = _place(one, by_anchor)
        if expected is None:
            case.sheet.add("STATEMENT_PLACE_DIFFERS", one.where, field="previous", stored=one.place.previous, place="-")
            continue
        for field in ("sequence", "replaces", "brought_forward_minor"):
            stored, place = str(getattr(one.place, field)), str(getattr(expected, field))
            if stored != place:
                case.sheet.add("STATEMENT_PLACE_DIFFERS", one.where, field=field, stored=stored, place=place)
        if one.state != "VOID":
            first = living.setdefault((one.agreement.digest, one.period), one.id)
            if first != one.id:
                case.sheet.add("STATEMENT_SECOND", one.where, period=one.period, other=first[:16])


def _place(one: Recomputed, by_anchor: Mapping[str, Recomputed]) -> Place | None:
    """The place after the statement it names as previous; None where that is not there or another agreement's."""
    earlier = list(_before(one, by_anchor))
    if one.place.previous != NO_DIGEST and not earlier:
        return None
    brought, replaces = 0, NO_DIGEST
    for other in earlier:
        if other.state != "VOID":
            brought = other.carried_minor
            break
        if replaces == NO_DIGEST and other.period == one.period:
            replaces = other.digest.hex()
    sequence = earlier[0].place.sequence + 1 if earlier else 1
    return Place(sequence=sequence, previous=one.place.previous, replaces=replaces, brought_forward_minor=brought)


def _before(one: Recomputed, by_anchor: Mapping[str, Recomputed]) -> Iterator[Recomputed]:
    """The statements before, newest first. The names are digests over the earlier ones, so there is no circle."""
    at = by_anchor.get(one.place.previous)
    while at is not None and at.agreement.digest == one.agreement.digest:
        yield at
        at = by_anchor.get(at.place.previous)
