"""Drafts of proposals: what a person gave, completed from the directory and with defaults; no I/O.

Nothing here decides anything: the hub checks the body, every node checks it again, and people approve its digest.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from hub import times
from hub.records import Head
from privacy import normalise
from privacy.errors import Failure, Kind
from privacy.psi import job, learns
from privacy.psi.job import KEYS, MatchJob

Entropy = Callable[[int], bytes]

EXPIRES_HOURS = 72
NONCE_BYTES = 16
DRAWN = ("nonce", "split_salt", "expires")  # what a draft draws or takes from the clock where nothing is given

MATCH_DEFAULTS: Head = {
    "version": job.VERSION,
    "mode": job.COUNT,
    "normaliser": normalise.VERSION,
    "id_type": "resident_id",
    "minimum": 100,
}
EPOCH_DAYS = 90
EPOCH_POINTS = 100_000
LATER_LISTS = 12
TRAIN_DEFAULTS: Head = {
    "model": "moments",
    "ridge_milli": 1000,
    "test_ppm": 300_000,
    "minimum_rows": 200,
    "rare_rows": 50,
    "cell_minimum": 10,
    "score_step_log2": -5,
    "bootstrap": 1000,
    "score_budget": 100,
    "valid_days": 90,
}
BINS = 5  # of a binned column: on some thousands of clients more bins were no better (docs/training.md)
TREE_BINS = 16
CODING = 2  # wide columns in units of their own median; plans of the first coding keep their meaning
TREES: Head = {
    "trees": 20,
    "depth": 4,
    "rate_milli": 200,
    "leaf_rows": 20,
    "sample_ppm": 1_000_000,
    "columns_ppm": 1_000_000,
    "patience": 3,
}
COMPARED_MAX = 6  # parties: of more, trees are not grown with each partner alone
RIDGE_PATH_MILLI = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000)


class DraftIncomplete(Failure):
    code = "DRAFT_INCOMPLETE"
    kind = Kind.INVALID
    en = "the proposal can't be drafted: {why}"
    zh = "无法起草提案：{why}"


class Directory:
    """The partners and their published assets, as the hub's `partners` command gives them."""

    def __init__(self, listed: Sequence[Mapping[str, Any]]) -> None:
        self._partners = {str(item["partner"]): item for item in listed}

    def asset(self, partner: str, name: str | None = None) -> Mapping[str, Any]:
        """A partner's published asset; its only one where no name is given. Raises DraftIncomplete."""
        found = self._partners.get(partner)
        if found is None:
            raise DraftIncomplete(why=f"there is no partner {partner}; `ecohub data partners` lists them")
        published = found["assets"]
        assets = published["body"]["assets"] if published else []
        chosen = [asset for asset in assets if name in (None, asset["name"])]
        if len(chosen) != 1:
            offered = ", ".join(asset["name"] for asset in assets) or "nothing"
            raise DraftIncomplete(why=f"name one asset of {partner}; it has published: {offered}")
        asset: Mapping[str, Any] = chosen[0]
        return asset


def match(given: Mapping[str, Any], directory: Directory, now: datetime, entropy: Entropy) -> Head:
    """The body of a match job. Parties need "partner" and "role"; asset, id column and the rest are completed.

    Raises DraftIncomplete, and TermsInvalid where what is given fits no mode.
    """
    body = {**MATCH_DEFAULTS, **given}
    if body["mode"] in job.MODES:
        body.setdefault("engine", job.MODES[body["mode"]].engines[0])
    if body["mode"] == job.CACHED:
        body["cached"] = epoch(body.get("cached"), now)
    listed = parties(given, directory)
    for party in listed:
        party.setdefault("role", "leader" if party is listed[0] else "follower")
    body["parties"] = listed
    common(body, now, entropy)
    body.setdefault("disclosure", _match_disclosure(body))
    return body


