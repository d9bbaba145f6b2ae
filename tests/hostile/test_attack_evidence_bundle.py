"""A hub with every hub key that wants `ecohub-examine` to pass over what it changed. No party helps it.

It writes the manifest anew and signs every checkpoint again, so what is tried here is only what the examiner itself
must notice: second copies and foreign files that raise the numbers of what "holds", fields nobody reads, other words of
the same value, journal entries of nobody, states nobody signed, whole statements left out, a wrong place named.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contracts import settlement
from ecowire import codec_settlement, documents, evidence
from privacy import canonical, merkle
from privacy.errors import Failure
from revenue_share import ledger, statement
from revenue_share.agreement import Agreement
from revenue_share.referral import EventReport, ReferralReport
from sandbox import tamper
from sandbox.examine import __main__ as entry
from sandbox.examine import trust as trusts
from sandbox.examine.run import Report, examine
from sandbox.report import findings_table, print_tables
from tests.sandbox import small_alliance as small
from tests.sandbox.small_alliance import Books
from tests.support.revenue import allocate

Entries = dict[str, bytes]
JOURNAL, CHECKPOINTS, COSIGNATURES = "ledger/entries.jsonl", "audit/checkpoints.jsonl", "audit/cosignatures.jsonl"


def whole(books: Books) -> Entries:
    """The month's files with those that are for information."""
    cards = {f"cards/{p.id}.json": p.sign("card", p.public).encode() for p in (small.PAYER, small.REFERRER)}
    contract: canonical.Value = {"address": books.contract, "chain_id": small.CHAIN_ID}
    return {**books.entries(), **cards, "chain/contract.json": canonical.encode(contract)}


def examined(entries: Entries, honest: Books) -> Report:
    return examine(evidence.write(entries, alliance=small.ALLIANCE, period=small.PERIOD), small.trust(honest))


def errors(report: Report) -> set[str]:
    return {finding.code for finding in report.findings if finding.severity == "error"}


def rows(data: bytes) -> list[Any]:
    return [canonical.decode(line) for line in evidence.lines(data)]


def folder(books: Books) -> str:
    return f"statements/{books.statement}"


def test_the_honest_month_passes() -> None:
    books = small.settled_month()
    assert examined(whole(books), books).findings == ()


# --- the journal


def _entry(books: Books, **changes: Any) -> Entries:
    entry = {**books.journal[0], **changes}
    return {JOURNAL: evidence.jsonl([*books.journal, entry])}


def of_nobody(books: Books) -> Entries:
    return _entry(books, subject="ab" * 32, id="adjustment-1")


def booked_twice(books: Books) -> Entries:
    return _entry(books, id="accrual-again")


def _altered(books: Books, **changes: Any) -> Entries:
    entry: Any = deepcopy(books.journal[0])
    entry["postings"] = [{**posting, **changes.get("posting", {})} for posting in entry["postings"]]
    return {JOURNAL: evidence.jsonl([{**entry, **{k: v for k, v in changes.items() if k != "posting"}}])}


def other_currency(books: Books) -> Entries:
    return _altered(books, posting={"asset": "JPY"})


def other_expense(books: Books) -> Entries:
    entry: Any = deepcopy(books.journal[0])
    entry["postings"][0]["account"] = "asset:receivable:broker"
    return {JOURNAL: evidence.jsonl([entry])}


def not_posted(books: Books) -> Entries:
    return _altered(books, state="PENDING")


def no_entry(books: Books) -> Entries:
    return {JOURNAL: b""}


# --- statements


def _file(books: Books, name: str, change: Callable[[Any], Any]) -> Entries:
    data = books.entries()[f"{folder(books)}/{name}"]
    if name.endswith(".jsonl"):
        return {f"{folder(books)}/{name}": evidence.jsonl([change(row) for row in rows(data)])}
    return {f"{folder(books)}/{name}": canonical.encode(change(canonical.decode(data)))}


def state_of_no_statement(books: Books) -> Entries:
    return _file(books, "signatures.json", lambda v: {**v, "state": "NONE"})


