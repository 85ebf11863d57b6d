"""The model card: README.md of a model folder, from what its manifest holds. A figure that is not known is left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from engine.go.features import PLANES
from engine.model.manifest import ModelManifest
from trainer.diagnosis.tables import card_table, match_table, matches_of, to_markdown
from trainer.run_facts import CURVE_COLUMNS

_COUNTS: Final = {
    "games": "games of self-play",
    "positions": "positions",
    "windows": "training windows",
    "step": "optimiser steps",
    "core_hours": "core-hours",
    "gpu_hours": "GPU-hours",
    "wall_hours": "hours on the clock",
    "seed": "seed",
}


def model_card(
    manifest: ModelManifest,
    *,
    curve: Sequence[Mapping[str, float]] = (),
    notes: str = "",
    certificate: Mapping[str, Any] | None = None,
) -> str:
    """Markdown. `curve`: rows of a run's figures, oldest first; `notes`: text for a section on strength; `certificate`:
    what `tengen diagnose` found."""
    sections = [
        f"# {manifest.name}\n\n{_introduction(manifest)}",
        f"## What it is\n\n{_table(_facts(manifest))}",
        f"## Training\n\n{_training(manifest.training)}",
        f"### Learning curve\n\n{_curve(curve)}" if curve else "",
        f"## Strength\n\n{notes.strip()}" if notes.strip() else "",
        f"## How far its imagination can be trusted\n\n{_imagination(certificate)}" if certificate else "",
        f"## Checks\n\n{_checks(manifest.training.get('agreement'))}",
        f"## Limits\n\n{_limits(manifest)}",
    ]
    return "\n\n".join(filter(None, sections)) + "\n"


def _introduction(manifest: ModelManifest) -> str:
    made = f"exported by Tengen {manifest.tengen_version} on {manifest.created}"
    if manifest.shape.kind != "go":
        return f"A MuZero model of `{manifest.environment}`, learned by self-play alone; {made}."
    return (
        f"A MuZero model of Go on {_boards(manifest.trained_sizes)}, learned by self-play alone: no game records, no "
        f"teacher; {made}.\n\n```\ntengen gtp --model {manifest.name}\n```"
    )


def _facts(manifest: ModelManifest) -> Iterable[tuple[str, str]]:
    shape, training = manifest.shape, manifest.training
    yield "model", f"`{manifest.identity}`"
    yield "game", f"`{manifest.environment}`"
    if shape.kind == "go":
        low, high = manifest.playable_sizes
        yield "trained on", _boards(manifest.trained_sizes)
        yield "may be used on", f"{low}x{low} to {high}x{high}"
        if manifest.komi_range is not None:
            yield "komi in training", " to ".join(f"{komi:g}" for komi in dict.fromkeys(manifest.komi_range))
        planes = len(PLANES.get(manifest.feature_variant, ()))
        yield "observation", f"{planes} planes, `{manifest.feature_variant}` version {manifest.feature_version}"
        yield "precision", manifest.precision
    else:
        yield "observation", f"{shape.observation_size} numbers"
    yield "hidden state", f"{shape.hidden_size} {'planes' if shape.kind == 'go' else 'numbers'}, in [0, 1]"
    if "parameters" in training:
        yield "parameters", f"{training['parameters']:,}"
    for name, file in (("initial.onnx", manifest.initial), ("recurrent.onnx", manifest.recurrent)):
        yield name, f"{file.size:,} bytes, sha256 `{file.sha256}`"


def _training(training: Mapping[str, Any]) -> str:
    rows = [(label, _number(training[key])) for key, label in _COUNTS.items() if training.get(key) is not None]
    for part, source in training.get("origin", {}).items():
        cost = f"{source['games']:,} games, {source['core_hours']:.2f} core-hours"
        if source.get("gpu_hours"):
            cost += f", {source['gpu_hours']:.2f} GPU-hours"
        rows.append((f"began with the {part} of", f"`{source['name']}` at step {source['step']:,}: {cost}"))
    table = _table(rows) if rows else "Not recorded."
    if command := training.get("command"):
        table += f"\n\n```\n{command}\n```"
    return table


def _curve(curve: Sequence[Mapping[str, float]]) -> str:
    columns = [key for key in CURVE_COLUMNS if any(row.get(key) for row in curve)]
    header = [CURVE_COLUMNS[key] for key in columns]
    rows = [[_number(row[key]) if key in row else "" for key in columns] for row in curve]
    return "\n".join(_row(cells) for cells in (header, ["---:"] * len(columns), *rows))


def _imagination(certificate: Mapping[str, Any]) -> str:
    games, table, matches = certificate["games"], card_table(certificate), match_table(matches_of(certificate))
    strength = f"{matches.title}. {matches.note}\n\n{to_markdown(matches)}\n\n" if matches.rows else ""
    return (
        f"Moves imagined one after another, against the real board after the same moves: {games['windows']} positions "
        f"of {games['count']} games ({games['source']}) on {games['size']}x{games['size']}. {table.note}\n\n"
        f"{to_markdown(table)}\n\n{strength}Everything that was measured is in certificate.json.\n\n"
        f"```\n{certificate['command']}\n```"
    )


def _checks(agreement: Mapping[str, Any] | None) -> str:
    if agreement is None:
        return "None recorded."
    if "policy_kl" in agreement:
        return _quantization_loss(agreement)
    boards = f" on {_boards(agreement['board_sizes'])}" if agreement["board_sizes"] else ""
    worst = _table((f"`{name}`", f"{difference:.1e}") for name, difference in agreement["largest"].items())
    return (
        f"The largest differences between torch and ONNX Runtime over {agreement['positions']} positions of random "
        f"games{boards}, and four imagined steps from each:\n\n{worst}"
    )


def _quantization_loss(loss: Mapping[str, Any]) -> str:
    figures = (
        ("KL(policy of float32, policy of int8), nats", f"{loss['policy_kl']:.4f}"),
        ("difference of the values, which lie in [-1, 1]", f"{loss['value_error']:.4f}"),
        ("the largest of these", f"{loss['largest_value_error']:.3f}"),
        ("the same best move", f"{loss['best_move']:.1%}"),
        ("imagined: KL of the policies, nats", f"{loss['imagined_policy_kl']:.4f}"),
        ("imagined: difference of the values", f"{loss['imagined_value_error']:.4f}"),
        ("imagined: the same best move", f"{loss['imagined_best_move']:.1%}"),
    )
    return (
        f"Against `{loss['against']}`, its float32 form, at {loss['positions']} positions ({loss['games']}), and over "
        f"{loss['imagined_steps']} imagined moves behind each:\n\n{_table(figures)}"
    )


def _limits(manifest: ModelManifest) -> str:
    if manifest.shape.kind != "go":
        return "It knows its one environment."
    return (
        f"It has seen boards of {_boards(manifest.trained_sizes)} only, and games that were scored by area, with "
        "every stone that stands counted as alive. How well it does on other sizes and under other rules is not known. "
        "What it imagines a few moves ahead is learned, not computed from the rules."
    )


def _boards(sizes: Iterable[int]) -> str:
    return ", ".join(f"{size}x{size}" for size in sizes)


def _table(rows: Iterable[tuple[str, str]]) -> str:
    return "\n".join(["| | |", "|---|---|", *(_row(cells) for cells in rows)])


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _number(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
