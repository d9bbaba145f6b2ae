"""Delivery of labels at the entitled side: the label holder's node turns a run's scores into labels for its own people.

A delivery is put on record, signed, before its file is written: no label leaves without a record, and a node that died
in between gives the same delivery again, which is counted once. Risk classes, consents and opt-outs are taken as they
are at that moment; scores stay in the matrix, labels stay in the house.
"""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from ecowire.documents import Body, Signed
from federation.labels import Client, Outcome, Rules, apply, words
from federation.release import model_name
from partner_node import labels_output, labels_record, labels_rules, labels_run, releases, store, store_labels, times
from partner_node.arguments import flag, optional_text, text
from partner_node.consent import ConsentDesk
from partner_node.errors import CommandInvalid, NoConsent
from partner_node.labels_errors import NothingDelivered
from partner_node.labels_files import CSV, FORMATS
from partner_node.labels_optout import OptOuts, id_type
from partner_node.labels_record import Recorded
from partner_node.labels_run import Run
from partner_node.node import Commands, Node
from partner_node.releases import Reach
from partner_node.releases_errors import ModelNotReleased
from partner_node.result_files import ResultFiles
from partner_node.store_labels import LabelFile
from partner_node.vault import Vault
from privacy import canonical
from privacy.normalise import normalise


