"""A hint made again: under the old blinding for another matrix it gives away what changed, so it never is."""

import numpy as np
import pytest

from privacy import linear
from privacy.linear import errors, multiplier, wire
from privacy.ring import Ints
from tests.privacy.linear_session import CONTEXT, body_of, random_matrix
from tests.privacy.test_linear_attacks import read_back, unit_seed
from tests.support.entropy import SeededEntropy

ROWS, COLUMNS = 4096, 2
P = linear.parameters(ROWS, COLUMNS, 100, 1, 4)
SEED, FIRST_PUBLIC = unit_seed(P)
BEFORE = random_matrix(ROWS, COLUMNS, 100)
CHANGED = np.random.default_rng(4).choice(ROWS, 40, replace=False)


def after() -> Ints:
    """The same rows with new values of a few clients."""
    matrix = BEFORE.copy()
    matrix[CHANGED] = random_matrix(len(CHANGED), COLUMNS, 100, seed=9)
    return matrix


def made(matrix: Ints, entropy: SeededEntropy) -> linear.Multiplier:
    return linear.Multiplier(P, SEED, "bank", matrix, CONTEXT, entropy)


def again(holder: linear.Multiplier, matrix: Ints) -> linear.Multiplier:
    """The holder restarted from its store, over the rows as they are now."""
    return linear.Multiplier.load(holder.dump(), P, SEED, "bank", matrix, CONTEXT, SeededEntropy(b"restart"))


def changes_read(first: bytes, second: bytes) -> list[Ints]:
    """What the encryptor reads from two hints as the differences of columns, sent column by sent column."""
    ring, total = P.ring, COLUMNS + linear.CHECK_COLUMNS
    before, now = (ring.unpack(bytes(body_of(hint)), total, ring.degree) for hint in (first, second))
    assert wire.HEADER.unpack_from(first)[4] == total
    difference = ring.normalise(before - now)
    return [read_back(ring, FIRST_PUBLIC, difference[:, column]) for column in range(total)]


def test_a_hint_for_other_rows_under_the_old_blinding_is_refused() -> None:
    holder = made(BEFORE, SeededEntropy(b"first"))
    first = holder.hint()
    assert again(holder, BEFORE).hint() == first  # the same rows: the same bytes, which say nothing new
    with pytest.raises(errors.ForeignProductMessage, match="another matrix"):
        again(holder, after())


def test_without_that_rule_the_changes_of_all_clients_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multiplier, "_matrix_digest", lambda matrix: bytes(32))
    holder = made(BEFORE, SeededEntropy(b"first"))
    read = changes_read(holder.hint(), again(holder, after()).hint())
    for column in range(COLUMNS):
        true = BEFORE[:, column] - after()[:, column]
        assert any((one == true).all() for one in read)  # at some place of the secret order, every client's


def test_a_holder_made_anew_has_fresh_blinding() -> None:
    """Rebuilt after new values came, from the same source of entropy: nothing of the change is read."""
    entropy = SeededEntropy(b"one source")
    read = changes_read(made(BEFORE, entropy).hint(), made(after(), entropy).hint())
    for column in range(COLUMNS):
        true = BEFORE[:, column] - after()[:, column]
        assert all(int((one == true).sum()) < 30 for one in read)  # chance alone: 4096 entries of 1 in 4096
