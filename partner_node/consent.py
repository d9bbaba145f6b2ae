"""The consent desk: who may read what now. Default deny; every answer is recorded.

Consent is kept for each client and purpose until a time, under HMAC-SHA256 of the normalised id, so the records hold no
id. The desk gives a `Grant` only for a job whose digest this node's own person approved, while it has not expired, for
the asset, columns and purpose which that job names, and never for a column of class C3.
"""

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import Session

from ecowire.documents import Body
from partner_node import times
from partner_node.database import Database, raw
from partner_node.errors import (
    ColumnNotOffered,
    CommandInvalid,
    ConsentFileInvalid,
    JobExpired,
    NotAParty,
    NotApproved,
    PurposeNotOffered,
    UnknownJob,
)
from partner_node.grants import INSPECTION, Gate, Grant, authenticate
from partner_node.settings import Asset, Settings
from partner_node.tables import AnswerRow, ConsentChangeRow, ConsentRow, DecisionRow, ProposalRow
from privacy import canonical
from privacy.errors import Failure
from privacy.normalise import normalise

INSPECTION_SECONDS = 600
FILE_COLUMNS = ["client_id", "purpose", "until"]
RECORDS_MAX = 10_000_000
REVISION = "SELECT coalesce(max(number), 0) FROM consent_change"  # asked at every request of a run


@dataclass(frozen=True, slots=True, kw_only=True)
class PurposeCount:
    """Consent records of one purpose."""

    purpose: str
    valid: int
    expired: int
    withdrawn: int


