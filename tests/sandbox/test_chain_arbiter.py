"""The arbiter's command: it shows the dispute first, decides only with the arbiter's key, and only what is disputed."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hub.settling import REFERRER
from tests.hub.test_payment_chain import on_chain, record
from tests.hub.test_settlement_dispute_chain import REASON, dispute_at, disputed, proposed, resolve
from tests.support.sandbox_chain import KEYS
from tests.support.settling_nodes import Month, month_of_nodes


@pytest.fixture
def month(tmp_path: Path) -> Iterator[Month]:
    with month_of_nodes(tmp_path) as made:
        yield made


def refusal(done: Any) -> str:
    assert done.returncode != 0
    return str(done.stderr).partition(":")[0]


def test_the_dispute_is_shown_and_nothing_is_decided_without_yes(month: Month) -> None:
    identifier = disputed(month)
    anchor, head = record(month, identifier).anchor, month.chain.chain.head()
    done = resolve(month, anchor, "--upheld", "--json")
    assert refusal(done) == "NOT_CONFIRMED" and month.chain.chain.head() == head
    shown, held = json.loads(done.stdout), dispute_at(month, identifier)
    assert (shown["party"], shown["role"], shown["reason"]) == (held.party, "partner", held.reason.hex())
    assert (shown["statement"], shown["state"], shown["words"]) == (anchor, "DISPUTED", None)
    closes = month.command("statement", statement=identifier).head["closes"]
    assert shown["closes"][:19] == str(closes)[:19]
    decision = (month.folder / "decision.txt").read_bytes()
    assert shown["decision"] == hashlib.sha256(decision).hexdigest()
    assert on_chain(month, identifier).state == "DISPUTED"


def test_the_statements_own_file_gives_the_words_that_the_contract_holds_the_digest_of(month: Month) -> None:
    identifier = disputed(month)
    file = month.file("statement.json", json.dumps(month.state(REFERRER, identifier)))
    shown = json.loads(resolve(month, file, "--dismissed", "--json").stdout)
    assert shown["statement"] == record(month, identifier).anchor
    assert (shown["role"], shown["words"]["reason"]) == ("partner", REASON)
    at_hub = month.file("at-hub.json", json.dumps(month.command("statement", statement=identifier).head))
    done = resolve(month, at_hub, "--dismissed", "--json", "--yes")
    assert json.loads(done.stdout)["state"] == "PROPOSED" == on_chain(month, identifier).state
    assert json.loads(done.stdout)["words"] == shown["words"]


def test_who_disputes_is_the_contracts_word_and_not_the_files(month: Month) -> None:
    identifier = disputed(month)
    given = month.state(REFERRER, identifier)
    given["disputes"][0]["dispute"]["signer"] = "broker"
    done = resolve(month, month.file("statement.json", json.dumps(given)), "--dismissed", "--json")
    shown = json.loads(done.stdout)
    assert (shown["role"], shown["words"]["reason"]) == ("partner", REASON)
    assert "broker" not in done.stdout


def test_people_read_it_in_their_language(month: Month, monkeypatch: pytest.MonkeyPatch) -> None:
    identifier = disputed(month)
    anchor = record(month, identifier).anchor
    assert (
        f"digest of the dispute: {dispute_at(month, identifier).reason.hex()}"
        in resolve(month, anchor, "--upheld").stdout
    )
    monkeypatch.setenv("ECOHUB_LANG", "zh")
    done = resolve(month, anchor, "--upheld", "--yes")
    assert "状态: VOID" in done.stdout and "裁决文件摘要" in done.stdout


def test_what_is_not_disputed_not_known_or_not_the_arbiters_is_refused(month: Month) -> None:
    identifier = proposed(month)
    anchor = record(month, identifier).anchor
    assert refusal(resolve(month, anchor, "--upheld", "--yes")) == "STATEMENT_STATE_ON_CHAIN"
    assert refusal(resolve(month, "ab" * 32, "--upheld", "--yes")) == "TRANSACTION_UNKNOWN"
    assert refusal(resolve(month, "ab", "--upheld", "--yes")) == "ANCHOR_INVALID"
    for name in ("governor", "broker"):
        done = resolve(month, anchor, "--upheld", "--yes", key=name)
        assert refusal(done) == "CHAIN_CALLER_NOT_ENTITLED" and KEYS["arbiter"].address in done.stderr
    assert refusal(resolve(month, month.file("other.json", "{}"), "--upheld")) == "MALFORMED_MESSAGE"
    shown = month.state(REFERRER, identifier)
    shown["body"]["lines_root"] = "ab" * 32
    altered = month.file("altered.json", json.dumps(shown))
    assert refusal(resolve(month, altered, "--upheld", "--yes")) == "TRANSACTION_UNKNOWN"
    assert on_chain(month, identifier).state == "PROPOSED"


def test_a_decided_dispute_is_not_decided_again(month: Month) -> None:
    identifier = disputed(month)
    anchor = record(month, identifier).anchor
    assert resolve(month, anchor, "--upheld", "--yes").returncode == 0
    done = resolve(month, anchor, "--dismissed", "--yes")
    assert refusal(done) == "STATEMENT_STATE_ON_CHAIN" and "VOID" in done.stderr
