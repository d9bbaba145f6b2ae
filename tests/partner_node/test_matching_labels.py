"""Labels with shared clients at the nodes: who gets them, in which form, and what a label can't do to who reads it."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest

from ecowire.stream import FAILURE, Message
from partner_node import disclosure, match_book, match_rows, match_slots, match_values
from privacy.errors import Failure
from privacy.psi import rows as engine
from privacy.psi.oprf import labels_text
from privacy.psi.oprf.labels_parameters import label_parameters
from privacy.psi.oprf.options import CHECKED_LISTED
from tests.partner_node import alliance
from tests.partner_node.alliance import MovableClock, TestAuthority, TestNode
from tests.partner_node.relay import MatchRelay

SETS = {"broker": range(200), "bank": range(100, 320)}
SHARED = [n for n in range(100, 200) if n % 10]
LENGTH = 24
SEGMENT = {"partner": "bank", "column": "SEGMENT", "bytes": LENGTH}
# what a spreadsheet would compute, what a file's form lives by, other scripts, nothing at all
TEXTS = ["=1+1", "＝1+1", "-5", '@SUM("A1")', 'a,b"c', "高净值客户", "", "007", "x" * LENGTH]
FORMULAS = ("=", "＝", "-", "@")


def label(number: int) -> str:
    return TEXTS[number % len(TEXTS)]


def segments_csv(numbers: range, say: Any = label) -> str:
    lines = ["client_id,SEGMENT,PIN"]
    for number in numbers:
        quoted = '"' + say(number).replace('"', '""') + '"'
        lines.append(f"{alliance.resident_id(number)},{quoted},{number}")
    return "\n".join(lines) + "\n"


@pytest.fixture
def pair(tmp_path: Path) -> list[TestNode]:
    """Broker (clients 0-199) and bank (100-319), with consent of all but multiples of ten."""
    clock, authority = MovableClock(), TestAuthority()
    nodes = []
    for name, numbers in SETS.items():
        columns = {"SEGMENT": "C2", "PIN": "C3"}
        made = alliance.make_node(
            tmp_path, name, segments_csv(numbers), columns=columns, clock=clock, authority=authority
        )
        alliance.consent(made, [n for n in numbers if n % 10])
        nodes.append(made)
    alliance.pin_all(nodes)
    return nodes


@pytest.fixture
def small_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BUCKET_KEYS", 32)
    monkeypatch.setattr(engine, "PARALLEL", 1)


def body(pair: list[TestNode], **changes: Any) -> Any:
    terms = {"engine": "oprf", "version": 2, "minimum": 50, "labels": SEGMENT, **changes}
    return alliance.match_body(pair, mode="labels", **terms)


def started(pair: list[TestNode], *, restart: bool = False, **changes: Any) -> MatchRelay:
    job = alliance.propose(pair, "match", body(pair, **changes))
    return MatchRelay(pair, job, alliance.approve(pair, job), restart=restart)


def table(node: TestNode, job: str, suffix: str = ".csv") -> tuple[Any, list[tuple[int, str, str | None]]]:
    """(the command's answer, the lines of the file)."""
    path = node.folder / f"labels-{job[:8]}{suffix}"
    told = node.command("match.result", job=job, file=str(path))
    if suffix == ".parquet":
        found = pyarrow.parquet.read_table(path).to_pydict()
        return told, list(zip(found["row"], found["client_id"], found["label"], strict=True))
    with path.open(newline="") as lines:
        return told, [(int(line["row"]), line["client_id"], line["label"]) for line in csv.DictReader(lines)]


def expected(say: Any = label) -> list[tuple[int, str, str]]:
    return [(n, alliance.resident_id(n), say(n)) for n in SHARED]


def guarded(number: int) -> str:
    """As a CSV file shows it: a spreadsheet must not compute what another party wrote."""
    return "'" + label(number) if label(number).startswith(FORMULAS) else label(number)


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.usefixtures("small_buckets")
def test_the_leader_gets_each_shared_clients_label_and_nobody_else_anything(
    pair: list[TestNode], restart: bool
) -> None:
    relay = started(pair, restart=restart)
    relay.run()
    assert min(relay.steps.values()) > 5
    broker, bank = relay.nodes.values()
    assert table(broker, relay.job)[1] == expected(guarded)
    told, lines = table(broker, relay.job, ".parquet")
    assert lines == expected()
    assert (told["mode"], told["count"], told["clients"], told["not_text"]) == ("labels", len(SHARED), len(SHARED), 0)
    said = {name: (result["body"]["outcome"], result["body"]["count"]) for name, result in relay.results.items()}
    assert said == {"broker": ("shared", len(SHARED)), "bank": ("not entitled", None)}
    assert "SEGMENT" not in str(relay.results) and "高净值客户" not in str(relay.results), "the hub reads results"
    transcripts = {name: [*result["body"]["transcripts"].values()] for name, result in relay.results.items()}
    assert transcripts["broker"] == transcripts["bank"]
    assert bank.parts.node.database.read(lambda s: match_rows.of_job(s, relay.job)) == match_rows.NO_ROWS
    with pytest.raises(Failure) as refused:
        table(bank, relay.job)
    assert refused.value.code == "RESULT_WITHOUT_ROWS"


@pytest.mark.usefixtures("small_buckets")
def test_a_step_that_was_lost_before_its_commit_is_made_again(pair: list[TestNode]) -> None:
    relay = started(pair)
    for turn in range(8):
        name = ("broker", "bank")[turn % 2]
        node, waiting = relay.nodes[name], [*relay.boxes[name]]
        lost = node.parts.handlers["match.step"](relay.request(name, waiting))  # computed, and dead before its commit
        assert lost.failure is None
        relay.nodes[name] = node.reopened()
        assert relay.step(name).kind != FAILURE
    relay.run()
    assert table(relay.nodes["broker"], relay.job, ".parquet")[1] == expected()


def test_below_the_minimum_no_row_and_no_label_is_kept(pair: list[TestNode]) -> None:
    relay = started(pair, minimum=len(SHARED) + 1)
    relay.run()
    said = {name: (result["body"]["outcome"], result["body"]["count"]) for name, result in relay.results.items()}
    assert said == {"broker": ("below minimum", None), "bank": ("not entitled", None)}
    assert pair[0].parts.node.database.read(lambda s: match_rows.of_job(s, relay.job)) == match_rows.NO_ROWS


@pytest.mark.parametrize("bad", ["y" * (LENGTH + 1), "高净值客户高净值客户", "a\tb", "a\x00", "a\u200bb", "\u202eabc"])
def test_a_text_that_is_no_label_ends_the_match_before_anything_leaves(pair: list[TestNode], bad: str) -> None:
    """Nobody reads which text, of which client, or how many there are."""
    path = pair[1].folder / "clients.csv"
    path.write_text(segments_csv(SETS["bank"], lambda n: bad if n in (301, 302, 303) else label(n)))
    job = alliance.propose(pair, "match", body(pair))
    head = {"job": job, "approvals": alliance.approve(pair, job)}
    reply = pair[1].ask(Message(id="start", kind="match.start", head=head))
    assert (reply.kind, reply.head["code"], reply.body) == (FAILURE, "LABELS_NOT_FIT", b"")
    assert bad not in str(reply.head)
    assert "3" not in str(reply.head), "how many clients have such a text is nobody else's business"
    assert "SEGMENT" in str(reply.head) and str(LENGTH) in str(reply.head)


def test_bytes_that_are_no_text_end_nothing_and_are_left_out_of_the_file(
    pair: list[TestNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A match that ended for one label would tell the side that made it that this client is shared."""
    right = labels_text.encode

    def other_software(texts: list[str], length: int) -> Any:
        made = np.array(right(texts, length))
        made[[0, 1]] = np.frombuffer(b"\xff\x1b[2J".ljust(length, b"\x00"), np.uint8)
        return made

    monkeypatch.setattr(match_values.labels_text, "encode", other_software)
    relay = started(pair)
    relay.run()
    assert relay.results["broker"]["body"]["count"] == len(SHARED)
    told, lines = table(pair[0], relay.job, ".parquet")
    assert told["not_text"] == 2
    assert lines == [(row, client, None if i < 2 else text) for i, (row, client, text) in enumerate(expected())]
    assert [text for _, _, text in table(pair[0], relay.job)[1]][:2] == ["", ""]


@pytest.mark.usefixtures("small_buckets")
def test_labels_that_change_in_the_middle_end_the_match(pair: list[TestNode]) -> None:
    """One pad under two labels would show their difference to a client's other side."""
    relay = started(pair)
    for name in ("broker", "bank", "broker"):
        assert relay.step(name).kind != FAILURE
    (pair[1].folder / "clients.csv").write_text(segments_csv(SETS["bank"], lambda n: "other"))
    relay.nodes["bank"] = relay.nodes["bank"].reopened()
    reply = relay.step("bank")
    assert (reply.kind, reply.head["code"]) == (FAILURE, "PSI_IDENTIFIERS_CHANGED")


@pytest.mark.parametrize(("column", "code"), [("PIN", "COLUMN_NOT_OFFERED"), ("OTHER", "COLUMN_NOT_OFFERED")])
def test_a_column_that_is_not_offered_cannot_be_approved(pair: list[TestNode], column: str, code: str) -> None:
    job = alliance.propose(pair, "match", body(pair, labels={**SEGMENT, "column": column}))
    with pytest.raises(Failure) as refused:
        pair[1].command("approve", job=job, person="privacy officer")
    assert refused.value.code == code


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": {**SEGMENT, "partner": "broker"}},
        {"labels": {**SEGMENT, "partner": "insurer"}},
        {"labels": {**SEGMENT, "bytes": 0}},
        {"labels": {**SEGMENT, "bytes": 65}},
        {"labels": {**SEGMENT, "bytes": True}},
        {"labels": {**SEGMENT, "bytes": "8"}},
        {"labels": {**SEGMENT, "column": ""}},
        {"labels": {**SEGMENT, "more": 1}},
        {"labels": {"partner": "bank", "column": "SEGMENT"}},
        {"labels": None},
        {"labels": ["SEGMENT"]},
        {"engine": "ecdh"},
        {"version": 1},
        {"both": True},
        {"noise": {"epsilon_milli": 500, "delta_log10": -9}},
        {"mode": "rows"},
        {"mode": "count", "engine": "ecdh"},
    ],
    ids=str,
)
def test_terms_that_no_session_fits_cannot_be_approved(pair: list[TestNode], changes: dict[str, Any]) -> None:
    job = alliance.propose(pair, "match", {**body(pair), **changes})
    shown = pair[1].command("job", job=job)
    assert (shown["discloses"], shown["blocked"]["code"]) == ([], "PROPOSAL_MALFORMED")


def test_people_read_that_the_column_is_given_also_for_guessed_clients(pair: list[TestNode]) -> None:
    said = disclosure.sentences("match", body(pair), "bank")
    english, chinese = ("\n".join(sentences) for sentences in zip(*said, strict=True))
    assert "broker LEARNS WHICH of its own clients bank has too, AND OF EACH bank's SEGMENT" in english
    assert "a client that broker only guessed gives its SEGMENT too" in english
    assert "bank learns no client; its people can read the number at the hub" in english
    for text in ("SEGMENT", "24 字节", "猜测", "bank 不获知任何客户", "50 人"):
        assert text in chinese


def test_what_the_sizes_let_the_other_side_do_is_booked(pair: list[TestNode]) -> None:
    """A receiver tests what its matrix holds; a sender puts as many clients into its store as that has slots."""
    relay = started(pair)
    relay.run()
    counts = {name: len([n for n in numbers if n % 10]) for name, numbers in SETS.items()}
    sizes = label_parameters(counts["broker"], counts["bank"], LENGTH, engine.BUCKET_KEYS, CHECKED_LISTED)
    slots = {"bank": sizes.identifiers_held, "broker": sizes.buckets * sizes.label_shape.slots}
    for node, peer in (pair, pair[::-1]):
        (entry,) = node.parts.node.database.read(match_book.entries)
        assert (entry["partner"], entry["peer"], entry["slots"]) == (
            peer.partner,
            counts[peer.partner],
            slots[node.partner],
        )
        assert slots[node.partner] > counts[peer.partner]
        assert match_slots.testable(body(pair), counts, node.partner) == {peer.partner: slots[node.partner]}
    booked = pair[1].command("matching.quota")["partners"]
    assert [line["peer_identifiers"]["used"] for line in booked] == [slots["bank"]]
