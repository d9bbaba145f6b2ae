"""What payment relies on is also refused by the database itself, below all of our code."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import PrimaryKeyConstraint, UniqueConstraint, text
from sqlalchemy.exc import IntegrityError

from hub.tables import Base
from hub.triggers_payments import GUARDS
from tests.hub.paying import CREDITOR, OCTOBER, Paying, booked, paying
from tests.hub.settling import CAI

OTHER = {"INTEGER": "999", "BIGINT": "999", "BLOB": "x'00'"}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Paying]:
    """Every table of payment has a row: details, a file, a settled order, an entry, matches by rule and by hand."""
    with paying(tmp_path_factory.mktemp("payments")) as books:
        order = books.ordered()
        books.bank(booked(order), booked(order, bank_reference="AGAIN", minor=5))
        books.do("reconcile")
        (entry,) = [item["entry"] for item in books.do("exceptions")["exceptions"]]  # type: ignore[index, union-attr]
        made = books.do("match.propose", kind="EXPLAINED", entries=[entry["entry"]], reason="fee", to="charges")  # type: ignore[index]
        books.run(CAI, "match.decide", match=made["match"], decision="approve")
        yield books


def sql(books: Paying, statement: str) -> None:
    books.month.hub.store.run("test", lambda tx: tx.session.execute(text(statement)))


@pytest.mark.parametrize("table", sorted(GUARDS))
def test_no_row_is_removed_replaced_or_changed_in_content(filled: Paying, table: str) -> None:
    columns = Base.metadata.tables[table].columns
    with pytest.raises(IntegrityError, match="append-only"):
        sql(filled, f"DELETE FROM {table}")
    with pytest.raises(IntegrityError, match="keeps its rows"):
        sql(filled, f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}")
    for name in GUARDS[table].kept:
        other = OTHER.get(str(columns[name].type), "'changed'")
        with pytest.raises(IntegrityError, match="keeps its content"):
            sql(filled, f'UPDATE {table} SET "{name}" = {other}')


def test_every_column_is_kept_or_has_a_rule(filled: Paying) -> None:
    for table, guard in GUARDS.items():
        ruled = {*guard.kept, *guard.once, *(("state",) if guard.arrows else ())}
        assert ruled == {column.name for column in Base.metadata.tables[table].columns}, table
        constraints: Any = Base.metadata.tables[table].constraints
        keys = {
            tuple(column.name for column in one.columns)
            for one in constraints
            if isinstance(one, PrimaryKeyConstraint | UniqueConstraint)
        }
        assert set(guard.keys) >= keys - {("payout",)}, table


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE payment_order SET state = 'ORDERED'",
        "UPDATE payment_order SET state = 'RELEASED', ended_by = settled_by",
        "UPDATE payment_order SET settled_by = NULL",
        "UPDATE payment_order SET payout = NULL, payout_salt = NULL",
        "UPDATE payment_order SET payout = 'ff', payout_salt = 'ff'",
        "UPDATE bank_entry SET settled_by = NULL",
        "UPDATE bank_entry SET suspended_by = NULL, cleared_by = NULL WHERE suspended_by IS NOT NULL",
        "UPDATE bank_entry SET cleared_by = suspended_by WHERE suspended_by IS NOT NULL",
        "UPDATE bank_entry SET settled_by = (SELECT id FROM bank_match WHERE id <> bank_entry.settled_by)",
        "UPDATE bank_match SET state = 'PROPOSED', decided_by = NULL WHERE rule = 'MANUAL'",
        "UPDATE bank_match SET decided_by = 'somebody' WHERE rule = 'MANUAL'",
        "UPDATE payment_details SET state = 'PROPOSED', decided_by = NULL",
        "UPDATE payment_details SET state = 'REFUSED'",
        "UPDATE payment_details SET decided_by = proposed_by",
    ],
)
def test_what_was_decided_once_stays(filled: Paying, statement: str) -> None:
    with pytest.raises(IntegrityError, match=r"keeps its content|CHECK constraint"):
        sql(filled, statement)


DETAILS = "INSERT INTO payment_details (digest, number, partner, currency, body, state, proposed_by, proposed_at, "
DETAILS += (
    "decided_by, decided_at) SELECT '{digest}', {number}, partner, currency, body, '{state}', 'fei', proposed_at, "
)
DETAILS += "{by}, decided_at FROM payment_details WHERE partner = 'platform-a'"
ORDER = "INSERT INTO payment_order (end_to_end_id, statement, attempt, file, creditor, currency, amount_minor, due, "
ORDER += (
    "account, counterparty, name, state) SELECT 'x', statement, 2, file, creditor, currency, {amount}, due, '', '', "
)
ORDER += "name, '{state}' FROM payment_order"
MATCH = "INSERT INTO bank_match (id, number, kind, rule, state, body, proposed_by, proposed_at, decided_by) "
MATCH += "SELECT 'x', 99, '{kind}', '{rule}', '{state}', body, 'fei', proposed_at, {by} FROM bank_match LIMIT 1"


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param(DETAILS.format(digest="a", number=98, state="ACTIVE", by="'fei'"), id="own-approval"),
        pytest.param(DETAILS.format(digest="b", number=97, state="ACTIVE", by="NULL"), id="no-approval"),
        pytest.param(DETAILS.format(digest="c", number=96, state="ACTIVE", by="'cai'"), id="second-active-account"),
        pytest.param(ORDER.format(amount=1, state="ORDERED"), id="second-living-order"),
        pytest.param(ORDER.format(amount=0, state="ORDERED"), id="nothing"),
        pytest.param(ORDER.format(amount=1, state="RETURNED"), id="returned-by-nothing"),
        pytest.param(MATCH.format(kind="PAID", rule="MANUAL", state="APPROVED", by="'fei'"), id="own-match"),
        pytest.param(MATCH.format(kind="PAID", rule="MANUAL", state="APPROVED", by="NULL"), id="match-of-one"),
        pytest.param(MATCH.format(kind="RELEASED", rule="SUM", state="APPROVED", by="NULL"), id="released-by-rule"),
        pytest.param(MATCH.format(kind="GIFT", rule="MANUAL", state="PROPOSED", by="NULL"), id="unknown-kind"),
    ],
)
def test_one_person_or_a_second_payment_does_not_get_in(filled: Paying, statement: str) -> None:
    with pytest.raises(IntegrityError, match=r"CHECK constraint|UNIQUE constraint"):
        sql(filled, statement)


def test_the_rows_are_as_they_were(filled: Paying) -> None:
    """Every refusal above left the books alone: the order is settled, to the approved account."""
    order = filled.order(filled.month.record(filled.month.command("statements").head["statements"][0]["statement"]))  # type: ignore[index, call-overload]
    assert (order.state, order.counterparty) == ("SETTLED", CREDITOR)
    assert filled.do("pay", period=OCTOBER)["new"] is False
