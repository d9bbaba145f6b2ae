"""Labels at the label holder's node: who gets one, who is refused why, what is on record, and what stops a delivery."""

import csv
import io
import json
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from ecowire import documents
from ecowire.outputs import OutputExists, OutputNotWritable
from federation.labels import LabelRulesInvalid, LabelRulesUnreadable, parse
from partner_node import errors, files, labels_errors, store_labels
from partner_node.labels_files import BYTE_ORDER_MARK, COLUMNS, Line, encode
from privacy.errors import Failure
from privacy.normalise import IdRejected
from tests.partner_node import alliance, labels
from tests.partner_node.alliance import TestNode, resident_id
from tests.partner_node.conftest import MakeNode

RULES = parse(labels.EXAMPLE.read_bytes(), labels.EXAMPLE.name)


@pytest.fixture
def node(make_node: MakeNode) -> TestNode:
    """The broker, with consent of all its clients."""
    made = make_node("broker", labels.source(), labels.COLUMNS)
    alliance.consent(made, range(labels.CLIENTS))
    return made


@pytest.fixture
def bank(make_node: MakeNode) -> TestNode:
    return make_node("bank")


@pytest.fixture
def job(node: TestNode, bank: TestNode) -> str:
    return labels.finished(node, labels.plan_body([node, bank]), labels.matrix())


def deliver(node: TestNode, job: str, **changes: Any) -> Any:
    return node.command("labels.deliver", **{"run": job, "format": "csv", **labels.DEFINITE, **changes})


def rows(found: Any) -> list[dict[str, str]]:
    with Path(found["file"]).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def of(found: Any, number: int) -> dict[str, dict[str, str]]:
    """A client's lines by label."""
    return {row["label"]: row for row in rows(found) if row["client_id"] == resident_id(number)}


def refusals(found: Any) -> dict[tuple[str, str | None], int]:
    return {(row["reason"], row["label"]): row["clients"] for row in found["refused"]}


def history(node: TestNode) -> Any:
    return node.command("labels.history")


def test_every_label_follows_the_rules_and_none_is_above_its_clients_class(node: TestNode, job: str) -> None:
    found = deliver(node, job[:12])
    given = {(row["client_id"], row["label"]): row for row in rows(found)}
    refused = 0
    for n in range(labels.CLIENTS):
        own = RULES.risk_class(labels.risk(n)) or 0
        for label in RULES.labels:
            grade = label.grade(decile=labels.decile(n), chance=labels.chance(n), score=0)
            row = given.pop((resident_id(n), label.name), None)
            assert (row is not None) == (grade is not None and own >= grade.risk_level)
            assert row is None or grade is None or row["class"] == str(grade.class_ or "")
            refused += grade is not None and row is None
    assert given == {}
    assert (
        sum(refusals(found).values())
        == refused
        == sum(count for (reason, _), count in refusals(found).items() if reason == "SUITABILITY")
    )
    assert found["clients"] == labels.CLIENTS and not found["repeated"]
    assert Path(found["file"]).stat().st_mode & 0o777 == 0o600


def test_a_line_has_reasons_validity_and_the_consents_reference(node: TestNode, job: str) -> None:
    found = deliver(node, job)
    assert tuple(rows(found)[0]) == COLUMNS
    line = of(found, 38)["high_net_worth_potential"]  # decile 10, chance 0.9625, risk class 3
    assert line["reason_en"] == (
        "decile 10, chance 0.9625, risk class 3; "
        "rule: decile 9 to 10; chance from 0.6; for clients of risk class 3 or above"
    )
    assert line["reason_zh"].startswith("十分位 10，概率 0.9625，风险等级 3 级")
    assert line["valid_until"] == "2026-12-30T08:00:00+00:00"  # 90 days after the run
    assert (line["purpose"], line["model"]) == (alliance.PURPOSE, labels.MODEL)
    assert (line["rules"], line["rules_version"], line["delivery"]) == ("joint-profile", "1", found["delivery"][:16])
    references = {row["client_id"]: row["consent_reference"] for row in rows(found)}
    assert len(set(references.values())) == len(references)


