"""How far imagination drifts from the rules: K imagined moves against the real positions after the same moves.

For every step three predictions are judged alike: `imagined` (the dynamics from the start of the window), `fresh` (the
representation of the real position) and `still` (that of the window's start: what one would know without dynamics).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from trainer.config import TrainConfig
from trainer.diagnosis.slices import Mask, find_slices
from trainer.diagnosis.subject import Prediction, Subject
from trainer.positions import Position
from trainer.windows import WindowBuilder, Windows

SOURCES: Final = ("imagined", "fresh", "still")
WINDOWS_AT_ONCE: Final = 256

Floats = NDArray[np.float32]
Figures = dict[str, list[float | None]]
"""A mean for each step 0..K by name; None where there was nothing to measure."""
Weighted = tuple[NDArray[Any], Floats]
"""Values [B], numbers or truths, and their weights [B]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What is so at one step of B windows."""

    alive: Mask
    """[B] the game is not over."""
    legal: Floats
    """[B, area] 1 where the player to move may play."""
    board: NDArray[np.int64]
    """[B, area] class of each point."""
    changed: Mask
    """[B, area] the point changed at some step since the start of the window."""
    removed: Mask
    """[B, area] a stone was taken off this point since the start of the window."""
    ownership: Floats
    """[B, area] who owned the point when the game ended; 0 nobody, or unknown."""
    outcome: Floats
    """[B] sign of the final score; 0 a draw, or unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """Figures of single windows, before they are averaged; K + 1 steps, B windows."""

    values: dict[str, dict[str, Floats]]
    """By source and name, [K + 1, B]."""
    weights: dict[str, dict[str, Floats]]
    """By source and name, [K + 1, B]; 0 where there is nothing to measure."""
    slices: dict[str, Mask]
    """By name, [K + 1, B]."""


def measure(
    subject: Subject, positions: list[Position], config: TrainConfig, *, steps: int, rng: np.random.Generator
) -> Measurements:
    """Imagines the next `steps` moves of the games from `positions`, all on boards of `config.env.size`."""
    learner = dataclasses.replace(
        config.learner,
        unroll_steps=steps,
        consistency_steps=steps,
        consistency_weight=1.0,
        branch_share=0.0,
        symmetries=False,
    )
    builder = WindowBuilder(dataclasses.replace(config, learner=learner), num_actions=config.env.size**2 + 1)
    parts = [
        measure_windows(subject, builder.build(positions[i : i + WINDOWS_AT_ONCE], rng))
        for i in range(0, len(positions), WINDOWS_AT_ONCE)
    ]
    return _join(parts)


def measure_windows(subject: Subject, windows: Windows) -> Measurements:
    """Judges every step of windows that hold the real observations of all their steps."""
    judged: dict[str, list[dict[str, Weighted]]] = {source: [] for source in SOURCES}
    start = imagined = fresh = subject.look(windows.observation.numpy())
    for step, truth in enumerate(_truths(windows)):
        if step > 0:
            imagined = subject.imagine(imagined.state, windows.action_planes[step - 1].numpy())
            fresh = subject.look(windows.future_observations[step - 1].numpy())
        for source, prediction in zip(SOURCES, (imagined, fresh, start), strict=True):
            judged[source].append(judge(prediction, truth, fresh))
    return Measurements(
        values={source: _stack(rows, 0) for source, rows in judged.items()},
        weights={source: _stack(rows, 1) for source, rows in judged.items()},
        slices=find_slices(windows, start.value),
    )


def judge(prediction: Prediction, truth: Truth, fresh: Prediction) -> dict[str, Weighted]:
    """Every figure of one prediction of B positions, against the rules and against the model's own `fresh` look."""
    alive = truth.alive.astype(np.float32)
    probabilities, expected = _softmax(prediction.policy_logits), _softmax(fresh.policy_logits)
    divergence = (expected * (np.log(expected + 1e-12) - np.log(probabilities + 1e-12))).sum(1)
    found: dict[str, Weighted] = {
        "policy_kl": (divergence.clip(min=0), alive),
        "best_move": (_same(probabilities.argmax(1), expected.argmax(1)), alive),
        "illegal_mass": ((probabilities[:, :-1] * (1 - truth.legal)).sum(1), alive),
        "value_error": (np.abs(prediction.value - fresh.value), alive),
        "winner": (_same(np.sign(prediction.value), truth.outcome), alive * (truth.outcome != 0)),
    }
    if prediction.ownership is not None and fresh.ownership is not None:
        owner, known = np.sign(prediction.ownership), truth.ownership != 0
        found["ownership_same"] = (_same(owner, np.sign(fresh.ownership)).mean(1), alive)
        found["ownership_right"] = _share(owner == truth.ownership, known & truth.alive[:, None])
    if prediction.hidden is not None and fresh.hidden is not None:
        norms = np.linalg.norm(prediction.hidden, axis=1) * np.linalg.norm(fresh.hidden, axis=1)
        found["cosine"] = ((prediction.hidden * fresh.hidden).sum(1) / np.maximum(norms, 1e-9), alive)
    return found | _judge_board(prediction, truth, alive)


