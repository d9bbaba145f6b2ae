"""A label holder's node after a vertical run: 40 clients, four a decile, their risk classes in the broker's own asset.

The run itself is put on record as training does; tests/partner_node/test_labels_run.py has one that was trained.
"""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from ecowire import documents
from ecowire.documents import Body, Signed
from federation.release import model_name
from partner_node import files, label_matrix, store, store_releases
from partner_node.store import Proposal, Result
from privacy import seal
from tests.partner_node import alliance
from tests.partner_node.alliance import TestNode

CLIENTS = 40
COLUMNS = {"AGE": "C1", "RISK": "C2", "PIN": "C3", "Y": "C2"}
MODEL = "ab" * 32
SALT = "5a" * 16
MADE = "2026-10-01T08:00:00+00:00"
EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "labels" / "joint-profile.toml"
DEFINITE = {"risk_column": "RISK", "rules": str(EXAMPLE)}


def decile(number: int) -> int:
    return 1 + number // 4


def chance(number: int) -> float:
    return (number + 0.5) / CLIENTS


def risk(number: int) -> str:
    """C1 to C4 in turn; of every tenth client nobody knows it."""
    return "" if number % 10 == 9 else f"C{1 + number % 4}"


def source() -> str:
    rows = [f"{alliance.resident_id(n)},{30 + n},{risk(n)},1234,{n % 2}" for n in range(CLIENTS)]
    return "\n".join(["client_id,AGE,RISK,PIN,Y", *rows]) + "\n"


def plan_body(nodes: list[TestNode], **changes: Any) -> Body:
    """A plan in which the first node holds the label."""
    holder = nodes[0].partner
    columns = {node.partner: ["AGE" if node.partner == holder else "SPEND"] for node in nodes}
    return alliance.train_body(nodes, holder, columns, "cd" * 32, **changes)


def matrix(consents: list[str] | None = None) -> bytes:
    """The file that the run left."""
    numbers = range(CLIENTS)
    result: Any = SimpleNamespace(
        model_digest=MODEL,
        matrix=SimpleNamespace(
            tokens=tuple(f"{n:032x}" for n in numbers),
            scores=np.array([math.log(chance(n) / (1 - chance(n))) for n in numbers]),
            chances=np.array([chance(n) for n in numbers]),
            alone=np.full(CLIENTS, 0.5),
            deciles=np.array([decile(n) for n in numbers], dtype=np.int8),
        ),
    )
    ends = consents or ["2027-01-01T00:00:00+00:00"] * CLIENTS
    ids = [alliance.resident_id(n) for n in numbers]
    return label_matrix.encode(
        result,
        ids,
        ends,
        reasons=["[]"] * CLIENTS,
        purpose=alliance.PURPOSE,
        valid_until="2026-12-30T08:00:00+00:00",
    )


def finished(
    node: TestNode,
    body: Body,
    data: bytes | None,
    *,
    role: str = "label_holder",
    released: bool = True,
    **record: Any,
) -> str:
    """Put an approved run on record as it ends at this node, with its matrix where `data` is given; the job.

    released: to all clients, by the hub's step; record: further figures of the node's own record.
    """
    job = documents.digest("train", body)
    part = node.parts.node
    me, key = part.settings.partner, part.keys.signing
    proposal = Proposal(digest=job, kind="train", body=body, received=MADE, expires=str(body["expires"]))
    said: Body = {"proposal": job, "kind": "train", "decision": "approve"}
    decision = store.Decision(
        digest=job,
        decision="approve",
        person="privacy officer",
        time=MADE,
        approval=documents.sign("approval", said, me, key),
    )
    told: Body = {"job": job, "partner": me, "role": role, "record": {"model_digest": MODEL, **record}, "time": MADE}
    name = f"label-matrix-{job[:16]}.parquet"
    result = Result(job=job, kind="train", document=documents.sign("train-result", told, me, key), file=name, time=MADE)
    part.database.write("keep", lambda session: store.keep_proposal(session, proposal))
    part.database.write("keep", lambda session: store.keep_decision(session, decision))
    if data is not None:
        part.database.write("keep", lambda session: store.keep_result(session, result))
        files.replace(part.settings.results / name, data)
    if released and data is not None and role == "label_holder":
        said = step(job, serves(job), name=model_name(body))
        part.database.write("keep", lambda session: store_releases.keep(session, said))
    return job


def serves(job: str, share: Any = 1_000_000, **changes: Any) -> Body:
    """A release in a step of the hub."""
    return {
        "job": job,
        "model_digest": MODEL,
        "share_ppm": share,
        "salt": SALT,
        "valid_until": "2026-12-30T08:00:00.000Z",
        **changes,
    }


def step(
    job: str,
    *serving: Body,
    number: Any = 1,
    before: str | None = None,
    key: seal.SigningKey = alliance.LOG_KEY,
    signer: str = "hub",
    **changes: Any,
) -> Signed:
    """A step as the hub signs it."""
    body: Body = {
        "name": f"{alliance.PURPOSE}/broker/Y",
        "number": number,
        "previous": before,
        "label_holder": "broker",
        "job": job,
        "model_digest": MODEL,
        "action": "release",
        "person": "dana",
        "reason": "reviewed",
        "accepted": [],
        "against": [],
        "serving": [*serving],
        "time": "2026-10-01T08:00:00.000Z",
        **changes,
    }
    return documents.sign("model-step", body, signer, key)


def matrix_file(node: TestNode, job: str) -> Path:
    return node.parts.node.settings.results / f"label-matrix-{job[:16]}.parquet"
