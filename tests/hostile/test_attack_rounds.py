"""The refinement's rounds attacked: each rule holds, and without it the attack shows what it is for.

The label holder deviates as the design's rules a, b, d, f and g say it may try to. `without` takes one rule out of the
code; the same attack must then succeed, or the test of the rule would prove nothing.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from federation import plan as plan_module
from federation import plan_fields
from federation.errors import HiddenAlignmentRefused, RoundsBeyondCap, ScoreBudgetExceeded, ScoresImplausible
from federation.metrics import Floats
from federation.models import refine
from federation.models.refine import RESIDUAL_ONE, ROUNDS, Integers, Pace
from federation.plan import TRAIN, TrainingPlan
from federation.vertical import FeatureHolder, LabelHolder, Outgoing, refinement, scores
from federation.vertical.messages import decode, encode
from privacy import linear
from privacy.linear import columns as linear_columns
from privacy.linear import wire
from privacy.linear.errors import EncryptorCheated
from privacy.linear.state import Sent
from privacy.ring import centred
from tests.federation.alliance import Tables, body, sessions, synthetic

TABLES, COLUMNS = synthetic()
Open = dict[str, LabelHolder | FeatureHolder]
Deviation = Callable[[Open, str, Outgoing], Outgoing]  # (parties, sender, honest message) -> what is sent instead


def plan_of(parties: tuple[str, ...] = ("broker", "bank", "platform"), **changes: Any) -> TrainingPlan:
    options = {"model": "logistic", "logistic": {"rounds": 3, "plateau_ppm": 0}} | changes
    return TrainingPlan.from_body(body({name: COLUMNS[name] for name in parties}, **options))


def attacked(
    plan: TrainingPlan, deviation: Deviation, tables: Tables = TABLES, spent: int = 0
) -> tuple[Open, dict[str, Any]]:
    """A run in which messages are deviated from; the parties, and every message's content by (kind, sender, to)."""
    parties = sessions(plan, tables, bank=spent)
    queue = [(name, out) for name in parties for out in parties[name].start()]
    seen = {}
    while queue:
        sender, out = queue.pop(0)
        out = deviation(parties, sender, out)
        kind, content = decode(sender, plan.digest, out.message)
        seen[kind, sender, out.recipient] = content
        queue += [(out.recipient, answer) for answer in parties[out.recipient].receive(sender, out.message)]
    return parties, seen


def altered(plan: TrainingPlan, kind: str, sender: str, to: str, change: Callable[[Open, Any], Any]) -> Deviation:
    """Replace the content of one message; change(parties, content) gives the new one."""

    def deviation(parties: Open, found: str, out: Outgoing) -> Outgoing:
        is_kind, content = decode(found, plan.digest, out.message)
        if (is_kind, found, out.recipient) != (kind, sender, to):
            return out
        return replace(out, message=encode(plan.digest, kind, change(parties, dict(content))))

    return deviation


def honest(_: Open, __: str, out: Outgoing) -> Outgoing:
    return out


def signed(words: Any) -> Integers:
    return np.asarray(words).view(np.int64)


# --- rule a: rounds --------------------------------------------------------------------------------------------------


def rebuilt(plan: TrainingPlan, monkeypatch: pytest.MonkeyPatch, trainings: int = 1, *, counted: bool = True) -> float:
    """How much of the bank's columns the label holder can rebuild: the mean R² of a regression on what it was shown.

    It answers with residuals of its choice, so that every round shows another combination of the columns. Where it
    is counted, every training after the first begins with what the bank has spent before.
    """
    draw = np.random.default_rng(1)

    def chosen(label: Any, _: Floats) -> Integers:
        return draw.choice(np.array([-RESIDUAL_ONE, RESIDUAL_ONE], np.int64), len(label))

    def on(losses: list[float], *_: int) -> Pace | str:
        return Pace(divisor=1, anew=True) if len(losses) < plan.rounds else ROUNDS

    monkeypatch.setattr(refine, "residual", chosen)
    monkeypatch.setattr(refine, "judge", on)
    shown, spent = [], 0
    for _ in range(trainings):
        parties, seen = attacked(plan, honest, spent=spent)
        spent += len(parties["bank"].result().disclosed) if counted else 0
        shown += [signed(seen[f"shares:{number}", "bank", "broker"]["shares"]) for number in range(1, plan.rounds + 1)]
    design = np.column_stack([*shown, np.ones(len(shown[0]))]).astype(np.float64)
    target = parties["bank"]._matrices[TRAIN].astype(np.float64)
    rest = target - design @ np.linalg.lstsq(design, target, rcond=None)[0]
    return float((1 - rest.var(axis=0) / target.var(axis=0)).mean())