def with_a_note(books: Books) -> Entries:
    return _file(books, "signatures.json", lambda v: {**v, "note": "paid in cash"})


def false_for_zero(books: Books) -> Entries:
    def change(row: Any) -> Any:
        return {**row, "line": {k: False if type(x) is int and x == 0 else x for k, x in row["line"].items()}}

    return _file(books, "lines.jsonl", change)


def line_with_a_note(books: Books) -> Entries:
    return _file(books, "lines.jsonl", lambda v: {**v, "note": "waived"})


def salt_in_capitals(books: Books) -> Entries:
    return _file(books, "lines.jsonl", lambda v: {**v, "salt": v["salt"].upper()})


def signature_with_spaces(books: Books) -> Entries:
    return _file(books, "signatures.json", lambda v: {**v, "payer": " " + v["payer"]})


def second_copy(books: Books) -> Entries:
    own = folder(books)
    return {k.replace(own, own + "/again"): v for k, v in books.entries().items() if k.startswith(own)}


def agreement_taken_back(books: Books) -> Entries:
    (name,) = (name for name in books.entries() if name.startswith("proposals/"))
    return {name: books.entries()[name].replace(b'"state":"APPROVED"', b'"state":"CANCELLED"')}


# --- log, chain, files


def checkpoint_twice(books: Books) -> Entries:
    data = books.entries()[CHECKPOINTS]
    return {CHECKPOINTS: data + data}


def no_checkpoints(books: Books) -> Entries:
    return {CHECKPOINTS: b""}


def checkpoint_of_no_log(books: Books) -> Entries:
    return {CHECKPOINTS: books.entries()[CHECKPOINTS] + evidence.jsonl([{"log": "money", "note": "all is well"}])}


def cosignature_twice(books: Books) -> Entries:
    data = books.entries()[COSIGNATURES]
    return {COSIGNATURES: data + data}


def cosigned_by_the_hub(books: Books) -> Entries:
    body: documents.Body = {
        "log": "audit", "origin": f"ecohub/{small.ALLIANCE}/audit",
        "size": 5, "root": merkle.root(books.leaf_hashes()[:5]).hex(),
    }  # fmt: skip
    signed = documents.sign("cosignature", body, "hub", small.LOG_KEY)  # type: ignore[arg-type]
    return {COSIGNATURES: books.entries()[COSIGNATURES] + evidence.jsonl([signed.to_value()])}


def approval_twice(books: Books) -> Entries:
    (name,) = (name for name in books.entries() if name.startswith("proposals/"))
    value: Any = canonical.decode(books.entries()[name])
    return {name: canonical.encode({**value, "approvals": value["approvals"] * 2})}


def other_contract(books: Books) -> Entries:
    named: canonical.Value = {"address": small.PAYER.chain.address, "chain_id": small.CHAIN_ID}
    return {"chain/contract.json": canonical.encode(named)}


def block_in_capitals(books: Books) -> Entries:
    blocks = [{**block, "header": "0x" + str(block["header"])[2:].upper()} for block in books.blocks]
    return {"chain/blocks.jsonl": evidence.jsonl([*blocks])}


def foreign_file(books: Books) -> Entries:
    return {"reports/all-is-well.json": b"{}"}


def report_among_the_cards(books: Books) -> Entries:
    return {f"cards/{small.PAYER.id}.json": books.reports[1].encode()}


