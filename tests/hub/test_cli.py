"""The commands of operators and the data team against a running hub: one document, stable codes, nothing unasked."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ecowire import evidence, status
from hub import authority, cli, cli_data, cli_jobs, client, person_files, proposals
from hub.client import PersonInvalid
from hub.store import Transaction
from privacy.errors import Failure
from tests.hub.alliance import party
from tests.hub.streams import ServedHub, publish, served_hub

pytestmark = pytest.mark.slow_flow
ASSET = {
    "name": "clients",
    "id_column": "client_id",
    "id_type": "resident_id",
    "columns": {"AGE": "C1", "Y": "C2"},
    "rows": "1000-4999",
    "purposes": ["profile"],
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedHub]:
    with served_hub(tmp_path_factory.mktemp("hub"), "broker", "insurer") as made:
        for who in made.parties.values():
            publish(made, who, ASSET)
        yield made


@pytest.fixture(scope="module")
def person(hub: ServedHub, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """person.toml of somebody of the data team."""
    made = hub.person("dana", "data")
    folder = tmp_path_factory.mktemp("dana") / "dana"
    return person_files.write_person(folder, made.hub, made.authority, made.key, made.certificate)


@pytest.fixture(scope="module")
def operator(hub: ServedHub, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = hub.operator
    folder = tmp_path_factory.mktemp("oda") / "oda"
    return person_files.write_person(folder, made.hub, made.authority, made.key, made.certificate)


def run(group: Any, config: Path, *arguments: str, as_json: bool = True) -> Any:
    result = invoke(group, config, *arguments, *(["--json"] if as_json else []))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return json.loads(result.stdout) if as_json else result.stdout


def invoke(group: Any, config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(group, [*arguments, "--config", str(config)])


def refusal(group: Any, config: Path, *arguments: str) -> str:
    result = invoke(group, config, *arguments, "--json")
    assert isinstance(result.exception, Failure), result.output
    return status.code_of(result.exception)


def test_an_operator_sees_who_is_connected_and_invites(hub: ServedHub, operator: Path) -> None:
    assert run(cli.hub, operator, "status")["role"] == "operator"
    made = run(cli.hub, operator, "invite", "platform")
    assert len(made["invite"]) == 32
    assert "邀请码" in run(cli.hub, operator, "invite", "platform", "--lang", "zh", as_json=False)


def test_a_person_is_certified_into_a_folder_of_their_own(hub: ServedHub, operator: Path, tmp_path: Path) -> None:
    made = run(cli.hub, operator, "certify", "fei", "finance", "--out", str(tmp_path / "fei"))
    assert run(cli.hub, Path(made["person"]), "status")["role"] == "finance"
    assert refusal(cli.hub, operator, "certify", "fei", "finance", "--out", str(tmp_path / "fei")) == "OUTPUT_EXISTS"
    issued = hub.store.read("c", lambda tx: tx.members.certificates("fei"))
    assert len(issued) == 1  # the second one was refused before it was issued


def test_a_revocation_needs_a_yes(hub: ServedHub, operator: Path, tmp_path: Path) -> None:
    made = run(cli.hub, operator, "certify", "leaver", "data", "--out", str(tmp_path / "leaver"))
    (found,) = hub.store.read("c", lambda tx: tx.members.certificates("leaver"))
    arguments = ("revoke", "--serial", found.serial, "--reason", "left")
    assert refusal(cli.hub, operator, *arguments) == "NOT_CONFIRMED"
    assert run(cli.hub, Path(made["person"]), "status")["name"] == "leaver"
    assert run(cli.hub, operator, *arguments, "--yes")["revoked"] == [found.serial]
    assert refusal(cli.hub, Path(made["person"]), "status") == "CERTIFICATE_REVOKED"


def test_certificates_are_listed_with_their_ends_for_the_operator_alone(
    hub: ServedHub, operator: Path, person: Path, tmp_path: Path
) -> None:
    run(cli.hub, operator, "certify", "temp", "data", "--out", str(tmp_path / "temp"))
    (made,) = hub.store.read("c", lambda tx: tx.members.certificates("temp"))
    listed = {item["serial"]: item for item in run(cli.hub, operator, "certificates")["certificates"]}
    assert (listed[made.serial]["name"], listed[made.serial]["role"]) == ("temp", "data")
    assert listed[made.serial]["state"] == "ACTIVE"
    assert {"broker", "insurer"} <= {item["name"] for item in listed.values() if item["role"] == "node"}
    run(cli.hub, operator, "revoke", "--serial", made.serial, "--reason", "left", "--yes")
    assert made.serial not in run(cli.hub, operator, "certificates", "--active", as_json=False)
    again = {item["serial"]: item for item in run(cli.hub, operator, "certificates")["certificates"]}
    assert (again[made.serial]["state"], again[made.serial]["reason"]) == ("REVOKED", "left")
    assert refusal(cli.hub, person, "certificates") == "ROLE_NOT_ALLOWED"


def test_a_person_renews_the_own_certificate_and_a_revocation_ends_both(
    hub: ServedHub, operator: Path, tmp_path: Path
) -> None:
    config = Path(run(cli.hub, operator, "certify", "long", "finance", "--out", str(tmp_path / "long"))["person"])
    before = (tmp_path / "long" / "certificate.pem").read_bytes()
    hub.clock.forward(60)  # no more: TLS looks at this machine's own clock
    told = run(cli.hub, config, "renew")
    after = (tmp_path / "long" / "certificate.pem").read_bytes()
    assert (told["role"], after != before) == ("finance", True)
    assert run(cli.hub, config, "status")["expires"] == told["expires"]
    first, second = hub.store.read("c", lambda tx: tx.members.certificates("long"))
    assert second.not_after > first.not_after
    assert first.public_key == second.public_key
    run(cli.hub, operator, "revoke", "--serial", first.serial, "--reason", "left", "--yes")
    assert refusal(cli.hub, config, "status") == "CERTIFICATE_REVOKED"
    assert refusal(cli.hub, config, "renew") == "CERTIFICATE_REVOKED"


def test_a_nodes_certificate_renews_itself_for_its_own_key_and_does_nothing_else(hub: ServedHub) -> None:
    who = hub.parties["broker"]
    node = client.Person(
        hub=hub.operator.hub,
        authority=hub.operator.authority,
        key=authority.private_pem(who.tls),
        certificate=who.certificate,
    )

    def ask(command: str, **head: str) -> dict[str, Any]:
        return dict(client.call(node, command, dict(head), idempotency_key=os.urandom(8).hex())[0])

    made = ask("renew", csr=who.csr().decode())
    assert made["role"] == "node"
    renewed = replace(node, certificate=str(made["certificate"]).encode())
    assert client.call(renewed, "renew", {"csr": who.csr().decode()}, idempotency_key="n2")[0]["role"] == "node"
    stranger = authority.make_request(party("thief").tls, "broker").decode()
    for command, head, code in (
        ("renew", {"csr": stranger}, "RENEWAL_OF_OTHER_KEY"),
        ("renew", {"csr": who.csr("insurer").decode()}, "CERTIFICATE_REQUEST_NOT_VALID"),
        ("whoami", {}, "ROLE_NOT_ALLOWED"),
        ("partners", {}, "ROLE_NOT_ALLOWED"),
        ("certificates", {}, "ROLE_NOT_ALLOWED"),
    ):
        with pytest.raises(Failure) as caught:
            ask(command, **head)
        assert status.code_of(caught.value) == code


def test_a_data_person_may_not_do_an_operators_work(hub: ServedHub, person: Path) -> None:
    assert refusal(cli.hub, person, "invite", "platform") == "ROLE_NOT_ALLOWED"


def test_a_checkpoint_and_a_bundle_are_made(hub: ServedHub, operator: Path, tmp_path: Path) -> None:
    (made,) = run(cli.hub, operator, "checkpoint")["checkpoints"]
    assert made["log"] == "audit"
    out = tmp_path / "bundle.zip"
    told = run(cli.hub, operator, "bundle", "2026-10", "--out", str(out))
    found = evidence.read(out.read_bytes())
    assert (found.period, told["bytes"]) == ("2026-10", out.stat().st_size)
    assert refusal(cli.hub, operator, "bundle", "2026-10", "--out", str(out)) == "OUTPUT_EXISTS"
    assert refusal(cli.hub, operator, "bundle", "October", "--out", str(tmp_path / "x")) == "MALFORMED_IDENTIFIER"


def test_partners_and_what_they_publish_are_listed(hub: ServedHub, person: Path) -> None:
    listed = run(cli_data.data, person, "partners")["partners"]
    assert [item["partner"] for item in listed] == ["broker", "insurer"]
    shown = run(cli_data.data, person, "partners", as_json=False)
    assert "1000-4999" in shown


PROPOSE = ("match", "propose", "--leader", "broker", "--with", "insurer", "--purpose", "profile")


def test_a_match_is_proposed_shown_listed_and_cancelled(hub: ServedHub, person: Path) -> None:
    made = run(cli_data.data, person, *PROPOSE, "--key", "m1")
    assert run(cli_data.data, person, "jobs", "--kind", "match")["jobs"][-1]["digest"] == made["digest"]
    short = made["digest"][:12]
    shown = run(cli_data.data, person, "match", "status", short)
    assert (shown["state"], shown["undelivered"]) == ("PROPOSED", {"broker": None, "insurer": None})
    assert "PROPOSED" in run(cli_data.data, person, "match", "status", short, as_json=False)
    assert refusal(cli_data.data, person, "match", "result", short) == "RESULT_NOT_THERE"
    assert refusal(cli_data.data, person, "match", "cancel", short) == "NOT_CONFIRMED"
    assert run(cli_data.data, person, "match", "cancel", short, "--yes")["state"] == "CANCELLED"
    assert refusal(cli_data.data, person, "match", "cancel", short, "--yes") == "PROPOSAL_STATE"
    result = invoke(cli_data.data, person, "match", "status", short, "--follow", "--json")
    assert json.loads(result.stdout)["state"] == "CANCELLED"
    assert isinstance(result.exception, cli_jobs.JobEnded)


def test_a_refused_match_says_who_refused_and_why_without_following(hub: ServedHub, person: Path) -> None:
    made = run(cli_data.data, person, *PROPOSE)
    refused = hub.parties["insurer"].approval(made["digest"], "match", "refuse", reason="not for marketing")
    services = hub.running.services

    def decide(tx: Transaction) -> None:
        partner = tx.members.partner("insurer")
        assert partner is not None
        proposals.decide(services, tx, partner, hub.clock(), refused)

    services.store.run("test", decide)
    shown = run(cli_data.data, person, "match", "status", made["digest"], as_json=False)
    assert "REFUSED (insurer) not for marketing" in shown


def test_the_tables_for_people_name_the_next_step(hub: ServedHub, person: Path) -> None:
    shown = run(cli_data.data, person, *PROPOSE, as_json=False)
    assert "ecohub partner approve" in shown
    assert "signing key" in shown
    assert "normaliser" in shown and "minimum" in shown and "2026-" in shown  # fields that nobody named


def test_a_file_gives_fields_and_options_stand_over_them(hub: ServedHub, person: Path, tmp_path: Path) -> None:
    file = tmp_path / "match.toml"
    file.write_text('mode = "align"\nminimum = 33\npurpose = "profile"\n')
    arguments = ("match", "propose", "--leader", "broker", "--with", "insurer", "--file", str(file), "--minimum", "44")
    body = run(cli_data.data, person, *arguments)["body"]
    assert (body["mode"], body["minimum"]) == ("align", 44)
    file.write_text("mode = \n")
    assert refusal(cli_data.data, person, *arguments) == "DRAFT_FILE_INVALID"


def test_labels_are_proposed_by_option_or_file(hub: ServedHub, person: Path, tmp_path: Path) -> None:
    labels = {"partner": "insurer", "column": "SEGMENT", "bytes": 8}
    body = run(cli_data.data, person, *PROPOSE, "--mode", "labels", "--label", "insurer:SEGMENT:8")["body"]
    assert (body["mode"], body["engine"], body["labels"]) == ("labels", "oprf", labels)
    file = tmp_path / "match.toml"
    file.write_text('mode = "labels"\nlabels = {partner = "insurer", column = "SEGMENT", bytes = 8}\n')
    assert run(cli_data.data, person, *PROPOSE, "--file", str(file))["body"]["labels"] == labels
    shown = run(cli_data.data, person, *PROPOSE, "--file", str(file), as_json=False)
    assert "AND OF EACH insurer's SEGMENT (text of at most 8 bytes)" in shown
    assert refusal(cli_data.data, person, *PROPOSE, "--mode", "labels") == "MATCH_TERMS_INVALID"


def test_a_file_that_no_proposal_can_be_is_not_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "plan.toml"
    file.write_text("a = 1\n" + "#" * cli_jobs.FILE_BYTES_MAX)
    monkeypatch.setattr(cli_jobs.tomllib, "loads", lambda _: pytest.fail("it was parsed"))
    with pytest.raises(cli_jobs.DraftFileInvalid, match="larger than 262,144 bytes"):
        cli_jobs.given_in(file)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("match", "propose", "--leader", "broker", "--with", "nobody", "--purpose", "p"), "DRAFT_INCOMPLETE"),
        (("match", "propose", "--leader", "broker", "--with", "insurer"), "DRAFT_INCOMPLETE"),
        (("match", "propose", "--purpose", "p"), "DRAFT_INCOMPLETE"),
        ((*PROPOSE, "--expires", "2020-01-01T00:00:00Z"), "PROPOSAL_INVALID"),
        ((*PROPOSE, "--ids", "shoe_size"), "MATCH_TERMS_INVALID"),
        (("match", "status", "ffffffff"), "PROPOSAL_UNKNOWN"),
        (("match", "status", "b4"), "PREFIX_TOO_SHORT"),
        (("match", "status", "../../x"), "PROPOSAL_UNKNOWN"),
        (("train", "propose", "--alignment", "ffffffff", "--label", "broker:Y"), "PROPOSAL_UNKNOWN"),
        (("train", "report", "ffffffff"), "PROPOSAL_UNKNOWN"),
    ],
)
def test_what_is_wrong_is_named(hub: ServedHub, person: Path, arguments: tuple[str, ...], code: str) -> None:
    assert refusal(cli_data.data, person, *arguments) == code


def test_a_plan_over_a_match_that_is_not_done_is_refused(hub: ServedHub, person: Path) -> None:
    made = run(cli_data.data, person, *PROPOSE, "--mode", "align")
    arguments = ("--alignment", made["digest"][:10], "--label", "broker:Y", "--with", "insurer", "--purpose", "profile")
    assert refusal(cli_data.data, person, "train", "propose", *arguments) == "DRAFT_INCOMPLETE"  # no columns are named
    named = ("--columns", "broker:AGE", "--columns", "insurer:AGE,Y")
    assert refusal(cli_data.data, person, "train", "propose", *arguments, *named) == "ALIGNMENT_NOT_USABLE"
    parts = ("--binned", "insurer:AGE", "--folds", "3", "--contribution")
    assert refusal(cli_data.data, person, "train", "propose", *arguments, *named, *parts) == "ALIGNMENT_NOT_USABLE"
    assert refusal(cli_data.data, person, "train", "propose", *arguments, *named, "--folds", "1") == "PLAN_INVALID"
    for stranger in ("--columns", "--binned"):
        assert invoke(cli_data.data, person, "train", "propose", *arguments, stranger, "bank:AGE").exit_code == 2


def test_a_plan_for_each_class_is_proposed_over_one_division_and_none_where_one_is_wrong(
    hub: ServedHub, person: Path
) -> None:
    match = run(cli_data.data, person, *PROPOSE, "--mode", "align")["digest"]

    def complete(tx: Transaction) -> None:
        job = tx.jobs.proposal(match)
        assert job is not None
        tx.jobs.move(job, "COMPLETED", hub.clock())

    hub.running.services.store.run("test", complete)
    plan = ("train", "propose", "--alignment", match[:10], "--label", "broker:Y", "--with", "insurer", "--purpose")
    plan = (*plan, "profile", "--columns", "broker:AGE", "--columns", "insurer:AGE", "--each-class")
    made = run(cli_data.data, person, *plan, "low, mid,high", "--key", "each")["jobs"]
    assert (
        [job["class"] for job in made] == [job["body"]["label"]["positive"] for job in made] == ["low", "mid", "high"]
    )
    assert len({(job["body"]["split_salt"], job["body"]["expires"]) for job in made}) == 1
    assert len({job["digest"] for job in made}) == len({job["body"]["nonce"] for job in made}) == 3
    hub.clock.forward(90)  # the expiry would be another one now
    assert run(cli_data.data, person, *plan, "low,mid,high", "--key", "each")["jobs"] == made
    proposed = run(cli_data.data, person, "jobs", "--kind", "train")["jobs"]
    assert refusal(cli_data.data, person, *plan, f"low,{'x' * 200}") == "PLAN_INVALID"
    for wrong in ("low", "low,low", "low,,high"):
        assert invoke(cli_data.data, person, *plan, wrong).exit_code == 2
    assert run(cli_data.data, person, "jobs", "--kind", "train")["jobs"] == proposed
    shown = run(cli_data.data, person, *plan, "low,mid", "--lang", "zh", as_json=False)
    assert "标签类别" in shown and "ecohub partner classes" in shown


def test_proposing_again_with_the_same_key_is_the_same_job(hub: ServedHub, person: Path) -> None:
    first = run(cli_data.data, person, *PROPOSE, "--key", "again")
    hub.clock.forward(90)  # the expiry would be another one now
    assert run(cli_data.data, person, *PROPOSE, "--key", "again") == first
    assert refusal(cli_data.data, person, *PROPOSE, "--key", "again", "--minimum", "7") == "IDEMPOTENCY_CONFLICT"
    assert run(cli_data.data, person, *PROPOSE, "--key", "another")["digest"] != first["digest"]


def test_without_a_person_there_is_no_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ECOHUB_PERSON", raising=False)
    with pytest.raises(PersonInvalid, match="ECOHUB_PERSON"):
        run(cli_data.data, tmp_path / "person.toml", "partners")
    (tmp_path / "person.toml").write_text('hub = "x"\n')
    with pytest.raises(PersonInvalid, match="nothing else"):
        run(cli_data.data, tmp_path / "person.toml", "partners")


def test_every_command_has_help() -> None:
    def walk(command: Any) -> Iterator[Any]:
        yield command
        for one in getattr(command, "commands", {}).values():
            yield from walk(one)

    for root in (cli.hub, cli_data.data):
        for command in walk(root):
            assert command.help, command.name


def test_a_hub_is_founded_from_the_command_line_and_migrated(tmp_path: Path) -> None:
    arguments = ["init", "--dir", str(tmp_path / "hub"), "--alliance", "a-b", "--json"]
    made = json.loads(CliRunner().invoke(cli.hub, arguments).stdout)
    assert Path(made["person"]).exists()
    assert run(cli.hub, Path(made["settings"]), "migrate") == {"migrated": True}
