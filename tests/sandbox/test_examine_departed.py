"""A partner that left without its part of trust.toml, and a chain that is not the sandbox chain."""

from dataclasses import replace

from ecowire import documents, evidence
from privacy import canonical
from sandbox.examine.run import Report, examine
from tests.sandbox import small_alliance as small
from tests.sandbox.small_alliance import Books

DEPARTED = small._party("gone")


def with_job(books: Books, left: small.Party) -> dict[str, bytes]:
    """The month's entries with a match that a partner approved together with the payer; its card is there."""
    body: small.Object = {"parties": [small.PAYER.public, left.public], "purpose": "count"}
    digest = documents.digest("match", body)
    said: small.Object = {"proposal": digest, "kind": "match", "decision": "approve"}
    approvals = [party.sign("approval", said) for party in (small.PAYER, left)]
    card = left.sign("card", {**left.public, "name": "left"})
    for kind, found in (("match", digest), *(("approval", approval.digest) for approval in approvals)):
        leaf: small.Object = {"index": len(books.leaves), "kind": kind, "subject": kind, "digest": found}
        books.leaves.append({**leaf, "facts": {}, "time": "x"})
    listed = [approval.to_value() for approval in approvals]
    job: small.Object = {"kind": "match", "body": body, "state": "COMPLETED", "approvals": [*listed]}
    made = {f"proposals/{digest}.json": canonical.encode(job), f"cards/{left.id}.json": card.encode()}
    return {**books.entries(), **made}


def report_of(entries: dict[str, bytes], books: Books) -> Report:
    return examine(evidence.write(entries, alliance=small.ALLIANCE, period=small.PERIOD), small.trust(books))


def codes(report: Report) -> set[str]:
    return {finding.code for finding in report.findings}


def test_a_departed_partner_without_a_part_is_a_warning_that_says_what_is_not_verified() -> None:
    books = small.settled_month()
    report = report_of(with_job(books, DEPARTED), books)
    (found,) = [finding for finding in report.findings if finding.code == "PARTNER_NOT_VERIFIED"]
    assert found.severity == "warning"
    assert "gone" in found.en
    assert "1 approval" in found.en
    assert not codes(report) & {"SIGNER_UNKNOWN", "APPROVAL_MISSING"}


def test_a_departed_partner_that_never_answered_still_lacks_its_approval() -> None:
    books = small.settled_month()
    entries = with_job(books, DEPARTED)
    (name,) = [name for name in entries if name.startswith("proposals/") and b'"kind":"match"' in entries[name]]
    job = canonical.decode(entries[name])
    assert isinstance(job, dict)
    assert isinstance(job["approvals"], list)
    entries[name] = canonical.encode({**job, "approvals": job["approvals"][:1]})
    assert "APPROVAL_MISSING" in codes(report_of(entries, books))


def test_a_party_of_a_statement_without_a_part_is_an_error() -> None:
    books = small.settled_month()
    said = small.trust(books)
    alone = replace(said, signers={small.PAYER.id: said.signers[small.PAYER.id]})
    entries = with_job(books, small.REFERRER)
    report = examine(evidence.write(entries, alliance=small.ALLIANCE, period=small.PERIOD), alone)
    assert "SIGNER_UNKNOWN" in codes(report)
    assert "PARTNER_NOT_VERIFIED" not in codes(report)


def test_a_signer_of_whom_the_bundle_has_no_card_is_an_error() -> None:
    books = small.settled_month()
    entries = with_job(books, DEPARTED)
    del entries[f"cards/{DEPARTED.id}.json"]
    assert "SIGNER_UNKNOWN" in codes(report_of(entries, books))


def test_another_chain_than_the_sandbox_chain_is_named_as_not_examined() -> None:
    books = small.settled_month()
    entries = books.entries()
    del entries["chain/genesis.json"]
    report = report_of(entries, books)
    assert "CHAIN_NOT_EXAMINED" in codes(report)
    assert "CHAIN_OTHER_GENESIS" not in codes(report)
    assert not report.clean
