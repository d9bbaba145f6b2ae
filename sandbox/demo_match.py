"""Steps 1-5 of the demo: the alliance, its data, matching and training, by the commands that people use."""

import csv
import hashlib
import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from federation.plan import TrainingPlan
from sandbox import pooled
from sandbox.demo_story import ID_COLUMN, LABEL, Scene, Step, Story
from sandbox.processes import Done, run
from sandbox.world import PURPOSE, consents, parallel

TRAINERS = ("broker", "bank", "platform")
MINIMUM = 100
CONSENT_PERCENT = 97
DELIVERY_SECONDS = 20.0
NOT_YET_DELIVERED = "UNKNOWN_JOB"
FEDERATED_GAP_MAX = 0.001  # AUC: the same model on pooled rows
LOGISTIC_GAP_MAX = 0.005  # AUC: below pooled logistic regression
PPM = 1_000_000


def alliance(story: Story) -> None:
    """Six processes with their own folders and keys; enrolment, certificates, pinned cards."""
    with story.step("An alliance of six processes: chain, hub, four partner nodes") as step:
        story.doing("keys, settings, the chain and its contract")
        story.world.found()
        story.doing("enrolment, certificates, pinned cards")
        story.world.start()
        told = story.world.person("operator", "hub", "status").check().json
        story.expect(sorted(told["connected"]) == sorted(story.world.partners), "every node is connected")
        step.lines.append(f"nodes connected over TLS 1.3: {', '.join(told['connected'])}")
        step.lines.append(f"settlement contract {story.world.contract} on chain {story.world.genesis[:12]}…")


def strangers(story: Story) -> None:
    """What must be refused is refused: somebody else's invite or certificate, TLS 1.2, a role that may not do this."""
    with story.step("Nobody else gets in: other invites, other certificates, older TLS, wrong roles") as step:
        world = story.world
        refused = world.partner("insurer", "enrol", world.invites["bank"])
        story.expect(refused.exit_code != 0, "another partner's invite is refused")
        step.lines.append(f"the insurer with the bank's invite: {_refusal(refused)}")
        wrong = world.person("data", "hub", "invite", "stranger")
        story.expect(wrong.failure_code == "ROLE_NOT_ALLOWED", "the data team can't invite")
        step.lines.append(f"the data team inviting a partner: {_refusal(wrong)}")
        told = run("doctor", "--config", str(_stranger(story)), "--json").json["findings"]
        hello = next(found for found in told if found["check"] == "hello")
        story.expect(hello["code"] == "CERTIFICATE_OF_OTHER_PARTNER", "another partner's certificate is refused")
        step.lines.append(f"a node with the bank's certificate, explained by doctor: {hello['code']}: {hello['en']}")
        old = next(found for found in told if found["check"] == "TLS 1.2 refused")
        story.expect(old["state"] == "ok", "TLS 1.2 is refused")
        step.lines.append(f"doctor: {old['en']}")


def _stranger(story: Story) -> Path:
    """A node that calls itself the insurer and shows the bank's certificate; gives its settings."""
    folder = story.world.folder / "stranger"
    folder.mkdir(mode=0o700)
    shutil.copytree(story.world.node_folder("insurer") / "keys", folder / "keys")
    for name in ("tls.key", "tls.pem"):
        shutil.copy(story.world.node_folder("bank") / "keys" / name, folder / "keys" / name)
    shutil.copy(story.world.node_config("insurer"), folder / "node.toml")
    return folder / "node.toml"


def assets(story: Story) -> None:
    """Each node publishes schema, classes and bands, and imports its consent records."""
    with story.step("Data assets: schema, classes and bands, never a row; consent for 97 %") as step:
        story.world.each(lambda name: story.world.partner(name, "publish").check())
        imported = story.world.each(lambda name: _import_consents(story, name))
        for item in story.world.person("data", "data", "partners").check().json["partners"]:
            (asset,) = item["assets"]["body"]["assets"]
            offered = f"{len(asset['columns'])} columns, {asset['rows']} rows, consent of {imported[item['partner']]:,}"
            step.lines.append(f"{item['partner']}: {offered}")


