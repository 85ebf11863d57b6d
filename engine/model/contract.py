"""What a search may ask of a network: the `Evaluator` protocol and its two outputs.

Knows nothing of boards, ONNX or torch. Hidden states are named by slot and never leave the evaluator that made them.
Every value, reward, score and ownership is from the first player's (Black's) view.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

ILLEGAL_LOGIT: Final = -1e9
"""A policy logit of `RecurrentOutput` that is not above this says that the action cannot be played there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RootOutput:
    """`initial_inference` of a batch of B real positions with A actions."""

    policy_logits: NDArray[np.float32]
    """[B, A] prior logits, unmasked: illegal actions are the caller's business."""
    value: NDArray[np.float32]
    """[B] expected outcome, Black's view; in [-1, 1] for board games."""
    ownership: NDArray[np.float32] | None = None
    """[B, H, W] in [-1, 1], +1 = Black owns the point; None where the model has no such head."""
    score_mean: NDArray[np.float32] | None = None
    """[B] expected final score in points, komi included, Black's view."""
    score_stdev: NDArray[np.float32] | None = None
    """[B] how far off that score will be, points: by its name the standard deviation, of models made here the mean
    absolute error, four fifths of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecurrentOutput:
    """`recurrent_inference`: one imagined step for each of B hidden states."""

    policy_logits: NDArray[np.float32]
    """[B, A] prior logits of the state after the action; ILLEGAL_LOGIT for what is known to be illegal there."""
    value: NDArray[np.float32]
    """[B] value of the state after the action, Black's view."""
    reward: NDArray[np.float32]
    """[B] reward of the step, first player's view; all zero for models without rewards."""


class Evaluator(Protocol):
    """A network behind a pool of hidden-state slots 0..num_slots-1.

    Calls on disjoint child slots may come from several threads at once. Writing a slot that another call reads is a
    caller's error and is not checked. Both calls block; both raise `EvaluationError` on NaN or infinity. What they
    return is the caller's own.
    """

    num_slots: int

    def initial(self, observations: NDArray[np.float32], slots: NDArray[np.int32]) -> RootOutput:
        """Encodes `observations` [B, ...] and stores the hidden states in `slots` [B]."""
        ...

    def recurrent(
        self,
        parent_slots: NDArray[np.int32],
        actions: NDArray[np.int32],
        to_play: NDArray[np.int8],
        child_slots: NDArray[np.int32],
    ) -> RecurrentOutput:
        """Imagines `actions` [B], made by the players `to_play` [B] (+1 first player, -1 second) in the states
        `parent_slots` [B], and stores the resulting states in `child_slots` [B]."""
        ...


class PositionEvaluator(Evaluator, Protocol):
    """An evaluator that also judges real positions from which nothing is to be imagined."""

    def look(self, observations: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Policy logits [B, A] and values [B] of `observations` [B, ...], as `initial` gives them; uses no slots."""
        ...
