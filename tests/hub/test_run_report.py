"""The report of a horizontal run: from its documents alone; what was not measured is shown as absent."""

import sys
from typing import Any

import pytest

from hub import run_report
from hub.run_report import ReportUnreadable

NOISE = {"noise_multiplier_milli": 1100, "row_clip_milli": 1000, "delta_log10": -6, "releases": 3}


def found(**changes: Any) -> dict[str, Any]:
    """A completed job, as the hub's `job` command gives it."""
    history = [
        {"round": 1, "loss_micro": 693_147, "attempts": 1, "clipped": 0},
        {"round": 2, "loss_micro": 500_000, "attempts": 2, "clipped": 7},
    ]
    figures = {
        "rows_test": 40,
        "auc": {"alone_ppm": 700_000, "joint_ppm": 680_000, "personal_ppm": None},
        "log_loss": {"alone_micro": 600_000, "joint_micro": 610_000, "personal_micro": None},
    }
    documents = [
        {"kind": "train-result", "signer": "bank-a", "body": {"record": figures}},
        {
            "kind": "model-record",
            "signer": "hub",
            "body": {"model_digest": "ab" * 32, "record": {"rounds": 2, "auc_global_ppm": None, "noise": NOISE}},
        },
    ]
    body = {
        "purpose": "joint-profile",
        "model": "logistic",
        "engine": {"name": "paillier", "dealer": "bank-b"},
        "training": {"rounds": 5},
        "privacy": {"noise_multiplier_milli": 1100},
    }
    return {
        "digest": "cd" * 32,
        "body": body,
        "run": {"history": history},
        "documents": documents,
        "parties": ["bank-b", "bank-a"],
        "bytes": 12_345,
        "milliseconds": 6_700,
        **changes,
    }


def test_gain_and_loss_are_shown_alike_and_who_signed_nothing_shows_nothing() -> None:
    report = run_report.read(found())
    first, second = run_report.rows(report)
    assert first == ("bank-a", "40", "0.7000", "0.6800", "-", "-0.0200", "0.6000 → 0.6100")
    assert second == ("bank-b", "-", "-", "-", "-", "-", "- → -")


def test_the_whole_run_is_named_with_dealer_noise_and_void_attempts() -> None:
    report = run_report.read(found())
    facts = {name: value for name, _, value in report.facts}
    assert facts["engine (dealer)"] == "paillier (bank-b)"
    assert (facts["void attempts"], facts["clipped values"]) == ("1", "7")
    assert facts["privacy budget spent"].startswith("ε ") and facts["privacy budget spent"].endswith("1e-6 (3 × 1.1)")
    assert (facts["rounds"], facts["global test AUC"], facts["seconds"]) == ("2 / 5", "-", "6.7")
    assert report.losses == ((1, 0.693147), (2, 0.5))


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_page_needs_nothing_else_and_obeys_nobody(lang: str) -> None:
    hostile = "</title><script>alert(1)</script>\x1b[31m"
    body = {**found()["body"], "title": hostile}
    text = run_report.html(run_report.read(found(body=body)), lang)
    assert "<script" not in text and "\x1b" not in text
    assert len(run_report.columns(lang)) == len(run_report.rows(run_report.read(found()))[0])
    assert ("横向训练报告" in text) == (lang == "zh")


def test_without_the_accountant_the_releases_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dp_accounting", None)
    assert run_report.read(found()).budget == "3 × 1.1"


def test_without_losses_there_is_no_curve() -> None:
    history = [{"round": 1, "loss_micro": None, "attempts": 1, "clipped": 0}]
    report = run_report.read(found(run={"history": history}))
    assert set(run_report.drawings(report, "en")) == {"auc"}
    assert run_report.html(report, "en").count("<svg") == 1


def test_documents_of_another_form_are_no_report() -> None:
    for broken in ({"documents": []}, {"run": {"history": [{}]}}, {"body": {}}):
        with pytest.raises(ReportUnreadable):
            run_report.read(found(**broken))