def matching(story: Story) -> None:
    """A count with the insurer, then one alignment of three parties; everybody approves exactly that job."""
    with story.step("Private matching: how many, then who, in one order") as step:
        count = _match(story, "count", ["broker", "insurer"])
        shared = next(r["body"]["count"] for r in count["results"] if r["body"]["outcome"] == "shared")
        story.expect(
            shared == len(_consented(story, "broker", "insurer")), "the count is the count of consented clients"
        )
        step.lines.append(f"broker x insurer: {shared:,} shared clients; nobody learned which")
        aligned = _match(story, "align", list(TRAINERS))
        story.facts["alignment"] = aligned["digest"]
        _check_alignment(story, step, aligned["digest"])


def training(story: Story) -> None:
    """The joint scorecard from protected moments, and the comparison that only the owner of all data can make."""
    with story.step("Joint profile: one model over three parties' columns, no row leaves") as step:
        plan_file = story.world.folder / "people" / "plan.toml"
        plan_file.write_text(_plan_toml(story))
        made = story.world.person("data", "data", "train", "propose", "--file", str(plan_file)).check().json
        story.learn("training", made["body"])
        approve(story, made["digest"], TRAINERS)
        story.doing("encrypted products, moments, weights, rounded scores")
        story.world.person("data", "data", "train", "status", made["digest"], "--follow").check()
        report = story.world.person("data", "data", "train", "report", made["digest"]).check().json
        story.facts |= {"run": made["digest"], "record": report["record"], "plan": made["body"]}
        _compare(story, step, made["body"], report["record"])
        _keep_label_matrix(story, step, made["digest"])
        story.world.person("operator", "hub", "checkpoint").check()  # day by day, so that a later change has a date


def _match(story: Story, mode: str, parties: Sequence[str]) -> dict[str, Any]:
    others = [option for name in parties[1:] for option in ("--with", name)]
    proposed = story.world.person(
        "data", "data", "match", "propose", "--mode", mode, "--leader", parties[0], *others,
        "--purpose", PURPOSE, "--minimum", str(MINIMUM),
    )  # fmt: skip
    made = proposed.check().json
    digest = str(made["digest"])
    story.learn(f"match, {mode}", made["body"])
    approve(story, digest, parties)
    story.doing(f"private set intersection of {', '.join(parties)}")
    story.world.person("data", "data", "match", "status", digest, "--follow").check()
    found: dict[str, Any] = story.world.person("data", "data", "match", "result", digest).check().json
    return found


def approve(story: Scene, digest: str, parties: Sequence[str]) -> None:
    """A person at each party approves exactly this digest, once the proposal has reached the node."""
    story.doing(f"{', '.join(parties)} look at {digest[:12]}… and approve it")

    def approve(name: str) -> None:
        end = time.monotonic() + DELIVERY_SECONDS
        while True:
            done = story.world.partner(name, "approve", digest, "--person", f"{name}-officer", "--yes")
            if done.failure_code != NOT_YET_DELIVERED or time.monotonic() > end:
                done.check()
                return

    parallel(parties, approve)


def _check_alignment(story: Story, step: Step, digest: str) -> None:
    """Every party exported the same order; only consented clients are in it."""
    exported = parallel(TRAINERS, lambda name: _alignment(story, name, digest))
    orders = {name: [token for token, _ in rows] for name, rows in exported.items()}
    clients = {name: [client for _, client in rows] for name, rows in exported.items()}
    story.expect(orders["broker"] == orders["bank"] == orders["platform"], "all three have one order of tokens")
    story.expect(clients["broker"] == clients["bank"] == clients["platform"], "one token is one client at all three")
    expected = _consented(story, *TRAINERS)
    story.expect(set(clients["broker"]) == expected, "the common clients are those with consent everywhere")
    known = set.intersection(*(set(story.data.client_ids(name)) for name in TRAINERS))
    kept_out = len(known) - len(expected)
    story.facts |= {"tokens": orders["broker"], "clients": clients["broker"]}
    step.lines.append(f"broker x bank x platform: {len(expected):,} clients aligned under tokens of this job")
    step.lines.append(f"{kept_out:,} common clients without consent never entered the job")


def _alignment(story: Story, name: str, digest: str) -> list[tuple[str, str]]:
    file = story.world.node_folder(name) / "alignment.csv"
    story.world.partner(name, "alignment", "export", digest, str(file)).check()
    with file.open(encoding="utf-8", newline="") as stream:
        return [(row["token"], row[ID_COLUMN]) for row in csv.DictReader(stream)]


