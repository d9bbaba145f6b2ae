"""A month of revenue share for flows: terms, two small files worked out by hand, and the steps to a final statement.

The events are few, each there for one rule: in the window, in its last second, at its end, before the referral, of
another kind, a reversal. What 5 % of them is, is written down here by hand (`TOTAL_FEN`), not computed.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from hub import drafts_finance
from revenue_share import statement
from revenue_share.agreement import Agreement
from sandbox.world import WINDOW_SECONDS
from tests.support.launch_alliance import Alliance, wait

PAYER, REFERRER = "broker", "platform"
ZONE = timezone(timedelta(hours=8))  # Asia/Shanghai has had no other offset since 1991
CLIENTS = 5
# counted: 1000.01 + 20.00 + 0.30 - 0.10 = 1020.21 yuan; 5 % of it is 51.0105 yuan
TOTAL_FEN = 5101
AMOUNTS_FEN = {"inside": 5000, "last-second": 100, "small": 1, "reversal": 0}  # of 5000.05, 100, 1.5 and -0.5
VERDICTS = {
    "inside": "COUNTED",
    "last-second": "COUNTED",
    "at-the-end": "AFTER_WINDOW",
    "too-early": "BEFORE_REFERRAL",
    "other-kind": "WRONG_KIND",
    "small": "COUNTED",
    "reversal": "COUNTED_REVERSAL",
    "": "NO_EVENT",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """One period's files for five aligned clients."""

    period: str
    referrals: Path
    events: Path
    clients: tuple[str, ...]


def month(folder: Path, clients: Sequence[str]) -> Month:
    """Write the files of the last month that is over in Shanghai."""
    chosen = tuple(sorted(clients)[:CLIENTS])
    first = (datetime.now(UTC).astimezone(ZONE).replace(day=1) - timedelta(days=1)).replace(
        day=1, hour=0, minute=0, second=0, microsecond=0
    )
    before = first - timedelta(days=1)
    noon = timedelta(hours=12)
    mid = timedelta(days=14) + noon  # the 15th at noon: a month has it, and so has the month before
    earlier = before.replace(day=15) + noon
    referred = [first + timedelta(days=2), earlier, first + timedelta(days=4), first + timedelta(days=6), first]
    events = [
        (0, first + timedelta(days=9), "commission", "1000.01", "inside"),
        (1, first + mid - timedelta(seconds=1), "commission", "20.00", "last-second"),
        (1, first + mid, "commission", "9999.99", "at-the-end"),
        (2, first + timedelta(days=3), "commission", "500.00", "too-early"),
        (4, first + timedelta(days=1), "bonus", "700.00", "other-kind"),
        (4, first + timedelta(days=2), "commission", "0.30", "small"),
        (4, first + timedelta(days=3), "commission", "-0.10", "reversal"),
    ]
    lines = [f"{client},{time.isoformat()}" for client, time in zip(chosen, referred, strict=True)]
    rows = [f"{chosen[i]},{time.isoformat()},{kind},{amount},{name}" for i, time, kind, amount, name in events]
    made = Month(
        period=f"{first:%Y-%m}", referrals=folder / "referrals.csv", events=folder / "events.csv", clients=chosen
    )
    made.referrals.write_text("\n".join(["client_id,time", *lines]) + "\n")
    made.events.write_text("\n".join(["client_id,time,kind,amount,event_id", *rows]) + "\n")
    return made


def agree(alliance: Alliance) -> Agreement:
    """The agreement of payer and referrer, approved by both, its referrer's account known to the contract."""
    terms = {
        "title": "first-month commission", "payer": PAYER, "referrer": REFERRER,
        "valid_from": f"{datetime.now(UTC) - timedelta(days=120):%Y-%m-%d}",
        "rules": [{"id": "first-month-commission", "event": "commission", "rate": "1/20"}],
    }  # fmt: skip
    contract = alliance.call("finance", "contract")
    body = drafts_finance.agreement(terms, contract, datetime.now(UTC), os.urandom)
    made = alliance.call("finance", "propose", {"kind": "agreement", "body": body})
    alliance.approve(made["digest"], (PAYER, REFERRER))
    wait(lambda: alliance.call("finance", "job", {"digest": made["digest"]})["state"] == "APPROVED", "the agreement")
    agreement = Agreement.from_body(made["body"])
    alliance.world.chain(
        "set-signer", "--key", str(alliance.world.key_file("governor")), "--contract", alliance.world.contract,
        "--partner", statement.partner_commitment(agreement), "--signer", agreement.referrer.chain,
    ).check()  # fmt: skip
    return agreement


