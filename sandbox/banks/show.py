"""What the banks scene reads of a run's report, and the table of every bank before and after, beside pooled rows."""

from collections.abc import Mapping
from typing import Any

from sandbox.banks.pooled import Peer
from sandbox.demo_show import PPM, Screen, costs, learned, table

FIGURES = ("alone", "joint", "personal")


def records(report: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What each bank measured on its own test rows and signed."""
    found = {d["signer"]: d["body"]["record"] for d in report["documents"] if d["kind"] == "train-result"}
    return dict(sorted(found.items()))


def run_record(report: Mapping[str, Any]) -> dict[str, Any]:
    """The hub's record of the run: sums over all banks alone."""
    (found,) = [d["body"]["record"] for d in report["documents"] if d["kind"] == "model-record"]
    return dict(found)


def rows(signed: Mapping[str, Mapping[str, Any]], peer: Peer) -> list[dict[str, Any]]:
    """One row a bank: AUC on its own test rows of its own model, the joint, the adjusted, and the pooled one (ppm)."""
    return [
        {
            "bank": name,
            "rows_train": record["rows_train"],
            "rows_test": record["rows_test"],
            **{f"{figure}_ppm": record["auc"][f"{figure}_ppm"] for figure in FIGURES},
            "pooled_ppm": round(peer.own[name] * PPM),
        }
        for name, record in signed.items()
    ]


def sentence(row: Mapping[str, Any]) -> str:
    """What a bank got out of it, gain or loss alike."""
    if row["joint_ppm"] is None or row["alone_ppm"] is None:
        return f"{row['bank']}: no AUC, its test rows are all of one class"
    gain = row["joint_ppm"] - row["alone_ppm"]
    word = "gains" if gain > 0 else "loses" if gain < 0 else "keeps"
    return (
        f"{row['bank']}: {word} {abs(gain) / PPM:.4f} AUC by the joint model on its own {row['rows_test']:,} test rows"
    )


def training(report: Mapping[str, Any]) -> list[str]:
    """The run in a few lines."""
    record, history = run_record(report), report["history"]
    losses = record["loss_micro"]
    return [
        f"{len(history)} rounds, loss of {record['loss_rows']} rows {losses[0] / PPM:.4f} -> {losses[-1] / PPM:.4f}",
        f"median round {_median([item['milliseconds'] for item in history]):.0f} ms; {report['bytes'] / 1e6:.2f} MB in "
        f"all; {record['clipped']} values clipped",
        f"model {record['model_digest'][:12]}…, one and the same at every bank",
    ]


def end(screen: Screen, summary: Mapping[str, Any]) -> None:
    """The tables at the end."""
    made = table(
        "AUC on each bank's own test rows", "bank", "train rows", "test rows", "alone", "joint", "personal", "pooled"
    )
    for row in summary["banks"]:
        figures = [_auc(row[f"{name}_ppm"]) for name in (*FIGURES, "pooled")]
        made.add_row(row["bank"], f"{row['rows_train']:,}", f"{row['rows_test']:,}", *figures)
    made.add_row("all", "", "", "", _auc(summary["joint_auc_ppm"]), "", _auc(summary["pooled_auc_ppm"]))
    lines = [
        f"encrypted run and plain fixed-point run: one model, {summary['model_digest']}",
        "alone: the bank's own rows, as many steps; personal: the joint model adjusted on the bank's own rows",
    ]
    screen.end([learned(dict(summary)), made, costs(dict(summary))], lines, summary["files"])


def _auc(ppm: int | None) -> str:
    return "-" if ppm is None else f"{ppm / PPM:.4f}"


def _median(values: list[int]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return float(ordered[middle]) if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
