"""Receipts of contributions in a bundle: what does not follow from the recorded errors, or is missing, is a finding."""

import copy
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from ecowire import documents
from federation.plan import TrainingPlan
from federation.vertical import LabelResult, receipt
from privacy import canonical
from tests.federation.alliance import body, pump, synthetic
from tests.federation.test_vertical_trees import tree_body
from tests.sandbox import small_alliance as small
from tests.sandbox.small_alliance import Books
from tests.sandbox.test_examine_departed import codes, report_of

Change = Callable[[Any], None]


@cache
def ran(model: str = "moments") -> tuple[Any, Any, Any]:
    """(the plan's body, the label holder's record, the receipt's body) of a run of the small alliance."""
    tables, columns = synthetic(700)
    make = {"moments": body, "trees": tree_body}[model]
    proposal = make({name: columns[name] for name in ("broker", "platform")}, contribution=True)
    for party in proposal["parties"]:
        party |= {small.PAYER.id: small.PAYER, small.REFERRER.id: small.REFERRER}[party["partner"]].public
    plan = TrainingPlan.from_body(proposal)
    result = pump(plan, tables)["broker"].result()
    assert isinstance(result, LabelResult)
    return proposal, result.record(), receipt.body(plan, result, "2026-11-22T00:00:00+00:00")


def with_run(
    books: Books, change: Change | None = None, signer: small.Party = small.PAYER, model: str = "moments"
) -> dict[str, bytes]:
    """The month's entries with the run, its approvals, the label holder's result and the receipt."""
    proposal, record, given = copy.deepcopy(ran(model))
    digest = documents.digest("train", proposal)
    if change is not None:
        change(given)
    said: small.Object = {"proposal": digest, "kind": "train", "decision": "approve"}
    approvals = [party.sign("approval", said) for party in (small.PAYER, small.REFERRER)]
    result = small.PAYER.sign("train-result", {"job": digest, "record": record, "role": "label_holder"})
    kept = [result, signer.sign("contribution", given)]
    logged = [("train", digest), *((one.kind, one.digest) for one in (*approvals, *kept))]
    for kind, found in logged:
        leaf: small.Object = {"index": len(books.leaves), "kind": kind, "subject": kind, "digest": found}
        books.leaves.append({**leaf, "facts": {}, "time": "x"})
    listed: list[canonical.Value] = [approval.to_value() for approval in approvals]
    job: small.Object = {"kind": "train", "body": proposal, "state": "COMPLETED", "approvals": listed}
    made = {f"documents/{one.digest}.json": one.encode() for one in kept}
    return {**books.entries(), **made, f"proposals/{digest}.json": canonical.encode(job)}


@pytest.mark.parametrize("model", ["moments", "trees"])
def test_a_receipt_that_holds_is_counted(model: str) -> None:
    books = small.settled_month()
    report = report_of(with_run(books, model=model), books)
    assert not codes(report) & {"CONTRIBUTION_DIFFERS", "CONTRIBUTION_MISSING", "CHECK_STOPPED", "NOT_LOGGED"}
    assert report.held["contributions"] == 1


def _weight(given: Any) -> None:
    given["contribution"]["weights_ppm"] = None


def _error(given: Any) -> None:
    given["contribution"]["parts"][0]["errors_ppm"][1]["ppm"] -= 1


def _model(given: Any) -> None:
    given["model_digest"] = "00" * 32


def _job(given: Any) -> None:
    given["job"] = "00" * 32


def _form(given: Any) -> None:
    given["contribution"] = []


@pytest.mark.parametrize("change", [_weight, _error, _model, _job, _form])
def test_a_receipt_that_does_not_hold_is_a_finding(change: Change) -> None:
    books = small.settled_month()
    report = report_of(with_run(books, change), books)
    assert "CONTRIBUTION_DIFFERS" in codes(report)
    assert "contributions" not in report.held


def test_a_receipt_signed_by_who_is_paid_by_it_is_a_finding() -> None:
    books = small.settled_month()
    assert "CONTRIBUTION_DIFFERS" in codes(report_of(with_run(books, signer=small.REFERRER), books))


@pytest.mark.parametrize(
    ("kind", "code"), [("contribution", "CONTRIBUTION_MISSING"), ("train-result", "CONTRIBUTION_DIFFERS")]
)
def test_what_is_left_out_is_a_finding(kind: str, code: str) -> None:
    books = small.settled_month()
    entries = with_run(books)
    mark = f'"kind":"{kind}"'.encode()
    (name,) = [name for name in entries if name.startswith("documents/") and mark in entries[name]]
    del entries[name]
    assert code in codes(report_of(entries, books))
