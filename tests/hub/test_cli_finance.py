"""Finance's commands against a hub that serves over TLS and a real chain: a month from terms to payment file."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from contracts import settlement as chain_settlement
from ecowire import status
from hub import cli_finance, client, founding, person_files, settings, wiring
from privacy.errors import Failure
from privacy.ids import Period
from revenue_share import statement
from revenue_share.agreement import Agreement
from revenue_share.periods import time_text
from tests.hub.alliance import ALLIANCE, Hub, MovableClock, party
from tests.hub.settling import PAYER, REFERRER, Settling
from tests.hub.streams import ServedHub
from tests.support.bank_files import CREDITOR, IBAN, Booked, camt
from tests.support.entropy import SeededEntropy
from tests.support.revenue import event, referral
from tests.support.sandbox_chain import CHAIN_ID, KEYS, WINDOW, local

pytestmark = [pytest.mark.flow, pytest.mark.slow_flow]

NOW = datetime.now(UTC).replace(microsecond=0)  # TLS checks certificates against the machine's own clock
FIRST = (NOW.replace(day=1) - timedelta(days=20)).replace(day=1, hour=4, minute=0, second=0)
PERIOD = Period(f"{FIRST:%Y-%m}")


@dataclass
class Finance:
    """The commands of a person of finance, and the alliance behind them. `controller`: the second person's config."""

    config: Path
    controller: Path
    month: Settling

    def invoke(self, *arguments: str) -> Any:
        return CliRunner().invoke(cli_finance.finance, [*arguments, "--config", str(self.config)])

    def run(self, *arguments: str) -> Any:
        result = self.invoke(*arguments, "--json")
        if result.exception is not None:
            raise result.exception
        return json.loads(result.stdout)

    def text(self, *arguments: str) -> str:
        result = self.invoke(*arguments)
        assert result.exception is None, result.exception
        return str(result.stdout)

    def refusal(self, *arguments: str) -> str:
        result = self.invoke(*arguments, "--json")
        assert isinstance(result.exception, Failure), result.output
        return status.code_of(result.exception)


@pytest.fixture(scope="module")
def finance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finance]:
    folder = tmp_path_factory.mktemp("finance")
    with local() as chain:
        contract = chain.deploy_settlement()
        plan = founding.Plan(
            folder=folder / "hub",
            alliance=ALLIANCE,
            listen="127.0.0.1:0",
            enrol="127.0.0.1:0",
            operator="oda",
            chain_endpoint=chain.server.endpoint,
            chain_id=CHAIN_ID,
            contract=contract,
        )
        clock = MovableClock(NOW)
        made = founding.found(plan, clock, SeededEntropy(b"hub"))
        key = folder / "hub" / "keys" / "submitter.key"
        key.write_text(KEYS["submitter"].secret.hex() + "\n")  # an account that this chain admits
        running = wiring.start(settings.load(made.settings), clock, SeededEntropy(b"served"))
        operator = replace(client.load(folder / "hub" / "people" / "oda" / "person.toml"), hub=running.listen)
        served = ServedHub(running=running, clock=clock, operator=operator)
        try:
            fei, config = served.person("fei", "finance"), folder / "fei"
            config = person_files.write_person(config, fei.hub, fei.authority, fei.key, fei.certificate)
            cai, controller = served.person("cai", "finance"), folder / "cai"
            controller = person_files.write_person(controller, cai.hub, cai.authority, cai.key, cai.certificate)
            hub = Hub(services=running.services, clock=clock, settings=running.services.settings)
            hub.enrol(replace(party(PAYER), chain=KEYS["broker"]))
            hub.enrol(replace(party(REFERRER), chain=KEYS["referrer"]))
            yield Finance(config=config, controller=controller, month=Settling(hub=hub, chain=chain, contract=contract))
        finally:
            running.stop()


def terms(folder: Path, **changes: str) -> str:
    fields = {
        "title": '"5 % of first-month commission"',
        "payer": f'"{PAYER}"',
        "referrer": f'"{REFERRER}"',
        "valid_from": f"{FIRST:%Y-%m-%d}",
        **changes,
    }
    rule = '[[rules]]\nid = "first-month"\nevent = "commission"\nrate = "1/20"\n'
    path = folder / "terms.toml"
    path.write_text("\n".join(f"{name} = {value}" for name, value in fields.items() if value) + "\n" + rule)
    return str(path)


