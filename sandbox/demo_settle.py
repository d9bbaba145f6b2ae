"""Step 6 of the demo: from referrals to a payment file, by the commands that people use."""

import csv
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from revenue_share import statement
from revenue_share.agreement import Agreement
from sandbox import processes
from sandbox.demo_match import approve
from sandbox.demo_story import Step, Story
from sandbox.processes import Done
from sandbox.world import WINDOW_SECONDS, parallel

PARTIES = ("broker", "platform")
RATE = "1/20"
WAIT_SECONDS = 30.0
POLL_SECONDS = 0.3
Found = TypeVar("Found")


def settling(story: Story) -> None:
    """Agreement, referrals, a month of events, one statement that both sign, the chain, the books, the payment file."""
    with story.step("Revenue share: 5 % of first-month commission, settled by contract") as step:
        agreement = _agree(story, step)
        story.doing("referrals and events, by token")
        _report(story, step, agreement)
        identifier = _close(story, step)
        _release(story, step, identifier)
        story.doing("both nodes compute the statement again, their people sign")
        _confirm(story, step, identifier)
        story.doing("the chain: propose, dispute window, finalise")
        _settle(story, step, identifier)
        _pay(story, step)


def _agree(story: Story, step: Step) -> Agreement:
    """Finance proposes, both parties approve, the governor registers the referrer's account with the contract."""
    file = story.world.folder / "people" / "agreement.toml"
    file.write_text(_agreement(story))
    made = story.world.person("finance", "finance", "agreement", "add", str(file)).check().json
    story.learn("agreement", made["body"])
    approve(story, made["digest"], PARTIES)
    agreement = Agreement.from_body(made["body"])
    story.world.chain(
        "set-signer", "--key", str(story.world.key_file("governor")), "--contract", story.world.contract,
        "--partner", statement.partner_commitment(agreement), "--signer", agreement.referrer.chain,
    ).check()  # fmt: skip
    step.lines.append(f"agreement {agreement.digest[:12]}… approved by {' and '.join(PARTIES)}")
    return agreement


def _agreement(story: Story) -> str:
    """The terms as finance writes them; what is left out the command completes and shows."""
    before = datetime.strptime(story.period, "%Y-%m").replace(day=1) - timedelta(days=32)  # noqa: DTZ007 - a date
    return "\n".join(
        [
            'title = "shopping platform: first-month commission"',
            'payer = "broker"',
            'referrer = "platform"',
            f"valid_from = {before.replace(day=1):%Y-%m-%d}",
            "[[rules]]",
            'id = "first-month-commission"',
            'event = "commission"',
            f'rate = "{RATE}"',
            "months_from_referral = 1",
        ]
    )


def _report(story: Story, step: Step, agreement: Agreement) -> None:
    """The platform reports whom it referred, the broker what they brought; a repeated event id is refused."""
    folder, world = story.world.folder / "people" / "month", story.world
    clients = world.node_folder("platform") / "alignment.csv"
    processes.run("sandbox", "commission", str(clients), "--period", story.period, "--out", str(folder)).check()
    options = ["--agreement", agreement.digest]
    sent = world.partner("platform", "referrals", "report", str(folder / "referrals.csv"), *options).check().json
    reported = [*options, "--period", story.period]
    repeated = world.partner("broker", "events", "report", str(folder / "events_repeated.csv"), *reported)
    story.expect(repeated.failure_code == "EVENT_ID_REPEATED", f"a repeated event id is refused: {repeated.stderr}")
    income = (
        _until(
            lambda: world.partner("broker", "events", "report", str(folder / "events.csv"), *reported),
            lambda done: done.failure_code != "NO_REFERRALS",  # the hub is still passing the referrals on
        )
        .check()
        .json
    )
    story.expect(income["events"] == _rows(folder / "events.csv"), "every event of a referred client was reported")
    for name in PARTIES:
        _delivered(story, name)
    step.lines.append(
        f"platform reported {sent['referrals']} referrals by token, broker {income['events']} commission events"
    )
    step.lines.append("a file with one event id twice was refused: EVENT_ID_REPEATED")