class ConsentDesk:
    """`secret`: 32 fresh bytes of this process; `client_key`: the node's lasting HMAC key."""

    def __init__(self, *, settings: Settings, database: Database, secret: bytes, client_key: bytes) -> None:
        self._settings = settings
        self._database = database
        self._secret = secret
        self.gate = Gate(secret=secret, client_key=client_key, database=database)

    def grant(self, job: str, *, asset: str, columns: Sequence[str], now: datetime) -> Grant:
        """A grant for this job. Records the answer, whichever it is.

        Raises UnknownJob, NotApproved, JobExpired, NotAParty, ColumnNotOffered, PurposeNotOffered, AssetUnknown.
        """
        return self._answer(job, asset, columns, now, lambda: self._permitted(job, asset, columns, now))

    def label_grant(self, job: str, *, asset: str, columns: Sequence[str], until: datetime, now: datetime) -> Grant:
        """A grant to read own clients for the labels of a run that this node's person approved, `until` they end.

        What is read stays in the house: the run may have expired since, and need not name the columns. Records the
        answer. Raises UnknownJob, NotApproved, NotAParty, ColumnNotOffered, PurposeNotOffered, AssetUnknown.
        """

        def permitted() -> tuple[str, str]:
            body, _ = self._approved(job)
            _named_columns(body, self._settings.partner, asset)
            return self._offered(body, asset, columns, set(columns)), times.to_text(until)

        return self._answer(job, asset, columns, now, permitted)

    def score_grant(self, job: str, *, asset: str, columns: Sequence[str], until: datetime, now: datetime) -> Grant:
        """A grant to read own columns for the scores of single clients, `until` the results of the job may be used.

        The caller has found that the approved plan allows these scores. Records the answer. Raises as `label_grant`.
        """

        def permitted() -> tuple[str, str]:
            body, _ = self._approved(job)
            named = _named_columns(body, self._settings.partner, asset)
            return self._offered(body, asset, columns, named), times.to_text(until)

        return self._answer(job, asset, columns, now, permitted)

    def inspection(self, asset: str, now: datetime) -> Grant:
        """A grant for `Vault.inspect` alone: counts for this node's own people."""
        expires = times.to_text(datetime.fromtimestamp(now.timestamp() + INSPECTION_SECONDS, now.tzinfo))
        return self._make(INSPECTION, INSPECTION, self._settings.asset(asset).name, (), expires)

    def import_file(self, lines: Iterable[str], *, id_type: str, now: datetime) -> int:
        """Take over consent records of CSV text (client_id,purpose,until); the number of records.

        All or nothing: raises ConsentFileInvalid, naming the line, and then imports nothing. A record replaces an
        earlier one of the same client and purpose, also a withdrawn one.
        """
        reader = csv.DictReader(lines, strict=True)
        if reader.fieldnames != FILE_COLUMNS:
            raise ConsentFileInvalid(line=1, why=f"the header must be {','.join(FILE_COLUMNS)}")
        records: dict[tuple[bytes, str], str] = {}
        try:
            for row in reader:
                key, purpose, until = self._record_of(row, reader.line_num, id_type)
                records[key, purpose] = until
                if len(records) > RECORDS_MAX:
                    raise ConsentFileInvalid(line=reader.line_num, why=f"more than {RECORDS_MAX} records")
        except csv.Error as error:
            raise ConsentFileInvalid(line=reader.line_num, why=str(error)) from None
        self._database.write("import consent", lambda session: _upsert(session, records, times.to_text(now)))
        return len(records)

    def withdraw(self, client_id: str, *, purpose: str | None, id_type: str, now: datetime) -> int:
        """Withdraw a client's consent to one purpose, or to all; how many records that ended."""
        (key,) = self.gate.row_keys([normalise(id_type, client_id)])
        text = times.to_text(now)
        change = update(ConsentRow).where(ConsentRow.client == key, ConsentRow.withdrawn.is_(None))
        if purpose is not None:
            change = change.where(ConsentRow.purpose == purpose)

        def apply(session: Session) -> int:
            count = int(session.execute(change.values(withdrawn=text)).rowcount)  # type: ignore[attr-defined]
            _note_change(session, "withdraw", purpose or "", count, text)
            return count

        return self._database.write("withdraw consent", apply)

    def summary(self, now: datetime) -> tuple[PurposeCount, ...]:
        """How many records each purpose has, by state now."""
        text = times.to_text(now)
        withdrawn = func.count(ConsentRow.withdrawn)
        expired = func.count().filter(ConsentRow.withdrawn.is_(None), ConsentRow.until <= text)
        query = select(ConsentRow.purpose, func.count(), expired, withdrawn).group_by(ConsentRow.purpose)
        rows = self._database.read(lambda session: session.execute(query.order_by(ConsentRow.purpose)).all())
        return tuple(
            PurposeCount(purpose=name, valid=total - old - ended, expired=old, withdrawn=ended)
            for name, total, old, ended in rows
        )

    def of_client(self, client_id: str, *, id_type: str) -> tuple[tuple[str, str, str | None], ...]:
        """(purpose, until, withdrawn at) of one client's records."""
        (key,) = self.gate.row_keys([normalise(id_type, client_id)])
        query = select(ConsentRow.purpose, ConsentRow.until, ConsentRow.withdrawn).where(ConsentRow.client == key)
        rows = self._database.read(lambda session: session.execute(query.order_by(ConsentRow.purpose)).all())
        return tuple((purpose, until, withdrawn) for purpose, until, withdrawn in rows)

    def revision(self) -> int:
        """Grows with every import and withdrawal: what was read under an earlier one must be read again."""
        (newest,) = self._database.read(lambda session: raw(session).execute(REVISION).fetchone())
        return int(newest)

    def snapshot(self, purpose: str, row_keys: Iterable[bytes], now: datetime) -> Body:
        """The state of these clients' consents to a purpose, for a signed record: how many hold now, and a digest.

        The digest commits to each client's key and end; it tells nothing without this node's key and records.
        """
        consents = self.gate.consents(purpose, now)
        held = sorted(key + consents[key].encode() for key in row_keys if key in consents)
        return {
            "clients": len(held),
            "revision": self.revision(),
            "digest": canonical.digest_bytes("ecohub/consents/v1", b"".join(held)).hex(),
        }

    def _answer(
        self, job: str, asset: str, columns: Sequence[str], now: datetime, permitted: Callable[[], tuple[str, str]]
    ) -> Grant:
        """The grant for the purpose and end that `permitted` gives, or its refusal; either is recorded."""
        try:
            purpose, expires = permitted()
        except Failure as failure:
            self._record(job, "", asset, columns, failure.code, now)
            raise
        self._record(job, purpose, asset, columns, "GRANTED", now)
        return self._make(job, purpose, asset, columns, expires)

    def _permitted(self, job: str, asset: str, columns: Sequence[str], now: datetime) -> tuple[str, str]:
        body, expires = self._approved(job)
        if times.to_text(now) >= expires:
            raise JobExpired(job=job[:16], expires=expires)
        return self._offered(body, asset, columns, _named_columns(body, self._settings.partner, asset)), expires

    def _offered(self, body: Mapping[str, Any], asset: str, columns: Sequence[str], named: set[str]) -> str:
        """The job's purpose, for which this asset and these columns are offered."""
        offered = self._settings.asset(asset)
        purpose = str(body["purpose"])
        if purpose not in offered.purposes:
            raise PurposeNotOffered(asset=asset, purpose=purpose)
        for column in columns:
            check_column(offered, column, named)
        return purpose

    def _approved(self, job: str) -> tuple[Mapping[str, Any], str]:
        def find(session: Session) -> tuple[bytes, str, str | None]:
            proposal = session.get(ProposalRow, job)
            if proposal is None:
                raise UnknownJob(job=job[:80])
            decision = session.get(DecisionRow, job)
            return proposal.body, proposal.expires, decision.decision if decision else None

        body, expires, decision = self._database.read(find)
        if decision != "approve":
            raise NotApproved(who=self._settings.partner, job=job[:16])
        value = canonical.decode(body)
        assert isinstance(value, dict), "a stored proposal's body is an object"
        return value, expires

    def _make(self, job: str, purpose: str, asset: str, columns: Sequence[str], expires: str) -> Grant:
        bare = Grant(job=job, purpose=purpose, asset=asset, columns=tuple(columns), expires=expires, mac=b"")
        mac = authenticate(self._secret, bare.signed_part())
        return Grant(job=job, purpose=purpose, asset=asset, columns=tuple(columns), expires=expires, mac=mac)

    def _record(self, job: str, purpose: str, asset: str, columns: Sequence[str], outcome: str, now: datetime) -> None:
        row = AnswerRow(
            time=times.to_text(now),
            job=job[:64],
            purpose=purpose,
            asset=asset[:80],
            columns=",".join(columns),
            outcome=outcome,
        )
        self._database.write("record answer", lambda session: session.add(row))

    def _record_of(self, row: Mapping[str, Any], line: int, id_type: str) -> tuple[bytes, str, str]:
        if any(not isinstance(row.get(name), str) or not row[name] for name in FILE_COLUMNS) or None in row:
            raise ConsentFileInvalid(line=line, why="three values are needed: client_id, purpose, until")
        try:
            client = normalise(id_type, row["client_id"])
            until = times.parse(row["until"] + ("T00:00:00+00:00" if len(row["until"]) == 10 else ""), "until")
        except Failure as failure:
            raise ConsentFileInvalid(line=line, why=failure.message()) from None
        (key,) = self.gate.row_keys([client])
        return key, row["purpose"], times.to_text(until)


