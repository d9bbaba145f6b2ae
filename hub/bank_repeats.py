"""Which bookings of a bank statement another statement holds too: the balances of the two say so.

Two statements of an account are two stretches of one course of its balance. Where one begins inside the other, with the
balance that stood there, and both tell the same bookings until one of them ends, these are the same bookings. Where one
begins with the balance the other closed with, nothing is the same, however alike the bookings are: also the bank's
reference, which banks give twice. What fits in two ways, or in none, is never guessed.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from hub.bank_values import BankStatement
from hub.payment_errors import BankEntriesAlike
from privacy import canonical


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """A statement's bookings by content, in their order, and the balance before each and after the last.

    `file`: its digest; `balances`: minor units, one more than bookings, or none where the file has none.
    """

    file: str
    statement: str
    rows: tuple[int, ...]
    contents: tuple[str, ...]
    balances: tuple[int, ...]


def course(file: str, made: BankStatement) -> Course:
    """The course of a statement of a file."""
    opening = made.opening_minor
    steps = () if opening is None else accumulate((one.signed_minor for one in made.entries), initial=opening)
    return Course(
        file=file,
        statement=made.id,
        rows=tuple(one.row for one in made.entries),
        contents=tuple(canonical.encode(one.content()).decode() for one in made.entries),
        balances=tuple(steps),
    )


def repeated(new: Course, others: Iterable[Course], spans: Iterable[tuple[int, int]]) -> frozenset[int]:
    """The places in a statement of the bookings that others hold too. Raises BankEntriesAlike.

    others: statements of the account that hold bookings like its own; spans: (opening, closing) of all that came in.
    """
    found: set[int] = set()
    unplaced: list[Course] = []
    hops = tuple(spans)
    for other in others:
        if not new.balances or not other.balances:
            raise _alike(new, other, "one of the two has no balances")
        ways, apart = _ways(other, new), _apart(other, new, hops)
        if len(ways) > 1 or (ways and ways[0] and apart):
            raise _alike(new, other, "the balances let them be the same bookings and others")
        if _shuffled(other, new):
            raise _alike(new, other, "the balances let them be the same bookings in another order")
        if ways:
            found.update(ways[0])
        elif not apart or _one_in_the_other(other, new):
            unplaced.append(other)
    for other in unplaced:
        known = set(other.contents)
        if any(content in known and place not in found for place, content in enumerate(new.contents)):
            raise _alike(new, other, "by the balances they neither overlap nor follow one another")
    return frozenset(found)


def _ways(old: Course, new: Course) -> list[range]:
    """The ways in which one course goes on in the other, at most two: the places in `new` that both hold, or none."""
    found: list[range] = []
    for start, first, length in _overlaps(old, new):
        if all(old.contents[start + step] == new.contents[first + step] for step in range(length)):
            found.append(range(first, first + length))
            if len(found) == 2:
                break
    return found


def _shuffled(old: Course, new: Course) -> bool:
    """Whether one goes on in the other with the same bookings, between the same balances, in another order."""
    was, now = (tuple(accumulate(map(hash, one.contents), initial=0)) for one in (old, new))
    for start, first, length in _overlaps(old, new):
        if was[start + length] - was[start] == now[first + length] - now[first]:  # else they are not the same bookings
            held, told = old.contents[start : start + length], new.contents[first : first + length]
            if held != told and Counter(held) == Counter(told):
                return True
    return False


def _overlaps(old: Course, new: Course) -> Iterator[tuple[int, int, int]]:
    """(place in old, place in new, bookings) of each way to lay them over one another where their balances meet."""
    for offset in range(-len(new.contents), len(old.contents) + 1):
        start, first = max(0, offset), max(0, -offset)
        if old.balances[start] == new.balances[first]:
            yield start, first, min(len(old.contents) - start, len(new.contents) - first)


def _apart(old: Course, new: Course, hops: Sequence[tuple[int, int]]) -> bool:
    """Whether the end of one is the beginning of the other, or statements that came in lead there."""
    return _leads(old.balances[-1], new.balances[0], hops) or _leads(new.balances[-1], old.balances[0], hops)


def _leads(start: int, goal: int, hops: Sequence[tuple[int, int]]) -> bool:
    onward: dict[int, set[int]] = {}
    for opening, closing in hops:
        onward.setdefault(opening, set()).add(closing)
    reached, waiting = {start}, deque([start])
    while waiting:
        for balance in onward.get(waiting.popleft(), set()) - reached:
            reached.add(balance)
            waiting.append(balance)
    return goal in reached


def _one_in_the_other(old: Course, new: Course) -> bool:
    """Whether all of the shorter one, several bookings, is in the other: the same days in another order."""
    shorter = min(len(old.contents), len(new.contents))
    return shorter > 1 and (Counter(old.contents) & Counter(new.contents)).total() == shorter


def _alike(new: Course, other: Course, why: str) -> BankEntriesAlike:
    known = set(other.contents)
    rows = [row for row, content in zip(new.rows, new.contents, strict=True) if content in known]
    return BankEntriesAlike(
        statement=new.statement,
        count=len(rows),
        row=rows[0],
        file=other.file[:16],
        other=other.statement,
        why=why,
    )