def test_a_month_from_terms_to_payment_file(finance: Finance, tmp_path: Path) -> None:
    month = finance.month
    shown = finance.run("contract")
    accounts = (KEYS[role].address for role in ("governor", "broker", "arbiter"))
    assert [shown[name] for name in ("governor", "broker", "arbiter")] == [*accounts]
    assert (shown["registrar"], shown["window_seconds"]) == (KEYS["governor"].address, WINDOW)
    assert f"伙伴登记合约: {shown['registrar']}" in finance.text("contract", "--lang", "zh")
    made = finance.run("agreement", "add", terms(tmp_path), "--key", "terms")
    assert finance.run("agreement", "add", terms(tmp_path), "--key", "terms") == made  # nonce and expiry are not new
    month.agreement = Agreement.from_body(made["body"])
    assert made["body"]["settlement"] == {"chain_id": CHAIN_ID, "contract": month.contract, "window_seconds": WINDOW}
    for name in (PAYER, REFERRER):
        month.hub.decide(name, made["digest"], "agreement")
    assert finance.run("agreement", "show")["jobs"][0]["state"] == "APPROVED"
    assert "1/20 of each commission" in finance.text("agreement", "show", made["digest"][:12])
    partner = bytes.fromhex(statement.partner_commitment(month.agreement))
    on_chain = finance.run("agreement", "show", made["digest"][:12])["chain"]
    assert (on_chain["partner"], on_chain["signer"]) == (partner.hex(), KEYS["referrer"].address)
    assert on_chain["register"].endswith(f"--terms {made['digest']}")
    assert f"--partner {partner.hex()}" in finance.text("agreement", "show", made["digest"]).replace("\n", " ")
    data = chain_settlement.set_signer_data(partner, KEYS["referrer"].address)
    month.chain.chain.execute(month.contract, data, KEYS["governor"].secret)

    month.report_referrals([referral(1, time_text(FIRST)), referral(2, time_text(FIRST))])
    month.report_events([event("e1", 1, 123457, time_text(FIRST + timedelta(days=3)))], period=PERIOD)
    (closed,) = finance.run("close", PERIOD)["statements"]
    identifier = closed["statement"]
    assert closed["payable_minor"] == 6173
    assert identifier[:12] in finance.text("statements")
    shown = finance.run("statement", identifier[:12])
    assert [line["amount_minor"] for line in shown["line_values"]] == [6173, 0]
    assert "1/20 × 123457 分" in finance.text("statement", identifier, "--lang", "zh").replace("\n", "")

    assert finance.refusal("settle", identifier, "--yes") == "STATEMENT_NOT_RELEASED"
    assert finance.refusal("release", identifier) == "NOT_CONFIRMED"
    assert finance.refusal("release", identifier, "--yes") == "MAKER_IS_CHECKER"
    checker = replace(finance, config=finance.controller)
    assert (released := checker.run("release", identifier, "--yes"))["checked_by"] == "cai"
    assert released["made_by"] == "fei"
    assert checker.refusal("reject", identifier, "--reason", "too late", "--yes") == "STATEMENT_RELEASED"
    assert "fei" in finance.text("statement", identifier)

    assert finance.refusal("settle", identifier) == "NOT_CONFIRMED"
    assert finance.refusal("settle", identifier, "--yes") == "STATEMENT_NOT_CONFIRMED"
    for name in (PAYER, REFERRER):
        month.confirm(month.record(identifier), name)
    assert finance.run("settle", identifier[:10], "--yes")["state"] == "PROPOSED"
    assert finance.refusal("settle", identifier, "--yes") == "WINDOW_OPEN"
    assert finance.refusal("pay", PERIOD, "--out", str(tmp_path / "early.csv"), "--yes") == "NOTHING_TO_PAY"
    month.pass_window()
    assert finance.run("settle", identifier, "--yes", "--key", "final")["state"] == "FINAL"
    assert finance.run("settle", identifier, "--yes", "--key", "final")["state"] == "FINAL"  # the same answer again
    assert finance.refusal("settle", identifier, "--yes") == "NOTHING_TO_SETTLE"

    files = [tmp_path / "pay.csv", tmp_path / "again.csv"]
    assert finance.refusal("pay", PERIOD, "--out", str(files[0])) == "NOT_CONFIRMED"
    assert not files[0].exists()
    assert finance.run("pay", PERIOD, "--out", str(files[0]), "--yes")["new"] is True
    assert finance.run("pay", PERIOD, "--out", str(files[1]), "--yes")["new"] is False
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[0].stat().st_mode & 0o777 == 0o600
    (row,) = list(csv.DictReader(files[0].read_text().splitlines()))
    assert (row["amount"], row["end_to_end_id"]) == ("61.73", identifier[:32])
    assert f"{identifier[:32]} 已下达" in finance.text("statement", identifier, "--lang", "zh")
    assert finance.refusal("pay", PERIOD, "--out", str(files[0]), "--yes") == "PAYMENT_FILE_EXISTS"
    _accounts(finance)
    _paid_by_the_bank(finance, tmp_path, identifier)
    books = finance.run("ledger")
    assert sum(b["debit_minor"] - b["credit_minor"] for b in books["balances"]) == 0
    assert "liability:payable:platform-a" in finance.text("ledger")


