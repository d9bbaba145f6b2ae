"""The training plan: what the parties approve by its digest, checked in full before anything is computed.

The plan fixes the split of the aligned clients into train and test rows by a keyed hash of each client's token, so that
no party can choose the test rows after seeing data.
"""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federation import plan_fields, plan_models, plan_variants
from federation.errors import HiddenAlignmentRefused, PlanInvalid
from federation.plan_fields import COLUMNS_MAX, PARTNERS_MAX, ROWS_MAX
from federation.plan_horizontal import SHAPE, HorizontalPlan
from federation.plan_models import Fairness, Logistic, Scoring, Trees, Validation
from federation.scale import BY_ONE, CODINGS
from privacy import canonical
from privacy.errors import Failure
from privacy.ids import Digest, PartnerId, parse_client_token, parse_digest

_INTEGERS = {  # field: (least, most). The floors are rules, not tastes: below them moments describe single clients.
    "ridge_milli": (1, 1_000_000),
    "test_ppm": (50_000, 500_000),
    "minimum_rows": (100, ROWS_MAX),
    "rare_rows": (20, 1_000_000),
    "cell_minimum": (5, 1_000_000),
    "score_step_log2": (-6, 2),
    "bootstrap": (100, 10_000),
    "score_budget": (1, 1_000),
    "valid_days": (1, 3_650),
}
_REQUIRED = {"parties", "purpose", "expires", "nonce", "disclosure", "alignment", "model", "label", "split_salt"}
_OPTIONAL = {"kind", "version", "title", "alignment_mode", "survey_weights"}
_MODEL_OPTIONS = {"bins", "coding", "validation", "logistic", "trees", "contribution", "fairness", "scoring"}
_PARTY_REQUIRED = {"partner", "role", "asset", "columns", "id_column"}
_PARTY_OPTIONAL = {"signing", "sealing", "chain", "name", "id_type", "binned"}
LABEL_HOLDER, FEATURE_HOLDER = "label_holder", "feature_holder"
TRAIN, HELD = "train", "held"  # parts of the rows; with validation the train rows are in fold-1, fold-2, …
CONTRIBUTORS_MAX = plan_variants.HOLDERS_MAX  # feature holders: 32 coalitions
PART_ROWS_MIN = 100  # rows of any part: moments of fewer describe single clients


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanParty:
    """One party's part: which columns of which asset it brings."""

    partner: PartnerId
    role: str  # LABEL_HOLDER or FEATURE_HOLDER
    asset: str
    id_column: str
    columns: tuple[str, ...]
    binned: tuple[str, ...] = ()  # those of them that enter as bins rather than as numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """A valid plan. `digest` is the digest of the "train" proposal, the run's name everywhere."""

    digest: Digest
    alignment: Digest
    model: str
    parties: tuple[PlanParty, ...]  # in partner order
    label_column: str
    positive: str | None  # the value of that column which is predicted, against all others; None: it holds 0 and 1
    split_salt: bytes
    ridge_milli: int  # the ridge penalty in thousandths
    test_ppm: int  # share of test rows in parts per million
    minimum_rows: int  # train rows below which nothing is computed
    rare_rows: int  # rows a column must set apart from its own most frequent value
    cell_minimum: int  # cells of the table of two 0/1 columns below it are not shown exactly
    score_step_log2: int  # disclosed partial scores are multiples of 2^this
    bootstrap: int  # resamples behind each interval
    score_budget: int  # score vectors one column set may disclose over its lifetime
    valid_days: int
    survey_weights: str | None = None  # the label holder's column of weights that measures are taken with
    bins: int = 0  # bins of each binned column at most; 0 where no column is binned
    coding: int = BY_ONE  # of wide columns that are not binned (federation.scale); plans that name none have the first
    validation: Validation | None = None
    logistic: Logistic | None = None
    trees: Trees | None = None
    contribution: bool = False  # each feature holder's part in the held-out gain is measured
    fairness: Fairness | None = None
    scoring: Scoring | None = None  # of single clients, after the run

    @property
    def label_holder(self) -> PartnerId:
        return next(p.partner for p in self.parties if p.role == LABEL_HOLDER)

    @property
    def holders(self) -> tuple[PartnerId, ...]:
        """The feature holders, in partner order."""
        return tuple(p.partner for p in self.parties if p.role == FEATURE_HOLDER)

    @property
    def partners(self) -> tuple[PartnerId, ...]:
        return tuple(p.partner for p in self.parties)

    @property
    def groups(self) -> tuple[str, ...]:
        """The label holder's columns by which gaps between groups are measured."""
        return self.fairness.groups if self.fairness else ()

    def party(self, partner: str) -> PlanParty:
        """One party's part. Raises PlanInvalid for a partner that is not in the plan."""
        for party in self.parties:
            if party.partner == partner:
                return party
        raise PlanInvalid(field="parties", why=f"{partner} is not one of them")

    def variants(self) -> tuple[tuple[PartnerId, ...], ...]:
        """The variants as sets of feature holders: none first, all last. Moments give each partner's for nothing."""
        if self.trees:
            return plan_variants.chosen(self.trees.variants, self.holders)
        every = self.logistic is not None and self.logistic.variants == plan_variants.COALITIONS
        return plan_variants.chosen(plan_variants.COALITIONS if every else plan_variants.PARTNERS, self.holders)

    @property
    def refined(self) -> tuple[tuple[PartnerId, ...], ...]:
        """The variants that rounds refine, the full one first; the label holder alone is fitted at home."""
        if self.logistic is None:
            return ()
        return plan_variants.chosen(self.logistic.variants or plan_variants.FULL, self.holders)[:0:-1]

    def variants_with(self, holder: str) -> int:
        """How many of the variants include `holder`."""
        return sum(holder in variant for variant in self.variants())

    @property
    def ridges(self) -> tuple[int, ...]:
        """The penalties in question, in thousandths, rising."""
        path = self.validation.ridge_path_milli if self.validation else ()
        return tuple(sorted({self.ridge_milli, *path}))

    @property
    def rounds(self) -> int:
        """Rounds of refinement at most."""
        return self.logistic.rounds if self.logistic else 0

    @property
    def shows_early(self) -> bool:
        """Whether a feature holder shows anything of single clients before its last message."""
        return self.model != plan_models.MOMENTS

    def score_vectors(self, holder: str) -> int:
        """How many score vectors `holder` discloses in this run at most: one a variant with it, one a round of these.

        Of trees one a tree, in each variant: in each tree it may say of every client which way it goes, level by level.
        """
        if self.trees:
            return self.trees.trees * self.variants_with(holder)
        return self.variants_with(holder) + self.rounds * sum(holder in one for one in self.refined)

    @property
    def by_scores(self) -> bool:
        """Whether contribution is measured by the scores of every coalition's own model, not by moments."""
        refined = self.logistic is not None and self.logistic.variants is not None
        return self.contribution and (refined or self.trees is not None)

    @property
    def held_moments(self) -> bool:
        """Whether moments over the test rows are exchanged, for contribution to be measured by."""
        return self.contribution and not self.by_scores

    def test_mask(self, tokens: Sequence[str]) -> NDArray[np.bool_]:
        """Which aligned clients are test rows."""
        return split(tokens, self.split_salt, self.test_ppm)

    @property
    def train_parts(self) -> tuple[str, ...]:
        """The parts of the train rows: the folds, or all of them as one."""
        folds = self.validation.folds if self.validation else 0
        return tuple(fold_name(number) for number in range(1, folds + 1)) or (TRAIN,)

    @property
    def part_rows(self) -> int:
        """Rows that every part needs: half of a whole run's, and room for a column's `rare_rows` on both sides."""
        return max(PART_ROWS_MIN, self.minimum_rows // 2, 2 * self.rare_rows)

    def parts(self, tokens: Sequence[str], test: NDArray[np.bool_] | None = None) -> dict[str, NDArray[np.bool_]]:
        """The rows of every part of which moments are exchanged; no row is in two parts. test: `test_mask`, if known.

        They are the train rows, fold by fold where there is validation, and the test rows where contribution is
        measured: nothing smaller than a part ever leaves a party in model "moments".
        """
        test = self.test_mask(tokens) if test is None else test
        fold = folds(tokens, self.split_salt, len(self.train_parts))
        masks = {name: ~test & (fold == number) for number, name in enumerate(self.train_parts)}
        return {**masks, HELD: test} if self.held_moments else masks

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> "TrainingPlan":
        """The plan of a "train" proposal's body.

        Raises PlanInvalid (naming the field), HiddenAlignmentRefused or RoundsBeyondCap.
        """
        plan_fields.fields(body, _REQUIRED | set(_INTEGERS), _OPTIONAL | _MODEL_OPTIONS, "body")
        _constants(body)
        parties = _parties(body["parties"])
        label_column, positive = _label(body["label"], parties)
        numbers = plan_fields.integers(body, _INTEGERS)
        if numbers["rare_rows"] * 2 >= numbers["minimum_rows"]:
            raise PlanInvalid(field="rare_rows", why="it must be below half of minimum_rows")
        digest = plan_fields.digest(body)
        try:
            alignment = parse_digest(body["alignment"])
        except Failure as failure:
            raise PlanInvalid(field="alignment", why=failure.message()) from None
        salt = plan_fields.hex_bytes(body["split_salt"], "split_salt", 16)
        survey_weights = _survey_weights(body, parties, label_column)
        model, logistic, trees = plan_models.read_model(body)
        if trees and ("validation" in body or any(party.binned for party in parties)):
            raise PlanInvalid(field="trees", why="they take every column as bins and go without validation")
        holders = [party for party in parties if party.role == FEATURE_HOLDER]
        choice = trees.variants if trees else logistic.variants if logistic else None
        plan_models.check_variants(choice, len(holders))
        for party in holders:
            if logistic:
                logistic.check(party.partner, len(party.columns), plan_variants.count_with(choice, len(holders)))
        return cls(
            digest=digest,
            alignment=alignment,
            model=model,
            parties=parties,
            label_column=label_column,
            positive=positive,
            survey_weights=survey_weights,
            split_salt=salt,
            bins=_bins(body, parties, model),
            coding=_coding(body, model),
            validation=plan_models.read_validation(body["validation"]) if "validation" in body else None,
            logistic=logistic,
            trees=trees,
            contribution=_contribution(body, parties, choice),
            fairness=_fairness(body, parties, label_column, survey_weights),
            scoring=_scoring(body, numbers["score_step_log2"]),
            **numbers,
        )


def _scoring(body: Mapping[str, Any], step_log2: int) -> Scoring | None:
    return plan_models.read_scoring(body["scoring"], step_log2) if "scoring" in body else None


def read(body: Mapping[str, Any]) -> TrainingPlan | HorizontalPlan:
    """The plan of any "train" proposal: a body that names no shape is vertical. Raises what `from_body` raises."""
    if isinstance(body, Mapping) and "shape" in body:
        plan_fields.constant(body, "shape", (SHAPE,))
        return HorizontalPlan.from_body(body)
    return TrainingPlan.from_body(body)


def split(tokens: Sequence[str], salt: bytes, test_ppm: int) -> NDArray[np.bool_]:
    """True for test rows: HMAC-SHA256(salt, token), its first 8 bytes as a fraction of 2^64, below test_ppm / 10^6."""
    return _drawn(tokens, salt, 0) < np.uint64((test_ppm << 64) // 1_000_000)


def folds(tokens: Sequence[str], salt: bytes, count: int) -> NDArray[np.int64]:
    """(rows,): each client's fold from 0, by bytes of the same HMAC that do not decide on the test rows."""
    if count == 1:
        return np.zeros(len(tokens), np.int64)
    fraction = _drawn(tokens, salt, 8) >> np.uint64(32)  # of 2^32: times a count of folds it stays below 2^64
    return ((fraction * np.uint64(count)) >> np.uint64(32)).astype(np.int64)


def fold_name(number: int) -> str:
    """The part of the train rows that is fold `number`, from 1."""
    return f"fold-{number}"


def _drawn(tokens: Sequence[str], salt: bytes, at: int) -> NDArray[np.uint64]:
    """(rows,): eight bytes of HMAC-SHA256(salt, token) from place `at`, as a number."""
    found = (hmac.digest(salt, parse_client_token(token).encode(), "sha256")[at : at + 8] for token in tokens)
    return np.frombuffer(b"".join(found), ">u8").astype(np.uint64)


def order_digest(tokens: Sequence[str]) -> str:
    """The digest of the aligned clients and their order, as 64 hex digits."""
    return canonical.digest_bytes("ecohub/order/v1", "".join(tokens).encode()).hex()


def _constants(body: Mapping[str, Any]) -> None:
    for name, allowed in (("kind", ("train",)), ("version", (1,))):
        if name in body and (body[name] not in allowed or isinstance(body[name], bool)):
            raise PlanInvalid(field=name, why=f"{allowed[0]} is expected")
    if (mode := body.get("alignment_mode", "align")) != "align":
        raise HiddenAlignmentRefused(mode=str(mode)[:40])
    plan_fields.agreement(body)


def _parties(value: Any) -> tuple[PlanParty, ...]:
    if not isinstance(value, list) or not 2 <= len(value) <= PARTNERS_MAX:
        raise PlanInvalid(field="parties", why=f"2 to {PARTNERS_MAX} are expected")
    parties = sorted((_party(item) for item in value), key=lambda party: party.partner)
    names = [party.partner for party in parties]
    if len(set(names)) != len(names):
        raise PlanInvalid(field="parties", why="a partner is named twice")
    if [party.role for party in parties].count(LABEL_HOLDER) != 1:
        raise PlanInvalid(field="parties", why="exactly one label_holder is expected")
    return tuple(parties)


def _party(value: Any) -> PlanParty:
    plan_fields.fields(value, _PARTY_REQUIRED, _PARTY_OPTIONAL, "parties")
    partner = plan_fields.partner(value["partner"])
    if value["role"] not in (LABEL_HOLDER, FEATURE_HOLDER):
        raise PlanInvalid(field="role", why="label_holder or feature_holder is expected")
    columns = value["columns"]
    if not isinstance(columns, list) or not 1 <= len(columns) <= COLUMNS_MAX:
        raise PlanInvalid(field="columns", why=f"1 to {COLUMNS_MAX} names are expected of {partner}")
    names = tuple(plan_fields.text(name, "columns") for name in columns)
    if len(set(names)) != len(names) or value["id_column"] in names:
        raise PlanInvalid(field="columns", why=f"a column of {partner} is named twice or is the identifier")
    return PlanParty(
        partner=partner,
        role=value["role"],
        asset=plan_fields.text(value["asset"], "asset"),
        id_column=plan_fields.text(value["id_column"], "id_column"),
        columns=names,
        binned=_binned(value, names, str(partner)),
    )


def _binned(value: Mapping[str, Any], columns: tuple[str, ...], partner: str) -> tuple[str, ...]:
    named = plan_fields.texts(value.get("binned", []), "binned", 0, len(columns))
    if outside := sorted(set(named) - set(columns)):
        raise PlanInvalid(field="binned", why=f"{', '.join(outside)} is no column that {partner} brings")
    return tuple(name for name in columns if name in named)


def _bins(body: Mapping[str, Any], parties: tuple[PlanParty, ...], model: str) -> int:
    """How many bins; they go with binned columns or with trees, and these need them."""
    needed = model == plan_models.TREES or any(party.binned for party in parties)
    if ("bins" in body) != needed:
        raise PlanInvalid(field="bins", why="it goes with binned columns or trees, and these need it")
    return plan_fields.integer(body["bins"], "bins", *plan_models.BINS) if needed else 0


def _coding(body: Mapping[str, Any], model: str) -> int:
    if "coding" not in body:
        return BY_ONE
    if model == plan_models.TREES:
        raise PlanInvalid(field="coding", why="trees take every column as bins")
    return plan_fields.integer(body["coding"], "coding", min(CODINGS), max(CODINGS))


def _contribution(body: Mapping[str, Any], parties: tuple[PlanParty, ...], choice: str | None) -> bool:
    asked = plan_fields.flag(body, "contribution")
    if asked and len(parties) > CONTRIBUTORS_MAX + 1:
        raise PlanInvalid(field="contribution", why=f"it is measured of at most {CONTRIBUTORS_MAX} feature holders")
    if asked and choice and not plan_variants.complete(choice, len(parties) - 1):
        raise PlanInvalid(field="contribution", why="it needs a model of every set of feature holders: see variants")
    return asked


def _fairness(
    body: Mapping[str, Any], parties: tuple[PlanParty, ...], label_column: str, survey_weights: str | None
) -> Fairness | None:
    if "fairness" not in body:
        return None
    holder = next(party for party in parties if party.role == LABEL_HOLDER)
    return plan_models.read_fairness(
        body["fairness"], {*holder.columns, holder.id_column, label_column, survey_weights or ""}
    )


def _label(value: Any, parties: tuple[PlanParty, ...]) -> tuple[str, str | None]:
    """The label's column, and which of its values counts as 1 where the plan names one."""
    plan_fields.fields(value, {"partner", "asset", "column"}, {"positive"}, "label")
    holder = next(party for party in parties if party.role == LABEL_HOLDER)
    column = plan_fields.text(value["column"], "label")
    if value["partner"] != holder.partner or value["asset"] != holder.asset:
        raise PlanInvalid(field="label", why="it must be a column of the label_holder's asset")
    if column in holder.columns or column == holder.id_column:
        raise PlanInvalid(field="label", why="it is also a feature or the identifier")
    if "positive" not in value:
        return column, None
    positive = plan_fields.text(value["positive"], "label.positive")
    if positive != positive.strip():
        raise PlanInvalid(field="label.positive", why="text without blanks at its ends is expected")
    return column, positive


def _survey_weights(body: Mapping[str, Any], parties: tuple[PlanParty, ...], label_column: str) -> str | None:
    """The column of survey weights, in the label holder's asset; None where the plan names none."""
    if "survey_weights" not in body:
        return None
    column = plan_fields.text(body["survey_weights"], "survey_weights")
    holder = next(party for party in parties if party.role == LABEL_HOLDER)
    if column in (*holder.columns, holder.id_column, label_column):
        raise PlanInvalid(field="survey_weights", why="it is also a feature, the label or the identifier")
    return column
