"""The report of a vertical run: from its record alone, old or new; what can't be told apart from zero is said so."""

import copy
import re
from typing import Any
from xml.etree import ElementTree

import pytest

from federation.metrics import Estimate
from federation.plan import TrainingPlan
from hub import profile_folds, profile_record, profile_report, profile_rounds
from hub.run_report import ReportUnreadable
from privacy import canonical
from tests.federation.alliance import body, pump, synthetic

OLD_FIELDS = ("holders", "columns", "auc", "average_precision", "auc_uplift", "average_precision_uplift", "lift_ppm")


@pytest.fixture(scope="module")
def job() -> Any:
    """A completed job as the hub's `job` command gives it, its record made by real sessions."""
    tables, columns = synthetic()
    proposal = body(columns, title="Who invests <b>")
    record = pump(TrainingPlan.from_body(proposal), tables)["broker"].result().record()
    signed = {"role": "label_holder", "record": canonical.decode(canonical.encode(record))}
    documents = [
        {"kind": "train-result", "signer": "bank", "body": {"role": "feature_holder", "record": {}}},
        {"kind": "train-result", "signer": "broker", "body": signed},
    ]
    return {"digest": "cd" * 32, "kind": "train", "body": proposal, "documents": documents}


@pytest.fixture
def found(job: Any) -> Any:
    return copy.deepcopy(job)


def record_of(found: Any) -> Any:
    return found["documents"][1]["body"]["record"]


def old(found: Any) -> Any:
    """The job with a record as it was signed before scores were calibrated."""
    record = record_of(found)
    del record["evaluation"]
    record["variants"] = [
        {**{name: variant[name] for name in OLD_FIELDS}, "log_loss_ppm": 554_321} for variant in record["variants"]
    ]
    return found


@pytest.mark.parametrize(
    ("ppm", "english", "chinese"),
    [
        ((31_000, 12_000, 49_000), "+0.031 (0.012 to 0.049)", "+0.031（0.012 至 0.049）"),
        ((-31_000, -49_000, -12_000), "-0.031 (-0.049 to -0.012)", "-0.031（-0.049 至 -0.012）"),
        ((31_000, -1, 49_000), "no measurable uplift", "无可测提升"),
        ((-5, -10, 0), "no measurable uplift", "无可测提升"),
        ((0, 0, 0), "no measurable uplift", "无可测提升"),
    ],
)
def test_an_uplift_has_its_interval_or_is_none(ppm: tuple[int, int, int], english: str, chinese: str) -> None:
    value, low, high = ppm
    assert profile_report.uplift(Estimate(value_ppm=value, low_ppm=low, high_ppm=high)) == (english, chinese)


def test_the_baseline_is_the_label_holder_with_its_columns_by_name(found: Any) -> None:
    profile = profile_record.read(found)
    assert [profile.name(card) for card in profile.cards] == [
        "broker",
        "broker + bank",
        "broker + platform",
        "broker + bank + platform",
    ]
    first, *_ = profile_report.columns(profile)
    assert first == ("broker", "amount, score, visits, flag, uncommon, level", "-")
    assert profile_report.ranks(profile)[0][:2] == ("broker", "6")


def test_every_partner_and_all_have_a_sentence_on_what_they_add(found: Any) -> None:
    variant = record_of(found)["variants"][1]
    variant["auc_uplift"] = {"value_ppm": 31_000, "low_ppm": 12_000, "high_ppm": 49_000}
    variant["brier_uplift"] = {"value_ppm": 100, "low_ppm": -100, "high_ppm": 200}
    bank, platform, both = profile_report.uplifts(profile_record.read(found))
    assert bank[0].startswith("bank added to broker alone: AUC +0.031 (0.012 to 0.049); average precision ")
    assert "Brier score (lower by) no measurable uplift" in bank[0] and "AUC +0.031（0.012 至 0.049）" in bank[1]
    assert platform[0].startswith("platform added")
    assert both[0].startswith("all partners (bank + platform) added") and both[1].startswith("在 broker")


