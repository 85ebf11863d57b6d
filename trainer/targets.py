"""Training targets of unrolled windows as pure functions of game records.

A window starts at ply t of a game and unrolls K steps; state k is the position before ply t + k. Past the end of the
game the value stays what it was, the reward is 0 and there is no policy target (MuZero, appendix G, with an outcome
that is constant instead of zero, since it is always told from the first player's view).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.record import GameRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowTargets:
    """Targets of B windows with K unrolled steps and A actions."""

    policy: NDArray[np.float32]
    """[B, K + 1, A] improved policy."""
    policy_weight: NDArray[np.float32]
    """[B, K + 1] 0 past the end and at plies that were not searched."""
    value: NDArray[np.float32]
    """[B, K + 1] first player's view."""
    reward: NDArray[np.float32]
    """[B, K] reward of the step into state k + 1."""


def window_targets(
    windows: list[tuple[GameRecord, int]],
    *,
    steps: int,
    num_actions: int,
    value_target: str,
    td_steps: int,
    discount: float,
) -> WindowTargets:
    """Builds the targets of `windows` (game, start ply); the policy is not yet augmented."""
    count = len(windows)
    policy = np.zeros((count, steps + 1, num_actions), np.float32)
    value = np.zeros((count, steps + 1), np.float32)
    reward = np.zeros((count, steps), np.float32)
    for i, (game, start) in enumerate(windows):
        kept = min(steps + 1, len(game) - start)
        rows = np.arange(kept)[:, None]
        actions = game.policy_actions[start : start + kept]
        np.add.at(policy[i], (rows, actions), game.policy_probabilities[start : start + kept].astype(np.float32))
        taken = game.rewards[start : start + steps]
        reward[i, : len(taken)] = taken
        if value_target == "outcome":
            value[i] = game.outcome
        else:
            for k in range(steps + 1):
                value[i, k] = n_step_value(game, start + k, td_steps=td_steps, discount=discount)
    return WindowTargets(policy=policy, policy_weight=policy.sum(-1).clip(max=1.0), value=value, reward=reward)


def n_step_value(game: GameRecord, ply: int, *, td_steps: int, discount: float) -> float:
    """Discounted rewards of `td_steps` plies plus the search's value after them; 0 past the end.

    Where the game was cut off, `game.bootstrap` stands for what would have come.
    """
    length = len(game)
    if ply > length or (ply == length and game.bootstrap == 0.0):
        return 0.0
    stop = min(ply + td_steps, length)
    total = 0.0
    for i in range(ply, stop):
        total += discount ** (i - ply) * float(game.rewards[i])
    tail = float(game.root_values[stop]) if stop < length else game.bootstrap
    return total + discount ** (stop - ply) * tail
