"""Payment details: where a partner is paid, and from where the payer pays. Four eyes: one proposes, another approves.

Whoever changes an account number alone would redirect a payment. So details are a value with a digest, which both
people see and which each order names; an account that was active is replaced, never changed.
"""

import re
from datetime import datetime

from hub import bank_values, times
from hub.identity import Caller
from hub.payment_errors import (
    BankFileInvalid,
    FourEyes,
    PaymentDetailsInvalid,
    PaymentDetailsMissing,
    PaymentDetailsUnknown,
    ReviewOver,
)
from hub.records import Head
from hub.services import Reply, Services, only, text
from hub.store import Transaction
from hub.store_payments import ACTIVE, PROPOSED, REFUSED, Details, PaymentStore
from privacy import canonical
from privacy.ids import parse_partner_id
from privacy.printable import is_printable
from revenue_share.money import DECIMALS

LABEL = "ecohub/payment-details/v1"
FIELDS = ("partner", "currency", "name", "account", "bic", "clearing")
CERTIFICATE = "certificate"  # the fingerprint of the proposer's, in what is kept of a proposal
NAME_MAX = 140  # ISO 20022 Max140Text
_BIC = re.compile(r"[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?", re.ASCII)
_CLEARING = re.compile(r"([A-Z]{3,5}):([A-Z0-9]{1,34})", re.ASCII)  # "CNAPS:102100099996"


def propose(services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
    """One person of finance enters details; the same by the same person at the same instant are the same.

    Raises PaymentDetailsInvalid.
    """
    only(head, *FIELDS)
    body: Head = {
        **read(head),
        "kind": "payment-details",
        "person": caller.name,
        CERTIFICATE: caller.fingerprint,
        "time": times.iso(now),
    }
    if tx.members.partner(str(body["partner"])) is None:
        raise PaymentDetailsInvalid(field="partner", why=f"{body['partner']} is no partner of this alliance")
    made = Details(
        digest=canonical.digest(LABEL, body).hex(),
        partner=parse_partner_id(body["partner"]),
        currency=str(body["currency"]),
        body=body,
        state=PROPOSED,
        proposed_by=caller.name,
        proposed_at=now,
    )
    books = PaymentStore(tx.session)
    if (known := books.find_details(made.digest)) is not None:
        return Reply(head=value(known))
    books.add_details(made)
    services.log.append(tx, now, "payment.details", made.digest, facts={"state": PROPOSED})
    return Reply(head=value(made))


def decide(services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
    """Another person approves exactly this digest, or refuses it; approved, it replaces the one before.

    Raises PaymentDetailsUnknown, ReviewOver, FourEyes.
    """
    only(head, "digest", "decision")
    books = PaymentStore(tx.session)
    prefix, decision = text(head, "digest", longest=64), text(head, "decision", longest=10)
    made = books.find_details(prefix)
    if made is None:
        raise PaymentDetailsUnknown(digest=prefix)
    if made.state != PROPOSED:
        raise ReviewOver(what=made.digest[:16], state=made.state)
    require_another(caller, made.proposed_by, made.body.get(CERTIFICATE))
    if decision not in ("approve", "refuse"):
        raise PaymentDetailsInvalid(field="decision", why="approve or refuse is expected")
    state = ACTIVE if decision == "approve" else REFUSED
    books.decide_details(made, state, caller.name, now)
    services.log.append(tx, now, "payment.details", made.digest, facts={"state": state, **by(caller)})
    decided = books.find_details(made.digest)
    assert decided is not None, "details that were decided are there"
    return Reply(head=value(decided))


def show(services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
    """All details with who proposed and decided them; of one partner where given."""
    only(head, "partner")
    partner = parse_partner_id(head["partner"]) if head.get("partner") else None
    return Reply(head={"details": [value(one) for one in PaymentStore(tx.session).details(partner=partner)]})


def require_another(caller: Caller, proposer: str, certificate: object) -> None:
    """Raises FourEyes where the caller has the proposer's name, or the proposer's certificate under another name."""
    if caller.name == proposer or caller.fingerprint == certificate:
        raise FourEyes(person=proposer)


def by(caller: Caller) -> Head:
    """Who decided, as the log keeps it."""
    return {"person": caller.name, CERTIFICATE: caller.fingerprint}


def active(tx: Transaction, wanted: frozenset[tuple[str, str]], *, required: bool) -> dict[tuple[str, str], Details]:
    """The approved details by (partner, currency). Raises PaymentDetailsMissing, naming all, if required."""
    books = PaymentStore(tx.session)
    found = {key: one for key in sorted(wanted) if (one := books.active_details(*key)) is not None}
    missing = [f"{partner} ({currency})" for partner, currency in sorted(wanted - found.keys())]
    if required and missing:
        raise PaymentDetailsMissing(missing=", ".join(missing))
    return found


def read(head: Head) -> Head:
    """The details of a head, checked. Raises PaymentDetailsInvalid, MalformedIdentifier."""
    partner, currency = parse_partner_id(head.get("partner")), _text(head, "currency")
    if currency not in DECIMALS:
        raise PaymentDetailsInvalid(field="currency", why=f"one of {', '.join(sorted(DECIMALS))} is expected")
    name = " ".join(_text(head, "name").split())
    if not 0 < len(name) <= NAME_MAX or not is_printable(name):
        raise PaymentDetailsInvalid(field="name", why=f"the account's name in 1-{NAME_MAX} characters is expected")
    try:
        account = bank_values.account(_text(head, "account"))
    except BankFileInvalid as failure:
        raise PaymentDetailsInvalid(field="account", why=str(failure.facts["why"])) from None
    bic, clearing = _text(head, "bic").upper(), _text(head, "clearing").upper()
    if bic and _BIC.fullmatch(bic) is None:
        raise PaymentDetailsInvalid(field="bic", why="8 or 11 characters of ISO 9362 are expected")
    if clearing and _CLEARING.fullmatch(clearing) is None:
        raise PaymentDetailsInvalid(field="clearing", why="SYSTEM:MEMBER is expected, such as CNAPS:102100099996")
    if not bic and not clearing:
        raise PaymentDetailsInvalid(field="bic", why="the bank's BIC or clearing id is expected")
    return {
        "partner": partner,
        "currency": currency,
        "name": name,
        "account": account,
        "bic": bic,
        "clearing": clearing,
    }


def value(made: Details) -> Head:
    """Details as they are shown."""
    return {
        **{name: made.body[name] for name in FIELDS},
        "digest": made.digest,
        "state": made.state,
        "proposed_by": made.proposed_by,
        "proposed": times.iso(made.proposed_at),
        "decided_by": made.decided_by,
        "decided": times.iso(made.decided_at) if made.decided_at else None,
    }


def _text(head: Head, name: str) -> str:
    given = head.get(name) or ""
    if not isinstance(given, str) or len(given) > 200:
        raise PaymentDetailsInvalid(field=name, why="a text is expected")
    return given.strip()
