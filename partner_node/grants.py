"""Grants: what the consent desk lets the vault read, and the gate that the vault asks.

A `Grant` bears a MAC under a secret that lives in one process and is never stored, so a grant that was made elsewhere,
altered, or kept from an earlier run is refused. The gate also answers, for each client, whether consent to the grant's
purpose holds now: default no.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from partner_node import times
from partner_node.database import Database
from partner_node.errors import GrantRefused
from partner_node.tables import ConsentRow
from privacy import canonical

INSPECTION = "inspection"  # in place of a job digest: statistics for this node's own people, no row leaves the vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Leave to read `columns` of `asset` for one job and purpose until `expires`. Only the consent desk makes one."""

    job: str
    purpose: str
    asset: str
    columns: tuple[str, ...]
    expires: str
    mac: bytes

    def signed_part(self) -> bytes:
        return canonical.encode([self.job, self.purpose, self.asset, list(self.columns), self.expires])


def authenticate(secret: bytes, signed_part: bytes) -> bytes:
    """HMAC-SHA256 (RFC 2104) of a grant's content."""
    return hmac.new(secret, b"ecohub/grant/v1\x00" + signed_part, hashlib.sha256).digest()


def consent_until(session: Session, client: bytes, purpose: str, now: datetime) -> str | None:
    """Until when one client's consent to the purpose holds; None where it does not now."""
    query = select(ConsentRow.until).where(
        ConsentRow.client == client,
        ConsentRow.purpose == purpose,
        ConsentRow.withdrawn.is_(None),
        ConsentRow.until > times.to_text(now),
    )
    return session.scalars(query).one_or_none()


class Gate:
    """Checks grants, and tells whose rows a grant covers."""

    def __init__(self, *, secret: bytes, client_key: bytes, database: Database) -> None:
        self._secret = secret
        self._client_key = client_key
        self._database = database

    def check(self, grant: object, asset: str, now: datetime) -> Grant:
        """The grant, if it holds for this asset now. Raises GrantRefused: missing, forged, foreign or expired."""
        if not isinstance(grant, Grant):
            raise GrantRefused(why="there is no grant")
        if not hmac.compare_digest(grant.mac, authenticate(self._secret, grant.signed_part())):
            raise GrantRefused(why="the grant was not made by this node's consent desk")
        if grant.asset != asset:
            raise GrantRefused(why=f"the grant is for {grant.asset}, not {asset}")
        if times.to_text(now) >= grant.expires:
            raise GrantRefused(why=f"the grant expired at {grant.expires}")
        return grant

    def row_keys(self, ids: Sequence[bytes]) -> list[bytes]:
        """HMAC-SHA256 of each normalised id under this node's own key: finds a client again without storing its id."""
        return [hmac.digest(self._client_key, client, "sha256") for client in ids]

    def consents(self, purpose: str, now: datetime) -> dict[bytes, str]:
        """row key -> until, of all clients whose consent to the purpose holds now."""
        query = select(ConsentRow.client, ConsentRow.until).where(
            ConsentRow.purpose == purpose,
            ConsentRow.withdrawn.is_(None),
            ConsentRow.until > times.to_text(now),
        )
        same: dict[str, str] = {}  # many consents end on one day: each text is kept once
        return self._database.read(
            lambda session: {client: same.setdefault(until, until) for client, until in session.execute(query)}
        )
