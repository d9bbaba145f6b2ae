"""What a run leaves: every party's signed result, verified, and the model record that names all it came from."""

from datetime import datetime

from ecowire import documents
from hub import times
from hub.audit import HUB
from hub.records import Head, Proposal
from hub.services import Services
from hub.store import Transaction
from privacy.errors import Failure, Kind
from privacy.ids import PartnerId

RESULT = "train-result"
RECORD = "model-record"


class TrainResultInvalid(Failure):
    code = "TRAIN_RESULT_INVALID"
    kind = Kind.INTEGRITY
    en = "the training result of {node} can't be used: {why}"
    zh = "{node} 的训练结果不可用：{why}"


def read_result(job: Proposal, node: PartnerId, value: object) -> documents.Signed:
    """A party's result, verified against the key in the proposal. Raises TrainResultInvalid, BadSignature …"""
    if value is None:
        raise TrainResultInvalid(node=node, why="it is missing")
    document = documents.parse(value, kind=RESULT)
    party = next(p for p in job.party_bodies if p["partner"] == node)
    if document.signer != node or document.body.get("job") != job.digest:
        raise TrainResultInvalid(node=node, why="it is signed by another party or for another run")
    document.verify(bytes.fromhex(str(party["signing"])))
    return document


def record_of(document: documents.Signed) -> Head:
    """The record inside a party's result: figures and digests, no client data. Raises TrainResultInvalid."""
    record = document.body.get("record")
    if not isinstance(record, dict):
        raise TrainResultInvalid(node=document.signer, why="it holds no record")
    return record


def keep_record(services: Services, tx: Transaction, job: Proposal, facts: Head, now: datetime) -> None:
    """Sign and keep the model record, with its leaf: the facts beside run, model, approvals and time."""
    body: documents.Body = {
        "run": job.digest,
        "model": job.body["model"],
        "approvals": [item.document.digest for item in tx.jobs.approvals(job.digest)],
        "time": times.iso(now),
        **facts,
    }
    record = documents.sign(RECORD, body, HUB, services.log.key)
    tx.jobs.add_document(job.digest, record, now)
    services.log.append(tx, now, RECORD, job.digest, digest=record.digest, facts={"signer": HUB})
