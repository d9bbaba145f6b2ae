"""Drafts: what a person leaves out is completed from what the partners publish; what can't be is asked for."""

import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from federation.plan import TrainingPlan
from federation.scale import CODINGS
from hub import drafts, matching
from hub.drafts import Directory, DraftIncomplete
from hub.records import Head
from tests.hub.alliance import Hub
from tests.support.entropy import SeededEntropy

NOW = datetime(2026, 10, 1, 8, 0, tzinfo=UTC)


def published(partner: str, *names: str, **columns: str) -> Mapping[str, Any]:
    assets = [{"name": name, "id_column": "client_id", "columns": columns} for name in names]
    return {"partner": partner, "assets": {"body": {"assets": assets}} if names else None}


DIRECTORY = Directory(
    [
        published("broker", "clients", AGE="C1", LABEL="C2", SECRET="C3"),
        published("insurer", "policies", PREMIUM="C2"),
        published("bank", "accounts", "cards", RENT="C2"),
        published("silent"),
    ]
)


def match(**given: Any) -> Head:
    return drafts.match({"purpose": "p", **given}, DIRECTORY, NOW, SeededEntropy(b"n"))


def train(**given: Any) -> Head:
    return drafts.train({"purpose": "p", **given}, DIRECTORY, NOW, SeededEntropy(b"n"))


PAIR = [{"partner": "broker"}, {"partner": "insurer"}]


def test_a_match_of_two_names_is_complete(hub: Hub) -> None:
    body = match(parties=PAIR)
    assert body["parties"] == [
        {"partner": "broker", "role": "leader", "asset": "clients", "id_column": "client_id"},
        {"partner": "insurer", "role": "follower", "asset": "policies", "id_column": "client_id"},
    ]
    assert body["expires"] == "2026-10-04T08:00:00.000Z"
    assert len(str(body["nonce"])) == 32
    assert "broker learns how many clients it shares with insurer" in " ".join(map(str, body["disclosure"]))  # type: ignore[arg-type]
    made = hub.propose("match", body, matching.check)  # and the hub takes it
    assert made.state == "PROPOSED"


def test_an_alignment_says_what_its_leader_learns_besides(hub: Hub) -> None:
    body = match(parties=PAIR, mode="align")
    said = " ".join(map(str, body["disclosure"]))  # type: ignore[arg-type]
    assert "broker also learns WHICH of its clients each of insurer has, however few" in said


def test_rows_run_by_the_engine_of_their_mode_and_say_who_gets_them(hub: Hub) -> None:
    body = match(parties=PAIR, mode="rows", both=True)
    assert (body["version"], body["engine"]) == (2, "oprf")
    said = " ".join(map(str, body["disclosure"]))  # type: ignore[arg-type]
    assert "broker LEARNS WHICH of its own clients insurer has too" in said
    assert "insurer LEARNS WHICH of its own clients broker has too" in said
    assert hub.propose("match", body, matching.check).state == "PROPOSED"


def test_what_is_given_is_kept() -> None:
    body = match(parties=PAIR, minimum=7, nonce="00" * 16, disclosure=["own words"])
    assert (body["minimum"], body["nonce"], body["disclosure"]) == (7, "00" * 16, ["own words"])


@pytest.mark.parametrize(
    ("parties", "why"),
    [
        ([{"partner": "broker"}], "at least two"),
        ([], "at least two"),
        ("broker", "at least two"),
        (["broker", "insurer"], "at least two"),
        ([{"partner": "broker"}, {"partner": "nobody"}], "no partner nobody"),
        ([{"partner": "broker"}, {"partner": "silent"}], "it has published: nothing"),
        ([{"partner": "broker"}, {"partner": "bank"}], "accounts, cards"),
        ([{"partner": "broker"}, {"partner": "bank", "asset": "loans"}], "accounts, cards"),
    ],
)
def test_what_can_not_be_completed_is_asked_for(parties: Any, why: str) -> None:
    with pytest.raises(DraftIncomplete, match=why):
        match(parties=parties)


def test_a_purpose_is_never_made_up() -> None:
    with pytest.raises(DraftIncomplete, match="purpose"):
        drafts.match({"parties": PAIR}, DIRECTORY, NOW, SeededEntropy(b"n"))


LABEL = {"partner": "broker", "column": "LABEL"}


NAMED = [{"partner": "broker", "columns": ["AGE"]}, {"partner": "insurer", "columns": ["PREMIUM"]}]


