"""Labels of a run that was trained: three nodes, an alignment, Flower's rounds, and then the broker's own file."""

import csv
from pathlib import Path

import pyarrow.parquet
import pytest

from ecowire import documents
from federation.release import model_name
from partner_node import errors, labels_errors, store_releases
from tests.partner_node import labels
from tests.partner_node.alliance import TestNode, resident_id
from tests.partner_node.test_training import CLIENTS, aligned, plan_body, run, template

pytestmark = pytest.mark.slow_flow
__all__ = ["aligned", "template"]  # fixtures


def rules(node: TestNode) -> str:
    """The example, for a broker whose column Y says the client's class."""
    text = labels.EXAMPLE.read_text(encoding="utf-8")
    head, tail = text.index("C1 = 1"), text.index("[[labels]]")
    path = node.folder / "rules.toml"
    path.write_text(f'{text[:head]}"0" = 2\n"1" = 4\n\n{text[tail:]}', encoding="utf-8")
    return str(path)


def test_the_label_holder_delivers_what_its_run_left_and_no_other_party_can(
    aligned: tuple[list[TestNode], str],
) -> None:
    nodes, match = aligned
    body = plan_body(nodes, match)
    _, results = run(nodes, body)
    job = documents.digest("train", body)
    broker, bank, _ = nodes
    broker.command("labels.opt_out.add", client_ids=[resident_id(5)])
    broker.command("consent.withdraw", client_id=resident_id(6))
    release = labels.step(job, labels.serves(job), name=model_name(body))
    broker.parts.node.database.write("keep", lambda session: store_releases.keep(session, release))
    told = {"run": job[:16], "rules": rules(broker), "risk_column": "Y", "format": "csv"}
    found = broker.command("labels.deliver", **told)
    assert found["model"] == results["broker"]["body"]["record"]["model_digest"]
    refused = {row["reason"]: row["clients"] for row in found["refused"] if row["label"] is None}
    assert refused == {"OPTED_OUT": 1, "CONSENT_ENDED": 1} and found["clients"] == CLIENTS
    matrix = pyarrow.parquet.read_table(labels.matrix_file(broker, job)).to_pylist()
    deciles = {row["client_id"]: row["decile"] for row in matrix}
    with Path(found["file"]).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows and all(deciles[row["client_id"]] == int(row["decile"]) for row in rows)
    assert {row["class"] for row in rows if row["label"] == "risk_appetite"} == {"1", "2", "3", "4"}
    assert not {resident_id(5), resident_id(6)} & {row["client_id"] for row in rows}
    with pytest.raises(labels_errors.NotLabelHolder):
        bank.command("labels.deliver", **told)
    with pytest.raises(errors.UnknownJob):
        broker.command("labels.deliver", **{**told, "run": "ee" * 32})
