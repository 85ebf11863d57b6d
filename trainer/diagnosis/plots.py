"""The figures of a certificate as PNG files. Measures nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trainer.diagnosis.tables import LABELS, boards_of, matches_of, reference_step, unmet_of
from trainer.wording import counted

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
CONDITION_PANELS: Final = ("best_move", "value_error", "illegal_mass", "board_changed", "board_whole")
LINES: Final = {
    ("on_policy", "imagined"): ("imagined, moves of the games", "C0-"),
    ("off_policy", "imagined"): ("imagined, random moves", "C1-"),
    ("on_policy", "fresh"): ("fresh look", "C2:"),
    ("on_policy", "still"): ("no dynamics", "C7--"),
}
SIZE: Final = (11, 9)


def write_plots(certificate: Mapping[str, Any], folder: Path) -> list[Path]:
    """Writes drift.png and, where there are figures for them, komi.png and trees.png for each board of the training,
    those of the smaller ones with the size in their name, and conditions.png and matches.png; returns their paths."""
    plots = {}
    for board in boards_of(certificate):
        suffix = "" if board is certificate else f"-{board['games']['size']}"
        plots[f"drift{suffix}.png"] = plot_drift(board, certificate["model"]["name"])
        if board.get("komi"):
            plots[f"komi{suffix}.png"] = plot_komi(board["komi"])
        if board.get("trees"):
            plots[f"trees{suffix}.png"] = plot_trees(board["trees"])
    plots["conditions.png"] = plot_conditions(certificate)
    if matches_of(certificate):
        plots["matches.png"] = plot_matches(certificate)
    for name, figure in plots.items():
        figure.savefig(folder / name, dpi=110)
    return [folder / name for name in plots]


def plot_drift(board: Mapping[str, Any], model: str) -> Figure:
    """One panel a figure, over the number of imagined moves."""
    figure = Figure(figsize=SIZE, layout="constrained")
    drift, size = board["drift"], board["games"]["size"]
    for axes, name in zip(figure.subplots(3, 3).flat, PANELS, strict=True):
        for (policy, source), (label, style) in LINES.items():
            values = drift[policy]["all"][source].get(name)
            if values:
                axes.plot([float("nan") if v is None else v for v in values], style, label=label)
        _finish(axes, title=LABELS[name].removesuffix(", %"), across="imagined moves")
        axes.axvline(board["unroll_steps"], color="0.8", zorder=0)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    figure.suptitle(f"{model} on {size}x{size}: imagined against real (grey line: as far as training went)")
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
            axes.plot(depths, values, ".-", label=counted(audit["simulations"], "simulation"))
    _finish(left, title="share of visits after an illegal move", across="depth in the tree")
    _finish(right, title="value error", across="depth in the tree")
    left.legend()
    return figure


def plot_conditions(certificate: Mapping[str, Any]) -> Figure:
    """One step of imagination, by what happened on the way and by where it was not trained: one bar a condition."""
    step = reference_step(certificate)
    slices = certificate["drift"]["on_policy"]
    conditions = {name: sources["imagined"] for name, sources in slices.items()}
    conditions |= {name: entry["drift"]["imagined"] for name, entry in unmet_of(certificate).items()}
    conditions = {name: figures for name, figures in conditions.items() if figures["states"][step]}
    names = [name for name in CONDITION_PANELS if name not in certificate["not_measured"]]
    figure = Figure(figsize=(12, 1.5 + 0.3 * len(conditions)), layout="constrained")
    panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for axes, name in zip(panels, names, strict=True):
        values = [figures[name][step] for figures in conditions.values()]
        colours = ["C0" if condition in slices else "C1" for condition in conditions]
        axes.barh(list(conditions), [float("nan") if value is None else value for value in values], color=colours)
        _finish(axes, title=LABELS[name].removesuffix(", %"), across="")
    panels[0].invert_yaxis()
    figure.suptitle(
        f"{counted(step, 'move')} ahead, by what happened on the way (blue) and where it was not trained (orange)"
    )
    return figure


def plot_matches(certificate: Mapping[str, Any]) -> Figure:
    """Elo of imagination against real boards, with 95 % intervals."""
    matches = matches_of(certificate)
    figure = Figure(figsize=(7, 1.2 + 0.4 * len(matches)), layout="constrained")
    axes = figure.subplots()
    elo, error = ([match[name] for match in matches.values()] for name in ("elo_gain", "elo_error"))
    axes.errorbar(elo, list(matches), xerr=error, fmt="o")
    axes.axvline(0, color="0.8", zorder=0)
    axes.margins(y=0.3)
    axes.invert_yaxis()
    _finish(axes, title="imagination against real boards, the same weights", across="Elo of imagination")
    return figure


def _finish(axes: Axes, *, title: str, across: str) -> None:
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(across)
    axes.grid(alpha=0.3)
