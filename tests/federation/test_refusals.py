"""What a party refuses in a vertical run: too little data, liars, and messages that are not due."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from federation import features
from federation.errors import (
    ColumnMissing,
    LabelTooRare,
    MomentsImplausible,
    NoUsableColumns,
    OrderDiffers,
    RowsDiffer,
    ScoreBudgetExceeded,
    ScoresImplausible,
    SeedCommitmentBroken,
    SessionUnreadable,
    StepMalformed,
    StepUnexpected,
    TooFewRows,
    WeightsRefused,
)
from federation.plan import TrainingPlan
from federation.vertical import Outgoing, Table, open_session, scores
from federation.vertical.messages import decode, encode
from privacy import canonical, linear
from privacy.errors import Failure
from privacy.linear import columns, wire
from tests.federation.alliance import Tables, Tamper, body, pump, sessions, synthetic, tokens
from tests.support.entropy import SeededEntropy

pytestmark = pytest.mark.slow_flow  # among the longest: they run with the flows

TABLES, COLUMNS = synthetic()
PLAN = TrainingPlan.from_body(body(COLUMNS))
Content = dict[str, Any]


def altered(kind: str, sender: str, change: Callable[[Content, str], Content], run: str = PLAN.digest) -> Tamper:
    """Replace the content of one sender's messages of a kind; change(content, recipient) gives the new one."""

    def tamper(found: str, out: Outgoing) -> Outgoing:
        is_kind, content = decode(found, run, out.message)
        if (is_kind, found) != (kind, sender):
            return out
        changed = change(dict(content), out.recipient)
        return Outgoing(recipient=out.recipient, message=encode(run, kind, changed))

    return tamper


def setting(**fields: Any) -> Callable[[Content, str], Content]:
    return lambda content, _: content | fields


def in_part(
    change: Callable[[Any], Any], field: str = "parts", part: str = "train"
) -> Callable[[Content, str], Content]:
    """The change of what a message says of the rows of one part."""

    def changed(content: Content, _: str) -> Content:
        return content | {field: content[field] | {part: change(content[field][part])}}

    return changed


def moments(**fields: Any) -> Callable[[Content, str], Content]:
    return in_part(lambda content: content | fields)


def levels(value: Any) -> Callable[[Content, str], Content]:
    return in_part(lambda _: value, "levels")


# --- the table --------------------------------------------------------------------------------------------------------


def test_too_few_aligned_clients_are_refused() -> None:
    short = {
        partner: Table(
            tokens=table.tokens[:280],
            columns={name: column[:280] for name, column in table.columns.items()},
            label=None if table.label is None else table.label[:280],
        )
        for partner, table in TABLES.items()
    }
    with pytest.raises(TooFewRows, match="the plan needs 200") as caught:
        open_session(PLAN, "bank", short["bank"], SeededEntropy(b"x"))
    assert int(caught.value.facts["count"]) < 200


def test_rare_columns_are_left_out_and_named() -> None:
    rare = np.zeros(2000)
    rare[:49] = 1
    table = replace(TABLES["bank"], columns={**TABLES["bank"].columns, "flag": rare})
    parties = pump(PLAN, {**TABLES, "bank": table})
    result = parties["bank"].result().record()
    assert result["dropped"] == ["flag"]
    label = parties["broker"].result().record()
    assert label["dropped"] == {"broker": [], "bank": ["flag"], "platform": []}
    assert label["variants"][1]["columns"] == 6 + 5  # type: ignore[index,call-overload]


def test_a_party_whose_columns_are_all_rare_is_refused() -> None:
    table = replace(TABLES["bank"], columns={name: np.zeros(2000) for name in COLUMNS["bank"]})
    with pytest.raises(NoUsableColumns):
        open_session(PLAN, "bank", table, SeededEntropy(b"x"))


def test_a_rare_label_is_refused() -> None:
    label = np.zeros(2000)
    label[:40] = 1
    with pytest.raises(LabelTooRare):
        open_session(PLAN, "broker", replace(TABLES["broker"], label=label), SeededEntropy(b"x"))


