"""The figures of a certificate as PNG files. Measures nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trainer.diagnosis.tables import LABELS

PANELS: Final = (
    "policy_kl",
    "best_move",
    "value_error",
    "illegal_mass",
    "board_changed",
    "board_whole",
    "ownership_same",
    "cosine",
    "terminal_f1",
)
LINES: Final = {
    ("on_policy", "imagined"): ("imagined, moves of the games", "C0-"),
    ("off_policy", "imagined"): ("imagined, random moves", "C1-"),
    ("on_policy", "fresh"): ("fresh look", "C2:"),
    ("on_policy", "still"): ("no dynamics", "C7--"),
}
SIZE: Final = (11, 9)


def write_plots(certificate: Mapping[str, Any], folder: Path) -> list[Path]:
    """Writes drift.png and, where there are figures for them, komi.png and trees.png; returns their paths."""
    plots = {"drift.png": plot_drift(certificate)}
    if certificate.get("komi"):
        plots["komi.png"] = plot_komi(certificate["komi"])
    if certificate.get("trees"):
        plots["trees.png"] = plot_trees(certificate["trees"])
    for name, figure in plots.items():
        figure.savefig(folder / name, dpi=110)
    return [folder / name for name in plots]


def plot_drift(certificate: Mapping[str, Any]) -> Figure:
    """One panel a figure, over the number of imagined moves."""
    figure = Figure(figsize=SIZE, layout="constrained")
    drift = certificate["drift"]
    for axes, name in zip(figure.subplots(3, 3).flat, PANELS, strict=True):
        for (policy, source), (label, style) in LINES.items():
            values = drift[policy]["all"][source].get(name)
            if values:
                axes.plot([float("nan") if v is None else v for v in values], style, label=label)
        _finish(axes, title=LABELS[name].removesuffix(", %"), across="imagined moves")
        axes.axvline(certificate["unroll_steps"], color="0.8", zorder=0)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    figure.suptitle(f"{certificate['model']['name']}: imagined against real (grey line: as far as training went)")
    return figure


def plot_komi(sweep: Mapping[str, Any]) -> Figure:
    """Value and score of the empty board."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(sweep["komi"], sweep["value"], "C0.-", label="value")
    axes.set_ylim(-1.05, 1.05)
    axes.axhline(0, color="0.8", zorder=0)
    _finish(axes, title=f"The empty {sweep['size']}x{sweep['size']} board", across="komi")
    axes.set_ylabel("value, Black's view")
    if sweep["score"] is not None:
        other = axes.twinx()
        other.plot(sweep["komi"], sweep["score"], "C1--", label="score")
        largest = 1.05 * max(1.0, *map(abs, sweep["score"]))
        other.set_ylim(-largest, largest)
        other.set_ylabel("score in points (dashed)")
    return figure


def plot_trees(audits: list[Mapping[str, Any]]) -> Figure:
    """Illegal visits and value error over depth."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for audit in audits:
        depths = [row["depth"] for row in audit["depths"]]
        for axes, name in ((left, "illegal_visits"), (right, "value_error")):
            values = [float("nan") if row[name] is None else row[name] for row in audit["depths"]]
            axes.plot(depths, values, ".-", label=f"{audit['simulations']} simulations")
    _finish(left, title="share of visits after an illegal move", across="depth in the tree")
    _finish(right, title="value error", across="depth in the tree")
    left.legend()
    return figure


def _finish(axes: Axes, *, title: str, across: str) -> None:
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(across)
    axes.grid(alpha=0.3)