def _accounts(finance: Finance) -> None:
    """One person enters an account, another approves it."""
    given = ("--partner", REFERRER, "--name", "Platform A", "--account", CREDITOR, "--bic", "NWBKGB2L")
    assert finance.run("details", "propose", *given, "--dry-run")["state"] == "PROPOSED"
    assert finance.run("details", "show")["details"] == []
    digest = finance.run("details", "propose", *given)["digest"]
    assert finance.refusal("details", "approve", digest, "--yes") == "FOUR_EYES"
    other = replace(finance, config=finance.controller)
    assert other.refusal("details", "approve", digest) == "NOT_CONFIRMED"
    assert other.run("details", "approve", digest[:12], "--yes")["decided_by"] == "cai"
    assert finance.run("details", "show", "--partner", REFERRER)["details"][0]["state"] == "ACTIVE"
    assert CREDITOR in finance.text("details", "show").replace("\n", "")


def _paid_by_the_bank(finance: Finance, folder: Path, identifier: str) -> None:
    """The bank's file, the match by rule, an exception that two people explain, and the tables of it all."""
    fee = Booked(minor=250, bank_reference="FEE", account="", name="=cmd|x", booked=f"{NOW:%Y-%m-%d}")
    paid = Booked(minor=6173, reference=identifier[:32], booked=f"{NOW:%Y-%m-%d}")
    file = folder / "statement.xml"
    file.write_bytes(camt([paid, fee]))
    told = ("bank", "import", str(file), "--account", IBAN)
    assert finance.run(*told, "--dry-run")["taken"] == 2
    assert finance.run("bank", "show")["files"] == []
    assert finance.run(*told)["taken"] == 2
    assert finance.run(*told)["new"] is False
    entries = finance.run("bank", "show", finance.run("bank", "show")["files"][0]["file"])["entries"]
    assert [entry["amount_minor"] for entry in entries] == [6173, 250]
    assert len(finance.run("reconcile", "--dry-run")["matched"]) == 1
    assert "REFERENCE" in finance.text("reconcile")
    assert "EXTRA" in finance.text("exceptions") and "多出" in finance.text("exceptions", "--lang", "zh")
    sheet = folder / "exceptions.csv"
    assert finance.run("export", "exceptions", "--format", "csv", "--out", str(sheet))["rows"] == 1
    assert "'=cmd|x" in sheet.read_text()
    assert finance.run("export", "ledger", "--out", str(folder / "ledger.xlsx"))["format"] == "xlsx"
    (item,) = finance.run("exceptions")["exceptions"]
    entry = item["entry"]["entry"]
    assert "CNY -2.50" in finance.text("exceptions") and "suspense:recon" in finance.text("exceptions", "--lang", "zh")
    explained = ("match", "propose", "--kind", "EXPLAINED", "--entry", entry[:12], "--reason", "bank fee")
    assert finance.refusal(*explained) == "MATCH_INVALID"
    made = finance.run(*explained, "--to", "charges")
    assert finance.refusal("match", "approve", made["match"], "--yes") == "FOUR_EYES"
    assert replace(finance, config=finance.controller).run("match", "approve", made["match"], "--yes")["kind"]
    assert finance.run("exceptions")["exceptions"] == []
    assert [one["state"] for one in finance.run("match", "show")["matches"]] == ["APPROVED", "APPROVED"]
    assert finance.refusal("settle", identifier, "--yes") == "PAYOUT_NOT_SIGNED"  # no node is there to sign


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"title": ""}, "DRAFT_INCOMPLETE"),
        ({"payer": ""}, "DRAFT_INCOMPLETE"),
        ({"bonus": "0.05"}, "AGREEMENT_FILE_INVALID"),
        ({"bonus": "5"}, "AGREEMENT_INVALID"),
        ({"referrer": '"nobody"'}, "PARTY_UNKNOWN"),
        ({"valid_until": "2020-01-01"}, "AGREEMENT_INVALID"),
        ({"expires": "2026-12-01"}, "DRAFT_INCOMPLETE"),
        ({"expires": "2020-12-01T00:00:00+08:00"}, "PROPOSAL_INVALID"),  # an instant of TOML, but past
    ],
)
def test_terms_that_cannot_be_proposed(finance: Finance, tmp_path: Path, changes: dict[str, str], code: str) -> None:
    assert finance.refusal("agreement", "add", terms(tmp_path, **changes)) == code


def test_a_file_that_is_no_toml(finance: Finance, tmp_path: Path) -> None:
    path = tmp_path / "terms.toml"
    path.write_bytes(b"\xff\xfe")
    assert finance.refusal("agreement", "add", str(path)) == "AGREEMENT_FILE_INVALID"


def test_unknown_periods_and_statements(finance: Finance) -> None:
    assert finance.refusal("close", "2026-13") == "MALFORMED_IDENTIFIER"
    assert finance.refusal("statement", "00000000") == "STATEMENT_UNKNOWN"
    assert finance.refusal("settle", "00000000", "--yes") == "STATEMENT_UNKNOWN"