def test_a_label_holder_without_a_label_is_refused() -> None:
    with pytest.raises(ColumnMissing, match="label"):
        open_session(PLAN, "broker", replace(TABLES["broker"], label=None), SeededEntropy(b"x"))


def test_a_client_twice_is_refused() -> None:
    names = (*tokens(1999, 5), tokens(1, 5)[0])
    with pytest.raises(RowsDiffer):
        open_session(PLAN, "bank", replace(TABLES["bank"], tokens=names), SeededEntropy(b"x"))


@pytest.mark.parametrize("spent", [99, 100, -1])
def test_a_spent_score_budget_is_refused_before_anything_is_sent(spent: int) -> None:
    with pytest.raises(ScoreBudgetExceeded):
        sessions(PLAN, TABLES, bank=spent)
    assert sessions(PLAN, TABLES, bank=98)["bank"].start()


# --- liars ------------------------------------------------------------------------------------------------------------


def test_another_order_of_clients_is_refused() -> None:
    other = replace(TABLES["bank"], tokens=TABLES["bank"].tokens[::-1])
    with pytest.raises(OrderDiffers):
        pump(PLAN, {**TABLES, "bank": other})


def test_a_nonce_that_was_not_committed_to_is_refused() -> None:
    with pytest.raises(SeedCommitmentBroken, match="platform"):
        pump(PLAN, TABLES, tamper=altered("open", "platform", setting(nonce=bytes(32))))


def blind_proof(self: linear.Multiplier, message: bytes) -> bytes:
    """What a holder answers that does not care whether the test came out."""
    sequence, pending, _ = self._read_opened(message, wire.MessageKind.ZERO_OPENED)
    body = pending.salt + wire.pack_plain(self._pad_tops(sequence, pending))
    return wire.frame(wire.MessageKind.ZERO_PROOF, self._bound, sequence, pending.count, body)


def test_a_holder_that_lies_in_its_hint_fails_the_zero_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hint with Delta added to one coefficient would read one coefficient of the label holder's key each round."""
    honest = columns.Columns.hint

    def crafted(self: columns.Columns, seed: bytes) -> bytes:
        parameters = self._parameters
        ring, total = parameters.ring, self.total
        digits = ring.unpack(memoryview(honest(self, seed)), total, ring.degree).astype(np.int64)
        plain = np.zeros((total, ring.degree), np.int64)
        plain[0, ring.degree - 1] = 1
        ring.add_shifted(digits, plain, parameters.delta_bits)
        return ring.pack(ring.normalise(digits))

    monkeypatch.setattr(columns.Columns, "hint", crafted)
    # honest provers notice for their crafted hint that the test did not come out; a liar would go on, and be found
    monkeypatch.setattr(linear.Multiplier, "prove", blind_proof)
    with pytest.raises(linear.HolderCheated):
        pump(PLAN, TABLES)


def moved(data: bytes) -> bytes:
    """The first opened value moved by five: it would steer the holder's moments."""
    header = wire.HEADER.unpack_from(data)
    values = np.frombuffer(data[wire.HEADER.size :], "<i8").copy()
    values[0] ^= 5
    kind, bound, sequence, count = wire.MessageKind(header[1]), header[2], header[3], header[4]
    return wire.frame(kind, bound, sequence, count, values.tobytes())


reopened = in_part(moved, "data")


def test_a_label_holder_that_offsets_opened_values_is_refused() -> None:
    with pytest.raises(linear.EncryptorCheated):
        pump(PLAN, TABLES, tamper=altered("opened", "broker", reopened))


def test_a_holder_that_offsets_another_holders_values_is_refused() -> None:
    with pytest.raises(linear.EncryptorCheated):
        pump(PLAN, TABLES, tamper=altered("opened", "bank", reopened))


def test_levels_that_the_encrypted_column_does_not_have_are_found() -> None:
    def lie(stated: np.ndarray) -> np.ndarray:
        return stated + np.array([0, 0, 0, 60])

    with pytest.raises(MomentsImplausible, match="broker"):
        pump(PLAN, TABLES, tamper=altered("vectors", "broker", in_part(lie, "levels")))


