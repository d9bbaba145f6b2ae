"""The score of one client: shares add up exactly, and whoever asks holders for different things gets noise."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest

from federation.errors import ColumnHasGaps, ScoresImplausible, StepMalformed
from federation.scale import Scale
from federation.vertical import results, scores, single
from federation.vertical.part import ModelPart
from federation.vertical.single import Ask
from privacy.ids import ClientToken, Digest
from privacy.seal import SealingKey

STEP = -4
HOLDERS = ("bank", "insurer", "platform")
SHARES = {"bank": 37, "insurer": -205, "platform": 11}
KEYS = {name: SealingKey(bytes([place + 1]) * 32) for place, name in enumerate(HOLDERS)}
ASK = Ask(
    run=Digest("aa" * 32),
    id=Digest("bb" * 32),
    token=ClientToken("cc" * 16),
    model=Digest("dd" * 32),
    until="2026-10-01T08:10:00+00:00",
)
OTHERWISE = {
    "another client": {"token": ClientToken("ce" * 16)},
    "another run": {"run": Digest("ae" * 32)},
    "another ask": {"id": Digest("be" * 32)},
    "another model": {"model": Digest("de" * 32)},
    "another end": {"until": "2026-10-01T08:11:00+00:00"},
    "the split too": {"split": True},
}


def words(asks: dict[str, Ask], shares: dict[str, int]) -> dict[str, bytes]:
    """What each holder gives for the ask it got."""
    return {
        me: single.hidden(
            shares[me],
            ask,
            me,
            {peer: KEYS[me].shared_key(KEYS[peer].public, single.mask_context(ask.run)) for peer in asks if peer != me},
        )
        for me, ask in asks.items()
    }


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_sum_of_shares_is_exact(count: int) -> None:
    holders = HOLDERS[:count]
    given = words(dict.fromkeys(holders, ASK), SHARES)
    assert single.total(given, STEP, holders) == sum(SHARES[name] for name in holders)


def test_of_several_holders_no_share_shows_and_of_one_it_does() -> None:
    given = words(dict.fromkeys(HOLDERS, ASK), SHARES)
    for name, word in given.items():
        assert abs(int.from_bytes(word, "big", signed=True)) > 2**40, name
    assert int.from_bytes(words({"bank": ASK}, SHARES)["bank"], "big", signed=True) == SHARES["bank"]


@pytest.mark.parametrize("change", OTHERWISE.values(), ids=OTHERWISE)
def test_a_label_holder_that_asks_holders_otherwise_gets_noise(change: dict[str, str]) -> None:
    other = replace(ASK, **change)  # type: ignore[arg-type]
    with pytest.raises(ScoresImplausible):
        single.total(words({"bank": ASK, "platform": other}, SHARES), STEP, ("bank", "platform"))


def test_without_the_binding_that_attack_reads_a_mixture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule b taken out: the bank answers for one client, the platform for another, and the sum opens."""
    monkeypatch.setattr(Ask, "digest", property(lambda self: b"\x00" * 32))
    other = replace(ASK, token=ClientToken("ce" * 16))
    mixed = single.total(words({"bank": ASK, "platform": other}, SHARES), STEP, ("bank", "platform"))
    assert mixed == SHARES["bank"] + SHARES["platform"]


def test_no_two_asks_have_the_same_mask() -> None:
    asks = [ASK, *(replace(ASK, **change) for change in OTHERWISE.values())]  # type: ignore[arg-type]
    given = [words({"bank": ask, "platform": ask}, SHARES)["bank"] for ask in asks]
    assert len(set(given)) == len(asks)


def test_an_ask_is_read_back_and_nothing_else_is() -> None:
    assert Ask.decode(ASK.encode(), "broker") == ASK
    good = ASK.encode()
    bad = [b"", good[:-1], good + b" ", good.replace(b"token", b"tokem"), good.replace(b"cc" * 16, b"cc" * 15)]
    for data in [*bad, b"[]", good.replace(b'"until":"2026-10-01T08:10:00+00:00"', b'"until":7')]:
        with pytest.raises(StepMalformed):
            Ask.decode(data, "broker")


def test_a_word_of_another_length_is_refused() -> None:
    with pytest.raises(StepMalformed, match="platform"):
        single.total({"bank": bytes(8), "platform": bytes(7)}, STEP, ("bank", "platform"))


def part(weights: list[float]) -> ModelPart:
    codings = {f"C{place}": Scale(unit=None, mean=0.5 * place, deviation=2.0) for place in range(len(weights))}
    return ModelPart(partner="bank", codings=codings, weights=np.array(weights), intercept=0.0)