def train(given: Mapping[str, Any], directory: Directory, now: datetime, entropy: Entropy) -> Head:
    """The body of a training plan. Each party's columns are named by people: what is published may hold a second label,
    a survey weight or other columns that know the answer.

    Raises DraftIncomplete without columns, an alignment or a label {"partner", "column"}.
    """
    body = {**TRAIN_DEFAULTS, **given}
    label = given.get("label")
    if not isinstance(given.get("alignment"), str) or not isinstance(label, Mapping) or not label.get("column"):
        raise DraftIncomplete(why="an alignment and a label with partner and column are needed")
    listed = parties(given, directory)
    for made in listed:
        holds_label = made["partner"] == label.get("partner")
        made.setdefault("role", "label_holder" if holds_label else "feature_holder")
        if not isinstance(made.get("columns"), list) or not made["columns"]:
            raise DraftIncomplete(why=_which_columns(directory.asset(made["partner"], made["asset"]), made["partner"]))
        if holds_label:
            body["label"] = {"asset": made["asset"], **label}
    body["parties"] = listed
    if any(made.get("binned") for made in listed):
        body.setdefault("bins", BINS)
    if body["model"] == "trees" and isinstance(body.setdefault("trees", {}), Mapping):
        body["trees"] = {**TREES, "variants": _variants(body, len(listed)), **body["trees"]}
        body.setdefault("bins", TREE_BINS)
    if body["model"] != "trees":
        body.setdefault("coding", CODING)
    if isinstance(body.get("validation"), Mapping):
        body["validation"] = {"ridge_path_milli": [*RIDGE_PATH_MILLI], **body["validation"]}
    body.setdefault("split_salt", entropy(NONCE_BYTES).hex())
    body.setdefault("disclosure", _train_disclosure(body))
    return common(body, now, entropy)