def test_an_encryptor_that_states_a_rare_column_is_refused() -> None:
    def lie(stated: np.ndarray) -> np.ndarray:
        changed = stated.copy()
        changed[0, 3] = PLAN.rare_rows - 1
        return changed

    with pytest.raises(MomentsImplausible, match="rarer"):
        pump(PLAN, TABLES, tamper=altered("vectors", "bank", in_part(lie, "levels")))


def enlarged(field: str) -> Callable[[Content, str], Content]:
    def change(content: Content) -> Content:
        array = content[field].copy()
        array.flat[1] = 1300 * features.VALUE_MAX
        return content | {field: array}

    return in_part(change)


@pytest.mark.parametrize("field", ["gram", "sums", "target"])
def test_moments_no_data_can_have_are_refused(field: str) -> None:
    with pytest.raises(MomentsImplausible, match="bank"):
        pump(PLAN, TABLES, tamper=altered("moments", "bank", enlarged(field)))


def test_a_cross_moment_beyond_cauchy_schwarz_is_refused() -> None:
    def change(content: Content) -> Content:
        return content | {"with_label_holder": content["with_label_holder"] * 0 + 1300 * features.VALUE_MAX**2}

    with pytest.raises(MomentsImplausible):
        pump(PLAN, TABLES, tamper=altered("moments", "platform", in_part(change)))


def announcing(weights: np.ndarray, content: Content, recipient: str) -> Content:
    announced = content["announced"] | {recipient: scores.weights_digest(weights)}
    return content | {"weights": weights, "announced": announced}


def test_weights_that_would_void_the_rounding_are_refused() -> None:
    def large(content: Content, recipient: str) -> Content:
        return announcing(np.full_like(content["weights"], 30.0), content, recipient)

    with pytest.raises(WeightsRefused, match="exceed 64"):
        pump(PLAN, TABLES, tamper=altered("weights", "broker", large))


def test_weights_other_than_announced_are_refused() -> None:
    def other(content: Content, _: str) -> Content:
        return content | {"weights": content["weights"] + 0.5}

    with pytest.raises(WeightsRefused, match="announced"):
        pump(PLAN, TABLES, tamper=altered("weights", "broker", other))


def test_a_label_holder_that_announces_differently_to_two_holders_gets_noise() -> None:
    """Rule b: the masks are bound to the announcement, so they do not cancel."""

    def other(content: Content, recipient: str) -> Content:
        return announcing(content["weights"] + 0.1, content, recipient) if recipient == "bank" else content

    with pytest.raises(ScoresImplausible):
        pump(PLAN, TABLES, tamper=altered("weights", "broker", other))


def test_one_holders_full_scores_alone_are_uniform_words() -> None:
    seen: list[np.ndarray] = []

    def look(content: Content, _: str) -> Content:
        seen.append(content["full"])
        return content

    pump(PLAN, TABLES, tamper=altered("scores", "bank", look))
    small = np.abs(seen[0].view(np.int64)) < scores.units_max(PLAN.score_step_log2)
    assert not small.any()


# --- messages that are not due or not well formed ---------------------------------------------------------------------