def test_a_delivery_is_signed_and_kept_once_however_often_it_is_asked(node: TestNode, job: str) -> None:
    first = deliver(node, job)
    data = Path(first["file"]).read_bytes()
    node.clock.now += timedelta(days=2)
    second = deliver(node.reopened(), job)
    assert second["repeated"] and second["delivery"] == first["delivery"] and second["time"] == first["time"]
    assert Path(first["file"]).read_bytes() == data
    (kept,) = history(node.reopened())["deliveries"]
    body = {name: value for name, value in kept.items() if name != "delivery"}
    assert documents.digest("label-delivery", body) == kept["delivery"]
    assert (kept["rules"]["digest"], kept["model"], kept["run"]) == (RULES.digest, labels.MODEL, job)


def test_the_same_rows_come_as_parquet(node: TestNode, job: str) -> None:
    plain = rows(deliver(node, job))
    found = deliver(node, job, format="parquet")
    assert found["repeated"], "another form of the same delivery"
    table = pyarrow.parquet.read_table(found["file"])
    assert [{name: str(cell or "") for name, cell in row.items()} for row in table.to_pylist()] == plain
    assert table.schema.field("class").type == pa.int32()
    assert {file["format"] for file in history(node)["files"]} == {"csv", "parquet"}


def test_an_opt_out_holds_at_the_next_delivery_and_can_be_taken_back(node: TestNode, job: str) -> None:
    first = deliver(node, job)
    assert of(first, 38)
    assert node.command("labels.opt_out.add", client_ids=[resident_id(38)])["changed"] == 1
    assert node.command("labels.opt_out.add", client_ids=[resident_id(38)])["changed"] == 0
    second = deliver(node, job)
    assert of(second, 38) == {} and second["number"] == 2
    assert refusals(second)["OPTED_OUT", None] == 1
    (why,) = node.command("labels.refused", client_id=resident_id(38))["refused"]
    assert (why["reason"], why["label"], why["zh"]) == ("OPTED_OUT", None, "客户已拒绝标签")
    assert node.command("labels.refused", client_id=resident_id(38), delivery=1)["refused"] != [why]
    node.command("labels.opt_out.remove", client_ids=[resident_id(38)])
    third = deliver(node, job)
    assert of(third, 38).keys() == of(first, 38).keys()
    assert (third["number"], third["content"]) == (3, first["content"]), "counted as a delivery of its own"
    listed = node.command("labels.opt_out.list")
    assert (listed["opted_out"], [change["action"] for change in listed["changes"]]) == (0, ["add", "remove"])


def test_opt_outs_of_a_file_are_taken_all_or_none(node: TestNode) -> None:
    path = node.folder / "out.csv"
    path.write_text("\ufeffclient_id\n" + "\n".join(resident_id(n) for n in (3, 4, 3)) + "\n\n", encoding="utf-8")
    assert node.command("labels.opt_out.import", file=str(path)) == {"clients": 2, "changed": 2}
    assert node.command("labels.opt_out.list", client_id=resident_id(3))["opted_out"] is True
    path.write_text(f"client_id\n{resident_id(5)}\nnobody\n")
    with pytest.raises(labels_errors.OptOutFileInvalid, match="line 3"):
        node.command("labels.opt_out.import", file=str(path))
    assert node.command("labels.opt_out.list")["opted_out"] == 2


@pytest.mark.parametrize(
    "text", ["", "client\n1\n", "client_id,more\n", "client_id\n", 'client_id\n"', "client_id\na,b\n"]
)
def test_a_file_that_is_no_list_of_opt_outs_is_refused(node: TestNode, text: str) -> None:
    path = node.folder / "out.csv"
    path.write_text(text)
    with pytest.raises(labels_errors.OptOutFileInvalid):
        node.command("labels.opt_out.import", file=str(path))
    with pytest.raises(labels_errors.OptOutFileInvalid):
        node.command("labels.opt_out.import", file=str(node.folder / "none.csv"))


