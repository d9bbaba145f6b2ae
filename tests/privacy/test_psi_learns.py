"""The sentences that people approve a match by: of every mode, who reads the number at the hub."""

from typing import Any

import pytest

from privacy import normalise
from privacy.psi import learns
from privacy.psi.job import MODES, MatchJob

OPTIONS: dict[str, dict[str, Any]] = {
    "sum": {"sum": {"partner": "bank", "column": "LOANS", "bits": 20}},
    "labels": {"labels": {"partner": "bank", "column": "SEGMENT", "bytes": 8}},
    "cached": {
        "cached": {
            "epoch": 3,
            "slots": 1000,
            "addition_slots": 64,
            "additions_max": 4,
            "points_max": 5000,
            "ends": "2026-12-01T00:00:00+00:00",
        }
    },
}
NOISE = {"noise": {"epsilon_milli": 1000, "delta_log10": -9}}
CASES: list[tuple[str, dict[str, Any]]] = [(mode, OPTIONS.get(mode, {})) for mode in MODES]
BY_ECDH = {"engine": "ecdh"}
CASES += [("rows", {"both": True}), ("count", NOISE), ("rows", BY_ECDH), ("rows", {"both": True, **BY_ECDH})]


def job(mode: str, changes: dict[str, Any]) -> MatchJob:
    names = ("broker", "bank", "platform")[: MODES[mode].parties_min]
    parties = [
        {
            "partner": name,
            "role": "leader" if name == "broker" else "follower",
            "asset": "clients",
            "id_column": "client_id",
            "signing": "",
            "sealing": "",
            "chain": "",
        }
        for name in names
    ]
    body = {
        "version": 2,
        "mode": mode,
        "engine": MODES[mode].engines[0],
        "normaliser": normalise.VERSION,
        "id_type": "phone",
        "minimum": 50,
        "parties": parties,
        "purpose": "p",
        "expires": "",
        "nonce": "",
        "disclosure": [],
    }
    return MatchJob.from_body({**body, **changes})


@pytest.mark.parametrize(("mode", "changes"), CASES, ids=str)
def test_people_are_told_who_reads_the_number_at_the_hub(mode: str, changes: dict[str, Any]) -> None:
    """`hub.jobs.job` shows signed results to persons of every role, whichever party they work for."""
    said = learns.sentences(job(mode, changes))
    assert any("hub" in en and "枢纽" in zh for en, zh in said[1:-1]), "the mode says what the hub is told"
    en, zh = said[-1]
    assert "EVERY PERSON OF THE ALLIANCE" in en and "below the minimum" in en
    assert "每一位人员" in zh and "不足最小人数" in zh


def test_a_follower_of_one_sided_rows_is_not_said_to_learn_nothing() -> None:
    text = " ".join(en for en, _ in learns.sentences(job("rows", {})))
    assert "bank learns no client; its people can read the number at the hub" in text
    both = " ".join(en for en, _ in learns.sentences(job("rows", {"both": True})))
    assert "learns no client" not in both


def test_rows_by_ecdh_say_what_changed_software_could_do_and_who_tells_the_follower() -> None:
    def said(changes: dict[str, Any]) -> tuple[str, str]:
        en, zh = zip(*learns.sentences(job("rows", changes)), strict=True)
        return " ".join(en), " ".join(zh)

    for changes in ({}, {"both": True}):
        assert "ecdh" not in " ".join(said(changes)), "the sentences of engine oprf are what they were"
    en, zh = said(BY_ECDH)
    assert "broker LEARNS WHICH of its own clients bank has too" in en and "bank learns no client" in en
    assert "bank's software, if changed, can unseen give broker other clients" in en
    assert "bank 的软件若被改动" in zh and "broker's so bank" not in en
    en, zh = said({"both": True, **BY_ECDH})
    assert "bank LEARNS WHICH of its own clients broker has too, as broker's software tells it" in en
    assert "broker's so bank" in en and "由 broker 的软件告知" in zh and "broker 的软件若被改动，对 bank 亦然" in zh


def test_an_epochs_price_stands_before_the_approval() -> None:
    en, zh = (" ".join(said) for said in zip(*learns.sentences(job("cached", OPTIONS["cached"])), strict=True))
    assert "epoch 3, until 2026-12-01 00:00 UTC" in en and "5000 clients in all its jobs" in en
    assert "broker LEARNS WHICH of its own clients bank has too" in en and "bank learns no client" in en
    for said in ("compare lists", "every later list", "key leaks", "withdraws consent"):
        assert said in en
    for said in ("第 3 期", "5000 次", "比较", "泄露", "撤回同意"):
        assert said in zh
