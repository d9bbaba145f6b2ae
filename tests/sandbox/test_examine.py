"""The examiner against an honest month, against single changed bytes, and against a hub that rewrote its books."""

from collections.abc import Callable

import pytest

from ecowire import documents, evidence
from sandbox import tamper
from sandbox.examine.run import Report, examine
from tests.sandbox import small_alliance as small
from tests.sandbox.small_alliance import Books


def report_of(data: bytes, honest: Books) -> Report:
    return examine(data, small.trust(honest))


def codes(report: Report) -> set[str]:
    return {finding.code for finding in report.findings}


def test_an_honest_month_has_no_finding() -> None:
    books = small.settled_month()
    report = report_of(books.bundle(), books)
    assert report.findings == ()
    assert report.held["approvals"] == len(books.approvals) == 2
    assert report.held["statement lines"] == len(books.lines)
    assert report.held["statement signatures"] == 2
    assert report.held["transactions replayed"] == 4
    assert report.held["statements on chain"] == 1
    assert report.held["co-signed roots"] == 4


def test_a_hub_that_rewrote_an_amount_and_signed_everything_again_is_named_by_line() -> None:
    books = small.settled_month()
    altered = tamper.rewrite_as_hub(books.bundle(), small.LOG_KEY)
    report = report_of(altered.data, books)
    lines = [finding for finding in report.findings if finding.code == "STATEMENT_LINE_DIFFERS"]
    assert [finding.where for finding in lines] == [f"{altered.file} record {altered.record}"]
    token = books.lines[altered.record]["token"]
    assert f"line {altered.record}, client token {token}: amount_minor is" in lines[0].en
    # neither party signed the new total, and both had co-signed another log
    assert codes(report) == {
        "STATEMENT_LINE_DIFFERS", "STATEMENT_FIELD_DIFFERS", "STATEMENT_SIGNATURE_INVALID", "STATEMENT_NOT_ON_CHAIN",
        "CONFIRMED_BUT_ABSENT", "JOURNAL_DIFFERS", "LOG_REWRITTEN", "COSIGNATURE_MISSING", "CHAIN_EVENT_UNKNOWN",
    }  # fmt: skip


def test_several_co_signed_sizes_narrow_a_rewritten_log_down() -> None:
    books = small.settled_month()
    report = report_of(tamper.rewrite_as_hub(books.bundle(), small.LOG_KEY).data, books)
    (found,) = [finding for finding in report.findings if finding.code == "LOG_REWRITTEN"]
    # the broker co-signed the first four leaves, which still fit; the statement is leaf 5
    assert "a record from 4 to 8 was changed" in found.en


def test_a_flipped_byte_in_a_line_names_file_and_line() -> None:
    books = small.settled_month()
    altered = tamper.flip_byte(books.bundle())
    report = report_of(altered.data, books)
    found = {(finding.code, finding.where) for finding in report.findings}
    assert ("ENTRY_ALTERED", altered.file) in found
    assert ("STATEMENT_LINE_DIFFERS", f"{altered.file} record {altered.record}") in found


def test_every_flipped_byte_is_found_and_its_file_named() -> None:
    books = small.settled_month()
    original = books.bundle()
    entries = books.entries()
    step = 211  # a prime: the whole file in some hundred probes, at changing places of its records
    for position in range(0, len(original), step):
        data = bytearray(original)
        data[position] ^= 0x04
        try:
            report = report_of(bytes(data), books)
        except evidence.BundleMalformed:
            continue
        assert not report.clean, f"byte {position}"
        inside = [
            name for name, content in entries.items() if 0 <= position - original.index(content) < len(content) > 0
        ]
        assert all(name in {finding.where for finding in report.findings} for name in inside), (position, inside)


def cut_leaves(books: Books) -> None:
    del books.leaves[5:]
    books.checkpoint_sizes = [4, 5]


def forge_event(books: Books) -> None:
    report = books.reports[1]
    events = report.body["events"]
    assert isinstance(events, list)
    first = events[0]
    assert isinstance(first, dict)
    first["base_minor"] = 999_999


