"""A trial of two agreement versions: what differs, by how much, why, and nothing else."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from sandbox import month_file
from sandbox.cli import ecohub, main
from sandbox.trial import compare

FOLDER = Path(__file__).resolve().parents[2] / "revenue_share" / "examples"
OLD, EVENTS = FOLDER / "platform.toml", FOLDER / "platform.worked.toml"


def changed(tmp_path, *changes, of=OLD):
    text = of.read_text()
    for before, after in changes:
        assert before in text, before
        text = text.replace(before, after)
    path = tmp_path / "new.toml"
    path.write_text(text)
    return path


def run(*arguments):
    found = CliRunner().invoke(ecohub, ["sandbox", "trial", *map(str, arguments)], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.output


def differences(new, old=OLD, events=EVENTS):
    (document,) = run(old, new, "--events", events, "--json").splitlines()
    return [one for month in json.loads(document)["months"] for one in month["differences"]]


def test_the_same_terms_differ_nowhere(tmp_path):
    assert differences(OLD) == []
    assert "Every line is the same under both." in run(OLD, OLD, "--events", EVENTS)


def test_a_higher_cap_pays_what_the_lower_one_cut_off(tmp_path):
    """The client's cap 100,000 -> 120,000: c2 has 119,900 instead of 99,900 (10 % are 120,000), the period's cap of
    150,000 then leaves 150,000 - 100 - 119,900 = 30,000 of c3's 36,000, and nothing of c4's 14,000. In November half of
    c3's amount goes back: 15,000 instead of 18,000. c6 still finds the client's cap used up."""
    new = changed(tmp_path, ("client = 100_000", "client = 120_000"))
    found = {one["event"]: (one["class"], one["difference"]) for one in differences(new)}
    assert found == {
        "c2": ("share", 20_000),
        "c3": ("share", -6_000),
        "c4": ("share", -14_000),
        "b1": ("share", 3_000),
    }


def test_a_difference_says_both_sentences_and_their_verdicts(tmp_path):
    new = changed(tmp_path, ('reasons = ["cancelled", "left"]', 'reasons = ["left"]'))
    (one,) = differences(new)
    assert (one["event"], one["client"], one["class"], one["difference"]) == ("b1", "second", "verdict", 18_000)
    assert (one["old"]["verdict"], one["new"]["verdict"]) == ("TAKEN_BACK", "REASON_NOT_AGREED")
    said = run(OLD, new, "--events", EVENTS)
    assert "old: " + one["old"]["reason_en"] in said and "new: " + one["new"]["reason_en"] in said


def test_a_tax_changes_what_is_paid_and_no_line(tmp_path):
    new = changed(tmp_path, ('withholding = "1/10", ', ""))
    assert differences(new) == []
    months = json.loads(run(OLD, new, "--events", EVENTS, "--json"))["months"]
    payouts = [(month["payout"]["old"]["paid_minor"], month["payout"]["new"]["paid_minor"]) for month in months]
    assert payouts == [(135_849, 150_000), (0, 0), (12_679, 14_000)]


def test_rounding_is_told_from_another_share(tmp_path):
    """x1 has 3/5 x 1 = 0.6 under the new version: the sum is 6,574.30 -> 6,574 as before, and of the two units that are
    missing one goes to 0.6 now, none to e2's 0.5."""
    travel, events = FOLDER / "travel.toml", tmp_path / "events.toml"
    more = """    { id = "x1", client = "second", kind = "interest", time = 2026-10-05T14:00:00Z, base_minor = 1 },"""
    stands = "base_minor = 10_010, amount_minor = 501 },\n"
    events.write_text((FOLDER / "travel.worked.toml").read_text().replace(stands, stands + more))
    rule = '[[rules]]\nid = "interest"\nevent = "interest"\nrate = "3/5"\n'
    new = changed(tmp_path, ("[[rules]]", rule + "[[rules]]"), of=travel)
    found = {one["event"]: (one["class"], one["difference"]) for one in differences(new, travel, events)}
    assert found == {"x1": ("verdict", 1), "e2": ("rounding", -1)}


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.toml") if "worked" not in path.stem))
def test_every_example_can_be_tried_in_both_languages(name, monkeypatch):
    events = FOLDER / f"{name}.worked.toml"
    agreement = month_file.agreement(FOLDER / f"{name}.toml")
    assert all(not month.differences for month in compare(agreement, agreement, month_file.months(events)))
    monkeypatch.setenv("ECOHUB_LANG", "zh")
    assert "两版结果逐行一致。" in run(FOLDER / f"{name}.toml", FOLDER / f"{name}.toml", "--events", events)


def test_a_wrong_agreement_file_is_told_by_its_name(tmp_path, monkeypatch, capsys):
    path = tmp_path / "half.toml"
    path.write_text('title = "half"\n')
    monkeypatch.setattr("sys.argv", ["ecohub", "sandbox", "trial", str(path), str(OLD), "--events", str(EVENTS)])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code != 0
    assert "MONTH_FILE_INVALID: the file half.toml " in capsys.readouterr().err