def test_rounds_are_capped_before_columns_lie_in_the_span_of_what_was_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    lifted = {"rounds": 7, "plateau_ppm": 0}
    with pytest.raises(RoundsBeyondCap):
        plan_of(("broker", "bank"), logistic=lifted)
    capped = rebuilt(plan_of(("broker", "bank")), monkeypatch)
    without = rebuilt(plan_of(("broker", "bank"), logistic=lifted | {"beyond_cap": True}), monkeypatch)
    assert capped < 0.75, "with a round for two columns a good part stays hidden"
    assert without > 0.95, "without the cap all columns are rebuilt"


def test_a_second_training_is_counted_with_the_first() -> None:
    plan = plan_of(score_budget=9)
    parties, _ = attacked(plan, honest)
    spent = len(parties["bank"].result().disclosed)
    with pytest.raises(ScoreBudgetExceeded, match="discloses 5 score vectors, 5 of 9 are spent"):
        sessions(plan, TABLES, bank=spent)


def test_without_the_budget_trainings_within_the_cap_rebuild_the_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each shows three rounds, as the cap allows; what the three show together is everything."""
    plan = plan_of(("broker", "bank"), score_budget=7)  # four vectors a training: enough for one
    with pytest.raises(ScoreBudgetExceeded, match="discloses 4 score vectors, 4 of 7 are spent"):
        rebuilt(plan, monkeypatch, trainings=3)
    assert rebuilt(plan, monkeypatch, trainings=3, counted=False) > 0.95


# --- rule b: one word to all holders ---------------------------------------------------------------------------------


def still(parties: Open, content: Any) -> Any:
    """An encryption of zero in place of the residual: this holder's weights stay where they were, nearly."""
    broker = parties["broker"]
    zeros = np.zeros((1, broker._rows), np.int64)
    return content | {"data": {TRAIN: broker._encryptors[TRAIN].encrypt(zeros)}}


def two_residuals() -> tuple[TrainingPlan, Deviation]:
    """The bank gets the residual, the platform an encryption of zero. The run ends with the round after it."""
    plan = plan_of(logistic={"rounds": 3, "plateau_ppm": 100_000})
    return plan, altered(plan, "residual:1", "broker", "platform", still)


def test_other_residuals_to_another_holder_leave_noise() -> None:
    with pytest.raises(ScoresImplausible):
        attacked(*two_residuals())


def test_without_that_rule_the_masked_sum_moves_by_one_holders_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scores, "heard", lambda before, _: before)
    parties, seen = attacked(*two_residuals())
    sums = [
        sum(signed(seen[f"shares:{number}", name, "broker"]["shares"]) for name in ("bank", "platform"))
        for number in (1, 2)
    ]
    bank = parties["bank"]
    moved = bank._matrices[TRAIN] / refinement.SCALE @ (bank.points[1] - bank.points[0])
    assert np.corrcoef(sums[1] - sums[0], moved)[0, 1] > 0.95


def test_another_pace_to_another_holder_leaves_noise() -> None:
    plan = plan_of()
    slower = altered(plan, "residual:1", "broker", "platform", lambda _, content: content | {"divisor": 3})
    with pytest.raises(ScoresImplausible):
        attacked(plan, slower)


def test_another_end_to_another_holder_leaves_noise() -> None:
    """Scores of two rounds' weights in one sum would tell the holders' shares apart."""
    plan = plan_of()
    earlier = altered(plan, "refined:1", "broker", "platform", lambda _, content: content | {"kept": 1})
    with pytest.raises(ScoresImplausible):
        attacked(plan, earlier)


def test_no_two_masks_of_a_run_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two vectors under one mask would show their difference."""
    bound: list[bytes] = []
    mask = scores.mask

    def watched(key: bytes, run: str, announced: bytes, rows: int) -> Any:
        bound.append(key + announced)
        return mask(key, run, announced, rows)

    monkeypatch.setattr(scores, "mask", watched)
    attacked(plan_of(), honest)
    assert len(bound) == 2 * 4 and len(set(bound)) == 4  # the two of a pair make each mask alike


def test_one_holders_shares_alone_are_uniform_words() -> None:
    _, seen = attacked(plan_of(), honest)
    most = scores.units_max(-4)
    for number in (1, 2, 3):
        assert np.abs(signed(seen[f"shares:{number}", "bank", "broker"]["shares"])).min() > most


# --- rule d: what comes back decrypted -------------------------------------------------------------------------------


def pushing(plan: TrainingPlan) -> Deviation:
    """Every opened product is moved by 2^28: weights of the holder's would move as the label holder likes."""

    def push(parties: Open, content: Any) -> Any:
        data, bits = content["data"][TRAIN], parties["broker"]._encryptors[TRAIN]._parameters.plain_bits
        _, kind, bound, sequence, count, *_ = wire.HEADER.unpack_from(data)
        values = (np.frombuffer(data[wire.HEADER.size :], "<i8") + (1 << 28)) & ((1 << bits) - 1)
        body = values.astype("<i8").tobytes()
        return {"data": {TRAIN: wire.frame(wire.MessageKind(kind), bound, sequence, count, body)}}

    return altered(plan, "residual-opened:1", "broker", "bank", push)


