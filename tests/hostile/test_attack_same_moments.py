"""What the label holder receives in model `moments` before the scores, from two matrices with the same moments.

The holder's rows are moved between clients who are alike to everybody else: every published moment stays, nobody's
values are their own. Label holder and joint seed stay the same in all runs, so its view differs by the holder's draws
alone. What is in clear must be equal; for the encrypted rest distinguishers that know both matrices and all of the
label holder's keys must do no better than a coin. Each wins when the term is taken out that stands against it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy import stats

from federation import features
from federation.plan import TRAIN, TrainingPlan
from federation.vertical import Table, open_session
from federation.vertical.messages import decode
from privacy import linear
from privacy.linear import wire
from privacy.linear.columns import Columns, public_transform
from privacy.linear.state import Sent
from privacy.ring import Floats, Ints, Stream
from tests.federation.alliance import Tables, body, tokens
from tests.support.entropy import SeededEntropy

ROWS = 600
RUNS = 20  # with each matrix: 40 guesses
CHANCE = (9, 31)  # a coin's hits of 40 are outside with chance 2e-4; whoever is right in 95 % is inside with 2e-4
CLEAR = ("commit", "open", "moments")
HIDDEN = ("hint", "zero-reply", "zero-proof", "product")
NAMES = {"broker": ["risk", "online"], "bank": ["balance", "income", "loan"], "platform": ["pets", "garden"]}
View = dict[str, dict[str, Any]]  # by kind: the content


def drawn() -> Tables:
    """A broker and a platform of 0/1 columns, so that many clients are alike to them; a bank of amounts."""
    draw = np.random.default_rng(21)
    hidden, names = draw.normal(size=ROWS), tokens(ROWS)
    columns: dict[str, dict[str, Any]] = {
        party: {name: (hidden * 0.5 + draw.normal(size=ROWS) > 0.3).astype(np.int64) for name in NAMES[party]}
        for party in ("broker", "platform")
    }
    columns["bank"] = {name: hidden + draw.normal(size=ROWS) for name in NAMES["bank"]}
    label = (hidden + draw.normal(size=ROWS) > 0).astype(np.int64)
    return {
        party: Table(tokens=names, columns=own, label=label if party == "broker" else None)
        for party, own in columns.items()
    }


def plan_of(*parties: str, **changes: Any) -> TrainingPlan:
    return TrainingPlan.from_body(body({party: NAMES[party] for party in parties}, bootstrap=100, **changes))


TABLES, PAIR, THREE = drawn(), plan_of("broker", "bank"), plan_of("broker", "bank", "platform")
IN_PARTS = plan_of("broker", "bank", "platform", validation={"folds": 2}, contribution=True)


def exchanged() -> Tables:
    """Each client's bank row goes to the next of those who share label, all other columns, and part of the rows."""
    fixed = [TABLES["broker"].label, *IN_PARTS.parts(TABLES["broker"].tokens).values()]
    fixed += [values for party in ("broker", "platform") for values in TABLES[party].columns.values()]
    _, group = np.unique(np.column_stack([np.asarray(one, np.int64) for one in fixed]), axis=0, return_inverse=True)
    source = np.arange(ROWS)
    for number in range(group.max() + 1):
        members = np.flatnonzero(group == number)
        source[members] = np.roll(members, 1)
    moved = {name: np.asarray(values)[source] for name, values in TABLES["bank"].columns.items()}
    assert (source != np.arange(ROWS)).mean() > 0.9
    return TABLES | {"bank": replace(TABLES["bank"], columns=moved)}


BOTH = (TABLES, exchanged())


class Draws:
    """The bank's entropy: the same nonce in every run, so that the joint seed is the same, and then the run's own."""

    def __init__(self, run: int) -> None:
        self._nonce, self._rest = SeededEntropy(b"nonce"), SeededEntropy(b"run %d" % run)
        self._drawn = 0

    def __call__(self, count: int) -> bytes:
        self._drawn += 1
        return (self._nonce if self._drawn == 1 else self._rest)(count)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The label holder's side of one run: what the bank sent, and its own keys."""

    view: View
    encryptor: linear.Encryptor  # of the first part
    sent: dict[int, Sent]  # its messages by sequence, with their key seeds
    seed: bytes


