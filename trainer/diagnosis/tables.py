"""The figures of a certificate as tables for people: on a terminal, in a log, in a model card. Measures nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Console
from rich.table import Table as RichTable

from trainer.wording import counted

LABELS: Final = {
    "policy_kl": "policy, KL in nats",
    "best_move": "same best move, %",
    "illegal_mass": "policy on illegal moves, %",
    "value_error": "value error",
    "winner": "winner right, %",
    "ownership_same": "same owner of points, %",
    "ownership_right": "owner right, %",
    "board": "points right, %",
    "board_changed": "changed points right, %",
    "board_removed": "captured points right, %",
    "board_whole": "whole board right, %",
    "legal": "legality of points right, %",
    "terminal_f1": "end of the game, F1",
    "cosine": "cosine of states",
}
"""Every figure of a step, in the order of the tables."""
IN_SLICES: Final = ("policy_kl", "best_move", "value_error", "illegal_mass", "board_changed", "board_whole")
SHOWN_STEPS: Final = (0, 1, 2, 3, 5, 8, 12)
MISSING: Final = "-"
IN_CARD: Final = ("best_move", "value_error", "illegal_mass", "board_changed", "board_whole")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Cells of text."""

    title: str
    """What it shows."""
    header: Sequence[str]
    """Headings; the first column holds names."""
    rows: Sequence[Sequence[str]]
    """Cells."""
    note: str = ""
    """How to read it."""


def make_tables(certificate: Mapping[str, Any]) -> list[Table]:
    """All tables of a certificate, in reading order; one of an older version lacks some."""
    tables = []
    for board in boards_of(certificate):
        tables += _board_tables(board)
    if unmet := unmet_of(certificate):
        tables.append(unmet_table(certificate, unmet))
    if matches := matches_of(certificate):
        tables.append(match_table(matches))
    return tables


