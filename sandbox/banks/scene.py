"""`ecohub demo --scene banks`: banks with the same columns and different clients train one model.

A hub and one node a bank, as processes of their own, driven by people's commands; no chain, since nothing is settled.
Nobody, the hub included, can read a bank's update: only sums over at least three banks open. The result is compared
with the same model on pooled rows, which only the owner of all data could compute.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from federation.plan_horizontal import HorizontalPlan
from federation.tabular import Rows
from partner_node import keys
from sandbox.banks import plain, plan, pooled, show, sources
from sandbox.banks.files import Banks
from sandbox.demo_match import approve
from sandbox.demo_show import Screen, told
from sandbox.demo_stage import new_folder, play
from sandbox.demo_story import Scene, Step
from sandbox.world import PURPOSE, Partner, World, consents

TITLE = "EcoHub: banks train one model together, no update readable by anybody"
POOLED_GAP_MAX = 0.005  # AUC over all test rows
PPM = 1_000_000


@dataclass(slots=True, kw_only=True)
class BanksScene(Scene):
    """The banks' data, beside what every scene has."""

    data: Banks


def perform(given: Path | None, count: int | None, out: Path | None, screen: Screen, *, keep: bool) -> dict[str, Any]:
    """The whole scene; its summary. given: a folder of banks or of public data; count: synthetic banks instead.

    Raises BanksFolderInvalid, DemoWrong, and what a person's command ends with.
    """
    folder = new_folder(out, [f"bank-{letter}" for letter in "az"])
    data = sources.prepare(given, folder / "data", count or sources.BANKS)
    results = folder / "results"
    results.mkdir()
    classes = {column.name: "C2" for column in data.columns} | {data.label: "C2"}
    partners = [Partner(id=name, name=name.title(), source=data.file(name), classes=classes) for name in data.names]
    world = World(folder, partners, entropy=os.urandom, broker=None)  # noqa: TID251 - a root
    scene = BanksScene(data=data, world=world, results=results, say=screen.step, doing=screen.doing)
    screen.title(TITLE, data.origin, folder)
    play(scene, (alliance, assets, planning, training, comparing), screen, keep=keep)
    summary = {"scene": "banks", "data": data.origin, "synthetic": data.synthetic, **told(scene), **scene.facts}
    (results / "summary.json").write_text(json.dumps(summary, ensure_ascii=False, indent=1) + "\n")
    show.end(screen, summary)
    return summary


def alliance(scene: BanksScene) -> None:
    """Hub and banks with their own folders and keys; enrolment, certificates, pinned cards."""
    world = scene.world
    with scene.step(f"An alliance of {len(world.partners)} banks and a hub, each a process of its own") as step:
        scene.doing("keys and settings")
        world.found()
        scene.doing("enrolment, certificates, pinned cards")
        world.start()
        connected = world.person("operator", "hub", "status").check().json["connected"]
        scene.expect(sorted(connected) == sorted(world.partners), "every node is connected")
        step.lines.append(f"nodes connected over TLS 1.3: {', '.join(connected)}")


def assets(scene: BanksScene) -> None:
    """Each bank publishes the same columns, and imports its own clients' consent."""
    with scene.step("The same columns, other clients: schema published, consent for 97 %") as step:
        scene.world.each(lambda name: scene.world.partner(name, "publish").check())
        imported = scene.world.each(lambda name: _import_consents(scene, name))
        offered = {}
        for item in scene.world.person("data", "data", "partners").check().json["partners"]:
            (asset,) = item["assets"]["body"]["assets"]
            offered[item["partner"]] = asset["columns"]
            step.lines.append(f"{item['partner']}: {asset['rows']} rows, consent of {imported[item['partner']]:,}")
        scene.expect(len({json.dumps(columns) for columns in offered.values()}) == 1, "all offer the same columns")


def planning(scene: BanksScene) -> None:
    """The data team's plan file, proposed; each bank's people look at exactly this plan and approve it."""
    with scene.step("A plan that every bank's people approve") as step:
        file = scene.results / "plan.toml"
        file.write_text(plan.toml(plan.draft(scene.data)), encoding="utf-8")
        made = scene.world.person("data", "data", "train", "propose", str(file)).check().json
        scene.learn("train, horizontal", made["body"])
        approve(scene, made["digest"], scene.data.names)
        read = HorizontalPlan.from_body(made["body"])
        roster = read.roster
        scene.facts |= {"run": made["digest"], "body": made["body"], "files": {"plan": str(file)}}
        step.lines.append(f"{read.model}, {len(read.columns)} columns, {read.parameters:,} parameters, {file.name}")
        step.lines.append(
            f"engine {read.engine.name}: any {roster.threshold} of {roster.size} answers open a sum of at least "
            f"{roster.minimum} banks; the hub with {roster.colluders} of them learns no more"
        )