def test_lift_and_gain_follow_from_the_bands(found: Any) -> None:
    profile = profile_record.read(found)
    rate = profile.test_positives / profile.test_rows
    assert profile.base_rate == pytest.approx(rate, abs=1e-5)
    for card in profile.cards:
        table = card.lift_table(profile.base_rate)
        assert sum(band.rows for band, _, _ in table) == profile.test_rows
        assert table[-1][2] == pytest.approx(1.0, abs=1e-5), "all positives are found in the end"
        assert table[0][1] == pytest.approx(table[0][0].observed / rate, abs=1e-4)
    lines = profile_report.bands(profile, profile.cards[-1])
    assert lines[0][0].startswith("0% - ") and lines[-1][0].endswith("100%") and lines[-1][-1] == "100.0%"


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_page_needs_nothing_else_and_keeps_names_as_text(found: Any, lang: str) -> None:
    text = profile_report.html(profile_record.read(found), lang)
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "") and "<script" not in text
    assert "<b>" not in text and "Who invests &lt;b&gt;" in text
    drawn = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(drawn) == 3
    for drawing in drawn:
        ElementTree.fromstring(drawing)
    assert ("联合画像报告" in text, "Held-out clients only" in text) == (lang == "zh", lang == "en")


def test_notes_say_what_the_figures_do_not(found: Any) -> None:
    profile = profile_record.read(found)
    english = " ".join(en for en, _ in profile_report.notes(profile))
    for said in (f"Held-out clients only: {profile.test_rows},", "200 resamples", "no cross-validation"):
        assert said in english
    assert "at least 50 clients and 5 of each class" in english and "calibrated the same way" in english
    record_of(found)["evaluation"] |= {"survey_weights": "WGT", "effective_test_rows": 411}
    record_of(found)["suppressed_cells"] = 3
    weighted = " ".join(en for en, _ in profile_report.notes(profile_record.read(found)))
    assert "survey weights in WGT" in weighted and "411 clients of equal weight" in weighted
    assert "3 small cells" in weighted


def test_a_top_decile_that_is_not_shown_is_a_dash_and_no_word_of_uplift(found: Any) -> None:
    for variant in record_of(found)["variants"]:
        variant |= {"top_decile_precision": None, "top_decile_precision_uplift": None}
    profile = profile_record.read(found)
    assert {row[-1] for row in profile_report.ranks(profile)} == {"-"}
    assert not any("top-decile" in en for en, _ in profile_report.uplifts(profile))


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_record_from_before_calibration_stays_readable(found: Any, lang: str) -> None:
    profile = profile_record.read(old(found))
    assert [row[1:] for row in profile_report.chances(profile, lang)] == [("-", "-", "-")] * 4
    assert all("[" in row[2] and "[" in row[3] and row[4] == "-" for row in profile_report.ranks(profile))
    notes = " ".join(note[lang == "zh"] for note in profile_report.notes(profile))
    assert "broker 0.5543" in notes and "50" not in notes.replace("5543", "")
    assert profile_report.shown_in_bands(profile) == ()
    assert profile_report.html(profile, lang).count("<svg") == 1
    assert all("AUC" in note[0] for note in profile_report.uplifts(profile))


def no_result(found: Any) -> None:
    found["documents"].pop()


def no_auc(found: Any) -> None:
    record_of(found)["variants"][2]["auc"] = None


def no_interval(found: Any) -> None:
    del record_of(found)["variants"][0]["brier"]["low_ppm"]


def text_for_a_number(found: Any) -> None:
    record_of(found)["variants"][0]["bands"][0]["rows"] = "many"


def nobody_alone(found: Any) -> None:
    record_of(found)["variants"] = record_of(found)["variants"][1:]


def no_scorecards(found: Any) -> None:
    record_of(found)["variants"] = []


def one_class(found: Any) -> None:
    for band in record_of(found)["variants"][0]["bands"]:
        band["observed_ppm"] = 0


@pytest.mark.parametrize(
    "spoil", [no_result, no_auc, no_interval, text_for_a_number, nobody_alone, no_scorecards, one_class]
)
def test_a_record_that_is_none_is_named_as_unreadable(found: Any, spoil: Any) -> None:
    spoil(found)
    with pytest.raises(ReportUnreadable):
        profile_record.read(found)


# --- rounds of refinement


@pytest.fixture(scope="module")
def refined(job: Any) -> Any:
    tables, columns = synthetic()
    proposal = body(columns, model="logistic", logistic={"rounds": 3, "plateau_ppm": 0})
    record = pump(TrainingPlan.from_body(proposal), tables)["broker"].result().record()
    made = copy.deepcopy(job) | {"body": proposal}
    made["documents"][1]["body"]["record"] = canonical.decode(canonical.encode(record))
    return made


