"""Canaries in the vaults: every value of every row made unique, and the patterns that would give one of them away.

`plant` rewrites the party files of an alliance that is not running: each number is moved by up to a thousandth, drawn
for its cell alone, so its digits and its float64 bits occur nowhere else; a few clients get whole numbers beyond 2^40.
Labels must stay 0 and 1: they are known by runs of 64. Nothing that a node may say (moments, counts, points, tokens,
rounded scores, ciphertexts) repeats any of this but by an accident of less than 2^-40.
"""

import csv
import gzip
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from federation import features
from federation.plan import TrainingPlan
from privacy import canonical, normalise
from privacy.psi import group
from sandbox import world
from tests.support import launch_alliance, tap_forms
from tests.support.tap_forms import Form
from tests.support.tap_search import Patterns

ID, LABEL, TEXT = "client_id", "y_direct", "bank_node"
EXAMPLES = 6
Rows = dict[str, dict[str, str]]


def plant(alliance: launch_alliance.Alliance, seed: int = 7) -> dict[str, Rows]:
    """Make every cell of every party file a canary; the files' rows by party and client."""
    draw = np.random.default_rng(seed)
    planted = {}
    examples = _examples(launch_alliance.rows(partner.source) for partner in alliance.world.partners.values())
    for name, partner in alliance.world.partners.items():
        rows = launch_alliance.rows(partner.source)
        wide = {c for c in next(iter(rows.values())) if c not in (ID, TEXT) and _largest(rows, c) > 1000}
        for client, row in rows.items():
            for column in row:
                row[column] = _canary(row, column, draw, whole=client in examples and column in wide)
        planted[name] = rows
        _write(partner.source, rows)
    return planted


def patterns(
    vaults: Mapping[str, Rows], matches: Sequence[Mapping[str, Any]], plan: TrainingPlan, order: Mapping[str, str]
) -> Patterns:
    """All that must not be found. matches: the match jobs as the hub shows them; order: token → client, aligned."""
    found = Patterns()
    keys = _public_keys(matches, plan)
    tags = [group.domain(_context(job)) for job in matches]
    for client in sorted({client for rows in vaults.values() for client in rows}):
        normalised = normalise.normalise("resident_id", client)
        found.update(tap_forms.identifier(client, normalised, keys, "an id"))
        found.update((group.hash_to_group(normalised, tag), "an id as an unmasked point") for tag in tags)
    examples = _examples(vaults.values())
    for party, rows in vaults.items():
        for client, row in rows.items():
            found.update(_cells(party, row, in_full=client in examples))
        found.update(_columns(party, list(rows.values())))
    for party in plan.partners:
        found.update(_prepared(vaults[party], party, plan, order))
    return found


def _cells(party: str, row: Mapping[str, str], *, in_full: bool) -> Iterator[Form]:
    numbers = [(column, float(text)) for column, text in row.items() if column not in (ID, LABEL, TEXT)]
    for column, value in numbers:
        label = f"{party}'s {column}"
        yield from tap_forms.number(value, label)
        if value >= 1 << 40:
            yield from tap_forms.integer(int(value), label)
        if in_full:
            yield from tap_forms.disguised(value, label)
    yield from tap_forms.pairs([value for _, value in numbers], f"a row of {party}")
    if TEXT in row:
        yield row[TEXT], f"{party}'s {TEXT}"


def _columns(party: str, rows: Sequence[Mapping[str, str]]) -> Iterator[Form]:
    for column in rows[0]:
        if column == LABEL:
            yield from tap_forms.flags([row[column] == "1" for row in rows], f"{party}'s {column}")
        elif column not in (ID, TEXT):
            yield from tap_forms.pairs([float(row[column]) for row in rows], f"{party}'s {column}")


def _prepared(rows: Rows, party: str, plan: TrainingPlan, order: Mapping[str, str]) -> Iterator[Form]:
    """What training makes of the aligned rows: runs of rounded values by row and column, of the label by column."""
    test = plan.test_mask(list(order))
    aligned = [rows[client] for client in order.values()]
    raw = {name: np.array([float(row[name]) for row in aligned]) for name in plan.party(party).columns}
    made = features.prepare(raw, plan.party(party).columns, ~test, plan.rare_rows)
    for row in made.values:
        yield from tap_forms.quantised(row, f"a row of {party}")
    for mask in (np.ones(len(test), bool), ~test, test):
        for name, values in zip(made.names, made.values[mask].T, strict=True):
            yield from tap_forms.quantised(values, f"{party}'s {name}")
            yield from tap_forms.pairs(raw[name][mask].tolist(), f"{party}'s {name}")
        if party == plan.label_holder:
            label = np.array([row[plan.label_column] == "1" for row in aligned])
            yield from tap_forms.flags(label[mask].tolist(), f"{party}'s {plan.label_column}")


def _public_keys(matches: Sequence[Mapping[str, Any]], plan: TrainingPlan) -> list[tuple[bytes, str]]:
    """What everybody knows and a careless digest of an id might be keyed or salted with."""
    words = ["", "ecohub", world.ALLIANCE, world.PURPOSE, *plan.partners, plan.digest, plan.alignment]
    words += [job["digest"] for job in matches] + [job["body"]["nonce"] for job in matches]
    keys = {word.encode(): word[:16] or "the empty key" for word in words}
    keys |= {bytes.fromhex(word): f"{word[:16]} as bytes" for word in words if len(word) in (32, 64)}
    return [*keys.items(), (plan.split_salt, "the split's salt")]


def _context(job: Mapping[str, Any]) -> bytes:
    """The public context of a match job (partner_node.matching), under which ids are hashed to the group."""
    signed = {d["signer"]: d["body"] for d in job["documents"] if d["kind"] == "match-commitment"}
    commitments = [canonical.digest("ecohub/match-commitment/v1", signed[name]).hex() for name in sorted(signed)]
    return canonical.digest("ecohub/match-context/v1", [job["digest"], *commitments])


def _examples(vaults: Iterable[Mapping[str, Any]]) -> set[str]:
    """Some clients of all parties, one of them without consent."""
    common = sorted(set.intersection(*(set(rows) for rows in vaults)))
    withheld = next(client for client in common if not world.consents(client))
    return {withheld, *[client for client in common if world.consents(client)][: EXAMPLES - 1]}


def _canary(row: Mapping[str, str], column: str, draw: np.random.Generator, *, whole: bool) -> str:
    if column in (ID, LABEL):
        return row[column]
    if column == TEXT:
        return f"{row[column]}/{draw.bytes(6).hex()}"
    if whole:
        return str(int(draw.integers(1 << 40, 1 << 41)))
    return repr(float(row[column]) * (1 + draw.random() / 1000) + (draw.random() + 1) / 2000)


def _largest(rows: Rows, column: str) -> float:
    return max(abs(float(row[column])) for row in rows.values())


def _write(path: Path, rows: Rows) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(next(iter(rows.values()))), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows.values())
    path.write_bytes(gzip.compress(text.getvalue().encode()))
