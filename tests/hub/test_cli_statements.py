"""What `ecohub finance statement` shows of disputes: each line with code, words, evidence and the answer to it."""

from typing import Any

import pytest

from hub.cli_common import Cli
from hub.cli_statements import show_disputes

EVIDENCE = {"sha256": "ab" * 32, "bytes": 16, "what": "fees.pdf"}
LINES = [
    {"line": 3, "code": "AMOUNT", "reason": "too low", "evidence": EVIDENCE},
    {"line": 7, "code": "MISSING", "reason": "one more", "evidence": None},
]


def shown(capsys: pytest.CaptureFixture[str], lang: str, lines: list[Any], answer: Any) -> str:
    body = {"statement": "00" * 32, "reason": "as a whole", "lines": lines, "person": "p", "time": "t"}
    item = {"document": {"signer": "platform", "body": body}, "answer": answer}
    show_disputes(Cli(config=None, as_json=False, lang=lang), [item])
    return " ".join(capsys.readouterr().out.split())


def test_lines_with_their_answers(capsys: pytest.CaptureFixture[str]) -> None:
    answer = {"body": {"lines": [{"line": 3, "accepted": False, "reason": "as booked"}]}}
    text = shown(capsys, "en", LINES, answer)
    for word in ("platform", "AMOUNT", "too low", "fees.pdf", "rejected:", "MISSING", "open"):
        assert word in text, word
    assert "接受" in shown(capsys, "zh", LINES, {"body": {"lines": [{"line": 7, "accepted": True, "reason": "yes"}]}})


def test_a_dispute_of_the_statement_as_a_whole_and_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert "as a whole" in shown(capsys, "en", [], None)
    assert "as a whole" in shown(capsys, "en", [4], None), "an older node names lines without a reason of their own"
    show_disputes(Cli(config=None, as_json=False, lang="en"), [])
    assert capsys.readouterr().out == ""
