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
        "rows_train": 1_200,
        "rows_validation": 20,
        "rows_test": 40,
        "missing": 7,
        "unknown": 3,
        "auc": {"alone_ppm": 700_000, "joint_ppm": 680_000, "personal_ppm": None},
        "log_loss": {"alone_micro": 600_000, "joint_micro": 610_000, "personal_micro": None},
    }
    documents = [
        {"kind": "train-result", "signer": "bank-a", "body": {"record": figures}},
        {
            "kind": "model-record",
            "signer": "hub",
            "body": {
                "model_digest": "ab" * 32,
                "record": {"rounds": 2, "auc_global_ppm": None, "log_loss_global_micro": None, "noise": NOISE},
                "unusable": {"bank-b": "LABEL_UNKNOWN"},
            },
        },
    ]
    trouble = {"partner": "bank-b", "code": "LABEL_UNKNOWN", "kind": "invalid", "phase": "deal", "count": 3}
    troubles = [{**trouble, "first": 0, "last": 2, "en": "no such <class>\x1b", "zh": "未知类别"}]
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
        "run": {"history": history, "troubles": troubles},
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
    assert (facts["rounds"], facts["global test AUC"]) == ("2 / 5", "-")
    assert facts["seconds from start to end, pauses included"] == "6.7"
    assert report.losses == ((1, 0.693147), (2, 0.5))


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_page_needs_nothing_else_and_obeys_nobody(lang: str) -> None:
    hostile = "</title><script>alert(1)</script>\x1b[31m"
    body = {**found()["body"], "title": hostile}
    text = run_report.html(run_report.read(found(body=body)), lang)
    assert "<script" not in text and "\x1b" not in text
    assert ("横向训练报告" in text) == (lang == "zh")


def test_without_the_accountant_the_releases_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dp_accounting", None)
    assert run_report.read(found()).budget == "3 × 1.1"


def test_without_losses_there_is_no_curve() -> None:
    history = [{"round": 1, "loss_micro": None, "attempts": 1, "clipped": 0}]
    report = run_report.read(found(run={"history": history, "troubles": []}))
    assert set(run_report.drawings(report, "en")) == {"auc"}
    assert run_report.html(report, "en").count("<svg") == 1


def test_documents_of_another_form_are_no_report() -> None:
    for broken in ({"documents": []}, {"run": {"history": [{}]}}, {"body": {}}):
        with pytest.raises(ReportUnreadable):
            run_report.read(found(**broken))


def test_rows_missing_values_and_unknown_levels_are_counted_for_each_partner() -> None:
    report = run_report.read(found())
    assert run_report.counts(report) == [
        ("bank-a", "1,200", "20", "40", "7", "3"),
        ("bank-b", "-", "-", "-", "-", "-"),
    ]
    page = run_report.html(report, "zh")
    assert all(f"<td>{text}</td>" in page for text in ("1,200", "7", "3")) and "缺失值" in page and "未知类别值" in page


@pytest.mark.parametrize(("lang", "said"), [("en", "no such &lt;class&gt;"), ("zh", "未知类别")])
def test_what_went_wrong_at_a_partner_stands_in_the_page(lang: str, said: str) -> None:
    page = run_report.html(run_report.read(found()), lang)
    assert page.count("LABEL_UNKNOWN") == 2 and said in page and "\x1b" not in page
    assert ("bank-b has no result: LABEL_UNKNOWN" in page) == (lang == "en")
    assert run_report.troubles(found()["run"]["troubles"], "en")[0][3] == "3: 0 to 2"


def changed(auc: int | None, loss: int | None, rows: int = 40) -> dict[str, Any]:
    """Without noise, a partner with these figures of the joint model, and no global AUC."""
    job = found()
    result, model = job["documents"]
    record = result["body"]["record"]
    record["rows_test"], record["auc"]["joint_ppm"], record["log_loss"]["joint_micro"] = rows, auc, loss
    model["body"]["record"] |= {"noise": None, "log_loss_global_micro": loss}
    model["body"]["unusable"] = {"bank-b": "ABSENT"}
    return job


@pytest.mark.parametrize(
    ("figures", "why"),
    [
        ((None, 600_000), "bank-a: its test rows don't hold every class of the label"),
        ((None, None), "bank-a: the joint model gives no finite scores there"),
        ((None, None, 0), "bank-a has no test rows"),
    ],
)
def test_a_figure_that_is_not_there_has_its_reason(figures: tuple[Any, ...], why: str) -> None:
    report = run_report.read(changed(*figures))
    told = [en for en, _ in run_report.notes(report)]
    assert any(one.startswith(why) for one in told) and "bank-b has no result: ABSENT" in told
    assert any("no global AUC" in one for one in told) == (figures[1] is not None)
    assert why.split(":")[0] in run_report.html(report, "en")


def test_a_figure_that_is_there_needs_no_word() -> None:
    told = [en for en, _ in run_report.notes(run_report.read(changed(700_000, 600_000)))]
    assert not any("bank-a" in one for one in told)
    noisy = [en for en, _ in run_report.notes(run_report.read(found()))]
    assert noisy[-1] == run_report.KEPT_AT_PARTNERS[0] and not any("bank-a" in one for one in noisy)