def boards_of(certificate: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What was measured on each board of the training, the largest first."""
    shared = {name: certificate[name] for name in ("not_measured", "unroll_steps")}
    return [certificate, *({**shared, **board} for board in certificate.get("boards", {}).values())]


def unmet_of(certificate: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """What was measured where it was not trained, by name."""
    return {
        **{f"{size}x{size}": entry for size, entry in certificate.get("sizes", {}).items()},
        **{f"komi {komi}": entry for komi, entry in certificate.get("komis", {}).items()},
        **{f"games against {name}": entry for name, entry in certificate.get("opponents", {}).items()},
    }


def matches_of(certificate: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The matches of imagination against real boards, by name."""
    return {
        f"{board['games']['size']}x{board['games']['size']}, equal {match['equal']}": match
        for board in boards_of(certificate)
        for match in board.get("matches", [])
    }


def _board_tables(board: Mapping[str, Any]) -> list[Table]:
    size = board["games"]["size"]
    title = f"Imagined moves on {size}x{size}: the moves that were played"
    tables = [
        drift_table(title, board["drift"]["on_policy"]["all"]["imagined"]),
        comparison_table(board),
        slice_table(board),
    ]
    if board.get("komi"):
        tables.append(komi_table(board["komi"]))
    return tables + [tree_table(audit, size) for audit in board.get("trees", [])]


def drift_table(title: str, figures: Mapping[str, Any], *, names: Sequence[str] = tuple(LABELS)) -> Table:
    """One row a figure, one column an imagined step."""
    steps = [step for step in SHOWN_STEPS if step < len(figures["states"])]
    rows = [
        [LABELS[name], *(format_figure(name, figures[name][step]) for step in steps)]
        for name in names
        if has_figures(figures, name)
    ]
    rows.append(["positions", *(f"{figures['states'][step]:.0f}" for step in steps)])
    note = "Step 0 is the look at the real position. Policy, value, owner and state are compared with a fresh look."
    return Table(title=title, header=["imagined moves", *map(str, steps)], rows=rows, note=note)


def card_table(certificate: Mapping[str, Any]) -> Table:
    """The few figures that a model's card shows."""
    return drift_table("", certificate["drift"]["on_policy"]["all"]["imagined"], names=IN_CARD)


def comparison_table(certificate: Mapping[str, Any]) -> Table:
    """What one step tells, beside looking at the real board, and beside not imagining at all."""
    drift, step, size = certificate["drift"], reference_step(certificate), certificate["games"]["size"]
    on_policy, off_policy = drift["on_policy"]["all"], drift["off_policy"]["all"]
    columns = {
        "imagined": on_policy["imagined"],
        "fresh look": on_policy["fresh"],
        "no dynamics": on_policy["still"],
        "random moves": off_policy["imagined"],
        "no dynamics ": off_policy["still"],
    }
    rows = [
        [label, *(format_figure(name, _at(figures, name, step)) for figures in columns.values())]
        for name, label in LABELS.items()
        if has_figures(on_policy["imagined"], name)
    ]
    return Table(
        title=f"{counted(step, 'move')} ahead on {size}x{size}",
        header=["", *(name.strip() for name in columns)],
        rows=rows,
        note="The first three columns follow the games, the last two leave them by random legal moves.",
    )


def slice_table(certificate: Mapping[str, Any]) -> Table:
    """One row a slice of the windows."""
    step, size, rows = reference_step(certificate), certificate["games"]["size"], []
    names = [name for name in IN_SLICES if name not in certificate["not_measured"]]
    for policy, slices in certificate["drift"].items():
        for name, sources in slices.items():
            figures = sources["imagined"]
            cells = [format_figure(key, _at(figures, key, step)) for key in names]
            rows.append([f"{policy.replace('_', '-')}, {name}", f"{figures['states'][step]:.0f}", *cells])
    header = ["in these moves", "positions", *(LABELS[key] for key in names)]
    return Table(
        title=f"{counted(step, 'move')} ahead on {size}x{size}, by what happened on the way", header=header, rows=rows
    )


def komi_table(sweep: Mapping[str, Any]) -> Table:
    """The empty board over komi."""
    score = sweep["score"] or [None] * len(sweep["komi"])
    every = max(1, len(sweep["komi"]) // 8)
    rows = [
        [f"{komi:g}", f"{value:+.3f}", MISSING if points is None else f"{points:+.1f}"]
        for komi, value, points in list(zip(sweep["komi"], sweep["value"], score, strict=True))[::every]
    ]
    note = f"The value {_turns(sweep['value_turns_at'])}"
    if sweep["score_turns_at"] is not None:
        note += f", the score {_turns(sweep['score_turns_at'])}"
    if sweep["score_at_turn"]:
        note += f" (where the value turns it is {sweep['score_at_turn'][0]:+.1f})"
    rises = f"rises with komi {sweep['rises']} times, by up to {sweep['largest_rise']:.3f}"
    note += f". It {rises if sweep['rises'] else 'never rises with komi'}."
    title = f"The empty {sweep['size']}x{sweep['size']} board over komi"
    return Table(title=title, header=["komi", "value", "score"], rows=rows, note=note)


def unmet_table(certificate: Mapping[str, Any], unmet: Mapping[str, Mapping[str, Any]]) -> Table:
    """Where it was not trained, beside where it was."""
    step = reference_step(certificate)
    names = [name for name in ("winner", *IN_SLICES) if name not in certificate["not_measured"]]
    lines = [
        (f"{board['games']['size']}x{board['games']['size']}, trained", board["games"], board["drift"]["on_policy"])
        for board in boards_of(certificate)
    ]
    rows = []
    for name, games, sources in [
        *((name, games["count"], slices["all"]) for name, games, slices in lines),
        *((name, entry["games"], entry["drift"]) for name, entry in unmet.items()),
    ]:
        cells = [format_figure(key, _at(sources["imagined"], key, step)) for key in names]
        fresh = format_figure("winner", _at(sources["fresh"], "winner", step))
        rows.append([name, str(games), fresh, *cells])
    header = ["", "games", "winner right by a fresh look, %", *(LABELS[name] for name in names)]
    note = "At an untrained komi the same games are scored anew."
    return Table(title=f"Where it was not trained, {counted(step, 'move')} ahead", header=header, rows=rows, note=note)


def match_table(matches: Mapping[str, Mapping[str, Any]]) -> Table:
    """One row a match."""
    rows = [
        [
            name,
            *map(str, match["simulations"]),
            str(match["games"]),
            f"{match['elo_gain']:+.0f}",
            f"{match['elo_error']:.0f}",
        ]
        for name, match in matches.items()
    ]
    return Table(
        title="Imagination against real boards",
        header=["", "simulations, imagined", "simulations, real", "games", "Elo of imagination", "+-, 95 %"],
        rows=rows,
        note="The same weights search both ways, in pairs of games of one opening.",
    )


def tree_table(audit: Mapping[str, Any], size: int) -> Table:
    """One row a depth of the searched trees."""
    rows = [
        [
            str(row["depth"]),
            str(row["nodes"]),
            str(row["visits"]),
            _percent(row["illegal_visits"]),
            _percent(row["after_the_end"]),
            MISSING if row["value_error"] is None else f"{row['value_error']:.3f}",
        ]
        for row in audit["depths"]
    ]
    header = ["depth", "nodes", "visits", "visits after an illegal move, %", "after the end, %", "value error"]
    return Table(
        title=f"Trees of {counted(audit['positions'], 'search', 'searches')} with "
        f"{counted(audit['simulations'], 'simulation')} on {size}x{size}",
        header=header,
        rows=rows,
    )


def has_figures(figures: Mapping[str, Any], name: str) -> bool:
    """Whether anything is known of `name` in imagined states."""
    return any(value is not None for value in figures.get(name, [])[1:])


def reference_step(certificate: Mapping[str, Any]) -> int:
    """The step that tables of one step show: the last one that training unrolled."""
    steps = len(certificate["drift"]["on_policy"]["all"]["imagined"]["states"]) - 1
    return min(int(certificate["unroll_steps"]), steps)


def format_figure(name: str, value: float | None) -> str:
    """Shares in percent, everything else as it is."""
    if value is None:
        return MISSING
    return _percent(value) if LABELS[name].endswith("%") else f"{value:.3f}"


def print_tables(tables: Sequence[Table], console: Console) -> None:
    """Drawn on a terminal, aligned plain text elsewhere."""
    for table in tables:
        if console.is_terminal:
            console.print(f"[bold]{table.title}[/bold]", _drawn(table), *filter(None, [table.note]), "", sep="\n")
        else:
            console.print(to_text(table), soft_wrap=True, markup=False, highlight=False)


def to_text(table: Table) -> str:
    """Aligned columns; headings that are longer than their column are wrapped."""
    cells = [_wrapped(heading, 12) for heading in table.header]
    height = max(map(len, cells))
    headings = [[""] * (height - len(cell)) + cell for cell in cells]
    lines = [list(line) for line in zip(*headings, strict=True)] + [list(row) for row in table.rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(table.header))]
    text = [
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
    text.insert(height, "-" * len(text[0]))
    return "\n".join([table.title, *(line.rstrip() for line in text), *filter(None, [table.note]), ""])


def to_markdown(table: Table) -> str:
    """The cells only, without title and note."""
    lines = [table.header, ["---", *["---:"] * (len(table.header) - 1)], *table.rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _drawn(table: Table) -> RichTable:
    drawn = RichTable()
    for index, heading in enumerate(table.header):
        drawn.add_column(heading, justify="left" if index == 0 else "right", no_wrap=index == 0)
    for row in table.rows:
        drawn.add_row(*row)
    return drawn


def _wrapped(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _at(figures: Mapping[str, Any], name: str, step: int) -> float | None:
    value: float | None = figures[name][step] if name in figures else None
    return value


def _percent(share: float | None) -> str:
    return MISSING if share is None else f"{100 * share:.1f}"


def _turns(komi: Sequence[float]) -> str:
    return f"turns at {', '.join(f'{k:g}' for k in komi)}" if komi else "turns nowhere here"
