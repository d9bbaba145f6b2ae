"""A partner's side of secure sums, and the rules that make them safe (docs/aggregation.md, rules a-d).

A member deals keys, holds the others' shares, uploads once per key and answers once per slot. It trusts its own plan
(roster, engine, job) and its own keys; all that arrives may have been made by a hub that works with some partners.
Every rule is a method of its own, so that a test can take one out and show the attack that it stops.
"""

import hashlib
from collections.abc import Sequence

from federation.horizontal import keys, wire
from federation.horizontal.errors import (
    CohortChanged,
    CohortInvalid,
    InputNotGiven,
    InputsDiffer,
    KeyDealtBefore,
    KeyMissing,
    KeySpent,
    RowsChanged,
    ShareForeign,
    SlotStale,
    UpdateRefused,
    UploadMalformed,
)
from federation.horizontal.identity import Identity
from federation.horizontal.wire import Answer, Complaint, Dealing, Dealt, Header, Input, SignedHeader, Upload
from privacy import canonical
from privacy.aggregation import Engine, Entropy, Lanes, Roster, Slot
from privacy.errors import Failure
from privacy.ids import Digest, PartnerId


class Member:
    """One partner in one job. `keys` are its durable names (federation.horizontal.keys); nothing else is kept here."""

    def __init__(
        self, roster: Roster, engine: Engine, identity: Identity, store: keys.Store, job: Digest, entropy: Entropy
    ) -> None:
        roster.place(identity.me)
        self.roster = roster
        self.engine = engine
        self.me = identity.me
        self.job = job
        self._identity = identity
        self._store = store
        self._entropy = entropy

    # --- deal ---------------------------------------------------------------------------------------------------------

    def deal(self, key_names: Sequence[str]) -> Dealt:
        """Make these keys, keep each secret and the own share, and seal the other partners' shares of all of them.

        A key that is asked for again before anything was hidden under it is made anew, and the earlier one is gone: the
        reply may have been lost. Raises KeyDealtBefore, SlotStale, ShareForeign for keys this engine has no use for.
        """
        self._check_deal(key_names)
        publics: dict[str, bytes] = {}
        shares: dict[PartnerId, dict[str, bytes]] = {partner: {} for partner in self.roster.partners}
        for key in key_names:
            dealing = self.engine.deal(self.me, self._entropy)
            publics[key] = dealing.public
            self._store[keys.own(key)] = _tagged(dealing.public, dealing.secret)
            for partner, share in dealing.shares.items():
                shares[partner][key] = share
        for key, share in shares.pop(self.me).items():
            self._keep(self.me, key, publics[key], share)
        sealed = {
            partner: self._identity.seal(
                partner, wire.encode_shares(parts), wire.share_header(self.job, self.me, partner, publics)
            )
            for partner, parts in shares.items()
        }
        return Dealt(publics=publics, sealed=sealed)

    def _check_deal(self, key_names: Sequence[str]) -> None:
        for key in key_names:
            if self.me not in self.engine.dealers or (key == keys.JOB_KEY) == self.engine.every_slot:
                raise ShareForeign(dealer=self.me, key=key, why=f"{self.engine.name} has no such key of this partner")
            if key != keys.JOB_KEY:
                self._check_new(key)
            elif keys.own(key) in self._store and keys.LATEST in self._store:
                raise KeyDealtBefore(partner=self.me, key=key)

    # --- hold ---------------------------------------------------------------------------------------------------------

    def hold(self, dealings: Sequence[Dealing]) -> tuple[Complaint, ...]:
        """Check and keep the shares sealed for this member; what is refused is complained about by dealer and key."""
        complaints: list[Complaint] = []
        for dealing in dealings:
            try:
                shares = self._open_shares(dealing)
            except Failure as failure:
                complaints += [Complaint(dealer=dealing.dealer, key=key, code=failure.code) for key in dealing.publics]
                continue
            for key, public in dealing.publics.items():
                try:
                    self._hold(dealing.dealer, key, public, shares[key])
                except Failure as failure:
                    complaints.append(Complaint(dealer=dealing.dealer, key=key, code=failure.code))
        return tuple(complaints)

    def _open_shares(self, dealing: Dealing) -> dict[str, bytes]:
        """Rule d: the packet opens only under job, dealer, holder and every key with its public part."""
        if dealing.dealer == self.me or dealing.dealer not in self.engine.dealers:
            raise ShareForeign(dealer=dealing.dealer, key="-", why="it deals no key here")
        header = wire.share_header(self.job, dealing.dealer, self.me, dealing.publics)
        shares = wire.decode_shares(self._identity.open(dealing.dealer, dealing.sealed, header))
        if set(shares) != set(dealing.publics):
            raise ShareForeign(dealer=dealing.dealer, key="-", why="its shares are not those of its keys")
        return shares

    def _hold(self, dealer: PartnerId, key: str, public: bytes, share: bytes) -> None:
        if (key == keys.JOB_KEY) == self.engine.every_slot:
            raise ShareForeign(dealer=dealer, key=key, why=f"{self.engine.name} has no such key")
        if key != keys.JOB_KEY and not self._is_new(key):
            return  # prepared for a slot that is over: neither kept nor anybody's fault
        held = self._store.get(keys.share(key, dealer))
        if held is not None and held[: keys.DIGEST_BYTES] != _digest(public):
            raise ShareForeign(dealer=dealer, key=key, why="another key was dealt under this name")
        self.engine.accept(dealer, self.me, public, share)
        self._keep(dealer, key, public, share)

    def _keep(self, dealer: PartnerId, key: str, public: bytes, share: bytes) -> None:
        self._store[keys.share(key, dealer)] = _tagged(public, share)
        if key == keys.JOB_KEY:
            self._store[keys.public(key)] = public

    # --- upload -------------------------------------------------------------------------------------------------------

    def take(self, slot: Slot, given: Input) -> None:
        """Note what this member is given in a slot, before it computes on it. What older slots kept is removed.

        Raises SlotStale for an older slot, or for other input in the same one.
        """
        name = keys.slot_name(slot)
        assert slot.job == self.job
        noted = canonical.encode({"input": given.digest, "content": given.content, "body": given.body})
        if self._store.get(keys.given(name)) == noted:
            return
        self._check_new(name)
        for old in keys.older(self._store, name):
            del self._store[old]
        self._store[keys.LATEST] = name.encode()
        self._store[keys.given(name)] = noted

    def check_key(self, slot: Slot) -> None:
        """Raises KeyMissing, KeySpent unless this member can upload in a slot: nothing need be computed then."""
        self._upload_key(keys.slot_name(slot))

    def close(self, slot: Slot) -> None:
        """No upload in this slot, whatever comes: its own key is removed."""
        name = keys.slot_name(slot)
        self._store.pop(keys.own(name), None)
        self._store[keys.uploaded(name)] = b""

    def upload(self, slot: Slot, lanes: Lanes, noisy: bool = False) -> Upload:
        """Hide lanes under this slot's own key, which is removed: two uploads under one key would show a difference.

        noisy: fresh noise is in them, so they differ every time. Raises InputNotGiven, KeyMissing, KeySpent,
        RowsChanged, UpdateRefused for lanes outside the engine's range.
        """
        name = keys.slot_name(slot)
        given = self._given(slot)
        self._check_lanes(lanes)
        public, secret = self._upload_key(name)
        if not noisy:
            self._check_same_lanes(name, given, lanes)
        ciphertext = self.engine.encrypt(secret, lanes, slot, self.me, self._entropy)
        header = Header(
            slot=slot,
            partner=self.me,
            input=given.digest,
            count=len(lanes),
            public=public,
            ciphertext=wire.sha256(ciphertext),
        ).encode()
        signed = SignedHeader(data=header, signature=self._identity.sign(wire.UPLOAD_LABEL + header))
        self._spend_own(name)
        self._store[keys.uploaded(name)] = signed.digest
        return Upload(header=signed, ciphertext=ciphertext)

    def _check_lanes(self, lanes: Lanes) -> None:
        """Rule g: every lane inside its bits, so that none can flow into the sum of another."""
        if lanes.ndim != 1 or not 0 < len(lanes) <= wire.LANES_MAX or lanes.dtype != "int64":
            raise UpdateRefused(why="a vector of whole numbers is expected")
        if int(lanes.min()) < 0 or int(lanes.max()) >> self.engine.value_bits:
            raise UpdateRefused(why=f"a value outside its {self.engine.value_bits} bits")

    def _check_same_lanes(self, name: str, given: Input, lanes: Lanes) -> None:
        """Exact sums over the same weights are of the same rows: what a consent took away between them would show."""
        digest = hashlib.sha256(lanes.astype("<i8").tobytes()).digest()
        if self._store.setdefault(keys.lanes(given.body), digest) != digest:
            raise RowsChanged(slot=name)

    def _upload_key(self, name: str) -> tuple[Digest, bytes]:
        """(digest of the public part, what to encrypt under)."""
        if keys.uploaded(name) in self._store:
            raise KeySpent(slot=name, partner=self.me)
        if not self.engine.every_slot:
            public = self._store.get(keys.public(keys.JOB_KEY))
            if public is None:
                raise KeyMissing(what="key", partner=", ".join(self.engine.dealers), key=keys.JOB_KEY)
            return wire.sha256(public), public
        own = self._store.get(keys.own(name))
        if own is None:
            raise KeyMissing(what="key", partner=self.me, key=name)
        return Digest(own[: keys.DIGEST_BYTES].hex()), own[keys.DIGEST_BYTES :]

    def _spend_own(self, name: str) -> None:
        if self.engine.every_slot:
            del self._store[keys.own(name)]

    # --- answer -------------------------------------------------------------------------------------------------------

    def answer(self, slot: Slot, headers: Sequence[SignedHeader], bodies: Sequence[bytes] = ()) -> Answer:
        """This member's one answer in a slot, for the cohort of these signed uploads.

        bodies: the cohort's ciphertexts in the same order, for an engine that answers over the encrypted sum.
        Raises SlotStale, InputNotGiven, CohortInvalid, BadSignature, InputsDiffer, KeySpent, CohortChanged, KeyMissing,
        ShareForeign, UploadMalformed, CiphertextMalformed; nothing is spent then.
        """
        name, given = keys.slot_name(slot), self._given(slot)
        cohort = self._read_cohort(slot, headers)
        self._check_cohort(name, cohort)
        self._check_inputs(name, given, cohort)
        self._check_own(name, headers, cohort)
        self._check_unused(name, cohort)
        self._check_same_cohort(given, cohort)
        shares = self._shares(name, cohort)
        total = self._total(cohort, bodies) if self.engine.answers_total else b""
        made = self.engine.answer(shares, total)
        self._spend(name, given, headers, cohort)
        signature = self._identity.sign(wire.answer_message(slot, self.me, wire.cohort_digest(headers), made))
        return Answer(answer=made, signature=signature)

    def _read_cohort(self, slot: Slot, headers: Sequence[SignedHeader]) -> list[Header]:
        """Headers that their partners signed for this very slot of this job."""
        cohort = []
        for signed in headers:
            header = signed.read()
            if header.partner not in self.roster.partners:
                raise CohortInvalid(slot=keys.slot_name(slot), why=f"{header.partner} is not of the roster")
            self._identity.verify(header.partner, signed.signature, signed.message)
            self._check_slot(slot, header)
            cohort.append(header)
        return cohort

    def _check_slot(self, slot: Slot, header: Header) -> None:
        """Rule b: a key belongs to one job, round and attempt, as its owner signed."""
        if header.slot != slot:
            raise CohortInvalid(slot=keys.slot_name(slot), why=f"{header.partner}'s upload is of another round or run")

    def _check_cohort(self, name: str, cohort: Sequence[Header]) -> None:
        """Rule c: each partner once, enough of them, vectors of one length."""
        partners = [header.partner for header in cohort]
        if len(set(partners)) != len(partners):
            raise CohortInvalid(slot=name, why="a partner stands in it twice")
        if len(partners) < self.roster.minimum:
            raise CohortInvalid(slot=name, why=f"it has {len(partners)} partners, at least {self.roster.minimum} hide")
        if len({header.count for header in cohort}) != 1:
            raise CohortInvalid(slot=name, why="its vectors differ in length")

    def _check_inputs(self, name: str, given: Input, cohort: Sequence[Header]) -> None:
        """Rule a: all were given what this member was given."""
        for header in cohort:
            if header.input != given.digest:
                raise InputsDiffer(slot=name, partner=header.partner)

    def _check_own(self, name: str, headers: Sequence[SignedHeader], cohort: Sequence[Header]) -> None:
        """The upload in this member's own name is the one it made."""
        for signed, header in zip(headers, cohort, strict=True):
            if header.partner == self.me and self._store.get(keys.uploaded(name)) != signed.digest:
                raise CohortInvalid(slot=name, why="the upload in this node's name is not its own")

    def _check_unused(self, name: str, cohort: Sequence[Header]) -> None:
        """Rule b: no key is opened twice."""
        for header in cohort:
            if keys.used(name, header.partner) in self._store:
                raise KeySpent(slot=name, partner=header.partner)

    def _check_same_cohort(self, given: Input, cohort: Sequence[Header]) -> None:
        """Decision 0004: sums over the same weights are opened for the same partners only."""
        before = self._store.get(keys.answered(given.body))
        if before is not None and before != wire.names_digest([header.partner for header in cohort]):
            raise CohortChanged

    def _shares(self, name: str, cohort: Sequence[Header]) -> list[bytes]:
        """The cohort's shares (or the one of the job's key), each of the key that its owner uploaded under."""
        if not self.engine.every_slot:
            dealers = {header.public: self.engine.dealers[0] for header in cohort}
            return [self._share(keys.JOB_KEY, dealer, public) for public, dealer in dealers.items()]
        return [self._share(name, header.partner, header.public) for header in cohort]

    def _share(self, key: str, dealer: PartnerId, public: Digest) -> bytes:
        held = self._store.get(keys.share(key, dealer))
        if held is None:
            raise KeyMissing(what="share", partner=dealer, key=key)
        if held[: keys.DIGEST_BYTES].hex() != public:
            raise ShareForeign(dealer=dealer, key=key, why="the upload is under another key than the share held here")
        return held[keys.DIGEST_BYTES :]

    def _total(self, cohort: Sequence[Header], bodies: Sequence[bytes]) -> bytes:
        if len(bodies) != len(cohort):
            raise CohortInvalid(slot=keys.slot_name(cohort[0].slot), why="its uploads are not all here")
        public = self._store[keys.public(keys.JOB_KEY)]  # `_shares` saw that all uploads are under it
        adder = self.engine.adder(cohort[0].count, cohort[0].slot, public)
        for header, body in zip(cohort, bodies, strict=True):
            if wire.sha256(body) != header.ciphertext:
                name = keys.slot_name(header.slot)
                raise UploadMalformed(partner=header.partner, slot=name, why="its bytes are not those it signed")
            adder.add(body, header.partner)
        return adder.total()

    def _spend(self, name: str, given: Input, headers: Sequence[SignedHeader], cohort: Sequence[Header]) -> None:
        """Before the answer leaves: every key of the slot counts as used here, and its shares are gone."""
        mark = wire.cohort_digest(headers)
        for partner in self.roster.partners:
            self._store[keys.used(name, partner)] = mark
            self._store.pop(keys.share(name, partner), None)
        self._store.pop(keys.own(name), None)
        self._store[keys.answered(given.body)] = wire.names_digest([header.partner for header in cohort])

    # --- slots --------------------------------------------------------------------------------------------------------

    def _given(self, slot: Slot) -> Input:
        name = keys.slot_name(slot)
        if not self._is_new(name) and self._latest() != name:
            raise SlotStale(latest=self._latest(), slot=name)
        noted = self._store.get(keys.given(name))
        if noted is None:
            raise InputNotGiven(slot=name)
        value = canonical.decode(noted)
        assert isinstance(value, dict), "written by take"
        digest, content, body = (Digest(str(value[name])) for name in ("input", "content", "body"))
        return Input(digest=digest, content=content, body=body)

    def _latest(self) -> str:
        return self._store.get(keys.LATEST, b"").decode()

    def _is_new(self, name: str) -> bool:
        latest = self._latest()
        return not latest or keys.slot_order(name) > keys.slot_order(latest)

    def _check_new(self, name: str) -> None:
        if not self._is_new(name):
            raise SlotStale(latest=self._latest(), slot=name)


def _digest(public: bytes) -> bytes:
    return hashlib.sha256(public).digest()


def _tagged(public: bytes, secret: bytes) -> bytes:
    return _digest(public) + secret
