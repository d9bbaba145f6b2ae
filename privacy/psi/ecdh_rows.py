"""Mode `rows` by Diffie-Hellman: which of its own clients a leader shares with a follower, for one side or for both.

leader   → follower   { H(x)^a }   shuffled
follower → leader     { H(y)^b }   shuffled
follower → leader     { H(x)^ab }  in the order received: the leader keeps its clients that are among { H(y)^ba }
leader   → follower   with `both`: where in the follower's own shuffled list the shared clients stand, ascending

The lists are those of `align` with one follower (`privacy.psi.ecdh`); the leader learns no more than there. What it
tells has one length whatever is shared (`privacy.psi.row_list`), and says nothing but which clients, since places
ascend. Below the minimum the leader's software shows no rows and tells none; the follower's refuses fewer.

Who may deviate: nobody but for what is caught, points that are no group elements, points twice, other counts than
committed, places out of the list. A follower that returns points in another order, unseen, makes the leader take other
clients for the shared ones; a leader that lies about places gives the follower wrong rows. The engine `oprf`, in which
each side finds its rows itself, has neither.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from privacy.psi import row_list
from privacy.psi.ecdh import Follower, Leader
from privacy.psi.errors import BadRows
from privacy.psi.values import Outcome, Outgoing, Rows, RowsResult
from privacy.psi.wire import Listing

_PLACE_BYTES = row_list.HEAD_BYTES
_NO_ROWS: Rows = np.empty(0, np.int64)


class RowsLeader(Leader):
    """Learns which of its clients the follower has."""

    def _conclude(self) -> list[Outgoing]:
        (peer,) = self.setup.peers
        positions = self._positions(peer)
        rows: Rows = np.flatnonzero(positions >= 0).astype(np.int64)
        below = len(rows) < self.setup.minimum
        self.state.result = _ended(Outcome.BELOW_MINIMUM) if below else _ended(Outcome.SHARED, rows)
        return self._tell(peer, _NO_ROWS if below else np.sort(positions[rows]), below) if self.setup.both else []

    def _tell(self, peer: str, places: Rows, below: bool) -> list[Outgoing]:
        form = _places(self.setup.counts)
        packed = [place.to_bytes(_PLACE_BYTES, "big") for place in places.tolist()]
        return self._send(peer, form, row_list.pack(form, packed, below=below))


class RowsFollower(Follower):
    """Lets the leader see which of the leader's clients it has; with `both` it is told which of its own they are."""

    def _listings(self, peer: str) -> tuple[Listing, ...]:
        masked = self._points("leader-masked", peer)
        return (masked, _places(self.setup.counts)) if self.setup.both else (masked,)

    def _advance(self, peer: str, listing: Listing) -> list[Outgoing]:
        if listing.phase != "leader-masked":
            self.state.result = self._read(peer, self._list(peer, listing))
            return []
        self._distinct(peer, listing)
        out = self._answer(peer, self._list(peer, listing))
        if not self.setup.both:
            self.state.result = _ended(Outcome.NOT_ENTITLED)
        return out

    def _read(self, leader: str, records: Sequence[bytes]) -> RowsResult:
        told = row_list.unpack(records, self.setup.minimum, leader)
        if told is None:
            return _ended(Outcome.BELOW_MINIMUM)
        places = [int.from_bytes(row, "big") for row in told]
        if any(low >= high for low, high in pairwise(places)) or any(place >= len(self._ids) for place in places):
            raise BadRows(sender=leader, why="places do not ascend, or are out of range")
        return _ended(Outcome.SHARED, np.sort(self._order(leader)[np.array(places, np.int64)]))


def _places(counts: Mapping[str, int]) -> Listing:
    return row_list.listing(counts, _PLACE_BYTES)


def _ended(outcome: Outcome, rows: Rows = _NO_ROWS) -> RowsResult:
    return RowsResult(outcome=outcome, rows=rows)
