"""What a match leaves at this node: the signed result for everybody, and for its own people who the shared clients are.

Of shared clients the node keeps keyed hashes of their ids (Gate.row_keys). Their ids are looked up in the source when
people ask for them, under a grant: a client whose consent has ended since is in no list any more.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

from sqlalchemy.orm import Session

from ecowire import documents
from ecowire.documents import Body, Signed
from federation.plan import order_digest
from partner_node import approvals, files, match_rows, sessions, store, times
from partner_node.arguments import optional_text, text
from partner_node.consent import ConsentDesk
from partner_node.errors import AlignmentMissing
from partner_node.grants import Grant
from partner_node.match_errors import ResultMissing, ResultWithoutRows
from partner_node.match_rows import FOREIGN, NO_ROWS, Kept
from partner_node.node import Node
from partner_node.readings import Clients, Identifiers
from partner_node.sessions import Aligned
from partner_node.store import Proposal
from privacy import psi
from privacy.ids import ClientToken, Digest
from privacy.psi.job import MatchJob
from privacy.psi.oprf import labels_text
from privacy.psi.oprf.labels_sessions import LabelsResult
from privacy.psi.values import Result, Rows

LABEL = "label"
ReadClients: TypeAlias = Callable[[Grant, Sequence[bytes], datetime], Clients]  # `Vault.clients`, and no more of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A finished session's outcome as this node keeps it."""

    outcome: str
    count: int | None = None  # of shared clients, where this side learnt it
    total: int | None = None  # mode sum, at the leader
    order: str = ""  # digest of the common order of an alignment
    aligned: tuple[Aligned, ...] = ()
    rows: Kept = NO_ROWS


def of(result: Result, found: Identifiers, counts: Mapping[str, int]) -> Finished:
    """What a session's result says of the ids that were entered. counts: committed ids of every party."""
    outcome = result.outcome.value
    match result:
        case psi.CountResult():
            return Finished(outcome=outcome, count=result.count)
        case psi.SumResult():
            return Finished(outcome=outcome, count=result.count, total=result.total)
        case psi.CountedRowsResult():
            return Finished(outcome=outcome, count=result.count, rows=_kept(result.rows, found))
    if result.outcome is not psi.Outcome.SHARED:
        return Finished(outcome=outcome)
    match result:
        case LabelsResult():
            kept = _kept(result.rows, found)
            rows = replace(kept, labels=tuple(label.tobytes() for label in result.labels))
            return Finished(outcome=outcome, count=len(rows.row_keys), rows=rows)
        case psi.RowsResult():
            rows = _kept(result.rows, found)
            return Finished(outcome=outcome, count=len(rows.row_keys), rows=rows)
        case psi.AlignResult():
            aligned = tuple(
                Aligned(token=ClientToken(token), row_key=found.row_keys[row])
                for token, row in zip(result.tokens, result.rows.tolist(), strict=True)
            )
            return Finished(outcome=outcome, count=len(aligned), order=order_digest(result.tokens), aligned=aligned)
        case psi.SpineResult():
            keys = [FOREIGN] * len(result.tokens)
            for key, place in zip(found.row_keys, result.rows.tolist(), strict=True):
                keys[place] = key
            shared = sum(counts.values()) - len(result.tokens)  # the spine is the union of two sets
            rows = Kept(row_keys=tuple(keys), tokens=result.tokens)
            return Finished(outcome=outcome, count=shared, order=order_digest(result.tokens), rows=rows)


def _kept(rows: Rows, found: Identifiers) -> Kept:
    return Kept(row_keys=found.row_keys.take(rows))


def sign(node: Node, job: MatchJob, digest: Digest, finished: Finished, transcripts: Mapping[str, bytes]) -> Signed:
    """The signed result. transcripts: of the messages with each peer."""
    body: Body = {
        "job": digest,
        "mode": job.mode,
        "outcome": finished.outcome,
        "count": finished.count,
        "order": finished.order,
        **({"total": finished.total} if job.values else {}),
        **({"noise": {**job.noise.statement()}} if job.noise else {}),
        "transcripts": {peer: value.hex() for peer, value in transcripts.items()},
        "time": times.to_text(node.clock()),
    }
    return documents.sign("match-result", body, node.settings.partner, node.keys.signing)