@pytest.mark.parametrize(
    ("attack", "code"),
    [
        (of_nobody, "JOURNAL_ENTRY_UNKNOWN"),
        (booked_twice, "RECORD_REPEATED"),
        (other_currency, "JOURNAL_ENTRY_DIFFERS"),
        (other_expense, "JOURNAL_ENTRY_DIFFERS"),
        (not_posted, "JOURNAL_ENTRY_DIFFERS"),
        (no_entry, "JOURNAL_DIFFERS"),
        (state_of_no_statement, "RECORD_UNREADABLE"),
        (with_a_note, "RECORD_UNREADABLE"),
        (false_for_zero, "STATEMENT_LINE_DIFFERS"),
        (line_with_a_note, "RECORD_UNREADABLE"),
        (salt_in_capitals, "RECORD_UNREADABLE"),
        (signature_with_spaces, "RECORD_UNREADABLE"),
        (second_copy, "ENTRY_UNKNOWN"),
        (agreement_taken_back, "AGREEMENT_NOT_APPROVED"),
        (checkpoint_twice, "RECORD_REPEATED"),
        (no_checkpoints, "CHECKPOINT_MISSING"),
        (checkpoint_of_no_log, "RECORD_UNREADABLE"),
        (cosignature_twice, "RECORD_REPEATED"),
        (cosigned_by_the_hub, "COSIGNATURE_INVALID"),
        (approval_twice, "RECORD_REPEATED"),
        (other_contract, "CHAIN_OTHER_CONTRACT"),
        (block_in_capitals, "CHAIN_BROKEN"),
        (foreign_file, "ENTRY_UNKNOWN"),
        (report_among_the_cards, "DOCUMENT_MISPLACED"),
    ],
)
def test_what_the_manifest_allows_and_the_format_does_not(attack: Callable[[Books], Entries], code: str) -> None:
    books = small.settled_month()
    report = examined({**whole(books), **attack(books)}, books)
    assert code in errors(report), report.findings