def test_a_shifted_opening_is_refused() -> None:
    plan = plan_of()
    with pytest.raises(EncryptorCheated):
        attacked(plan, pushing(plan))


def test_without_the_check_columns_it_moves_the_holders_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    def unchecked(self: linear_columns.Columns, sent: Integers) -> Integers:
        internal = np.empty_like(sent)
        internal[:, self._order] = sent
        return centred(internal[:, : self.real], self._parameters.plain_bits)

    plan = plan_of(("broker", "bank"))
    calm, _ = attacked(plan, honest)
    monkeypatch.setattr(linear_columns.Columns, "restore", unchecked)
    moved, _ = attacked(plan, pushing(plan))
    assert np.abs(moved["bank"].points[1] - calm["bank"].points[1]).max() > 0.5
    assert (moved["bank"].points[0] == calm["bank"].points[0]).all()


# --- rule f: a fresh key for every residual --------------------------------------------------------------------------


def residual_difference(seen: dict[str, Any], parties: Open) -> tuple[Integers, Integers]:
    """What a holder reads from two residual messages if they have one key, and the true difference."""
    encryptor = parties["broker"]._encryptors[TRAIN]
    p, ring = encryptor._parameters, encryptor._parameters.ring
    elements = []
    for number in (1, 2):
        message = seen[f"residual:{number}", "broker", "bank"]["data"][TRAIN]
        elements.append(ring.unpack(memoryview(message)[wire.HEADER.size :], 1, p.rows + ring.degree).astype(np.int64))
    top = ring.top(ring.normalise(elements[0][:, 0] - elements[1][:, 0]), p.plain_bits)
    return centred(top, p.plain_bits)[: p.rows], true_residuals(seen, parties)


def true_residuals(seen: dict[str, Any], parties: Open) -> Integers:
    broker, step = parties["broker"], 2.0**-4
    made = []
    for number in (1, 2):
        *weights, intercept = broker.points[number - 1]
        shares = sum(signed(seen[f"shares:{number}", name, "broker"]["shares"]) for name in ("bank", "platform"))
        score = broker._matrices[TRAIN] / refinement.SCALE @ np.array(weights) + intercept + shares * step
        made.append(refine.residual(broker._label[broker._train], score))
    return made[0] - made[1]


def test_two_residuals_do_not_show_their_difference() -> None:
    parties, seen = attacked(plan_of(), honest)
    read, true = residual_difference(seen, parties)
    assert int((np.abs(read - true) <= 1).sum()) < 10


def test_under_one_key_they_would(monkeypatch: pytest.MonkeyPatch) -> None:
    """All residuals under the key of the first, which the label holder knows and so decrypts them rightly."""
    encrypt, multiply = linear.Encryptor._encrypt_one, linear.Encryptor._hint_times_keys

    def one_key(sequence: int, sent: Sent) -> tuple[int, Sent]:
        return (2, replace(sent, key_seed=bytes(32))) if sequence > 1 else (sequence, sent)

    def encrypt_one(self: linear.Encryptor, sequence: int, sent: Sent, index: int, vector: Integers) -> bytes:
        return encrypt(self, *one_key(sequence, sent), index, vector)

    def hint_times_keys(self: linear.Encryptor, known: Any, sequence: int, sent: Sent) -> Integers:
        return multiply(self, known, *one_key(sequence, sent))

    monkeypatch.setattr(linear.Encryptor, "_encrypt_one", encrypt_one)
    monkeypatch.setattr(linear.Encryptor, "_hint_times_keys", hint_times_keys)
    parties, seen = attacked(plan_of(), honest)
    read, true = residual_difference(seen, parties)
    assert (read == true).all()


# --- rule g: rows that nobody shares ---------------------------------------------------------------------------------


def test_over_a_hidden_alignment_no_plan_is_read() -> None:
    with pytest.raises(HiddenAlignmentRefused):
        plan_of(alignment_mode="hidden")


def test_without_that_rule_scores_tell_who_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is hidden who is shared, rows of clients that a holder lacks are zeros: their shares are all alike."""
    monkeypatch.setattr(plan_module, "_constants", plan_fields.agreement)  # all that it checks but the alignment
    plan, lacking = plan_of(("broker", "bank"), alignment_mode="hidden"), np.arange(2000) % 5 == 0
    names = TABLES["bank"].columns
    # the middle of every column, zero once standardised, stands for "no such client"
    values = {name: np.where(lacking, np.mean(np.asarray(values)[~lacking]), values) for name, values in names.items()}
    tables = TABLES | {"bank": replace(TABLES["bank"], columns=values)}
    _, seen = attacked(plan, honest, tables)
    shown = signed(seen["shares:2", "bank", "broker"]["shares"])
    common = np.bincount(shown - shown.min()).argmax() + shown.min()
    hidden = lacking[~plan.test_mask(TABLES["broker"].tokens)]
    assert (shown[hidden] == common).all()
    assert (shown[~hidden] == common).mean() < 0.2