def test_an_opt_out_needs_ids_that_are_some(node: TestNode) -> None:
    with pytest.raises(IdRejected):
        node.command("labels.opt_out.add", client_ids=["nobody"])
    for wrong in ([], "x", [1], None):
        with pytest.raises(errors.CommandInvalid):
            node.command("labels.opt_out.remove", client_ids=wrong)


def test_who_withdrew_consent_gets_no_label(node: TestNode, job: str) -> None:
    node.command("consent.withdraw", client_id=resident_id(38))
    found = deliver(node, job)
    assert of(found, 38) == {}
    assert refusals(found)["CONSENT_ENDED", None] == 1


def test_without_any_consent_nobody_gets_a_label_and_it_is_on_record(node: TestNode, job: str) -> None:
    for n in range(labels.CLIENTS):
        node.command("consent.withdraw", client_id=resident_id(n))
    found = deliver(node, job)
    assert (rows(found), refusals(found)) == ([], {("CONSENT_ENDED", None): labels.CLIENTS})
    assert pyarrow.parquet.read_table(deliver(node, job, format="parquet")["file"]).num_rows == 0


def test_a_client_who_left_the_source_has_no_risk_class(node: TestNode, job: str) -> None:
    left = [line for line in labels.source().splitlines() if not line.startswith(resident_id(38))]
    (node.folder / "clients.csv").write_text("\n".join(left) + "\n")
    assert of(deliver(node, job), 38) == {}
    why = node.command("labels.refused", client_id=resident_id(38))["refused"]
    assert {row["reason"] for row in why} == {"SUITABILITY"} and all("not known" in row["en"] for row in why)


def test_a_score_that_ended_with_its_clients_consent_is_expired(node: TestNode, bank: TestNode) -> None:
    ends = ["2027-01-01T00:00:00+00:00"] * labels.CLIENTS
    ends[38] = "2026-10-05T00:00:00+00:00"  # it was renewed since, the score was not
    job = labels.finished(node, labels.plan_body([node, bank]), labels.matrix(ends))
    assert of(deliver(node, job), 38)
    node.clock.now += timedelta(days=10)
    found = deliver(node, job)
    assert of(found, 38) == {} and refusals(found)["EXPIRED", None] == 1


def test_labels_whose_own_days_are_over_are_refused_while_the_run_is_valid(node: TestNode, job: str) -> None:
    node.clock.now += timedelta(days=30)  # the proposal of the run has expired, its scores have not
    found = deliver(node, job)
    assert "first_investment" not in {row["label"] for row in rows(found)}
    assert refusals(found)["EXPIRED", "first_investment"] > 0


def test_an_expired_matrix_is_not_delivered(node: TestNode, job: str) -> None:
    node.clock.now += timedelta(days=90)
    with pytest.raises(labels_errors.LabelMatrixExpired, match="2026-12-30"):
        deliver(node, job)
    assert history(node)["deliveries"] == []


def test_a_run_that_is_not_this_nodes_to_deliver_is_refused(node: TestNode, bank: TestNode) -> None:
    with pytest.raises(errors.UnknownJob):
        deliver(node, "ee" * 32)
    body = labels.plan_body([node, bank])
    labels.finished(bank, body, b"its part of the model", role="feature_holder")
    with pytest.raises(labels_errors.NotLabelHolder):
        deliver(bank, documents.digest("train", body))
    match = alliance.propose([node], "match", alliance.match_body([node, bank]))
    with pytest.raises(labels_errors.NotLabelHolder):
        deliver(node, match)
    running = labels.finished(node, body, None)
    with pytest.raises(labels_errors.LabelMatrixMissing):
        deliver(node, running)