def keep(session: Session, digest: Digest, finished: Finished, signed: Signed, now: str) -> None:
    """Keep the result in place of the job's state, whose secrets go."""
    sessions.end(session, digest, now)
    sessions.keep_alignment(session, digest, finished.aligned)
    match_rows.keep(session, digest, finished.rows)
    store.keep_result(session, store.Result(job=digest, kind="match", document=signed, file=None, time=now))


class Exports:
    """The lists that this node's own people may ask for."""

    def __init__(self, node: Node, desk: ConsentDesk, read_clients: ReadClients) -> None:
        self._node = node
        self._desk = desk
        self._read_clients = read_clients

    def result(self, arguments: Mapping[str, Any]) -> Body:
        """What this side learnt; with `file`, the row map of shared clients as CSV or, by the name's end, Parquet.

        Columns: row (in the source, from 0), client_id; of labels the other side's label, missing where what it entered
        is no text (`not_text` of them); of an alignment position and token before them, and of a hidden one a line for
        each client of the union, without row and client_id where it is no own one. Raises UnknownJob, ResultMissing,
        ResultWithoutRows, OutputExists, and what desk and vault raise: consent is checked now.
        """
        proposal = self._proposal(arguments)
        result = self._node.database.read(lambda session: store.result(session, proposal.digest))
        if result is None or result.kind != "match":
            raise ResultMissing(job=proposal.digest[:16])
        body = result.document.body
        told = [name for name in ("mode", "outcome", "count", "total", "noise") if name in body]
        found: Body = {"job": proposal.digest, **{name: body[name] for name in told}}
        file = optional_text(arguments, "file")
        if file is None:
            return found
        columns = self._row_map(proposal)
        files.write_table(Path(file), columns)
        said = {"not_text": sum(text is None for text in columns[LABEL])} if LABEL in columns else {}
        return {**found, "file": file, "clients": len(columns["client_id"]), **said}

    def _row_map(self, proposal: Proposal) -> dict[str, Sequence[Any]]:
        database = self._node.database
        aligned = database.read(lambda session: sessions.alignment(session, proposal.digest))
        if aligned:
            kept = Kept(row_keys=tuple(row.row_key for row in aligned), tokens=tuple(row.token for row in aligned))
        else:
            kept = database.read(lambda session: match_rows.of_job(session, proposal.digest))
        if not kept.row_keys:
            raise ResultWithoutRows(job=proposal.digest[:16])
        own = [place for place, key in enumerate(kept.row_keys) if key != FOREIGN]
        clients = self._clients(proposal, [kept.row_keys[place] for place in own])
        if not kept.tokens:
            shown = {LABEL: [labels_text.text_of(label) for label in kept.labels]} if kept.labels else {}
            return {"row": clients.rows, "client_id": clients.client_ids, **shown}
        places: list[int | None] = [None] * len(kept.tokens)
        names: list[str | None] = [None] * len(kept.tokens)
        for place, row, client in zip(own, clients.rows, clients.client_ids, strict=True):
            places[place], names[place] = row, client
        return {"position": range(len(kept.tokens)), "token": kept.tokens, "row": places, "client_id": names}

    def alignment(self, arguments: Mapping[str, Any]) -> Body:
        """Write an alignment as CSV (position, token, client_id).

        Raises UnknownJob, AlignmentMissing, OutputExists, and what desk and vault raise: consent is checked now.
        """
        proposal = self._proposal(arguments)
        rows = self._node.database.read(lambda session: sessions.alignment(session, proposal.digest))
        if not rows:
            raise AlignmentMissing(job=proposal.digest[:16])
        ids = self._clients(proposal, [row.row_key for row in rows]).client_ids
        lines = [(str(i), row.token, client) for i, (row, client) in enumerate(zip(rows, ids, strict=True))]
        path = Path(text(arguments, "file"))
        files.write_csv(path, ("position", "token", "client_id"), lines)
        return {"job": proposal.digest, "file": str(path), "clients": len(lines)}

    def _proposal(self, arguments: Mapping[str, Any]) -> Proposal:
        return self._node.database.read(lambda session: store.proposal(session, text(arguments, "job")))

    def _clients(self, proposal: Proposal, row_keys: list[bytes]) -> Clients:
        now = self._node.clock()
        asset = str(approvals.party(proposal.body, self._node.settings.partner)["asset"])
        grant = self._desk.grant(proposal.digest, asset=asset, columns=(), now=now)
        return self._read_clients(grant, row_keys, now)