def given_again(earlier: Mapping[str, Any] | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """What a person gave, with what was drawn for the same proposal before, so that it is the same one again."""
    again = {name: earlier[name] for name in DRAWN if earlier and name in earlier} | dict(given)
    split = (earlier or {}).get("split")  # a horizontal plan keeps its salt in there
    if isinstance(split, Mapping) and isinstance(given.get("split", {}), Mapping):
        again["split"] = {"salt": split["salt"], **given.get("split", {})}
    cached = (earlier or {}).get("cached")  # an epoch's end is taken from the clock too
    if isinstance(cached, Mapping) and isinstance(given.get("cached"), Mapping):
        again["cached"] = {"ends": cached["ends"], **given["cached"]}
    return again


def epoch(given: object, now: datetime) -> dict[str, Any]:
    """The key epoch of a match of mode cached: number and places of its first list are people's, the rest completed.

    Raises DraftIncomplete, MalformedMessage.
    """
    if not isinstance(given, Mapping) or not {"epoch", "slots"} <= set(given):
        raise DraftIncomplete(why="mode cached needs --epoch and --places, or --epoch-of an earlier job")
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    ends = times.parse(given["ends"]) if "ends" in given else today + timedelta(days=EPOCH_DAYS)
    places = given["slots"] if type(given["slots"]) is int else 0
    defaults = {
        "addition_slots": max(1, places // 64),
        "additions_max": LATER_LISTS,
        "points_max": EPOCH_POINTS,
    }
    return {**defaults, **given, "ends": ends.isoformat(timespec="seconds")}


def plain(value: Any, where: str = "") -> Any:
    """A value of a TOML file as a proposal can hold it: an instant becomes text.

    Raises DraftIncomplete, naming the field, for a decimal number, a date, and an instant without its offset.
    """
    if isinstance(value, dict):
        return {name: plain(item, f"{where}.{name}" if where else str(name)) for name, item in value.items()}
    if isinstance(value, list):
        return [plain(item, f"{where}[{number}]") for number, item in enumerate(value)]
    if isinstance(value, datetime) and value.tzinfo is not None:
        return times.iso(value)
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, float):
        raise DraftIncomplete(why=f"{where}: {value} is a decimal number; whole numbers and text are expected")
    raise DraftIncomplete(why=f"{where}: {value} has no offset; write an instant such as 2026-11-25T18:00:00+08:00")


def _which_columns(asset: Mapping[str, Any], partner: str) -> str:
    offered = ", ".join(name for name, cls in asset["columns"].items() if cls != "C3")
    return (
        f"name the columns that {partner} brings, by columns = [...] in the file or --columns {partner}:NAME,NAME; "
        f"not the label, no weight. It publishes: {offered}"
    )


def parties(given: Mapping[str, Any], directory: Directory) -> list[dict[str, Any]]:
    """The given parties, each with its asset and id column. Raises DraftIncomplete."""
    return [_party(party, directory) for party in _parties(given)]


def _parties(given: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    listed = given.get("parties")
    if not isinstance(listed, list) or len(listed) < 2 or not all(isinstance(party, Mapping) for party in listed):
        raise DraftIncomplete(why="at least two parties are needed")
    return listed


def _party(party: Mapping[str, Any], directory: Directory) -> dict[str, Any]:
    asset = directory.asset(str(party.get("partner")), party.get("asset"))
    return {"asset": asset["name"], "id_column": asset["id_column"], **party}


def common(body: dict[str, Any], now: datetime, entropy: Entropy) -> Head:
    """The body with expiry and nonce. Raises DraftIncomplete without a purpose."""
    if not body.get("purpose"):
        raise DraftIncomplete(why="a purpose is needed; consent is given for purposes")
    body.setdefault("expires", times.iso(now + timedelta(hours=EXPIRES_HOURS)))
    body.setdefault("nonce", entropy(NONCE_BYTES).hex())
    return body


def _match_disclosure(body: Mapping[str, Any]) -> list[str]:
    """The sentences of the terms; the hub adds the parties' keys only later, and they change nothing in them."""
    keyed = [{**dict.fromkeys(KEYS, ""), **party} for party in body["parties"]]
    terms = MatchJob.from_body({"disclosure": [], **body, "parties": keyed})
    said = [en for en, _ in learns.sentences(terms)]
    return [*said, "the hub relays sealed messages: it learns their sizes and times, not their content"]


def _train_disclosure(body: Mapping[str, Any]) -> list[str]:
    label = body["label"]["partner"]
    holders = ", ".join(p["partner"] for p in body["parties"] if p["partner"] != label)
    contribution = [
        f"Contribution is measured: {label} and {holders} learn their moments over the held-out clients too, the hub "
        f"and all parties the held-out error with the columns of every subset of {holders}.",
    ]
    if body["model"] == "trees":
        contribution = [
            "Contribution is measured: the hub and all parties learn held-out errors of every subset's model."
        ]
    one_class = [
        f"One class against the rest is predicted: a client counts as 1 where {label}'s column "
        f"{body['label']['column']} holds {body['label'].get('positive')}, as 0 where it holds anything else.",
    ]
    return [
        *(one_class if "positive" in body["label"] else ()),
        *(contribution if body.get("contribution") is True else ()),
        *_fairness_disclosure(body, label),
        *_parts_disclosure(body),
        *_rounds_disclosure(body, label, holders),
        *_scoring_disclosure(body, label, holders),
        *(_trees_disclosure if body["model"] == "trees" else _moments_disclosure)(body, label, holders),
        "The hub learns the signed figures of the results, sizes and times; it relays sealed messages.",
    ]


def _variants(body: Mapping[str, Any], parties: int) -> str:
    """Every partner added is shown beside the whole, and every set of them where contribution is measured by it."""
    if parties > COMPARED_MAX:
        return "full"
    return "coalitions" if body.get("contribution") is True else "partners"


def _variants_disclosure(options: Mapping[str, Any], holders: str) -> list[str]:
    """What is trained again to be compared."""
    if options.get("variants") not in ("partners", "coalitions") or ", " not in holders:
        return []
    sets = f"each of {holders} alone" if options["variants"] == "partners" else f"every set of {holders}"
    return [f"All of this is shown again for the model with {sets}, which the one with all is compared with."]


def _trees_disclosure(body: Mapping[str, Any], label: str, holders: str) -> list[str]:
    """What trees show in place of moments and shares of scores; the plan's check finds options that are none."""
    options = body["trees"] if isinstance(body["trees"], Mapping) else {}
    return [
        f"{label} learns, for each node of up to {options.get('trees')} trees of depth {options.get('depth')}, sums of "
        f"its loss's derivatives over groups of bins of {holders}, each of at least {body['rare_rows']} train clients.",
        f"{label} learns which column of {holders} splits a node and which aligned clients of it go left, over many "
        "trees nearly every client's bin; no edge, no value.",
        f"{holders} learn sums of both derivatives over their own bins in each node, and the clients of the nodes that "
        "their own columns split: of a client alone in a bin of such a node, its label.",
        *_variants_disclosure(options, holders),
    ]


def _moments_disclosure(body: Mapping[str, Any], label: str, holders: str) -> list[str]:
    step = body["score_step_log2"]
    return [
        f"{label} learns moments of the columns of {holders} with its label, its columns and each other's, "
        f"cells under {body['cell_minimum']} shown as half of it.",
        f"{label} learns rounded shares of scores (multiples of 2^{step}): of the test clients from each of {holders}, "
        "of all aligned clients their sum.",
        f"{holders} learn moments of their own columns with the label and others' columns, and their own weights.",
    ]


def _parts_disclosure(body: Mapping[str, Any]) -> list[str]:
    """What bins and folds show beyond moments of plain columns over all train clients."""
    said = []
    for party in body["parties"]:
        if isinstance(binned := party.get("binned"), list) and binned:
            said.append(
                f"{party['partner']} takes {', '.join(map(str, binned))} as at most {body['bins']} bins, the missing "
                "as one more: others learn how many clients are in each, and moments of it, not where it ends."
            )
    if isinstance(folds := body.get("validation"), Mapping) and "folds" in folds:
        said.append(
            f"Moments are shown of each of {folds['folds']} folds of the train clients, in place of all at once."
        )
    return said


def _fairness_disclosure(body: Mapping[str, Any], label: str) -> list[str]:
    """What gaps between groups show; the plan's check finds limits that are none."""
    limits = body.get("fairness")
    if not isinstance(limits, Mapping) or "groups" not in limits:
        return []
    return [
        f"{label} measures gaps between groups of test clients by its columns {', '.join(map(str, limits['groups']))}; "
        f"all parties and the hub learn the figures of groups of at least {limits.get('group_rows')} clients.",
    ]


def _scoring_disclosure(body: Mapping[str, Any], label: str, holders: str) -> list[str]:
    """What scores of single clients show; the plan's check finds limits that are none."""
    limits = body.get("scoring")
    if not isinstance(limits, Mapping) or "clients_per_day" not in limits:
        return []
    if body["model"] == "trees":
        return [
            f"For {body['valid_days']} days after the run {label} may ask for the score of single clients by the "
            f"columns as they are then, and learns which side the client takes at splits of {holders} that it may come "
            f"to, for at most {limits['clients_per_day']} clients a day while their consent holds; {holders} learn "
            "which client was asked for and which of their splits may be on its way, the hub that one was.",
            *_split_disclosure(limits.get("split"), label, holders),
        ]
    return [
        f"For {body['valid_days']} days after the run {label} may ask for the score of single clients by the columns "
        f"as they are then, and learns the sum of {holders}'s rounded shares (multiples of "
        f"2^{body['score_step_log2']}), for at most {limits['clients_per_day']} clients a day while their consent "
        f"holds; {holders} learn which client was asked for and when, the hub that one was.",
        *_split_disclosure(limits.get("split"), label, holders),
    ]


def _split_disclosure(split: object, label: str, holders: str) -> list[str]:
    """What the split of single scores shows; the plan's check finds one that is none."""
    if not isinstance(split, Mapping):
        return []
    return [
        f"For at most {split.get('clients_per_day')} of these clients a day, and over the run's lifetime at most as "
        f"often as it has clients, {label} may also learn the share of each of {holders} alone, in multiples of "
        f"2^{split.get('step_log2')}; with the exact sum this may tell some shares to the score's own step."
    ]


def _rounds_disclosure(body: Mapping[str, Any], label: str, holders: str) -> list[str]:
    """What rounds of refinement show; the plan's check finds options that are none."""
    options = body.get("logistic")
    if not isinstance(options, Mapping) or "rounds" not in options:
        return []
    step = body["score_step_log2"]
    again = f"The same rounds are run with each of {holders} alone, whose own share is then shown in each round."
    every = f"The same rounds are run with every set of {holders}; of one alone its own share is shown in each round."
    more = {"partners": [again], "coalitions": [every]}.get(str(options.get("variants")), []) if ", " in holders else []
    return [
        *more,
        f"The scorecard is refined in up to {options['rounds']} rounds: in each {label} learns the sum of {holders}'s "
        f"rounded shares (multiples of 2^{step}) of every train client's score, one score vector of the lifetime "
        f"budget of {body['score_budget']}; {holders} learn moments of their columns with what is left of the label.",
    ]