def _consented(story: Story, *parties: str) -> set[str]:
    """Who is a client of all these parties; in the demo a client consents everywhere or nowhere."""
    known = [set(story.data.client_ids(name)) for name in parties]
    return {client for client in set.intersection(*known) if consents(client, CONSENT_PERCENT)}


def _import_consents(story: Story, name: str) -> int:
    year = int(story.period[:4]) + 1
    granted = [client for client in story.data.client_ids(name) if consents(client, CONSENT_PERCENT)]
    file = story.world.node_folder(name) / "consent.csv"
    rows = "".join(f"{client},{PURPOSE},{year}-12-31\n" for client in granted)
    file.write_text(f"client_id,purpose,until\n{rows}")
    done = story.world.partner(name, "consent", "import", str(file)).check()
    return int(done.json["imported"])


def _plan_toml(story: Story) -> str:
    lines = [
        f'alignment = "{story.facts["alignment"]}"',
        f'purpose = "{PURPOSE}"',
        "[label]",
        'partner = "broker"',
        f'column = "{LABEL}"',
    ]
    for name in TRAINERS:
        lines += ["[[parties]]", f'partner = "{name}"', f"columns = {json.dumps(list(story.data.columns[name]))}"]
    return "\n".join(lines) + "\n"


def _compare(story: Story, step: Step, body: dict[str, Any], record: dict[str, Any]) -> None:
    story.doing("the same models on pooled rows, which only the owner of all data can compute")
    plan = TrainingPlan.from_body(body)
    found = pooled.compare(story.data.folder, plan, story.facts["tokens"], story.facts["clients"])
    for variant in record["variants"]:
        name = " + ".join(["broker", *variant["holders"]])
        step.lines.append(f"{name}: AUC {interval(variant['auc'])}, uplift {interval(variant['auc_uplift'])}")
    joint = record["variants"][-1]["auc"]["value_ppm"]
    exact, rounded, logistic = (
        measured.auc.value_ppm for measured in (found.same_model, found.same_rounded, found.logistic)
    )
    gap = round(sum(found.split_gaps_ppm) / len(found.split_gaps_ppm))
    step.lines.append(
        f"same model on pooled rows: AUC {exact / PPM:.4f}, with the plan's rounding {rounded / PPM:.4f}; "
        f"logistic regression: {logistic / PPM:.4f} (on average of {len(found.split_gaps_ppm)} splits {gap / PPM:+.4f})"
    )
    story.facts["pooled"] = {
        "same_model_auc_ppm": exact,
        "same_model_rounded_auc_ppm": rounded,
        "logistic_auc_ppm": logistic,
        "logistic_gap_mean_ppm": gap,
    }
    difference = f"federated and pooled differ by {joint - rounded} ppm AUC"
    story.expect(abs(joint - rounded) <= FEDERATED_GAP_MAX * PPM, difference)
    # a single split of some 700 rows scatters by 0.003, so the models are compared over many
    story.expect(gap <= LOGISTIC_GAP_MAX * PPM, f"{gap} ppm AUC below pooled logistic regression")
    shown = sum(one["rows"] for one in record["disclosed"])
    step.lines.append(f"disclosed, and logged: {len(record['disclosed'])} rounded score vectors, {shown:,} values")


def _keep_label_matrix(story: Story, step: Step, run: str) -> None:
    (file,) = (story.world.node_folder("broker") / "results").glob("label-matrix-*.parquet")
    kept = story.results / "label-matrix.parquet"
    kept.write_bytes(file.read_bytes())
    digest = hashlib.sha256(kept.read_bytes()).hexdigest()
    step.lines.append(
        f"label matrix of {len(story.facts['tokens']):,} clients at the broker's node, sha256 {digest[:12]}…"
    )
    story.facts["files"] = {"label matrix": str(kept)}


def interval(value: dict[str, int]) -> str:
    """A figure with its 95 % interval, from parts per million."""
    point, low, high = (value[name] / PPM for name in ("value_ppm", "low_ppm", "high_ppm"))
    return f"{point:+.4f} [{low:+.4f}, {high:+.4f}]" if point < 0.3 else f"{point:.4f} [{low:.4f}, {high:.4f}]"


def _refusal(done: Done) -> str:
    return done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit {done.exit_code}"