def _values(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    yield path, value
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from _values(value[key], (*path, key))


def _others(value: Any) -> list[Any]:
    """Other values a hostile writer may put in the place of one."""
    if isinstance(value, bool) or value is None:
        return [1]
    if isinstance(value, int):
        return [value + 1, {0: False, 1: True}.get(value, -value)]
    if isinstance(value, str):
        return [value + "x", value.upper() if value.upper() != value else value + "A"]
    return [{**value, "zz": 1}, []] if isinstance(value, dict) else [[*value, 1], value[:-1]]


def _put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    made = deepcopy(value)
    at = made
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = new
    return made


def _alterations(entries: Entries) -> Iterator[tuple[str, Entries]]:
    """Every record left out, repeated, and every value of its first and last record replaced."""
    for name, data in entries.items():
        lined = name.endswith(".jsonl")
        found, end = (evidence.lines(data), b"\n") if lined else ([data], b"")
        for i, row in enumerate(found) if lined and name != COSIGNATURES else ():
            for kept in (found[:i] + found[i + 1 :], found[: i + 1] + found[i:]):
                yield f"{name} {i} {len(kept)}", {name: b"".join(item + end for item in kept)}
            assert row
        for i in sorted({0, len(found) - 1}):
            value = canonical.decode(found[i])
            for path, old in _values(value):
                for new in _others(old):
                    changed = [*found[:i], canonical.encode(_put(value, path, new)), *found[i + 1 :]]
                    if changed != found:
                        yield f"{name} {i} {path}", {name: b"".join(item + end for item in changed)}


@pytest.mark.parametrize("start", range(2))
def test_no_value_of_any_record_can_be_another(start: int) -> None:
    books = small.settled_month()
    entries = whole(books)
    step = 16  # a sample of a hundred; with step 1 none of all passes either
    alterations = list(_alterations(entries))
    assert len(alterations) > 800
    for what, altered in alterations[start * 8 :: step]:
        try:
            report = examined({**entries, **altered}, books)
        except Failure as failure:
            raise AssertionError(f"{what}: {failure} is not a finding") from None
        assert not report.clean, what


# --- whole statements, second statements, places


def test_a_statement_the_log_never_knew_is_missed_on_the_chain() -> None:
    """The hub kept it out of the log that it showed for co-signing; the chain took it."""
    books = small.settled_month()
    gone = {books.statement, *(confirmation.digest for confirmation in books.confirmations)}
    kept = [leaf for leaf in books.leaves if leaf["digest"] not in gone and leaf["kind"] != "statement.final"]
    entries = {name: data for name, data in books.entries().items() if not name.startswith(folder(books))}
    entries = {name: data for name, data in entries.items() if not name.startswith("documents/")}
    books.leaves, books.checkpoint_sizes, books.journal = kept, [4, len(kept)], []
    books.cosignatures = [signed for signed in books.cosignatures if signed.body["log"] == "chain"]
    shown = books.entries()
    entries |= {name: shown[name] for name in ("audit/leaves.jsonl", CHECKPOINTS, COSIGNATURES, JOURNAL)}
    assert "CHAIN_EVENT_UNKNOWN" in errors(examined(entries, books))


def _drawn(books: Books, place: statement.Place, salt: int) -> Entries:
    """Another statement of the same reports, a draft nobody signed, logged after everything the nodes co-signed."""
    agreement = Agreement.from_body(books.agreement)
    salts = statement.Salts(
        lines=tuple(bytes([salt]) * 31 + bytes([100 + i]) for i in range(len(books.lines))), total=bytes([salt]) * 32
    )
    referrals = ReferralReport.from_body(books.reports[0].body).referrals
    events = EventReport.from_body(books.reports[1].body).events
    lines = allocate(agreement, referrals, events, small.PERIOD)
    made = statement.build(agreement, small.PERIOD, place, lines, salts)
    index = len(books.leaves)
    books.leaves.append(
        {"index": index, "kind": "statement", "subject": made.id, "digest": made.id, "facts": {}, "time": "x"}
    )
    books.checkpoint_sizes.append(index + 1)
    entry = ledger.of_statement(made)
    assert entry is not None
    books.journal.append(entry.to_value())
    own = f"statements/{made.id}"
    stored: list[canonical.Value] = [
        {"line": line.to_value(), "salt": salt.hex()} for line, salt in zip(lines, salts.lines, strict=True)
    ]
    return {
        f"{own}/body.json": canonical.encode(made.body),
        f"{own}/lines.jsonl": evidence.jsonl(stored),
        f"{own}/salts.json": canonical.encode({"total": salts.total.hex()}),
        f"{own}/signatures.json": canonical.encode({"state": "DRAFT"}),
    }


def test_a_second_statement_of_a_settled_period() -> None:
    honest, books = small.settled_month(), small.settled_month()
    added = _drawn(books, statement.Place(), 1)
    assert errors(examined({**books.entries(), **added}, honest)) == {"STATEMENT_SECOND"}


@pytest.mark.parametrize(
    "place",
    [
        {"brought_forward_minor": -100_000},
        {"sequence": 3, "previous": "cd" * 32},
        {"replaces": "cd" * 32},
        {"sequence": 3, "previous": "settled"},
    ],
    ids=["a debt from nowhere", "after one that is not there", "instead of one that is not there", "out of turn"],
)
def test_a_draft_in_a_place_that_is_not_its_own(place: dict[str, Any]) -> None:
    honest, books = small.settled_month(), small.settled_month()
    if place.get("previous") == "settled":
        anchor = codec_settlement.anchor(statement.from_body(books.body))
        place = {**place, "previous": settlement.digest(anchor, small.CHAIN_ID, books.contract).hex()}
    added = _drawn(books, statement.Place(**place), 2)
    assert "STATEMENT_PLACE_DIFFERS" in errors(examined({**books.entries(), **added}, honest))


def _logged(books: Books, signed: documents.Signed) -> Entries:
    index = len(books.leaves)
    leaf: Any = {"index": index, "kind": signed.kind, "subject": "x", "digest": signed.digest, "facts": {}, "time": "x"}
    books.leaves.append(leaf)
    books.checkpoint_sizes.append(index + 1)
    home = signed.kind if signed.kind in ("events", "referrals") else "documents"
    return {f"{home}/{signed.digest}.json": signed.encode()}


def test_a_settled_statement_that_a_party_had_objected_to() -> None:
    honest, books = small.settled_month(), small.settled_month()
    objection = small.REFERRER.sign("dispute", {"statement": books.statement, "reason": "a client is missing"})
    added = _logged(books, objection)
    assert errors(examined({**books.entries(), **added}, honest)) == {"DISPUTE_IGNORED"}


def test_income_reported_for_a_period_after_its_statement_counts_nowhere() -> None:
    honest, books = small.settled_month(), small.settled_month()
    body: Any = deepcopy(books.reports[1].body)
    body["events"] = [{**body["events"][0], "id": "late", "base_minor": 9_000_000}]
    added = _logged(books, small.PAYER.sign("events", body))
    assert errors(examined({**books.entries(), **added}, honest)) == {"REPORT_LEFT_OUT"}


# --- what the report says


def test_the_hub_cannot_move_the_place_that_a_rewritten_log_is_narrowed_down_to() -> None:
    """With co-signatures of its own over the new log it would steer the blame to the last leaf."""
    books = small.settled_month()
    entries = dict(evidence.read(tamper.rewrite_as_hub(books.bundle(), small.LOG_KEY).data).entries)
    hashes = [merkle.leaf_hash(line) for line in evidence.lines(entries["audit/leaves.jsonl"])]
    own: documents.Body = {
        "log": "audit", "origin": f"ecohub/{small.ALLIANCE}/audit", "size": 8, "root": merkle.root(hashes[:8]).hex()
    }  # fmt: skip
    signed = documents.sign("cosignature", own, "hub", small.LOG_KEY)  # type: ignore[arg-type]
    entries[COSIGNATURES] += evidence.jsonl([signed.to_value()])
    report = examined(entries, books)
    (found,) = [finding for finding in report.findings if finding.code == "LOG_REWRITTEN"]
    assert "a record from 4 to 8 was changed" in found.en


def test_nothing_of_the_bundle_repaints_the_regulators_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    books = small.settled_month()
    clear = "\x1b[2J\x9b1;1Hno findings\u202e"
    name = f"{folder(books)}/lines.jsonl"
    found = rows(books.entries()[name])
    found[0]["line"]["reason_en"] = clear
    entries = {**books.entries(), name: evidence.jsonl(found)}
    report = examined(entries, books)
    print_tables(findings_table([(f.severity, f.code, f.where, f.en) for f in report.findings], "en"))
    shown = capsys.readouterr().out + repr(report.to_value())
    assert "no findings" in shown and not set(shown) & set("\x1b\x9b\u202e")


def test_a_file_too_large_for_memory_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, trusted = tmp_path / "bundle.zip", tmp_path / "trust.toml"
    with bundle.open("wb") as file:
        file.truncate(1 << 42)  # four terabytes of nothing
    trusted.write_text(trusts.dump(small.trust(small.settled_month())))
    monkeypatch.setattr("sys.argv", ["ecohub-examine", str(bundle), "--trust", str(trusted)])
    with pytest.raises(SystemExit) as ended:
        entry.main()
    assert (ended.value.code, capsys.readouterr().err[:16]) == (5, "BUNDLE_MALFORMED")


@pytest.mark.parametrize(
    "data", [b"[" * 100_000, b'{"a":NaN}', b'{"a":1e5}', b"9" * 5000, b'"\\ud800"', b"\xff\xfe", b""]
)
@pytest.mark.parametrize("name", ["audit/leaves.jsonl", "chain/genesis.json", "chain/blocks.jsonl", JOURNAL])
def test_what_is_no_json_is_a_finding_and_stops_nothing(name: str, data: bytes) -> None:
    books = small.settled_month()
    report = examined({**books.entries(), name: data}, books)
    assert not report.clean
    assert report.held["statement signatures"] == 2, "the other checks went on"


def test_a_trust_file_without_witnesses_is_told_of() -> None:
    books = small.settled_month()
    trust = replace(small.trust(books), cosigned=())
    assert errors(examine(books.bundle(), trust)) == {"LOG_NOT_WITNESSED"}


def test_the_period_on_the_cover_is_one_of_the_statements() -> None:
    books = small.settled_month()
    data = evidence.write(books.entries(), alliance=small.ALLIANCE, period="2026-11")
    assert [finding.code for finding in examine(data, small.trust(books)).findings] == ["PERIOD_WITHOUT_STATEMENT"]