@pytest.mark.parametrize("columns", [None, [], "*"])
def test_a_plan_takes_no_column_that_nobody_named(columns: Any) -> None:
    unnamed = {"partner": "broker"} | ({} if columns is None else {"columns": columns})
    with pytest.raises(DraftIncomplete, match=r"--columns broker:NAME,NAME.*It publishes: AGE, LABEL$"):
        train(parties=[unnamed, NAMED[1]], alignment="ab" * 32, label=LABEL)


def test_what_was_drawn_for_a_key_is_drawn_no_second_time() -> None:
    first = match(parties=PAIR)
    later = drafts.match(
        drafts.given_again(first, {"purpose": "p", "parties": PAIR}),
        DIRECTORY,
        NOW + timedelta(hours=5),
        SeededEntropy(b"other"),
    )
    assert later == first
    assert drafts.given_again(first, {"nonce": "11" * 16})["nonce"] == "11" * 16  # what a person gives stands over it
    assert drafts.given_again(None, {"purpose": "p"}) == {"purpose": "p"}


def test_an_instant_of_toml_becomes_text_and_what_is_none_is_named() -> None:
    read = tomllib.loads("expires = 2026-11-25T18:00:00+08:00\n[[parties]]\npartner = 'broker'\n")
    assert drafts.plain(read) == {"expires": "2026-11-25T10:00:00.000Z", "parties": [{"partner": "broker"}]}
    for text, field in (("expires = 2026-11-25", "expires"), ("expires = 2026-11-25T18:00:00", "expires")):
        with pytest.raises(DraftIncomplete, match=f"{field}: .* has no offset"):
            drafts.plain(tomllib.loads(text))
    with pytest.raises(DraftIncomplete, match=r"parties\[0\]\.share: 0.5 is a decimal number"):
        drafts.plain(tomllib.loads("[[parties]]\nshare = 0.5\n"))


def test_a_plan_is_complete_with_its_columns_alignment_and_label() -> None:
    body = train(parties=NAMED, alignment="ab" * 32, label=LABEL)
    plan = TrainingPlan.from_body(body)
    assert plan.party("broker").columns == ("AGE",)
    assert plan.party("insurer").columns == ("PREMIUM",)
    assert (plan.label_holder, plan.label_column) == ("broker", "LABEL")
    assert plan.minimum_rows == 200


@pytest.mark.parametrize("missing", ["alignment", "label"])
def test_a_plan_needs_an_alignment_and_a_label(missing: str) -> None:
    given = {"alignment": "ab" * 32, "label": LABEL}
    del given[missing]
    with pytest.raises(DraftIncomplete, match=missing):
        train(parties=NAMED, **given)


def test_a_plan_with_contribution_says_who_learns_what_by_it() -> None:
    for asked in (True, False):
        body = train(parties=NAMED, alignment="ab" * 32, label=LABEL, contribution=asked)
        said = " ".join(map(str, body["disclosure"]))  # type: ignore[arg-type]
        assert ("over the held-out clients too" in said) is asked


def test_a_plan_with_bins_and_folds_is_completed_and_says_what_they_show() -> None:
    parties = [{**NAMED[0], "binned": ["AGE"]}, NAMED[1]]
    body = train(parties=parties, alignment="ab" * 32, label=LABEL, validation={"folds": 4})
    plan = TrainingPlan.from_body(body)
    assert plan.bins == drafts.BINS
    assert plan.validation is not None
    assert (plan.validation.folds, plan.validation.ridge_path_milli) == (4, drafts.RIDGE_PATH_MILLI)
    said = " ".join(map(str, body["disclosure"]))  # type: ignore[arg-type]
    assert "broker takes AGE as at most 5 bins" in said
    assert "each of 4 folds" in said
    given = train(
        parties=parties, alignment="ab" * 32, label=LABEL, bins=8, validation={"folds": 2, "ridge_path_milli": []}
    )
    assert (given["bins"], given["validation"]) == (8, {"folds": 2, "ridge_path_milli": []})
    plain = train(parties=NAMED, alignment="ab" * 32, label=LABEL)
    assert not {"bins", "validation"} & set(plain)
    assert TrainingPlan.from_body(plain).coding == max(CODINGS)
    assert "coding" not in train(parties=NAMED, alignment="ab" * 32, label=LABEL, model="trees")
    assert "bins" not in " ".join(map(str, plain["disclosure"]))  # type: ignore[arg-type]