def test_the_rounds_are_shown_with_their_losses_and_why_they_ended(refined: Any) -> None:
    profile = profile_record.read(refined)
    assert profile.rounds is not None and profile.model == "logistic"
    lines = profile_rounds.lines(profile.rounds)
    assert [line[0] for line in lines] == ["1", "2", "3 *"]
    assert lines[0][2] == "-" and all(line[2].startswith("+") for line in lines[1:])
    said = " ".join(en for en, _ in profile_report.notes(profile))
    assert "Refined in 3 rounds" in said and "the approved rounds were used up" in said
    assert "broker alone is logistic regression on its own columns" in said
    assert "as moments gave them" in said
    assert "train log loss" in profile_report.html(profile, "en")
    assert "rounds" in profile_report.drawings(profile, "zh")


def test_a_run_without_rounds_says_nothing_of_them(found: Any) -> None:
    profile = profile_record.read(found)
    assert profile.rounds is None
    assert not any("Refined" in en for en, _ in profile_report.notes(profile))
    assert "rounds" not in profile_report.drawings(profile, "en")


@pytest.mark.parametrize(
    "change", [{"kept": 0}, {"kept": 9}, {"ended": "never"}, {"losses_ppm": ["x"]}, {"losses_ppm": 3}]
)
def test_rounds_that_no_run_writes_are_not_shown(refined: Any, change: dict[str, Any]) -> None:
    broken = copy.deepcopy(refined)
    record_of(broken)["refinement"] |= change
    with pytest.raises(ReportUnreadable):
        profile_record.read(broken)


# --- cross-validation


@pytest.fixture(scope="module")
def folded(job: Any) -> Any:
    tables, columns = synthetic()
    proposal = body(columns, validation={"folds": 4, "ridge_path_milli": [10_000, 1_000_000]})
    record = pump(TrainingPlan.from_body(proposal), tables)["broker"].result().record()
    made = copy.deepcopy(job) | {"body": proposal}
    made["documents"][1]["body"]["record"] = canonical.decode(canonical.encode(record))
    return made


def test_folds_are_shown_beside_the_held_out_figures(folded: Any) -> None:
    profile = profile_record.read(folded)
    assert profile.folds is not None
    (heads, lines), (path_heads, path) = profile_report.fold_tables(profile)
    assert (heads, path_heads) == (profile_folds.COLUMNS, profile_folds.PATH)
    assert [line[0] for line in lines] == [profile.name(card) for card in profile.cards]
    assert lines[0][3] == "-" and lines[-1][3].startswith("+0.0")
    assert [ridge.rstrip(" *") for ridge, _ in path] == ["1", "10", "1000"]
    assert [ridge for ridge, _ in path if ridge.endswith("*")] == [f"{profile.folds.ridge:g} *"]
    said = " ".join(en for en, _ in profile_report.notes(profile))
    assert "4 folds" in said and "held-out clients had no part in the choice" in said
    assert "There is no cross-validation" not in said
    assert "AUC, average precision and calibrated measures need scores" in said
    for lang, word in (("en", "squared error in folds"), ("zh", "各折平方误差")):
        assert word in profile_report.html(profile, lang)


def test_figures_of_folds_are_those_of_their_errors() -> None:
    """Folds of 100 and 300 clients: means count clients, standard errors count folds."""
    folds = profile_folds.Folds(
        rows=(100, 300), ridge=1.0, path={1.0: (0.20, 0.16)}, base=(0.25, 0.25), cards=((0.20, 0.16), (0.18, 0.15))
    )
    assert profile_folds.lines(folds, ["alone", "both"]) == [
        ("alone", "0.1700 ± 0.0200", "0.320 ± 0.080", "-"),
        ("both", "0.1575 ± 0.0150", "0.370 ± 0.060", "+0.0125 ± 0.0050"),
    ]
    assert profile_folds.path(folds) == [("1 *", "0.17000 ± 0.02000")]


def test_a_run_without_folds_says_so(found: Any) -> None:
    profile = profile_record.read(found)
    assert profile.folds is None and profile_report.fold_tables(profile) == []
    assert any("There is no cross-validation" in en for en, _ in profile_report.notes(profile))


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"fold_rows": [100]},
        {"ridge_milli": 5},
        {"base_errors_ppm": [1, 2]},
        {"base_errors_ppm": [0, 0, 0, 0]},
        {"variants": []},
        {"path": "x"},
    ],
    ids=["version", "one fold", "no candidate", "two errors", "one class", "no scorecards", "text"],
)
def test_folds_that_no_run_writes_are_not_shown(folded: Any, change: dict[str, Any]) -> None:
    broken = copy.deepcopy(folded)
    record_of(broken)["validation"] |= change
    with pytest.raises(ReportUnreadable):
        profile_record.read(broken)