def report(alliance: Alliance, agreement: Agreement, given: Month, alignment: str) -> None:
    """Both parties report; the hub has taken it when this returns."""
    report_referrals(alliance, agreement, given, alignment)
    delivered(alliance, REFERRER)
    wait(lambda: report_events(alliance, agreement, given), "the referrals to reach the payer's node")
    delivered(alliance, PAYER)


def report_referrals(alliance: Alliance, agreement: Agreement, given: Month, alignment: str) -> Any:
    arguments = {"file": str(given.referrals), "agreement": agreement.digest, "alignment": alignment}
    return alliance.node(REFERRER, "referrals.report", **arguments)


def report_events(alliance: Alliance, agreement: Agreement, given: Month) -> Any:
    """Raises NO_REFERRALS as long as the payer's node has not heard of them."""
    arguments = {"file": str(given.events), "agreement": agreement.digest, "period": given.period}
    return alliance.node(PAYER, "events.report", **arguments)


def delivered(alliance: Alliance, partner: str) -> None:
    """Wait until the hub has answered everything in a node's outbox; nothing may be refused."""
    wait(lambda: set(alliance.node(partner, "status")["outbox"]) == {"ANSWERED"}, f"{partner}'s outbox")


def close(alliance: Alliance, given: Month) -> str:
    """One person of finance closes the period, another releases the one statement; its id."""
    (made,) = alliance.call("finance", "close", {"period": given.period})["statements"]
    alliance.call("controller", "release", {"statement": made["statement"]})
    return str(made["statement"])


def confirm(alliance: Alliance, identifier: str) -> None:
    """Each party's node has computed the same statement; a person at each confirms it."""
    for partner in (PAYER, REFERRER):
        listed = wait(lambda partner=partner: _listed(alliance, partner, identifier), f"the statement at {partner}")
        assert listed["check"] == "matches", listed
        alliance.node(partner, "statement.confirm", statement=identifier, person=f"finance of {partner}")
    wait(lambda: set(line(alliance, identifier)["confirmed"]) == {PAYER, REFERRER}, "both confirmations")


def settle(alliance: Alliance, identifier: str, *, key: str = "") -> str:
    """The next chain step; the statement's state after it."""
    return str(alliance.call("finance", "settle", {"statement": identifier}, key=key)["state"])


def dispute(alliance: Alliance, identifier: str) -> None:
    """The referrer's person disputes what is on the chain; node and hub take it to the contract by themselves."""
    wait(lambda: _listed(alliance, REFERRER, identifier)["state"] == "PROPOSED", "the referrer's node to be told")
    given = {"statement": identifier, "reason": "the window is not theirs", "lines": [0], "person": "Li Na"}
    alliance.node(REFERRER, "statement.dispute", **given)
    wait(lambda: line(alliance, identifier)["state"] == "DISPUTED", "the dispute at the contract")


def dismiss(alliance: Alliance, identifier: str) -> Any:
    """The arbiter decides with its own key over the statement's file; what its command shows."""
    file, decision = alliance.folder / "disputed.json", alliance.folder / "decision.txt"
    file.write_text(json.dumps(alliance.node(REFERRER, "statement.show", statement=identifier)))
    decision.write_text("the window is that of the agreement")
    return alliance.world.chain(
        "resolve", "--key", str(alliance.world.key_file("arbiter")), "--contract", alliance.world.contract,
        "--dismissed", "--reason", str(decision), "--yes", "--json", str(file),
    ).check().json  # fmt: skip


def pass_window(alliance: Alliance) -> None:
    alliance.world.chain("advance", str(WINDOW_SECONDS + 1)).check()


def line(alliance: Alliance, identifier: str) -> Any:
    """A statement as the hub lists it."""
    listed = alliance.call("finance", "statements")["statements"]
    return next(item for item in listed if item["statement"] == identifier)


def _listed(alliance: Alliance, partner: str, identifier: str) -> Any:
    listed = alliance.node(partner, "statement.list")["statements"]
    return next((item for item in listed if item["statement"] == identifier), None)