def answers(session: Session) -> list[tuple[str, str, str, str]]:
    """(time, job, asset, outcome) of every answer the desk gave, oldest first."""
    query = select(AnswerRow.time, AnswerRow.job, AnswerRow.asset, AnswerRow.outcome).order_by(AnswerRow.number)
    return [(time, job, asset, outcome) for time, job, asset, outcome in session.execute(query)]


def _upsert(session: Session, records: Mapping[tuple[bytes, str], str], now: str) -> None:
    if not records:
        raise CommandInvalid(command="consent.import", what="records: the file has none")
    statement = insert(ConsentRow)
    statement = statement.on_conflict_do_update(
        index_elements=[ConsentRow.client, ConsentRow.purpose],
        set_={"until": statement.excluded.until, "withdrawn": None},
    )
    values = [
        {"client": client, "purpose": purpose, "until": until, "withdrawn": None}
        for (client, purpose), until in records.items()
    ]
    session.execute(statement, values)
    _note_change(session, "import", ",".join(sorted({purpose for _, purpose in records})), len(records), now)


def _note_change(session: Session, action: str, purpose: str, clients: int, now: str) -> None:
    session.add(ConsentChangeRow(time=now, action=action, purpose=purpose, clients=clients))


def _named_columns(body: Mapping[str, Any], partner: str, asset: str) -> set[str]:
    """The columns that the job names for this partner's asset.

    Its own list or that of all; where it holds the label, that and the survey weights.
    """
    for party in body["parties"]:
        if party["partner"] == partner and party.get("asset") == asset:
            label = body.get("label", {})
            if "columns" in body:  # every party has the same: a horizontal plan
                return {column["name"] for column in body["columns"]} | {label["column"]}
            holds_label = label.get("partner") == partner and label.get("asset") == asset
            beside = {label.get("column"), body.get("survey_weights"), *body.get("fairness", {}).get("groups", [])}
            own = beside - {None} if holds_label else set()
            for field in ("sum", "labels"):  # of a match: the column added up, or given for each shared client
                taken = body.get(field, {})
                own |= {taken["column"]} if taken.get("partner") == partner else set()
            return set(party.get("columns", [])) | own
    raise NotAParty(job=f"the asset {asset} of the job")


def check_column(asset: Asset, column: str, named: set[str]) -> None:
    """Raises ColumnNotOffered: not in the settings, class C3, or not named by the job."""
    if column not in asset.columns:
        raise ColumnNotOffered(asset=asset.name, column=column, why="it is not in this node's settings")
    if asset.columns[column] == "C3":
        raise ColumnNotOffered(asset=asset.name, column=column, why="class C3 never enters a job")
    if column not in named:
        raise ColumnNotOffered(asset=asset.name, column=column, why="the approved job does not name it")
