"""Certificates while they run: what was issued, and renewal before the end by whoever holds the key.

A renewal is asked for over mutual TLS under the certificate that is about to end, for the same key, name and role. The
old certificate runs out by itself, so an answer that is lost leaves nobody outside. Revoking one certificate revokes
every one of the same key (hub.partners.revoke).
"""

from datetime import datetime

from hub import authority, times
from hub.identity import Caller
from hub.records import Head
from hub.services import ANY, OPERATOR, Command, Reply, Services, only, text
from hub.store import Transaction
from privacy import canonical
from privacy.errors import Failure, Kind

NODE = "node"


class OtherKey(Failure):
    code = "RENEWAL_OF_OTHER_KEY"
    kind = Kind.REFUSED
    en = "a renewal is for the key of the certificate that asks for it; for a new key ask the operator"
    zh = "续期仅适用于当前证书对应的密钥；更换密钥请联系运营方"


def listed(services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
    """Every certificate that was issued, by its end; one that ran out says so."""
    only(head)
    found: list[canonical.Value] = []
    for item in sorted(tx.members.certificates(), key=lambda c: (c.not_after, c.name, c.serial)):
        state = "EXPIRED" if item.state == "ACTIVE" and now >= item.not_after else item.state
        line: Head = {"name": item.name, "role": item.role, "serial": item.serial, "state": state}
        dates: Head = {"issued": times.iso(item.issued_at), "expires": times.iso(item.not_after)}
        found.append({**line, **dates, "reason": item.reason})
    return Reply(head={"certificates": found})


def renew(services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
    """A new certificate for the caller's own name, role and key. Raises RequestNotValid, OtherKey."""
    only(head, "csr")
    held = tx.members.certificate(caller.fingerprint)
    assert held is not None, "it was checked at the door"
    request = text(head, "csr", longest=authority.CSR_BYTES_MAX).encode()
    public = authority.parse_request(request, caller.name)
    if authority.key_digest(public) != held.public_key:
        raise OtherKey
    settings = services.settings
    seconds = settings.node_certificate_seconds if caller.role == NODE else settings.person_certificate_seconds
    made = services.authority.issue(public, caller.name, caller.role, now, seconds, services.entropy)
    tx.members.add_certificate(made)
    facts: Head = {"role": made.role, "certificate": made.fingerprint, "renews": held.serial}
    services.log.append(tx, now, "renew", made.name, facts=facts)
    return Reply(head={"certificate": made.pem, "expires": times.iso(made.not_after), "role": made.role})


COMMANDS = {
    "certificates": Command(roles=(OPERATOR,), run=listed, changes=False),
    "renew": Command(roles=(*ANY, NODE), run=renew),
}
