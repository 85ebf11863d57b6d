"""The empty board over komi: more komi must never be better for Black, and the value must turn where the score says."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.go.batch import GoBatch
from trainer.config import KOMI_STEP, komi_steps
from trainer.diagnosis.subject import Subject

MARGIN = 4.0
"""Points swept below and above the komi of training."""
SLACK = 0.005
"""A rise of the value smaller than this is not counted against the model."""

Sweep = dict[str, Any]


def sweep_komi(subject: Subject, *, size: int, low: float, high: float) -> Sweep:
    """Value, and score if the model tells it, of the empty board at every half point of komi from `low` to `high`."""
    komi = np.array(komi_steps(low, high)) * KOMI_STEP
    seen = subject.look(GoBatch(num_games=len(komi), size=size, komi=komi).observe())
    rises = np.diff(seen.value.astype(np.float64))
    turns = crossings(komi, seen.value)
    return {
        "size": size,
        "komi": komi.tolist(),
        "value": _rounded(seen.value),
        "score": None if seen.score is None else _rounded(seen.score),
        "rises": int((rises > SLACK).sum()),
        "largest_rise": round(float(rises.max(initial=0.0)), 4),
        "value_turns_at": turns,
        "score_turns_at": None if seen.score is None else crossings(komi, seen.score),
        "score_at_turn": [] if seen.score is None else _rounded(np.interp(turns, komi, seen.score)),
    }


def crossings(komi: NDArray[np.float64], values: NDArray[np.float32]) -> list[float]:
    """Every komi, interpolated, at which `values` change their sign."""
    signs = np.sign(values)
    found = [float(k) for k, sign in zip(komi, signs, strict=True) if sign == 0]
    for i in np.flatnonzero(signs[:-1] * signs[1:] < 0):
        share = values[i] / (values[i] - values[i + 1])
        found.append(float(komi[i] + share * (komi[i + 1] - komi[i])))
    return [round(k, 2) for k in sorted(found)]


def _rounded(values: NDArray[Any]) -> list[float]:
    return [round(float(value), 4) for value in values]