class Labels:
    """The label commands of one node."""

    def __init__(self, node: Node, desk: ConsentDesk, vault: Vault, results: ResultFiles) -> None:
        self._node = node
        self._desk = desk
        self._vault = vault
        self._results = results
        self._opt_outs = OptOuts(node, desk.gate)
        self._lock = threading.Lock()  # deliveries are numbered, and two would write one file

    def commands(self) -> Commands:
        own: Commands = {
            "labels.deliver": self.deliver,
            "labels.history": self.history,
            "labels.refused": self.refused,
        }
        return {**own, **self._opt_outs.commands()}

    def deliver(self, arguments: Mapping[str, Any]) -> Body:
        """Apply a rules file to the label matrix of a run, and write the labels to a file.

        Raises LabelRulesUnreadable, LabelRulesInvalid, what `labels_run.find`, the desk and the vault raise,
        ModelNotReleased, ModelAboveLimits, LabelRulesChanged, LabelRecordBroken, ResultsNotWritable, OutputExists,
        OutputNotWritable, LabelTableUnfit.
        """
        kind, mark = text(arguments, "format"), flag(arguments, "excel")
        if kind not in FORMATS or (mark and kind != CSV):
            raise CommandInvalid(command="labels.deliver", what="format")
        with self._lock:
            now = self._node.clock()
            rules = labels_rules.read(Path(text(arguments, "rules")))
            self._results.check()
            run = labels_run.find(self._node, text(arguments, "run"), self._results.place)
            path = labels_output.target(self._node, run, kind, optional_text(arguments, "to"))
            reach = self._node.database.read(lambda session: _reach(session, run.job))
            risk_column = text(arguments, "risk_column")
            clients = self._clients(run, risk_column, rules, reach)
            outcome = apply(rules, clients.values(), made=run.made, now=now)
            recorded = self._record(run, rules, risk_column, reach.step, outcome, path, kind)
            withdrawn = labels_output.write(
                path,
                kind,
                labels_output.lines_of(recorded.document, run, rules, outcome, clients),
                mark=mark,
                rules=rules,
                outcome=outcome,
                clients=clients,
                closed=labels_output.closed_now(self._desk.gate, self._opted_out(), now),
                left=self._left(run, reach),
                now=times.to_text(now),
            )
            self._node.database.write(
                "labels delivered", lambda session: store_labels.place_file(session, str(path), times.to_text(now))
            )
        told: Body = {"repeated": recorded.repeated, "file": str(path), "format": kind, "withdrawn": withdrawn}
        return {**_line(recorded.document), **told}

    def history(self, _: Mapping[str, Any]) -> Body:
        """Every delivery, oldest first, and the files that hold one. Raises LabelRecordBroken."""
        known, listed = self._node.database.read(
            lambda session: (labels_record.checked(session, self._node), store_labels.files(session))
        )
        held: list[canonical.Value] = [
            {"file": file.path, "format": file.format, "number": file.delivery, "placed": file.placed}
            for file in listed
        ]
        return {"deliveries": [_line(document) for document in known], "files": held}

    def refused(self, arguments: Mapping[str, Any]) -> Body:
        """What a delivery (the last where none is named) refused: counts, or of one client each with its reason.

        Raises NothingDelivered, LabelRecordBroken, IdRejected, UnknownIdType.
        """
        known = self._node.database.read(lambda session: labels_record.checked(session, self._node))
        asked = arguments.get("delivery")
        number = len(known) if asked is None else asked
        if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= len(known):
            raise NothingDelivered
        client = optional_text(arguments, "client_id")
        if client is None:
            return {"number": number, "refused": known[number - 1].body["refused"]}
        (key,) = self._desk.gate.row_keys([normalise(id_type(arguments), client)])
        rows = self._node.database.read(lambda session: store_labels.refusals_of(session, number, key))
        told: list[canonical.Value] = []
        for row in rows:
            en, zh = words.refused(row.reason, risk_level=row.risk_level, risk_class=row.risk_class)
            told.append({"reason": row.reason.value, "label": row.label, "en": en, "zh": zh})
        return {"number": number, "refused": told}

    def _left(self, run: Run, reach: Reach) -> Callable[[str], bool]:
        """Whether another release serves a client, by the client's id: its labels are not this delivery's."""
        id_type, row_keys = run.asset.id_type, self._desk.gate.row_keys
        return lambda client: reach.leaves(row_keys([normalise(id_type, client)])[0])

    def _clients(self, run: Run, risk_column: str, rules: Rules, reach: Reach) -> dict[str, Client]:
        """By client id: the scores of the matrix beside consent, opt-out and risk class as they are now.

        Only clients whom the run's model serves. A client whose row is gone from the source,
        or has no consent, has no risk class here.
        """
        now, matrix = self._node.clock(), run.matrix
        keys = self._desk.gate.row_keys([normalise(run.asset.id_type, client) for client in matrix.client_ids])
        grant = self._desk.label_grant(run.job, asset=run.asset.name, columns=(risk_column,), until=run.until, now=now)
        consents, closed = self._desk.gate.consents(run.purpose, now), self._opted_out()
        try:
            rows = self._vault.rows(grant, (risk_column,), now)
            classes = dict(zip(rows.row_keys, rows.columns[risk_column].tolist(), strict=True))
        except NoConsent:
            classes = {}  # nobody's row may be read, and everybody is refused for want of consent
        ends = {until: times.parse(until, "consent") for until in set(consents.values())}
        return {
            client: Client(
                key=key.hex(),
                score=matrix.scores[place],
                chance=matrix.chances[place],
                decile=matrix.deciles[place],
                valid_until=matrix.valid_until[place],
                consent_until=ends[consents[key]] if key in consents else None,
                risk_class=rules.risk_class(classes.get(key, "")),
                opted_out=key in closed,
            )
            for place, (client, key) in enumerate(zip(matrix.client_ids, keys, strict=True))
            if reach.serves(key)
        }

    def _record(
        self, run: Run, rules: Rules, risk_column: str, step: str, outcome: Outcome, path: Path, kind: str
    ) -> Recorded:
        """The delivery with where it goes, on record before anything is written."""

        def change(session: Session) -> Recorded:
            count = len(run.matrix.client_ids)
            recorded = labels_record.keep(session, self._node, run, rules, risk_column, step, outcome, count)
            file = LabelFile(path=str(path), format=kind, delivery=recorded.number, placed=None)
            store_labels.begin_file(session, file)
            return recorded

        return self._node.database.write("record labels", change)

    def _opted_out(self) -> frozenset[bytes]:
        return self._node.database.read(store_labels.opted_out)


def _reach(session: Session, job: str) -> Reach:
    """Whom the run's model serves. One that gave labels and serves nobody any more is delivered to nobody: that
    withdraws them. Raises UnknownJob, ModelNotReleased, ModelAboveLimits.
    """
    found = releases.last_reach(session, job)
    if found is None or not (found.anybody or any(one.body["run"] == job for one in store_labels.deliveries(session))):
        raise ModelNotReleased(name=model_name(store.proposal(session, job).body), job=job[:16])
    return found


def _line(document: Signed) -> Body:
    """A delivery as people see it: its digest beside what was signed."""
    return {"delivery": document.digest, **document.body}