def _judge_board(prediction: Prediction, truth: Truth, alive: Floats) -> dict[str, Weighted]:
    """Figures of the heads that only training uses."""
    found: dict[str, Weighted] = {}
    if prediction.board is not None:
        right, here = prediction.board == truth.board, truth.alive[:, None]
        found["board"] = (right.mean(1), alive)
        found["board_whole"] = (right.all(1), alive)
        found["board_changed"] = _share(right, truth.changed & here)
        found["board_removed"] = _share(right, truth.removed & here)
    if prediction.legal is not None:
        found["legal"] = (_same(prediction.legal, truth.legal > 0).mean(1), alive)
    if prediction.terminal is not None:
        said, over = prediction.terminal, ~truth.alive
        always = np.ones_like(alive)
        found["terminal_hit"] = (said & over, always)
        found["terminal_miss"] = (~said & over, always)
        found["terminal_false"] = (said & ~over, always)
    return found


def _truths(windows: Windows) -> Iterator[Truth]:
    go = windows.go
    assert go is not None
    board = go.board.numpy()
    changed = np.zeros(board[:, 0].shape, np.bool_)
    removed = np.zeros_like(changed)
    for step in range(board.shape[1]):
        if step > 0:
            changed = changed | (board[:, step] != board[:, 0])
            removed = removed | ((board[:, step - 1] != 0) & (board[:, step] == 0))
        yield Truth(
            alive=go.terminal[:, step].numpy() == 0,
            legal=go.legal[:, step].numpy(),
            board=board[:, step],
            changed=changed,
            removed=removed,
            ownership=go.ownership.numpy(),
            outcome=np.sign(go.score.numpy()),
        )


def summarise(measurements: Measurements, name: str = "all") -> dict[str, Figures]:
    """Means over the windows of the slice `name`, by source; `states` counts its positions, finished ones left out."""
    mask = measurements.slices[name]
    summary: dict[str, Figures] = {}
    for source in SOURCES:
        values, weights = measurements.values[source], measurements.weights[source]
        sums = {key: (values[key] * weights[key] * mask).sum(1) for key in values}
        totals = {key: (weights[key] * mask).sum(1) for key in values}
        figures = {
            key: [_ratio(s, t) for s, t in zip(sums[key], totals[key], strict=True)]
            for key in values
            if not key.startswith("terminal_")
        }
        if "terminal_hit" in sums and source == "imagined":  # no model is ever shown a finished game to look at
            hit, miss, false = (sums[f"terminal_{part}"] for part in ("hit", "miss", "false"))
            known = np.where(hit + miss > 0, 2 * hit + miss + false, 0)
            figures["terminal_f1"] = [_ratio(2 * h, t) for h, t in zip(hit, known, strict=True)]
        figures["states"] = [float(total) for total in totals["policy_kl"]]
        summary[source] = figures
    return summary


def _ratio(total: float, weight: float) -> float | None:
    return round(float(total / weight), 5) if weight > 0 else None


def _softmax(logits: Floats) -> Floats:
    weights = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(weights / weights.sum(1, keepdims=True))


def _same(one: NDArray[Any], other: NDArray[Any]) -> Floats:
    return np.asarray(one == other, np.float32)


def _share(right: Mask, among: Mask) -> Weighted:
    """The share of points that are right among some of them, weighted by their number."""
    count = among.sum(1).astype(np.float32)
    return ((right & among).sum(1) / np.maximum(count, 1)).astype(np.float32), count


def _stack(rows: list[dict[str, Weighted]], part: int) -> dict[str, Floats]:
    """Values (part 0) or weights (part 1) of all steps, [K + 1, B] by name; 0 at a step that lacks the figure."""
    nothing = np.zeros_like(rows[0]["policy_kl"][0])
    names = dict.fromkeys(name for row in rows for name in row)
    return {
        name: np.stack([row[name][part] if name in row else nothing for row in rows]).astype(np.float32)
        for name in names
    }


def _join(parts: list[Measurements]) -> Measurements:
    """Measurements of several batches as those of one."""
    first = parts[0]

    def join(field: str) -> dict[str, dict[str, Floats]]:
        return {
            source: {name: np.concatenate([getattr(p, field)[source][name] for p in parts], axis=1) for name in names}
            for source, names in getattr(first, field).items()
        }

    slices = {name: np.concatenate([part.slices[name] for part in parts], axis=1) for name in first.slices}
    return Measurements(values=join("values"), weights=join("weights"), slices=slices)