def seen(plan: TrainingPlan, tables: Tables, run: int, monkeypatch: pytest.MonkeyPatch) -> Seen:
    """One run until the scores."""
    kept: dict[int, Sent] = {}
    send = linear.Encryptor._send

    def noting(self: linear.Encryptor, kind: wire.MessageKind, vectors: Ints, waiting: set[str]) -> bytes:
        message, number = send(self, kind, vectors, waiting), self._next - 1
        if self is next(iter(broker._encryptors.values()), None):
            kept[number] = replace(self._sent[number], waiting=set())
        return message

    parties: dict[str, Any] = {
        name: open_session(plan, name, tables[name], Draws(run) if name == "bank" else SeededEntropy(name.encode()))
        for name in plan.partners
    }
    broker = parties["broker"]
    view: View = {}
    with monkeypatch.context() as patched:
        patched.setattr(linear.Encryptor, "_send", noting)
        queue = [(name, out) for name in parties for out in parties[name].start()]
        while queue:
            sender, out = queue.pop(0)
            kind, content = decode(sender, plan.digest, out.message)
            if kind in ("weights", "scores"):
                continue
            if (sender, out.recipient) == ("bank", "broker"):
                view[kind] = content
            elif (sender, out.recipient, kind) == ("platform", "broker", "moments"):
                view["moments of the platform"] = content
            queue += [(out.recipient, answer) for answer in parties[out.recipient].receive(sender, out.message)]
    part = next(iter(broker._encryptors))
    _, seed, _ = broker._link("broker", part)
    return Seen(view=view, encryptor=broker._encryptors[part], sent=kept, seed=seed)


def both(runs: int, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, Seen]]:
    """(which matrix, what was seen), in turn; every run with draws of its own."""
    return [(which, seen(PAIR, BOTH[which], 2 * run + which, monkeypatch)) for run in range(runs) for which in (0, 1)]


@cache
def honest_runs() -> list[tuple[int, Seen]]:
    with pytest.MonkeyPatch.context() as patch:
        return both(RUNS, patch)


# --- what is in clear ------------------------------------------------------------------------------------------------


def test_what_is_in_clear_is_equal() -> None:
    """Names, order, moments and the numbers of small cells; sizes of everything."""
    _, first = honest_runs()[0]
    assert set(first.view) == {*CLEAR, *HIDDEN}
    for _, found in honest_runs():
        for kind in CLEAR:
            np.testing.assert_equal(found.view[kind], first.view[kind])
        for kind in HIDDEN:
            assert len(found.view[kind]["data"][TRAIN]) == len(first.view[kind]["data"][TRAIN])