def test_a_share_is_the_score_rounded_to_steps() -> None:
    made, draw = part([0.7, -1.1, 0.4]), np.random.default_rng(3)
    for values in draw.normal(size=(200, 3)) * 3:
        columns = {f"C{place}": np.array([value]) for place, value in enumerate(values)}
        exact = float(made.shares(columns, 1)[0])
        assert abs(single.share(made, columns, STEP, "broker") * 2.0**STEP - exact) <= 2.0**STEP / 2 + 1e-12


def test_a_client_without_a_value_has_no_share() -> None:
    with pytest.raises(ColumnHasGaps):
        single.share(part([1.0]), {"C0": np.array([np.nan])}, STEP, "broker")


def test_a_score_stands_in_the_decile_of_the_run() -> None:
    scores = np.random.default_rng(5).permutation(np.linspace(-3, 3, 237))
    ranked = single.ranked(scores.tolist())
    assert [single.decile(score, ranked) for score in scores] == results.deciles(scores).tolist()
    assert (single.decile(-9.0, ranked), single.decile(9.0, ranked)) == (1, 10)
    between = [single.decile((low + high) / 2, ranked) for low, high in pairwise(ranked)]
    assert between == sorted(between)


# --- the split of a score


@pytest.mark.parametrize("split", [-2, 0, 3])
def test_a_coarse_share_is_the_nearest_multiple_and_made_of_the_share_alone(split: int) -> None:
    factor = 2 ** (split - STEP)
    for units in range(-3 * factor, 3 * factor + 1):
        left = units - factor * single.coarse(units, STEP, split)
        assert -factor <= 2 * left < factor


def split_words(shares: dict[str, int], split: int) -> dict[str, bytes]:
    ask = replace(ASK, split=True)
    given = words(dict.fromkeys(shares, ask), shares)
    return {name: single.with_split(given[name], single.coarse(shares[name], STEP, split)) for name in shares}


def test_the_coarse_shares_and_the_remainder_add_up_to_the_sum() -> None:
    opened = {name: single.apart(answer, name) for name, answer in split_words(SHARES, -2).items()}
    total = single.total({name: word for name, (word, _) in opened.items()}, STEP, HOLDERS)
    multiples = {name: multiple for name, (_, multiple) in opened.items()}
    assert multiples == {"bank": 9, "insurer": -51, "platform": 3}  # 37, -205 and 11 in fours
    assert single.remainder(total, multiples, STEP, -2) == 37 - 205 + 11 - 4 * (9 - 51 + 3)


def test_shares_that_do_not_go_with_the_sum_are_refused() -> None:
    multiples = {"bank": 9, "insurer": -51, "platform": 3}
    with pytest.raises(ScoresImplausible):
        single.remainder(sum(SHARES.values()), {**multiples, "bank": 11}, STEP, -2)


@pytest.mark.parametrize("answer", [b"", b"\x00" * 8, b"\x00" * 17], ids=len)
def test_an_answer_with_another_split_is_refused(answer: bytes) -> None:
    with pytest.raises(StepMalformed):
        single.apart(answer, "bank")


def test_a_coarse_share_takes_nothing_off_the_mask() -> None:
    for name, answer in split_words(SHARES, -2).items():
        word, multiple = single.apart(answer, name)
        assert abs(int.from_bytes(word, "big", signed=True) - 4 * multiple) > 2**40, name


def test_what_the_label_holder_gets_is_the_same_for_all_shares_of_one_sum_and_one_split(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """For any mask of one pair of shares there is one, as likely, with which another pair gives the same bytes."""
    holders, mask = ("bank", "platform"), scores.mask
    views = []
    for bank, platform in ((37, 11), (36, 12), (35, 13), (34, 14)):
        shift = np.array([bank - 37], np.int64).view(np.uint64)
        monkeypatch.setattr(scores, "mask", lambda *heard, shift=shift: mask(*heard) - shift)
        shares = dict(zip(holders, (bank, platform), strict=True))
        views.append(split_words(shares, 0))
    assert all(view == views[0] for view in views)
    monkeypatch.setattr(scores, "mask", mask)
    assert split_words({"bank": 46, "platform": 2}, 0) != views[0]


@pytest.mark.parametrize("factor", [4, 16, 64])
def test_beside_the_sum_a_split_tells_two_shares_in_two_of_all_cases(factor: int) -> None:
    """What the threat model says of it: of factor^2 places within the steps, two are the only ones with their sum."""
    places = Counter(one + other for one, other in product(range(factor), repeat=2))
    assert sum(count == 1 for count in places.values()) == 2
    assert max(places.values()) == factor