def training(scene: BanksScene) -> None:
    """Start, follow, report: every round is one sum that opens as a whole."""
    with scene.step("Training: statistics, rounds and figures through encrypted sums") as step:
        world, run = scene.world, scene.facts["run"]
        scene.doing("keys dealt ahead, encrypted updates, one answer of 8 KB a bank and round")
        world.person("data", "data", "train", "start", run).check()
        world.person("data", "data", "train", "status", run, "--follow").check()
        page = scene.results / "report.html"
        report = world.person("data", "data", "train", "report", run, "--html", str(page)).check().json
        scene.facts |= {"report": report, "history": report["history"]}
        scene.facts["files"]["report"] = str(page)
        records = show.records(report)
        scene.expect(set(records) == set(scene.data.names), "every bank signed its result")
        scene.expect(len({record["model_digest"] for record in records.values()}) == 1, "all banks have one model")
        step.lines += show.training(report)
        world.person("operator", "hub", "checkpoint").check()


def comparing(scene: BanksScene) -> None:
    """Beside the same run unprotected, the same model on pooled rows, and each bank's own: who gained, who did not."""
    with scene.step("The same run in the open, and the same model on pooled rows") as step:
        read, report = HorizontalPlan.from_body(scene.facts.pop("body")), scene.facts.pop("report")
        own = {name: keys.load(scene.world.node_folder(name) / "keys").consent for name in scene.data.names}
        tables = pooled.tables(scene.data, own)
        _compare_plain(scene, step, read, tables, report)
        scene.doing("pooled rows, which only the owner of all data has")
        records, peer = show.records(report), pooled.fit(read, tables)
        for name, record in records.items():
            scene.expect(record["rows_test"] == peer.test_rows[name], f"{name} was tested on its own test rows")
        joint = show.run_record(report)["auc_global_ppm"] / PPM
        gap = abs(joint - peer.overall)
        step.lines.append(
            f"all test rows: joint AUC {joint:.4f}, pooled {peer.overall:.4f}, {gap * PPM:,.0f} ppm apart"
        )
        scene.expect(gap <= POOLED_GAP_MAX, f"joint and pooled are no more than {gap * PPM:,.0f} ppm AUC apart")
        banks = show.rows(records, peer)
        scene.facts |= {
            "banks": banks,
            "joint_auc_ppm": round(joint * PPM),
            "pooled_auc_ppm": round(peer.overall * PPM),
        }
        step.lines += [show.sentence(row) for row in banks]


def _compare_plain(
    scene: BanksScene, step: Step, read: HorizontalPlan, tables: Mapping[str, Rows], report: dict[str, Any]
) -> None:
    """Encryption changes no bit of the result, where every bank was there in every round."""
    scene.doing("the same fixed-point sums without encryption")
    full = all(len(item["cohort"]) == len(scene.data.names) for item in report["history"])
    scene.expect(full, "every bank was in every round")
    made, digest = plain.rerun(read, tables).model.digest, show.run_record(report)["model_digest"]
    scene.expect(made == digest, "the encrypted run equals the plain fixed-point run to the last bit")
    scene.facts["model_digest"] = digest
    step.lines.append(f"the same fixed-point sums without encryption give the same model, bit for bit: {made[:12]}…")


def _import_consents(scene: BanksScene, name: str) -> int:
    until = (datetime.now(UTC) + timedelta(days=365)).strftime("%Y-%m-%dT%H:%M:%SZ")  # noqa: TID251 - a root
    granted = [client for client in scene.data.rows(name) if consents(client)]
    file = scene.world.node_folder(name) / "consent.csv"
    rows = "".join(f"{client},{PURPOSE},{until}\n" for client in granted)
    file.write_text(f"client_id,purpose,until\n{rows}")
    return int(scene.world.partner(name, "consent", "import", str(file)).check().json["imported"])