@pytest.mark.parametrize("plan", [THREE, IN_PARTS], ids=["one part", "two folds and the held-out rows"])
def test_with_another_holder_it_is_equal_too(plan: TrainingPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (seen(plan, tables, 1, monkeypatch).view for tables in BOTH)
    for kind in (*CLEAR, "moments of the platform"):
        np.testing.assert_equal(first[kind], second[kind])
    assert all(one["gram"].any() for one in first["moments"]["parts"].values())


def test_rows_moved_between_clients_who_differ_would_show() -> None:
    """The check of equality can fail: rows moved between any two clients change moments."""
    columns = {name: np.roll(np.asarray(values), 1) for name, values in TABLES["bank"].columns.items()}
    with pytest.MonkeyPatch.context() as patch:
        other = seen(PAIR, TABLES | {"bank": replace(TABLES["bank"], columns=columns)}, 1, patch)
    with pytest.raises(AssertionError):
        np.testing.assert_equal(other.view["moments"], honest_runs()[0][1].view["moments"])


# --- what is encrypted: distinguishers that know both matrices ------------------------------------------------------


@cache
def matrices() -> tuple[Ints, Ints]:
    """The bank's two train matrices as the protocol uses them."""
    train = ~PAIR.test_mask(TABLES["bank"].tokens)
    made = (
        features.prepare(t["bank"].columns, NAMES["bank"], train, PAIR.rare_rows, {TRAIN: train}).values[train]
        for t in BOTH
    )
    first, second = made
    return first, second


def elements(found: Seen, kind: str) -> Ints:
    """Elements of Z_q of a message as digits: (digits, columns, N) of the hint, (digits, vectors, columns) else."""
    ring, data = found.encryptor._parameters.ring, found.view[kind]["data"][TRAIN]
    count, total = wire.HEADER.unpack_from(data)[4], len(NAMES["bank"]) + linear.CHECK_COLUMNS
    payload = memoryview(data)[wire.HEADER.size + (32 if kind == "zero-reply" else 0) :]
    return ring.unpack(payload, total, ring.degree) if kind == "hint" else ring.unpack(payload, count, total)


def turns(digits: Ints, found: Seen) -> Floats:
    """Elements of Z_q as fractions of q."""
    ring = found.encryptor._parameters.ring
    weights = 2.0 ** (ring.digit_bits * np.arange(ring.digits) - ring.modulus_bits)
    return np.tensordot(weights, digits, axes=1)


@cache
def public_products(seed: bytes) -> tuple[Ints, Ints]:
    """Sum_i a_i X_ij of every column of both matrices: what a hint would be without blinding and noise."""
    p = honest_runs()[0][1].encryptor._parameters
    first, second = (
        p.ring.normalise(p.ring.inverse(columns._times_public(public_transform(p, seed), slice(0, columns.real))))
        for columns in (Columns(p, bytes(32), matrix) for matrix in matrices())
    )
    return first, second


def by_hint(found: Seen) -> float:
    """How much better the hint fits the second matrix: of all pairs of columns the best mean cosine of h - aX."""

    def fit(product: Ints) -> float:
        ring, hint = found.encryptor._parameters.ring, elements(found, "hint")
        apart = [turns(ring.normalise(hint - product[:, j : j + 1]), found) for j in range(product.shape[1])]
        return max(float(np.cos(2 * np.pi * one).mean(axis=-1).max()) for one in apart)

    first, second = public_products(found.seed)
    return fit(second) - fit(first)


def below_delta(p: linear.Parameters, digits: Ints) -> Floats:
    """Elements modulo Delta, from its middle: whole numbers of up to 90 bits, before they become floats."""
    whole = sum(digits[level].astype(object) << level * p.ring.digit_bits for level in range(p.ring.digits))
    middle = 1 << (p.delta_bits - 1)
    return np.asarray((whole & (2 * middle - 1)) - middle, np.float64)


def by_noise(found: Seen) -> float:
    """How much better the second matrix explains what decryption leaves below Delta: the label holder's own e times X.

    What it decrypts is Delta X^T r + e^T X + (terms of u and e_j, which are smaller) + pad, and it knows e and r.
    """
    p, rows = found.encryptor._parameters, len(matrices()[0])
    known, errors, left = found.encryptor._known("bank"), [], []
    for sequence, kind in enumerate(("zero-reply", "product")):
        sent = found.sent[sequence]
        for index in range(sent.count):
            stream = Stream(sent.key_seed, f"vector {sequence} {index}")
            stream.ternary(p.ring.degree)
            errors.append(stream.errors(p.blocks + 1, p.ring.degree)[:-1].reshape(-1)[:rows])
        masked = elements(found, kind) + found.encryptor._hint_times_keys(known, sequence, sent)
        left.append(below_delta(p, p.ring.normalise(masked)))

    def fit(matrix: Ints) -> float:
        explained = np.array(errors) @ matrix
        apart = np.abs(np.vstack(left)[:, :, None] - explained[:, None, :])
        return -float(np.log1p(apart).mean(axis=0).min())

    return fit(matrices()[1]) - fit(matrices()[0])


def hits(statistic: Callable[[Seen], float], runs: list[tuple[int, Seen]]) -> float:
    """How often the sign of the statistic tells the matrix; no preference counts half."""
    return float(sum((1 + np.sign(statistic(found)) * (2 * which - 1)) / 2 for which, found in runs))


DISTINGUISHERS = {"hint": by_hint, "noise": by_noise}


@pytest.mark.parametrize("statistic", DISTINGUISHERS.values(), ids=DISTINGUISHERS)
def test_knowing_both_matrices_does_not_help(statistic: Callable[[Seen], float]) -> None:
    assert CHANCE[0] <= hits(statistic, honest_runs()) <= CHANCE[1]


def without_blinding(monkeypatch: pytest.MonkeyPatch) -> None:
    """u_j = 0: hint and replies without p u_j, so that the protocol goes on."""
    made = Columns.__init__

    def init(self: Columns, *arguments: Any) -> None:
        made(self, *arguments)
        self._blind, self._blind_turned = self._blind * 0, self._blind_turned * 0

    monkeypatch.setattr(Columns, "__init__", init)


def without_low_pads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pads that hide the products, but always end at the middle of Delta."""
    pads = linear.Multiplier._pads

    def topped(self: linear.Multiplier, *arguments: Any) -> Ints:
        p, drawn = self._parameters, pads(self, *arguments)
        for level in range(p.ring.digits):
            cut = min(max(p.delta_bits - level * p.ring.digit_bits, 0), p.ring.digit_bits)
            drawn[level] &= ~((1 << cut) - 1)
        p.ring.add_shifted(drawn, np.ones_like(drawn[0]), p.delta_bits - 1)
        return drawn

    monkeypatch.setattr(linear.Multiplier, "_pads", topped)


TAKEN_OUT = {"p u_j": (without_blinding, by_hint), "pads below Delta": (without_low_pads, by_noise)}


@pytest.mark.parametrize(("taken", "statistic"), TAKEN_OUT.values(), ids=TAKEN_OUT)
def test_with_the_term_taken_out_it_tells_them_apart(
    taken: Callable[[pytest.MonkeyPatch], None],
    statistic: Callable[[Seen], float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken(monkeypatch)
    runs = both(4, monkeypatch)
    assert hits(statistic, runs) == len(runs)


# --- what is encrypted: a classifier that knows nothing -------------------------------------------------------------


def seen_features(found: Seen) -> Floats:
    """The whole hidden view as numbers: elements as points of a circle, added up over columns, whose order is secret.

    Opened pads of the zero test, as fractions of their modulus, likewise.
    """
    p, made = found.encryptor._parameters, []
    for kind in ("hint", "zero-reply", "product"):
        angles = 2j * np.pi * turns(elements(found, kind), found)
        made.append(np.exp(angles).sum(axis=0 if kind == "hint" else 1))
    payload = memoryview(found.view["zero-proof"]["data"][TRAIN])[wire.HEADER.size + wire.SALT_BYTES :]
    tops = wire.unpack_plain(payload, (linear.ZERO_VECTORS, len(NAMES["bank"]) + linear.CHECK_COLUMNS), p.plain_bits)
    made.append(np.exp(2j * np.pi * tops / 2.0**p.plain_bits).sum(axis=1))
    joined = np.concatenate(made)
    return np.concatenate([joined.real, joined.imag])


def guessed(runs: list[tuple[int, Seen]]) -> int:
    """Leave one pair out, take the nearer mean of the others of each matrix: how many of all are told rightly."""
    points, which = np.array([seen_features(found) for _, found in runs]), np.array([one for one, _ in runs])
    right = 0
    for pair in range(0, len(runs), 2):
        others = np.arange(len(runs)) // 2 != pair // 2
        means = [points[others & (which == one)].mean(axis=0) for one in (0, 1)]
        for place in (pair, pair + 1):
            near = [float(((points[place] - mean) ** 2).sum()) for mean in means]
            right += int(np.argmin(near) == which[place])
    return right


def test_a_trained_classifier_does_no_better_than_a_coin() -> None:
    assert CHANCE[0] <= guessed(honest_runs()) <= CHANCE[1]


def test_it_learns_the_matrices_where_blinding_is_taken_out(monkeypatch: pytest.MonkeyPatch) -> None:
    without_blinding(monkeypatch)
    runs = both(6, monkeypatch)
    assert guessed(runs) == len(runs)


@pytest.mark.parametrize("kind", ["hint", "zero-reply", "product"])
def test_bytes_are_spread_alike_and_evenly(kind: str) -> None:
    """Two-sample chi-square over all runs of both matrices, and each against an even spread: 255 degrees of freedom."""
    counts = np.zeros((2, 256), np.int64)
    for which, found in honest_runs():
        payload = found.encryptor._parameters.ring.pack(elements(found, kind))
        counts[which] += np.bincount(np.frombuffer(payload, np.uint8), minlength=256)
    assert stats.chi2_contingency(counts).pvalue > 1e-4
    for spread in counts:
        assert stats.chisquare(spread).pvalue > 1e-4
