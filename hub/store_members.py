"""Repository of identities: certificates, invites, partners and their published assets."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, select, update

from ecowire import documents
from hub.records import Certificate, Invite, Partner
from hub.store_unit import Repository
from hub.tables import AssetsRow, CertificateRow, InviteRow, PartnerRow
from privacy.ids import PartnerId

_columns = CertificateRow.__table__.columns
CERTIFICATE = select(*_columns).where(_columns.fingerprint == bindparam("fingerprint"))  # asked at every message


class MemberStore(Repository):
    """Who may speak here."""

    def certificate(self, fingerprint: str) -> Certificate | None:
        found = self._connection.execute(CERTIFICATE, {"fingerprint": fingerprint}).one_or_none()
        return _certificate(found) if found else None

    def certificates(self, name: str | None = None, serial: str | None = None) -> tuple[Certificate, ...]:
        """Certificates, oldest first; of one holder or with one serial where given."""
        query = select(CertificateRow).order_by(CertificateRow.issued_at, CertificateRow.fingerprint)
        if name is not None:
            query = query.where(CertificateRow.name == name)
        if serial is not None:
            query = query.where(CertificateRow.serial == serial)
        return tuple(_certificate(row) for row in self._session.scalars(query))

    def add_certificate(self, certificate: Certificate) -> None:
        self._session.add(CertificateRow(**asdict(certificate)))
        self._session.flush()

    def revoke_certificate(self, fingerprint: str, reason: str) -> None:
        row = self._session.get_one(CertificateRow, fingerprint)
        row.state, row.reason = "REVOKED", reason
        self._session.flush()

    def invite(self, code_hash: str) -> Invite | None:
        row = self._session.get(InviteRow, code_hash)
        return _invite(row) if row else None

    def add_invite(self, invite: Invite) -> None:
        self._session.add(InviteRow(**asdict(invite)))
        self._session.flush()

    def use_invite(self, code_hash: str, now: datetime, key: str, certificate: str) -> None:
        """Mark an invite as used. The condition in the statement makes it one-time in the database too."""
        statement = (
            update(InviteRow)
            .where(InviteRow.code_hash == code_hash, InviteRow.used_at.is_(None))
            .values(used_at=now, used_key=key, certificate=certificate)
        )
        changed = self._session.execute(statement).rowcount  # type: ignore[attr-defined]
        assert changed == 1, "an invite was used twice"

    def partner(self, partner: str) -> Partner | None:
        row = self._session.get(PartnerRow, partner)
        return _partner(row) if row else None

    def partners(self) -> tuple[Partner, ...]:
        """All partners by id."""
        return tuple(_partner(row) for row in self._session.scalars(select(PartnerRow).order_by(PartnerRow.id)))

    def put_partner(self, partner: Partner) -> None:
        """Add a partner, or replace its card at a new enrolment."""
        self._session.merge(
            PartnerRow(
                id=partner.id,
                name=partner.name,
                signing=partner.signing,
                sealing=partner.sealing,
                chain=partner.chain,
                card=partner.card.encode().decode(),
                state=partner.state,
                enrolled_at=partner.enrolled_at,
            )
        )
        self._session.flush()

    def set_partner_state(self, partner: str, state: str) -> None:
        self._session.get_one(PartnerRow, partner).state = state
        self._session.flush()

    def assets(self, partner: str) -> documents.Signed | None:
        """The partner's latest signed list of assets."""
        row = self._session.get(AssetsRow, partner)
        return documents.decode(row.document.encode()) if row else None

    def put_assets(self, document: documents.Signed, now: datetime) -> None:
        text = document.encode().decode()
        row = AssetsRow(partner=document.signer, digest=document.digest, document=text, published_at=now)
        self._session.merge(row)
        self._session.flush()


def _certificate(row: CertificateRow | Row[Any]) -> Certificate:
    return Certificate(
        fingerprint=row.fingerprint,
        serial=row.serial,
        name=row.name,
        role=row.role,
        public_key=row.public_key,
        pem=row.pem,
        issued_at=row.issued_at,
        not_after=row.not_after,
        state=row.state,
        reason=row.reason,
    )


def _invite(row: InviteRow) -> Invite:
    return Invite(
        code_hash=row.code_hash,
        partner=PartnerId(row.partner),
        created_at=row.created_at,
        expires_at=row.expires_at,
        used_at=row.used_at,
        used_key=row.used_key,
        certificate=row.certificate,
    )


def _partner(row: PartnerRow) -> Partner:
    return Partner(
        id=PartnerId(row.id),
        name=row.name,
        signing=row.signing,
        sealing=row.sealing,
        chain=row.chain,
        card=documents.decode(row.card.encode(), kind="card"),
        state=row.state,
        enrolled_at=row.enrolled_at,
    )