def broken(kind: str) -> bytes:
    table = pyarrow.parquet.read_table(io.BytesIO(labels.matrix()))
    column = table.column_names.index

    def changed(name: str, cells: list[Any]) -> bytes:
        out = io.BytesIO()
        kinds = table.schema.types[column(name)]
        pyarrow.parquet.write_table(table.set_column(column(name), name, pa.array(cells, kinds)), out)
        return out.getvalue()

    count = labels.CLIENTS
    return {
        "no-parquet": lambda: b"PAR1",
        "cut": lambda: labels.matrix()[:-100],
        "model": lambda: changed("model", ["cd" * 32] * count),
        "purpose": lambda: changed("purpose", ["marketing"] * count),
        "decile": lambda: changed("decile", [0] * count),
        "chance": lambda: changed("chance", [1.5] * count),
        "score": lambda: changed("score", [float("nan")] * count),
        "empty-cell": lambda: changed("token", [None] * count),
        "client-twice": lambda: changed("client_id", [resident_id(1)] * count),
        "time": lambda: changed("valid_until", ["tomorrow"] * count),
    }[kind]()


KINDS = ("no-parquet", "cut", "model", "purpose", "decile", "chance", "score", "empty-cell", "client-twice", "time")


@pytest.mark.parametrize("kind", KINDS)
def test_a_matrix_that_this_node_did_not_write_is_refused(node: TestNode, job: str, kind: str) -> None:
    labels.matrix_file(node, job).write_bytes(broken(kind))
    with pytest.raises(labels_errors.LabelMatrixUnreadable):
        deliver(node, job)
    assert history(node) == {"deliveries": [], "files": []}


def test_a_matrix_that_was_moved_away_is_named(node: TestNode, job: str) -> None:
    labels.matrix_file(node, job).unlink()
    with pytest.raises(labels_errors.LabelMatrixMissing, match=job[:16]):
        deliver(node, job)


@pytest.mark.parametrize(
    ("column", "code"),
    [("PIN", "COLUMN_NOT_OFFERED"), ("NONE", "COLUMN_NOT_OFFERED"), ("client_id", "COLUMN_NOT_OFFERED")],
)
def test_a_risk_column_that_may_not_be_read_is_refused_and_the_refusal_kept(
    node: TestNode, job: str, column: str, code: str
) -> None:
    with pytest.raises(Failure) as refused:
        deliver(node, job, risk_column=column)
    assert refused.value.code == code
    assert history(node)["deliveries"] == []


def test_a_purpose_that_the_asset_is_not_offered_for_any_more_stops_it(node: TestNode, job: str) -> None:
    settings = node.folder / "node.toml"
    settings.write_text(settings.read_text().replace(f'purposes = ["{alliance.PURPOSE}"]', 'purposes = ["other"]'))
    with pytest.raises(errors.PurposeNotOffered):
        deliver(node.reopened(), job)


def test_rules_that_changed_under_one_version_are_refused(node: TestNode, job: str) -> None:
    deliver(node, job)
    other = node.folder / "rules.toml"
    other.write_text(labels.EXAMPLE.read_text().replace("valid_days = 90", "valid_days = 91"))
    with pytest.raises(labels_errors.LabelRulesChanged, match="version 1 of the rules joint-profile"):
        deliver(node, job, rules=str(other))
    other.write_text(other.read_text().replace("\nversion = 1", "\nversion = 2"))
    assert deliver(node, job, rules=str(other))["number"] == 2


def test_rules_that_are_none_leave_no_record(node: TestNode, job: str) -> None:
    bad = node.folder / "rules.json"
    bad.write_text(json.dumps({"format": 1}))
    with pytest.raises(LabelRulesInvalid):
        deliver(node, job, rules=str(bad))
    with pytest.raises(LabelRulesUnreadable):
        deliver(node, job, rules=str(node.folder / "none.toml"))
    assert history(node) == {"deliveries": [], "files": []}


class Died(BaseException):
    """As by kill -9: nothing after it runs."""


