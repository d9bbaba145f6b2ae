"""What the hub knows of keys that it can't read: who dealt which, who holds a share, what still waits for a holder."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from federation.horizontal import keys, wire
from federation.horizontal.wire import Complaint, Dealing, Dealt
from privacy.ids import Digest, PartnerId
from privacy.packing import Packed


@dataclass(slots=True, kw_only=True)
class _Key:
    """One dealer's one key: who holds a share of it, and who complained instead."""

    public: Digest
    holders: set[PartnerId] = field(default_factory=set)
    complainers: set[PartnerId] = field(default_factory=set)


class Keyring:
    """Keys by (name, dealer), and sealed packets by the holder they wait for."""

    def __init__(self, dealers: Iterable[PartnerId]) -> None:
        self._dealers = frozenset(dealers)
        self._keys: dict[tuple[str, PartnerId], _Key] = {}
        self._packets: dict[PartnerId, list[Dealing]] = {}
        self.job_public = b""  # the public part that all encrypt to, where one dealer deals once

    def needs(self, partner: PartnerId, key: str) -> bool:
        """Whether this partner is to deal this key and has not."""
        return partner in self._dealers and (key, partner) not in self._keys

    def wanting(self, partner: PartnerId, names: Iterable[str]) -> list[str]:
        """Those of the keys that this partner has not dealt."""
        return [name for name in names if self.needs(partner, name)]

    def take(self, dealer: PartnerId, dealt: Dealt) -> None:
        """A dealer's reply: its keys are known, its packets wait for their holders."""
        for name, public in dealt.publics.items():
            self._keys[name, dealer] = _Key(public=wire.sha256(public))
        self.job_public = dealt.publics.get(keys.JOB_KEY, self.job_public)
        for holder, sealed in sorted(dealt.sealed.items()):
            packet = Dealing(dealer=dealer, publics=dealt.publics, sealed=sealed)
            self._packets.setdefault(holder, []).append(packet)

    def waiting(self, holder: PartnerId) -> tuple[Dealing, ...]:
        """Packets that the holder has not confirmed."""
        return tuple(self._packets.get(holder, ()))

    def held(self, holder: PartnerId, packets: Sequence[Dealing], complaints: Sequence[Complaint]) -> None:
        """A holder's reply to these packets."""
        self._packets[holder] = [packet for packet in self._packets.get(holder, ()) if packet not in packets]
        bad = {(one.key, one.dealer) for one in complaints}
        for packet in packets:
            for name in packet.publics:
                known = self._keys.get((name, packet.dealer))
                if known is not None:
                    (known.complainers if (name, packet.dealer) in bad else known.holders).add(holder)

    def public(self, key: str, dealer: PartnerId) -> Digest | None:
        """SHA-256 of the public part a dealer dealt."""
        known = self._keys.get((key, dealer))
        return None if known is None else known.public

    def usable(self, key: str, dealer: PartnerId) -> bool:
        """Dealt, and not out because of complaints."""
        return (key, dealer) in self._keys and dealer not in self.refused(key)

    def refused(self, name: str) -> tuple[PartnerId, ...]:
        """Who is out of the sums under keys of this name because of complaints.

        Honest partners never complain of each other, so every complaint has a wrong partner at one of its ends: whoever
        stands in most of them goes first, until none is left. Of a dealer and a holder with equally many, the dealer.
        """
        edges = {(dealer, h) for (key, dealer), known in self._keys.items() if key == name for h in known.complainers}
        out: list[PartnerId] = []
        while edges:
            dealers = {dealer for dealer, _ in edges}
            ends = {partner for edge in edges for partner in edge}
            worst = min(ends, key=lambda p: (-sum(p in edge for edge in edges), p not in dealers, p))
            out.append(worst)
            edges = {edge for edge in edges if worst not in edge}
        return tuple(sorted(out))

    def holds(self, holder: PartnerId, key: str, dealer: PartnerId) -> bool:
        known = self._keys.get((key, dealer))
        return known is not None and holder in known.holders

    def forget_before(self, slot: str) -> None:
        """Drop what belongs to older slots only."""
        limit = keys.slot_order(slot)

        def over(name: str) -> bool:
            return name != keys.JOB_KEY and keys.slot_order(name) < limit

        self._keys = {pair: key for pair, key in self._keys.items() if not over(pair[0])}
        for holder, packets in self._packets.items():
            self._packets[holder] = [packet for packet in packets if not all(over(name) for name in packet.publics)]

    def state(self) -> dict[str, Packed]:
        """All of it, to be packed."""
        known: list[Packed] = [
            [
                name,
                str(dealer),
                str(key.public),
                [str(p) for p in sorted(key.holders)],
                [str(p) for p in sorted(key.complainers)],
            ]
            for (name, dealer), key in sorted(self._keys.items())
        ]
        packets: list[Packed] = [
            [str(holder), str(packet.dealer), dict(packet.publics.items()), packet.sealed]
            for holder, waiting in sorted(self._packets.items())
            for packet in waiting
        ]
        return {"keys": known, "packets": packets, "job_public": self.job_public}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take `state()`."""
        self._keys, self._packets, self.job_public = {}, {}, state["job_public"]
        for name, dealer, public, holders, complainers in state["keys"]:
            self._keys[name, dealer] = _Key(public=public, holders=set(holders), complainers=set(complainers))
        for holder, dealer, publics, sealed in state["packets"]:
            packet = Dealing(dealer=dealer, publics=dict(publics), sealed=sealed)
            self._packets.setdefault(holder, []).append(packet)
