"""`ecohub demo`: the main job, end to end, on this machine: an alliance of four on given or synthetic data.

Everything runs as separate processes on 127.0.0.1 and is driven by the commands that people use. Each step proves what
it says or the demo fails. Everything that was started is stopped at the end, also after a failure or Ctrl-C.
"""

import os

# before numpy is loaded: seven processes share this machine's cores, and two that fight over them take ten times longer
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
from pathlib import Path
from typing import Any

import click

from sandbox import demo_match, demo_settle, demo_show, demo_stage, demo_verify, synthetic
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
TITLE = "EcoHub: an alliance of four, end to end"


@click.command()
@click.option(
    "--scene",
    type=click.Choice(["main", "banks"]),
    default="main",
    show_default=True,
    help="main: four kinds of partners match, train, settle; banks: same columns, other clients, one model",
)
@click.option(
    "--data", type=click.Path(exists=True, file_okay=False, path_type=Path), help="folder of the scene's data"
)
@click.option("--banks", "count", type=click.IntRange(3, 26), help="how many synthetic banks; of the scene banks")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="new folder for everything; keep it short"
)
@click.option("--keep", is_flag=True, help="keep the institutions' folders with their keys and databases")
@click.option("--json", "as_json", is_flag=True, help="one JSON document at the end instead of progress")
def demo(scene: str, data: Path | None, count: int | None, out: Path | None, keep: bool, as_json: bool) -> None:
    """The main job, end to end: enrol, match, train, settle, verify; about two minutes.

    With --scene banks: several banks train one model, no update readable by anybody, compared with pooled rows.
    """
    if count is not None and (scene != "banks" or data is not None):
        raise click.UsageError("--banks says how many synthetic banks the scene banks has")
    screen = demo_show.Screen(silent=as_json)
    if scene == "banks":
        from sandbox.banks.scene import perform  # the main scene needs nothing of it

        summary = perform(data, count, out, screen, keep=keep)
    else:
        summary = _perform(data, out, screen, keep=keep)
    if as_json:
        click.echo(json.dumps(summary, ensure_ascii=False, sort_keys=True))


def _perform(data: Path | None, out: Path | None, screen: demo_show.Screen, *, keep: bool) -> dict[str, Any]:
    folder = demo_stage.new_folder(out, NAMES)
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
    screen.title(TITLE, given.origin, folder)
    demo_stage.play(story, STEPS, screen, keep=keep, extra=("stranger",))
    summary = demo_show.summary(story)
    (results / "summary.json").write_text(json.dumps(summary, ensure_ascii=False, indent=1) + "\n")
    screen.summary(summary)
    return summary


def _data(given: Path | None, folder: Path) -> Data:
    if given is None:
        given = folder / "data"
        synthetic.generate(given)
    return read_data(given.resolve())


def _partner(data: Data, name: str) -> Partner:
    # the survey's weight and the horizontal split are internal (C1), everything about a client is C2 (JR/T 0171-2020)
    classes = {column: "C1" if column in ("WGT", "bank_node") else "C2" for column in data.headers[name]}
    return Partner(id=name, name=NAMES[name], source=data.file(name), classes=classes)