@pytest.mark.parametrize("after", [False, True], ids=["before-the-file", "after-the-file"])
@pytest.mark.parametrize("kind", ["csv", "sqlite"])
def test_a_death_beside_the_file_gives_the_same_delivery_again_counted_once(
    node: TestNode, job: str, monkeypatch: pytest.MonkeyPatch, after: bool, kind: str
) -> None:
    from partner_node import labels_output

    write = labels_output.write

    def die(*given: Any, **named: Any) -> int:
        if after:
            write(*given, **named)
        raise Died

    monkeypatch.setattr(labels_output, "write", die)
    with pytest.raises(Died):
        deliver(node, job, format=kind)
    monkeypatch.undo()
    (kept,) = history(node)["deliveries"]
    (file,) = history(node)["files"]
    assert file["placed"] is None and Path(file["file"]).exists() is after
    before = Path(file["file"]).read_bytes() if after and kind == "csv" else None
    node.clock.now += timedelta(hours=1)
    again = deliver(node.reopened(), job, format=kind)
    assert again["repeated"] and again["delivery"] == kept["delivery"]
    assert before is None or Path(file["file"]).read_bytes() == before
    told = history(node.reopened())
    assert len(told["deliveries"]) == 1 and told["files"][0]["placed"] == "2026-10-01T09:00:00+00:00"


def test_a_file_that_no_delivery_wrote_is_not_replaced(node: TestNode, job: str, tmp_path: Path) -> None:
    path = tmp_path / "theirs.csv"
    path.write_text("important")
    with pytest.raises(OutputExists):
        deliver(node, job, to=str(path))
    assert path.read_text() == "important"
    with pytest.raises(OutputNotWritable):
        deliver(node, job, to=str(tmp_path / "none" / "labels.csv"))
    own = tmp_path / "labels.csv"
    deliver(node, job, to=str(own))
    with pytest.raises(OutputExists):
        deliver(node, job, to=str(own), format="parquet")
    assert deliver(node, job, to=str(own))["repeated"]
    assert history(node)["files"] == [
        {"file": str(own), "format": "csv", "number": 1, "placed": "2026-10-01T08:00:00+00:00"}
    ]


@pytest.mark.parametrize("name", ["node.db", "keys/signing.key", "more.sqlite"])
@pytest.mark.parametrize("kind", ["csv", "sqlite"])
def test_the_nodes_own_files_are_out_of_reach(node: TestNode, job: str, name: str, kind: str) -> None:
    with pytest.raises(OutputNotWritable, match="its own files"):
        deliver(node, job, to=str(node.parts.node.settings.folder / name), format=kind)
    link = node.folder / "link"
    link.symlink_to(node.parts.node.settings.folder)
    with pytest.raises(OutputNotWritable, match="its own files"):
        deliver(node, job, to=str(link / name), format=kind)


def test_a_results_folder_that_takes_no_file_stops_it_before_the_record(node: TestNode, job: str) -> None:
    folder = node.parts.node.settings.results
    shutil.rmtree(folder)
    folder.write_bytes(b"")
    with pytest.raises(errors.ResultsNotWritable):
        deliver(node, job)
    assert history(node)["deliveries"] == []


def test_a_spreadsheet_finds_no_formula_and_its_own_mark(node: TestNode, job: str) -> None:
    rules = node.folder / "rules.toml"
    text = labels.EXAMPLE.read_text().replace('en = "High net worth potential"', 'en = "=cmd|calc"')
    rules.write_text(text.replace('zh = "高净值潜力"', 'zh = "＠SUM(A1)"'))
    found = deliver(node, job, rules=str(rules), excel=True)
    data = Path(found["file"]).read_text(encoding="utf-8")
    assert data.startswith(BYTE_ORDER_MARK)
    cells = [cell for row in csv.reader(io.StringIO(data.removeprefix(BYTE_ORDER_MARK))) for cell in row]
    assert "'=cmd|calc" in cells and "'＠SUM(A1)" in cells
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "＠"))]
    with pytest.raises(errors.CommandInvalid):
        deliver(node, job, format="parquet", excel=True)


def test_a_client_id_that_is_a_formula_is_text_in_a_spreadsheet() -> None:
    texts = dict.fromkeys((name for name in Line.__slots__ if name not in ("class_", "decile", "rules_version")), "a")
    line = Line(**{**texts, "client_id": '=HYPERLINK("x")', "class_": None, "decile": 1, "rules_version": 1})  # type: ignore[arg-type]
    assert b"'=HYPERLINK" in encode("csv", [line], mark=False)


