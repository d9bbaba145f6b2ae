"""The thread that takes disputes to the contract, over chains that are away and errors that nobody foresaw."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from contracts.chain import Chain
from contracts.errors import ChainUnavailable
from hub import settlement_courier
from hub.settlement_courier import Courier
from tests.hub.test_settlement_dispute_chain import on_chain, proposed, record, say
from tests.support.sandbox_chain import CHAIN_ID, WINDOW, until
from tests.support.settling_nodes import Month, month_of_nodes


@pytest.fixture
def month(tmp_path: Path) -> Iterator[Month]:
    with month_of_nodes(tmp_path) as made:
        yield made


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settlement_courier, "RETRY_SECONDS", 0.05)


class Away:
    """A chain that answers once `back` is set; `asked` counts who asked before."""

    def __init__(self, month: Month, error: Exception) -> None:
        self.back, self.asked, self._error = threading.Event(), 0, error
        self._endpoint = month.chain.server.endpoint

    def __call__(self) -> Chain:
        if self.back.is_set():
            return Chain(self._endpoint, CHAIN_ID)
        self.asked += 1
        raise self._error


GONE = ChainUnavailable(endpoint="x", why="gone")


def test_a_dispute_of_before_the_start_is_handed_in_when_a_chain_that_was_away_answers(
    month: Month, caplog: pytest.LogCaptureFixture
) -> None:
    identifier = proposed(month)
    say(month, identifier)
    away = Away(month, GONE)
    courier = Courier(replace(month.hub.services, chain=away))
    courier.start()
    try:
        until(lambda: away.asked > 3)
        away.back.set()
        until(lambda: month.deliver() or record(month, identifier).state == "DISPUTED")
    finally:
        courier.stop()
    assert on_chain(month, identifier).state == "DISPUTED"
    assert caplog.text.count("is not at the contract") == 1


def test_an_error_at_the_start_that_nobody_foresaw_does_not_end_the_thread(
    month: Month, caplog: pytest.LogCaptureFixture
) -> None:
    identifier = proposed(month)
    say(month, identifier)
    away = Away(month, RuntimeError("a bug"))
    courier = Courier(replace(month.hub.services, chain=away))
    courier.start()
    try:
        until(lambda: away.asked > 0)
        away.back.set()
        month.hub.store.run("test", lambda tx: tx.signal("dispute", identifier))
        until(lambda: month.deliver() or record(month, identifier).state == "DISPUTED")
    finally:
        courier.stop()


def test_a_dispute_whose_window_passed_on_its_way_is_told(month: Month, caplog: pytest.LogCaptureFixture) -> None:
    identifier = proposed(month)
    say(month, identifier)
    month.chain.chain.advance_time(WINDOW)
    courier = Courier(month.hub.services)
    assert courier._carried(identifier)
    assert identifier[:16] in caplog.text
