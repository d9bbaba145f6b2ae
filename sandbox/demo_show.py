"""How the demo looks: a line a step while it runs, and the summary at the end."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from sandbox.demo_story import Scene, Step, Story

PPM = 1_000_000


class Screen:
    """Progress on the terminal; plain lines where it is none; nothing where silent."""

    def __init__(self, *, silent: bool) -> None:
        self._console = Console(highlight=False, quiet=silent)
        self._status: Status | None = None
        self._title = ""

    def title(self, what: str, origin: str, folder: Path) -> None:
        """What runs, on which data, where."""
        self._console.print(Text(what, style="bold"))
        self._console.print(Text(f"data: {origin}"))
        self._console.print(Text(f"folder: {folder}\n"))

    def step(self, step: Step) -> None:
        """A step that begins (no seconds yet) or has ended."""
        self.close()
        if step.seconds == 0:
            self._title = f"{step.number}  {step.title}"
            self._status = self._console.status(self._title)
            self._status.start()
            return
        cost = f"{step.seconds:6.1f} s" + (f"  {step.bytes / 1e6:7.2f} MB" if step.bytes else "")
        self._print(Text.assemble((f"{step.number}  {step.title}", "bold"), f"  {cost}"))
        for line in step.lines:
            self._print(Text(f"     {line}"))

    def close(self) -> None:
        """Nothing runs any more."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def doing(self, text: str) -> None:
        """What the running step is at."""
        if self._status is not None:
            self._status.update(f"{self._title} · {text}")

    def summary(self, summary: dict[str, Any]) -> None:
        """The tables at the end."""
        money = summary["money"]
        total = f"CNY {money['total_minor'] / 100:,.2f}"
        lines = [
            f"settled: {money['statements']} statement, {money['lines']} lines, {total}",
            f"checked by the examiner: {summary['checks']:,} things hold, no finding",
            *(f"attack found: {attack['what']} -> {attack['named']}" for attack in summary["attacks"]),
        ]
        self.end([learned(summary), _scorecards(summary), costs(summary)], lines, summary["files"])

    def end(self, tables: Sequence[Table], lines: Sequence[str], files: Mapping[str, str]) -> None:
        """What a scene ends with: tables, sentences, and where its files are."""
        self._console.print()
        for shown in tables:
            self._console.print(shown)
        for line in lines:
            self._print(Text(line))
        self._console.print()
        for name, path in files.items():
            self._print(Text(f"{name}: {path}"))

    def _print(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True)  # where lines end is the terminal's business; a log keeps them whole


def summary(story: Story) -> dict[str, Any]:
    """The stable JSON document of a demo that went through."""
    facts = story.facts
    return {
        "data": story.data.origin,
        "synthetic": story.data.synthetic,
        "period": story.period,
        **told(story),
        "aligned_clients": len(facts["tokens"]),
        "variants": facts["record"]["variants"],
        "pooled": facts["pooled"],
        "model_digest": facts["record"]["model_digest"],
        "money": facts["money"],
        "checks": facts["checks"],
        "attacks": facts["attacks"],
        "files": facts["files"],
    }


def told(scene: Scene) -> dict[str, Any]:
    """What every scene's summary holds: its steps, and who learned what."""
    return {
        "steps": [
            {"number": s.number, "title": s.title, "seconds": round(s.seconds, 2), "bytes": s.bytes, "lines": s.lines}
            for s in scene.steps
        ],
        "learned": [{"job": job, "what": what} for job, what in scene.learned],
    }


def learned(summary: dict[str, Any]) -> Table:
    """Who learned what."""
    made = table("who learned what, in the words that every party approved", "job", "what")
    job = ""
    for item in summary["learned"]:
        made.add_row("" if item["job"] == job else item["job"], item["what"])
        job = item["job"]
    return made


def _scorecards(summary: dict[str, Any]) -> Table:
    made = table(
        "joint profile, the same test rows for all", "scorecard", "AUC [95 %]", "average precision", "AUC uplift"
    )
    for variant in summary["variants"]:
        cells = [_estimate(variant[name]) for name in ("auc", "average_precision", "auc_uplift")]
        made.add_row(" + ".join(["broker", *variant["holders"]]), *cells)
    pooled = summary["pooled"]
    for name, figure in (
        ("same model, pooled rows", "same_model_auc_ppm"),
        ("logistic regression, pooled rows", "logistic_auc_ppm"),
    ):
        made.add_row(name, f"{pooled[figure] / PPM:.4f}", "", "")
    return made


def costs(summary: dict[str, Any]) -> Table:
    """What each step took."""
    made = table("cost", "step", "seconds", "bytes between hub and nodes")
    for step in summary["steps"]:
        made.add_row(step["title"], f"{step['seconds']:.1f}", f"{step['bytes']:,}" if step["bytes"] else "")
    total = [sum(step[figure] for step in summary["steps"]) for figure in ("seconds", "bytes")]
    made.add_row("all", f"{total[0]:.1f}", f"{total[1]:,}")
    return made


def _estimate(value: dict[str, int]) -> str:
    point, low, high = (value[name] / PPM for name in ("value_ppm", "low_ppm", "high_ppm"))
    return f"{point:.4f} [{low:.4f}, {high:.4f}]"


def table(title: str, *headings: str) -> Table:
    """An empty table in the demo's style."""
    made = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        made.add_column(heading, overflow="fold")
    return made