@pytest.mark.parametrize("model", ["moments", "trees"])
def test_a_plan_of_one_class_says_that_it_is_predicted_against_the_rest(model: str) -> None:
    body = train(parties=NAMED, alignment="ab" * 32, label={**LABEL, "positive": "high"}, model=model)
    assert TrainingPlan.from_body(body).positive == "high"
    assert "where broker's column LABEL holds high" in " ".join(map(str, body["disclosure"]))  # type: ignore[arg-type]
    plain = train(parties=NAMED, alignment="ab" * 32, label=LABEL, model=model)
    assert "against the rest" not in " ".join(map(str, plain["disclosure"]))  # type: ignore[arg-type]


def test_a_plan_of_trees_is_completed_and_says_what_they_show() -> None:
    body = train(parties=NAMED, alignment="ab" * 32, label=LABEL, model="trees", trees={"depth": 3})
    plan = TrainingPlan.from_body(body)
    assert plan.trees is not None
    assert (plan.bins, plan.trees.depth, plan.trees.trees) == (drafts.TREE_BINS, 3, drafts.TREES["trees"])
    said = " ".join(map(str, body["disclosure"]))  # type: ignore[arg-type]
    assert plan.trees.variants == "partners"
    assert "which aligned clients of it go left" in said
    assert "moments" not in said


def test_a_plan_of_trees_says_that_variants_show_it_all_again() -> None:
    three = [*NAMED, {"partner": "bank", "asset": "accounts", "columns": ["BALANCE"], "id_column": "client_id"}]
    compared = train(parties=three, alignment="ab" * 32, label=LABEL, model="trees")
    alone = train(parties=three, alignment="ab" * 32, label=LABEL, model="trees", trees={"variants": "full"})
    (said,) = set(map(str, compared["disclosure"])) - set(map(str, alone["disclosure"]))  # type: ignore[arg-type]
    assert "insurer, bank alone" in said and "shown again" in said
    assert len(TrainingPlan.from_body(compared).variants()) == 4
    measured = train(parties=three, alignment="ab" * 32, label=LABEL, model="trees", contribution=True)
    assert TrainingPlan.from_body(measured).by_scores
    told = " ".join(map(str, measured["disclosure"]))  # type: ignore[arg-type]
    assert "every subset's model" in told and "moments" not in told


def test_a_plan_of_trees_says_what_single_scores_show() -> None:
    given = {"parties": NAMED, "alignment": "ab" * 32, "label": LABEL, "model": "trees"}
    plain, scored = train(**given), train(**given, scoring={"clients_per_day": 9})
    assert TrainingPlan.from_body(scored).scoring is not None
    (said,) = set(map(str, scored["disclosure"])) - set(map(str, plain["disclosure"]))  # type: ignore[arg-type]
    assert "which side the client takes at splits of insurer" in said and "9 clients a day" in said


def test_a_plan_of_rounds_says_whose_shares_stand_alone() -> None:
    three = [*NAMED, {"partner": "bank", "asset": "accounts", "columns": ["BALANCE"], "id_column": "client_id"}]
    options = {"rounds": 2, "plateau_ppm": 0, "beyond_cap": True}

    def said(**more: Any) -> set[str]:
        body = train(parties=three, alignment="ab" * 32, label=LABEL, model="logistic", logistic=options | more)
        TrainingPlan.from_body(body)
        return set(map(str, body["disclosure"]))  # type: ignore[arg-type]

    (partners,), (every,) = (said(variants=choice) - said() for choice in ("partners", "coalitions"))
    assert "each of insurer, bank alone, whose own share" in partners
    assert "every set of insurer, bank" in every


def test_the_split_of_single_scores_is_said_where_a_plan_has_one() -> None:
    coarse = {"step_log2": -1, "clients_per_day": 7}
    given = train(parties=NAMED, alignment="ab" * 32, label=LABEL, scoring={"clients_per_day": 9, "split": coarse})
    plain = train(parties=NAMED, alignment="ab" * 32, label=LABEL, scoring={"clients_per_day": 9})
    (said,) = set(map(str, given["disclosure"])) - set(map(str, plain["disclosure"]))  # type: ignore[arg-type]
    assert all(word in said for word in ("at most 7 of", "broker", "insurer alone", "2^-1"))
    assert TrainingPlan.from_body(given).scoring is not None
