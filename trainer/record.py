"""One finished game as the replay buffer keeps it: moves and search results, about 60 bytes a ply for Go.

Go observations are not stored: the rules kernel replays the moves in batch (trainer/windows.py). Other environments
store them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

POLICY_TOP = 16
"""Entries kept of each policy target, the most likely ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GameRecord:
    """A game of T plies with A actions, from the first player's view throughout."""

    actions: NDArray[np.int16]
    """[T]."""
    to_play: NDArray[np.int8]
    """[T] who moved: +1 or -1."""
    rewards: NDArray[np.float32]
    """[T] reward of each ply."""
    policy_actions: NDArray[np.int16]
    """[T, POLICY_TOP] actions of the policy target, filled up with 0 at probability 0."""
    policy_probabilities: NDArray[np.float16]
    """[T, POLICY_TOP]; a row of zeros where it is not to be learned (random openings, quick searches)."""
    root_values: NDArray[np.float32]
    """[T] value that the search found, or the network's where a random move needed no search."""
    surprise: NDArray[np.float32]
    """[T] KL(policy target || prior) in nats."""
    bootstrap: float = 0.0
    """Value of the state after the last ply: 0 if the game ended, the network's estimate if it was cut off."""
    komi: float = 0.0
    """Go: komi."""
    score: float = 0.0
    """Go: final score in points, Black minus White minus komi; else the sum of rewards."""
    opening_plies: int = 0
    """Plies of a random opening: moves whose outcome is not the position's."""
    ownership: NDArray[np.int8] | None = None
    """[area] Go: who owned each point at the end, +1 Black, -1 White, 0 neither."""
    observations: NDArray[np.float32] | None = None
    """[T + 1, ...] for environments other than Go."""

    def __len__(self) -> int:
        """T."""
        return len(self.actions)

    @property
    def size(self) -> int:
        """Go: the board's size; 0 for other games."""
        return 0 if self.ownership is None else math.isqrt(len(self.ownership))

    @property
    def was_cut_off(self) -> bool:
        """Whether the game stopped before its end, as an environment's time limit does."""
        return self.bootstrap != 0.0

    @property
    def outcome(self) -> float:
        """Final result in [-1, 1]: the sign of the score."""
        return float(np.sign(self.score))


def guess_opening(policy_probabilities: NDArray[np.float16]) -> int:
    """Plies before the first whose policy is to be learned: `GameRecord.opening_plies`, where it was not recorded."""
    taught = policy_probabilities.any(1)
    return int(taught.argmax()) if taught.any() else len(taught)


def top_policy(policy: NDArray[np.float32]) -> tuple[NDArray[np.int16], NDArray[np.float16]]:
    """The POLICY_TOP likeliest entries of policies [N, A], renormalised: (actions [N, 16], probabilities [N, 16])."""
    n, num_actions = policy.shape
    kept = min(POLICY_TOP, num_actions)
    actions = np.zeros((n, POLICY_TOP), np.int16)
    probabilities = np.zeros((n, POLICY_TOP), np.float32)
    index = np.argpartition(-policy, kept - 1, axis=1)[:, :kept]
    actions[:, :kept] = index
    probabilities[:, :kept] = np.take_along_axis(policy, index, axis=1)
    probabilities /= np.maximum(probabilities.sum(1, keepdims=True), 1e-9)
    return actions, probabilities.astype(np.float16)
