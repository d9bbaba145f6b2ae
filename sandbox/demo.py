"""`ecohub demo`: the main job, end to end, on this machine: an alliance of four on given or synthetic data.

Everything runs as separate processes on 127.0.0.1 and is driven by the commands that people use. Each step proves what
it says or the demo fails. Everything that was started is stopped at the end, also after a failure or Ctrl-C.
"""

import os

# before numpy is loaded: seven processes share this machine's cores, and two that fight over them take ten times longer
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import shutil
import tempfile
from pathlib import Path

import click

from ecowire.outputs import OutputExists
from partner_node import local_client
from privacy.errors import Failure
from sandbox import demo_match, demo_settle, demo_show, demo_verify, synthetic
from sandbox.demo_story import NAMES, Data, Story, last_month, read_data, utc_now
from sandbox.world import Partner, World

STEPS = (
    demo_match.alliance,
    demo_match.strangers,
    demo_match.assets,
    demo_match.matching,
    demo_match.training,
    demo_settle.settling,
    demo_verify.verifying,
    demo_verify.attacking,
)
WORKING = ("hub", "chain", "identities", "stranger", *NAMES)  # keys and databases; removed at the end unless --keep


@click.command()
@click.option("--data", type=click.Path(exists=True, file_okay=False, path_type=Path), help="party files, parties.json")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="new folder for everything; keep it short"
)
@click.option("--keep", is_flag=True, help="keep the institutions' folders with their keys and databases")
@click.option("--json", "as_json", is_flag=True, help="one JSON document at the end instead of progress")
def demo(data: Path | None, out: Path | None, keep: bool, as_json: bool) -> None:
    """The main job, end to end: enrol, match, train, settle, verify; about two minutes."""
    folder = _folder(out)
    screen = demo_show.Screen(silent=as_json)
    given = _data(data, folder)
    results = folder / "results"
    results.mkdir()
    world = World(folder, [_partner(given, name) for name in NAMES], entropy=os.urandom)  # noqa: TID251 - a root
    story = Story(
        data=given,
        world=world,
        results=results,
        period=last_month(utc_now()),
        say=screen.step,
        doing=screen.doing,
    )
    screen.title(given.origin, folder)
    try:
        with world:
            for step in STEPS:
                step(story)
    except Failure:
        keep = True  # what went wrong must be findable
        click.echo(f"stopped; logs, keys and databases are kept in {folder}", err=True)
        raise
    finally:
        screen.close()
        if not keep:
            for name in WORKING:
                shutil.rmtree(folder / name, ignore_errors=True)
    summary = demo_show.summary(story)
    (results / "summary.json").write_text(json.dumps(summary, ensure_ascii=False, indent=1) + "\n")
    if as_json:
        click.echo(json.dumps(summary, ensure_ascii=False, sort_keys=True))
    else:
        screen.summary(summary)


def _folder(out: Path | None) -> Path:
    if out is None:
        return Path(tempfile.mkdtemp(prefix="ecohub-"))
    folder = out.resolve()
    for name in NAMES:
        local_client.check_path(folder / name / "node.sock")  # an early word instead of a node that can't start
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise OutputExists(path=str(folder))
    return folder


def _data(given: Path | None, folder: Path) -> Data:
    if given is None:
        given = folder / "data"
        synthetic.generate(given)
    return read_data(given.resolve())


def _partner(data: Data, name: str) -> Partner:
    # the survey's weight and the horizontal split are internal (C1), everything about a client is C2 (JR/T 0171-2020)
    classes = {column: "C1" if column in ("WGT", "bank_node") else "C2" for column in data.headers[name]}
    return Partner(id=name, name=NAMES[name], source=data.file(name), classes=classes)
