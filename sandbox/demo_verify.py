"""Steps 7 and 8 of the demo: the evidence bundle examined without the hub, and two attacks that must be found."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from ecowire import evidence
from privacy.seal import SigningKey
from sandbox import tamper
from sandbox.demo_story import Step, Story
from sandbox.processes import environment, run
from sandbox.tamper import Tampered

EXAMINE = [sys.executable, "-P", "-c", "from sandbox.examine.__main__ import main; main()"]
EXAMINE_SECONDS_MAX = 120


def verifying(story: Story) -> None:
    """Checkpoints co-signed by every node, the bundle, the parties' word, and an examination in a fresh process."""
    with story.step("Evidence: co-signed by every node, examined without trusting the hub") as step:
        made = story.world.person("operator", "hub", "checkpoint").check().json["checkpoints"]
        for checkpoint in made:
            story.expect(sorted(checkpoint["cosigned"]) == sorted(story.world.partners), "every node co-signed")
            size, log = checkpoint["size"], checkpoint["log"]
            step.lines.append(f"{log} log: {size} records co-signed by {len(checkpoint['cosigned'])} nodes")
        trust = _trust(story)
        bundle = story.results / f"evidence-{story.period}.zip"
        story.world.person("regulator", "hub", "bundle", story.period, "--out", str(bundle)).check()
        _prove_statement(story, step, bundle, trust)
        code, report = _examine(bundle, trust)
        story.expect(code == 0, f"an honest bundle has no finding: {report['findings'][:3]}")
        story.facts["checks"] = sum(report["held"].values())
        story.facts["files"] |= {"evidence bundle": str(bundle), "trust file": str(trust)}
        step.lines.append(f"bundle of {bundle.stat().st_size:,} bytes: {_held(report)}")


def attacking(story: Story) -> None:
    """One flipped bit, and a hub operator with every hub key who raises one amount and signs everything again."""
    with story.step("Attacks: one flipped byte; a hub that rewrites its books with all its keys") as step:
        honest = Path(story.facts["files"]["evidence bundle"]).read_bytes()
        log_key = SigningKey(bytes.fromhex((story.world.hub_folder / "keys" / "log.key").read_text().strip()))
        story.facts["attacks"] = [
            _attack(story, step, "flipped", tamper.flip_byte(honest)),
            _attack(story, step, "rewritten", tamper.rewrite_as_hub(honest, log_key)),
        ]


def _attack(story: Story, step: Step, name: str, altered: Tampered) -> dict[str, str]:
    file = story.results / f"evidence-{story.period}-{name}.zip"
    file.write_bytes(altered.data)
    code, report = _examine(file, Path(story.facts["files"]["trust file"]))
    where = f"{altered.file} record {altered.record}"
    named = next((found for found in report["findings"] if found["where"] == where), None)
    story.expect(code == 1 and named is not None, f"the examiner names {where}")
    assert named is not None, "it was expected"
    codes = sorted({found["code"] for found in report["findings"]})
    step.lines.append(f"{altered.what}: {named['en']}")
    step.lines.append(f"  findings: {', '.join(codes)}")
    return {"what": altered.what, "where": where, "named": named["en"], "codes": ", ".join(codes)}


def _prove_statement(story: Story, step: Step, bundle: Path, trust: Path) -> None:
    """The regulator asks for the statement's leaf and checks its proof against what the nodes co-signed."""
    rows = evidence.lines(evidence.read(bundle.read_bytes()).entries["audit/leaves.jsonl"])
    place = next(i for i, row in enumerate(rows) if json.loads(row)["kind"] == "statement")
    config = str(story.world.person_config("regulator"))
    done = run("regulator", "proof", str(place), "--trust", str(trust), "--config", config).check().json
    story.expect(sorted(done["cosigned"]) == sorted(story.world.partners), "the proof leads to the co-signed root")
    step.lines.append(
        f"leaf {place}, the statement, proven in the log of {done['size']} records that all nodes co-signed"
    )


def _trust(story: Story) -> Path:
    """Each node exports its own part; the regulator merges them."""

    def export(name: str) -> str:
        file = story.world.handed / f"trust-{name}.toml"
        story.world.partner(name, "trust", "export", "--out", str(file)).check()
        return str(file)

    parts = story.world.each(export)
    trust = story.results / "trust.toml"
    run("regulator", "trust", "merge", *parts.values(), "--out", str(trust)).check()
    return trust


def _examine(bundle: Path, trust: Path) -> tuple[int, dict[str, Any]]:
    """`ecohub-examine` in a fresh process, in an empty folder, with nothing of the hub's but the bundle."""
    done = subprocess.run(  # noqa: S603 - our own entry, arguments as a list
        [*EXAMINE, str(bundle), "--trust", str(trust), "--json"],
        cwd=trust.parent, env=environment(), capture_output=True, text=True, timeout=EXAMINE_SECONDS_MAX, check=False,
    )  # fmt: skip
    if done.returncode not in (0, 1):
        return done.returncode, {"findings": [{"where": "", "en": done.stderr.strip()}], "held": {}}
    return done.returncode, json.loads(done.stdout)


def _held(report: dict[str, Any]) -> str:
    return ", ".join(f"{count:,} {what}" for what, count in sorted(report["held"].items()))
