"""A Chinese screen is Chinese: every head, state and phase has its word; an empty list says that it is empty."""

import ast
from pathlib import Path

import pytest

from hub import cli_plan, profile_report, profile_rounds, proposals, run_report, words
from hub.cli_common import Cli
from hub.cli_follow import MARKS
from hub.payment_manual import KINDS
from hub.run_status import STATES
from hub.run_troubles import PartnersRefuse
from hub.store_payments import ORDERED, SETTLED
from revenue_share.movements import ExceptionClass
from revenue_share.statement import State

HUB = Path(words.__file__).parent


def heads() -> list[tuple[str, str]]:
    """(file, head) of every table that a command line shows, where its heads are written out."""
    found = []
    for path in sorted(HUB.glob("cli*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "table":
                found += [(path.name, str(item.value)) for item in getattr(node.args[0], "elts", [])]
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "heads":
                found += [(path.name, str(item.value)) for item in getattr(node.value, "elts", [])]
    return found


def test_every_head_has_its_chinese_word() -> None:
    found = heads()
    assert len(found) > 40
    assert [pair for pair in found if pair[1] not in words.HEADS] == []
    of_profiles = (profile_report.COLUMNS, profile_report.RANKS, profile_report.CHANCES, profile_report.BANDS)
    for names in (run_report.FIGURES, run_report.COUNTS, run_report.TROUBLES, profile_rounds.COLUMNS, *of_profiles):
        assert set(names) <= set(words.HEADS)


@pytest.mark.parametrize("state", proposals.TRANSITIONS)
def test_every_state_of_a_job_has_its_chinese_word(state: str) -> None:
    assert words.value(state, "zh") != state == words.value(state, "en")


@pytest.mark.parametrize("state", [one.value for one in State])
def test_every_state_of_a_statement_has_its_chinese_word(state: str) -> None:
    assert words.statement(state, "zh") != state == words.statement(state, "en")


@pytest.mark.parametrize("name", [ORDERED, SETTLED, *KINDS])
def test_every_state_of_a_payment_has_its_chinese_word(name: str) -> None:
    assert words.payment(name, "zh") != name == words.payment(name, "en")


@pytest.mark.parametrize("kind", [one.value for one in ExceptionClass])
def test_every_class_of_exceptions_has_its_chinese_word(kind: str) -> None:
    assert words.value(kind, "zh") != kind == words.value(kind, "en")


def test_what_is_no_word_of_ours_stays_what_it_is() -> None:
    assert words.value("TOO_FEW_ROWS", "zh") == "TOO_FEW_ROWS"
    assert words.phase("of a newer node", "zh") == "of a newer node"
    assert (words.phase("round 3", "en"), words.phase("round 3", "zh")) == ("round 3", "轮次 3")


def test_every_state_of_a_partner_has_a_mark() -> None:
    assert {*STATES.values(), "idle"} == set(MARKS)


@pytest.mark.parametrize(("lang", "said"), [("en", "nothing there yet"), ("zh", "暂无记录")])
def test_an_empty_list_is_a_sentence(capsys: pytest.CaptureFixture[str], lang: str, said: str) -> None:
    cli = Cli(config=None, as_json=False, lang=lang)
    cli.table(("job", "kind", "state", "parties", "purpose"), [])
    assert capsys.readouterr().out == said + "\n"
    cli.table(("job", "state"), [("ab", cli.value("PAUSED"))], title="x")
    shown = capsys.readouterr().out
    assert ("任务" in shown, "已暂停" in shown) == ((lang == "zh"), (lang == "zh"))


def test_the_guide_names_the_states_as_screens_do() -> None:
    guide = (HUB.parent / "docs" / "data-team.md").read_text(encoding="utf-8")
    assert all(f"{state} {words.value(state, 'zh')}" in guide for state in proposals.TRANSITIONS)
    assert PartnersRefuse.code in guide and proposals.PrefixShort.code in guide


def test_every_meaning_is_in_both_languages() -> None:
    assert all(en and zh and en != zh for en, zh in cli_plan.MEANINGS.values())