def _close(story: Story, step: Step) -> str:
    closed = story.world.person("finance", "finance", "close", story.period).check().json
    (made,) = closed["statements"]
    story.facts["money"] = {"statements": 1, "lines": made["lines"], "total_minor": made["total_minor"]}
    step.lines.append(
        f"statement {made['statement'][:12]}…: {made['lines']} lines, CNY {made['total_minor'] / 100:,.2f}"
    )
    return str(made["statement"])


def _release(story: Story, step: Step, identifier: str) -> None:
    """Who closed the month does not send it out: another person of finance does."""
    words = ("finance", "release", identifier, "--yes")
    own = story.world.person("finance", *words)
    story.expect(own.failure_code == "MAKER_IS_CHECKER", f"its maker can't release it: {own.stderr}")
    released = story.world.person("controller", *words).check().json
    step.lines.append(f"made by {released['made_by']}, released to both parties by {released['checked_by']}")


def _confirm(story: Story, step: Step, identifier: str) -> None:
    """Each party's own node recomputes the statement; a person then signs exactly that one."""

    def confirm(name: str) -> str:
        listed = _until(
            lambda: story.world.partner(name, "statement", "list").check().json["statements"],
            lambda found: any(item["statement"] == identifier for item in found),
        )
        check = next(item["check"] for item in listed if item["statement"] == identifier)
        story.world.partner(name, "statement", "confirm", identifier, "--person", f"{name}-finance", "--yes").check()
        return str(check)

    checks = parallel(PARTIES, confirm)
    story.expect(set(checks.values()) == {"matches"}, f"both nodes computed the same statement: {checks}")
    step.lines.append("both nodes recomputed every line, and both signed the same EIP-712 digest")


def _settle(story: Story, step: Step, identifier: str) -> None:
    """Propose, try too early, let the window pass, finalise; the books balance."""

    def settle() -> Done:
        return story.world.person("finance", "finance", "settle", identifier, "--yes")

    proposed = _until(settle, lambda done: done.failure_code != "STATEMENT_NOT_CONFIRMED").check().json
    story.expect(proposed["state"] == "PROPOSED", "the statement is on the chain")
    early = settle()
    story.expect(early.failure_code == "WINDOW_OPEN", f"not final inside the dispute window: {early.stderr}")
    story.world.chain("advance", str(WINDOW_SECONDS + 1)).check()
    final = settle().check().json
    story.expect(final["state"] == "FINAL", "the statement is final")
    told = story.world.person("finance", "finance", "ledger").check().json
    debit = sum(line["debit_minor"] for line in told["balances"])
    credit = sum(line["credit_minor"] for line in told["balances"])
    total = story.facts["money"]["total_minor"]
    story.expect(debit == credit and not told["pending"], "the journal balances and nothing is pending")
    story.expect(total in {line["credit_minor"] for line in told["balances"]}, "the platform's payable is the total")
    step.lines.append("on the chain: proposed, refused before the dispute window ended, final after it")
    step.lines.append(f"journal: debits {debit / 100:,.2f} = credits {credit / 100:,.2f}, nothing pending")


def _pay(story: Story, step: Step) -> None:
    file = story.results / f"payments-{story.period}.csv"
    story.world.person("finance", "finance", "pay", story.period, "--out", str(file), "--yes").check()
    with file.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    story.expect(len(rows) == 1, "one payment")
    story.facts["files"]["payment file"] = str(file)
    step.lines.append(f"payment file with {len(rows)} payment: {file.name}")


def _delivered(story: Story, name: str) -> None:
    """Wait until the hub has taken everything this node sent."""

    def outbox() -> dict[str, int]:
        box: dict[str, int] = story.world.partner(name, "status").check().json["outbox"]
        return box

    _until(outbox, lambda box: set(box) <= {"ANSWERED"})


def _rows(file: Path) -> int:
    with file.open(encoding="utf-8", newline="") as stream:
        return sum(1 for _ in csv.DictReader(stream))


def _until(ask: Callable[[], Found], enough: Callable[[Found], bool]) -> Found:
    """Ask again until the answer is enough, at most WAIT_SECONDS; the last answer either way."""
    end = time.monotonic() + WAIT_SECONDS
    found = ask()
    while not enough(found) and time.monotonic() < end:
        time.sleep(POLL_SECONDS)
        found = ask()
    return found