MALFORMED: dict[str, tuple[str, str, Callable[[Content, str], Content]]] = {
    "an order that is no text": ("commit", "bank", setting(order=7)),
    "a short commitment": ("commit", "bank", setting(commitment=b"x")),
    "columns outside the plan": ("commit", "bank", setting(columns=["secret"])),
    "columns in another order": ("commit", "bank", setting(columns=COLUMNS["bank"][::-1])),
    "no columns": ("commit", "bank", setting(columns=[])),
    "columns that are numbers": ("commit", "bank", setting(columns=[1])),
    "a mask key for the label holder": ("open", "bank", setting(mask_key=b"k" * 32)),
    "a hint that is no bytes": ("hint", "bank", setting(data="x")),
    "a hint of another part": (
        "hint",
        "bank",
        lambda content, _: content | {"data": {"held": content["data"]["train"]}},
    ),
    "a hint of one part too many": (
        "hint",
        "bank",
        lambda content, _: content | {"data": content["data"] | {"held": b""}},
    ),
    "levels of another part": ("vectors", "broker", lambda c, _: c | {"levels": {"held": c["levels"]["train"]}}),
    "moments of another part": ("moments", "bank", lambda c, _: c | {"parts": {"held": c["parts"]["train"]}}),
    "moments without a field": ("moments", "bank", in_part(lambda c: {name: c[name] for name in c if name != "gram"})),
    "moments that are no object": ("moments", "bank", in_part(lambda _: b"")),
    "levels without rows": ("vectors", "broker", levels(np.array(3))),
    "levels that are no array": ("vectors", "broker", levels(None)),
    "a digest that is none": ("weights", "broker", setting(announced={"bank": "x", "platform": "y"})),
    "digests of strangers": ("weights", "broker", setting(announced={"insurer": "ab" * 32})),
    "levels of another dtype": ("vectors", "broker", levels(np.zeros((1, 4)))),
    "levels of an unknown column": ("vectors", "broker", levels(np.array([[99, -1, 1, 300]]))),
    "levels upside down": ("vectors", "broker", levels(np.array([[0, 1, -1, 300]]))),
    "moments of another shape": ("moments", "bank", moments(sums=np.zeros(3, np.int64))),
    "moments as floats": ("moments", "bank", moments(sums=np.zeros(6))),
    "moments out of range": ("moments", "bank", moments(sums=np.full(6, 2**60))),
    "a negative count": ("moments", "bank", setting(suppressed=-1)),
    "blocks of strangers": ("moments", "bank", moments(with_holders={"insurer": np.zeros((1, 6), np.int64)})),
    "weights that are not finite": ("weights", "broker", setting(weights=np.full((2, 6), np.nan))),
    "weights out of range": ("weights", "broker", setting(weights=np.full((2, 6), 1e6))),
    "weights of another shape": ("weights", "broker", setting(weights=np.zeros((1, 6)))),
    "scores as signed words": ("scores", "bank", setting(full=np.zeros(2000, np.int64))),
    "scores of other rows": ("scores", "bank", setting(full=np.zeros(1999, np.uint64))),
    "scores out of range": ("scores", "bank", setting(small=np.full((1, 610), 2**40))),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_message_names_its_sender(case: str) -> None:
    kind, sender, change = MALFORMED[case]
    with pytest.raises(StepMalformed) as caught:
        pump(PLAN, TABLES, tamper=altered(kind, sender, change))
    assert caught.value.facts["partner"] == sender


def test_every_byte_string_is_taken_or_refused_with_a_failure() -> None:
    bank = sessions(PLAN, TABLES)["bank"]
    first = sessions(PLAN, TABLES)["broker"].start()[0].message
    bank.start()
    draw = np.random.default_rng(9)
    for _ in range(200):
        broken = bytearray(first)
        broken[int(draw.integers(len(first)))] ^= int(draw.integers(1, 256))
        with pytest.raises(Failure):
            bank.receive("broker", bytes(broken[: int(draw.integers(1, len(first)))]))


def foreign(**fields: Any) -> bytes:
    from privacy import packing

    message = {"protocol": 3, "run": PLAN.digest, "kind": "hint", "content": {"data": b""}}
    packed = packing.pack(message | fields)
    return packed + hashlib.sha256(packed).digest()


@pytest.mark.parametrize(
    "message",
    [
        foreign(run="ab" * 32),
        foreign(protocol=1),
        foreign(protocol=True),
        foreign(kind="reveal"),
        foreign(kind=3),
        foreign(content={}),
        foreign(extra=1),
        foreign()[:-1],
        b"EP1\n",
        b"",
    ],
)
def test_a_message_of_another_form_or_run_is_refused(message: bytes) -> None:
    with pytest.raises(StepMalformed):
        sessions(PLAN, TABLES)["bank"].receive("broker", message)


def test_a_repeated_message_is_refused() -> None:
    broker, bank = sessions(PLAN, TABLES)["broker"], sessions(PLAN, TABLES)["bank"]
    bank.start()
    message = next(out.message for out in broker.start() if out.recipient == "bank")
    bank.receive("broker", message)
    with pytest.raises(StepUnexpected):
        bank.receive("broker", message)


@pytest.mark.parametrize(("sender", "kind"), [("insurer", "hint"), ("platform", "weights"), ("bank", "hint")])
def test_a_message_from_the_wrong_party_is_refused(sender: str, kind: str) -> None:
    content: Content = {"data": b""} if kind == "hint" else {"weights": np.zeros((2, 6)), "announced": {}}
    with pytest.raises(StepUnexpected):
        sessions(PLAN, TABLES)["bank"].receive(sender, encode(PLAN.digest, kind, content))


def test_a_message_before_the_start_is_kept() -> None:
    parties = sessions(PLAN, TABLES)
    early = [(sender, out) for sender in ("broker", "platform") for out in parties[sender].start()]
    for sender, out in early:
        if out.recipient == "bank":
            assert parties["bank"].receive(sender, out.message) == []
    sent = parties["bank"].start()
    assert [decode("bank", PLAN.digest, out.message)[0] for out in sent] == ["commit", "commit", "open", "open"]


def test_a_product_message_fits_one_run_and_one_encryptor_only() -> None:
    """Rule f: run, order and encryptor are bound in every product message; a replay elsewhere is refused."""
    kept: dict[str, Content] = {}

    def keep(content: Content, _: str) -> Content:
        kept["hint"] = content
        return content

    pump(PLAN, TABLES, tamper=altered("hint", "platform", keep))  # the last of its hints goes to the bank
    with pytest.raises(linear.errors.ForeignProductMessage):
        pump(PLAN, TABLES, tamper=altered("hint", "platform", lambda content, _: kept["hint"]))


def test_every_encryptor_has_a_seed_and_a_context_of_its_own() -> None:
    """Rule f: no two encryptors share public polynomials, and both sides of a link derive the same ones."""
    parties = pump(PLAN, TABLES)
    links = {encryptor: parties["platform"]._link(encryptor, "train") for encryptor in ("broker", "bank")}
    assert links["broker"][1] != links["bank"][1]
    assert links["broker"][2] != links["bank"][2]
    assert links == {encryptor: parties[encryptor]._link(encryptor, "train") for encryptor in links}
    other = pump(TrainingPlan.from_body(body(COLUMNS, nonce="01" * 16)), TABLES)
    assert other["platform"]._link("broker", "train")[2] != links["broker"][2]
    assert PLAN.digest.encode() in links["bank"][2]


# --- what is stored ---------------------------------------------------------------------------------------------------


def test_a_stored_session_of_another_run_is_refused() -> None:
    stored = sessions(PLAN, TABLES)["bank"].dump()
    other = TrainingPlan.from_body(body(COLUMNS, nonce="01" * 16))
    with pytest.raises(SessionUnreadable, match="another run"):
        open_session(other, "bank", TABLES["bank"], SeededEntropy(b"x")).restore(stored)
    moved = replace(TABLES["bank"], tokens=TABLES["bank"].tokens[::-1])
    with pytest.raises(SessionUnreadable, match="order"):
        open_session(PLAN, "bank", moved, SeededEntropy(b"x")).restore(stored)
    with pytest.raises(SessionUnreadable):
        open_session(PLAN, "bank", TABLES["bank"], SeededEntropy(b"x")).restore(
            replace(stored, state=stored.state[:-1])
        )


def test_changed_rows_are_noticed_at_the_restart() -> None:
    parties = sessions(PLAN, TABLES)
    queue = [(sender, out) for sender in parties for out in parties[sender].start()]
    while parties["bank"].phase == "seed":
        sender, out = queue.pop(0)
        queue += [(out.recipient, answer) for answer in parties[out.recipient].receive(sender, out.message)]
    stored = parties["bank"].dump()
    column = TABLES["bank"].columns["score"].copy()
    column[5] += 1.0
    changed: Tables = {"bank": replace(TABLES["bank"], columns={**TABLES["bank"].columns, "score": column})}
    with pytest.raises(SessionUnreadable, match="rows are others"):
        open_session(PLAN, "bank", changed["bank"], SeededEntropy(b"x")).restore(stored)


def test_failures_speak_both_languages() -> None:
    from federation import errors

    for name in dir(errors):
        failure = getattr(errors, name)
        if isinstance(failure, type) and issubclass(failure, Failure) and failure is not Failure:
            assert failure.en
            assert failure.zh
            assert canonical.encode([failure.en, failure.zh])