def foreign_key(books: Books) -> None:
    parties = books.agreement["parties"]
    assert isinstance(parties, list)
    referrer = parties[1]
    assert isinstance(referrer, dict)
    referrer["signing"] = "77" * 32


def drop_approval(books: Books) -> None:
    books.approvals.pop()


def approve_in_anothers_name(books: Books) -> None:
    given = books.approvals.pop()
    books.approvals.append(small.REFERRER.sign("approval", {**given.body, "partner": small.PAYER.id}))


def drop_line(books: Books) -> None:
    books.lines.pop()
    books.salts.pop()


def other_state(books: Books) -> None:
    books.signatures["state"] = "PAID"


def swap_signatures(books: Books) -> None:
    books.signatures["payer"], books.signatures["referrer"] = books.signatures["referrer"], books.signatures["payer"]


def hide_report(books: Books) -> None:
    books.reports.pop(0)


def unbalance(books: Books) -> None:
    postings = books.journal[0]["postings"]
    assert isinstance(postings, list)
    posting = postings[0]
    assert isinstance(posting, dict)
    posting["amount_minor"] = 1


def lower_the_entry(books: Books) -> None:
    postings = books.journal[0]["postings"]
    assert isinstance(postings, list)
    for posting in postings:
        assert isinstance(posting, dict)
        posting["amount_minor"] = 1


def forget_confirmation(books: Books) -> None:
    books.confirmations.pop()


def cut_chain(books: Books) -> None:
    books.blocks.pop()


def alter_receipt(books: Books) -> None:
    receipts = books.blocks[3]["receipts"]
    assert isinstance(receipts, list)
    receipts[0] = str(receipts[0])[:-2] + "ff"


def other_genesis(books: Books) -> None:
    books.genesis["timestamp"] = 1


def forge_cosignature(books: Books) -> None:
    old = books.cosignatures[0]
    forged = documents.sign(old.kind, old.body, old.signer, small.LOG_KEY)
    books.cosignatures[0] = forged


@pytest.mark.parametrize(
    ("attack", "code"),
    [
        (cut_leaves, "LOG_TRUNCATED"),
        (forge_event, "SIGNATURE_INVALID"),
        (foreign_key, "KEY_NOT_PINNED"),
        (drop_approval, "APPROVAL_MISSING"),
        (approve_in_anothers_name, "APPROVAL_OF_OTHER"),
        (drop_line, "STATEMENT_LINES_COUNT"),
        (other_state, "STATEMENT_NOT_ON_CHAIN"),
        (swap_signatures, "STATEMENT_SIGNATURE_INVALID"),
        (hide_report, "LEAF_WITHOUT_DOCUMENT"),
        (unbalance, "JOURNAL_UNBALANCED"),
        (lower_the_entry, "JOURNAL_DIFFERS"),
        (forget_confirmation, "STATEMENT_SIGNATURE_INVALID"),
        (cut_chain, "LOG_TRUNCATED"),
        (alter_receipt, "CHAIN_BROKEN"),
        (other_genesis, "CHAIN_OTHER_GENESIS"),
        (forge_cosignature, "SIGNATURE_INVALID"),
    ],
)
def test_what_a_hub_could_alter_is_found(attack: Callable[[Books], None], code: str) -> None:
    honest, books = small.settled_month(), small.settled_month()
    attack(books)
    report = report_of(books.bundle(), honest)
    assert code in codes(report)
    assert not report.clean


def test_a_bundle_of_another_alliance_is_named() -> None:
    books = small.settled_month()
    data = evidence.write(books.entries(), alliance="other-alliance", period=small.PERIOD)
    assert "OTHER_ALLIANCE" in codes(report_of(data, books))


def test_an_empty_bundle_does_not_pass() -> None:
    books = small.settled_month()
    report = report_of(evidence.write({}, alliance=small.ALLIANCE, period=""), books)
    assert {"LOG_TRUNCATED", "CHAIN_OTHER_GENESIS"} <= codes(report)