def test_nothing_leaves_the_house_and_no_id_enters_the_database(node: TestNode, job: str) -> None:
    node.command("labels.opt_out.add", client_ids=[resident_id(38)])
    before = len(node.parts.worker._outbox.pending())
    deliver(node, job)
    assert node.seen == [] and len(node.parts.worker._outbox.pending()) == before
    kept = b"".join(path.read_bytes() for path in node.parts.node.settings.folder.glob("node.db*"))
    assert not [n for n in range(labels.CLIENTS) if resident_id(n).encode() in kept]


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM label_delivery WHERE number = 1",
        "UPDATE label_delivery SET document = (SELECT document FROM label_delivery WHERE number = 2) WHERE number = 1",
        "UPDATE label_delivery SET document = CAST(replace(document, '\"clients\":40', '\"clients\":41') AS BLOB)"
        " WHERE number = 2",
    ],
    ids=["taken-out", "put-in-place-of-another", "changed"],
)
def test_a_record_that_was_tampered_with_is_named_and_nothing_follows_it(node: TestNode, job: str, change: str) -> None:
    from partner_node.database import raw

    deliver(node, job)
    node.command("labels.opt_out.add", client_ids=[resident_id(38)])
    deliver(node, job)
    node.parts.node.database.write("tamper", lambda session: raw(session).execute(change).close())
    with pytest.raises(labels_errors.LabelRecordBroken):
        history(node)
    with pytest.raises(labels_errors.LabelRecordBroken):
        deliver(node, job)


def test_a_delivery_of_another_past_does_not_follow(node: TestNode, job: str) -> None:
    deliver(node, job)
    part = node.parts.node
    (known,) = part.database.read(store_labels.deliveries)
    body = {**known.body, "number": 2, "previous": "ff" * 32}
    forked = documents.sign("label-delivery", body, part.settings.partner, part.keys.signing)
    part.database.write("fork", lambda session: store_labels.keep_delivery(session, 2, forked, ()))
    with pytest.raises(labels_errors.LabelRecordBroken, match="number 2"):
        history(node)


def test_the_record_names_the_column_that_suitability_was_judged_by(node: TestNode, job: str) -> None:
    """Also where the labels are the same: here neither column holds a class, and nobody gets one."""
    first, other = (deliver(node, job, risk_column=name) for name in ("Y", "AGE"))
    assert first["content"] == other["content"] and not other["repeated"]
    assert [one["risk_column"] for one in history(node)["deliveries"]] == ["Y", "AGE"]


def test_what_was_never_delivered_can_not_be_asked(node: TestNode, job: str) -> None:
    with pytest.raises(labels_errors.NothingDelivered):
        node.command("labels.refused")
    deliver(node, job)
    for number in (2, 0, -1, True, "1"):
        with pytest.raises(labels_errors.NothingDelivered):
            node.command("labels.refused", delivery=number)


def test_a_matrix_that_waits_in_the_database_is_placed_first(node: TestNode, job: str) -> None:
    from partner_node import result_files

    file = labels.matrix_file(node, job)
    data = file.read_bytes()
    file.unlink()
    made = {file.name: data}
    node.parts.node.database.write("keep", lambda session: result_files.keep(session, job, made))
    assert rows(deliver(node, job)) and file.exists()


def test_files_of_deliveries_are_whole_or_not_there(node: TestNode, job: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = deliver(node, job)
    data = Path(first["file"]).read_bytes()
    node.command("labels.opt_out.add", client_ids=[resident_id(38)])

    def full(path: Path, _: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "replace", full)
    with pytest.raises(Failure, match="No space left"):
        deliver(node, job)
    monkeypatch.undo()
    assert Path(first["file"]).read_bytes() == data
    assert deliver(node, job)["number"] == 2 and of(history(node)["files"][0], 38) == {}
