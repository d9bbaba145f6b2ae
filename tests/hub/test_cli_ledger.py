"""`finance ledger` and `finance lock` as people see them; the call goes to a real hub in this process."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ecowire.status import NotConfirmed
from hub import cli_finance, client
from tests.hub.settling import OCTOBER, Settling, settling


@pytest.fixture
def month(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settling]:
    """A final statement of October: 66.73 of shares. Commands reach the hub without a socket."""
    with settling(tmp_path) as made:
        made.report_october()
        record = made.confirmed()
        made.settle(record)
        made.pass_window()
        made.settle(record)

        def call(_: Any, command: str, head: Any, idempotency_key: str) -> Any:
            reply = made.command(command, **(head or {}))
            return reply.head, reply.body

        monkeypatch.setattr(client, "load", lambda config: None)
        monkeypatch.setattr(client, "call", call)
        yield made


def finance(*arguments: str) -> Result:
    result = CliRunner().invoke(cli_finance.finance, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.mark.parametrize(("lang", "words"), [("en", ("opening", "closing")), ("zh", ("期初", "期末"))])
def test_the_trial_balance_is_shown_in_units_of_the_currency(
    month: Settling, lang: str, words: tuple[str, ...]
) -> None:
    shown = finance("ledger", "--lang", lang).output
    assert all(word in shown for word in (*words, "expense:partner_share", "66.73", "-66.73"))


def test_options_reach_the_hub(month: Settling) -> None:
    asked = ("ledger", "--period", "2026-11", "--account", "liability:payable", "--json")
    found = json.loads(finance(*asked).output)
    assert [(line["opening_minor"], line["closing_minor"]) for line in found["balances"]] == [(-6673, -6673)]
    before = json.loads(finance("ledger", "--as-of", "2026-01-01T00:00:00+08:00", "--json").output)
    assert (before["balances"], before["entries_in_all"]) == ([], 0)


def test_a_period_is_locked_only_with_yes(month: Settling) -> None:
    with pytest.raises(NotConfirmed):
        finance("lock", OCTOBER, "--json")
    assert json.loads(finance("ledger", "--json").output)["locked"] is None
    assert json.loads(finance("lock", OCTOBER, "--yes", "--json").output)["period"] == OCTOBER
    assert "locked up to and with 2026-10" in finance("ledger").output
