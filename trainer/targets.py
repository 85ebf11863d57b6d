"""Training targets of unrolled windows as pure functions of game records.

A window starts at ply t of a game and unrolls K steps; state k is the position before ply t + k. Past the end of a
finished game nothing changes any more: the outcome stays what it was (MuZero, appendix G, has 0 there; an outcome told
from the first player's view is constant), n-step values and rewards are 0, and there is no policy target. Past the
end of a game that was cut off nothing is known, so nothing is taught.
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
    value_weight: NDArray[np.float32]
    """[B, K + 1] 0 where a random opening move followed, whose outcome is not the position's, and past a cut."""
    reward: NDArray[np.float32]
    """[B, K] reward of the step into state k + 1, first player's view."""
    reward_weight: NDArray[np.float32]
    """[B, K] 0 past a cut."""


def window_targets(
    windows: list[tuple[GameRecord, int]],
    *,
    steps: int,
    num_actions: int,
    value_target: str,
    td_steps: int,
    discount: float,
) -> WindowTargets:
    """Targets of `windows`, pairs (game, start ply), before augmentation.

    `value_target` is "outcome" (every state has the game's outcome) or "n_step" (see `n_step_value`).
    """
    count = len(windows)
    policy = np.zeros((count, steps + 1, num_actions), np.float32)
    value, value_weight = np.zeros((count, steps + 1), np.float32), np.ones((count, steps + 1), np.float32)
    reward, reward_weight = np.zeros((count, steps), np.float32), np.ones((count, steps), np.float32)
    rows = np.arange(steps + 1)[:, None]
    for i, (game, start) in enumerate(windows):
        stop = min(start + steps + 1, len(game))
        actions, probabilities = game.policy_actions[start:stop], game.policy_probabilities[start:stop]
        # Entries that only fill up have action 0 and probability 0: added, not assigned.
        np.add.at(policy[i], (rows[: stop - start], actions), probabilities.astype(np.float32))
        value_weight[i, : max(0, game.opening_plies - start)] = 0.0
        taken = game.rewards[start : start + steps]
        reward[i, : len(taken)] = taken
        if game.was_cut_off:
            value_weight[i, len(game) - start + 1 :] = 0.0
            reward_weight[i, len(taken) :] = 0.0
        if value_target == "outcome":
            value[i] = game.outcome
        else:
            value[i] = [n_step_value(game, start + k, td_steps=td_steps, discount=discount) for k in range(steps + 1)]
    return WindowTargets(
        policy=policy,
        policy_weight=policy.sum(-1).clip(max=1.0),
        value=value,
        value_weight=value_weight,
        reward=reward,
        reward_weight=reward_weight,
    )


def n_step_value(game: GameRecord, ply: int, *, td_steps: int, discount: float) -> float:
    """Discounted rewards of `td_steps` plies from `ply` on, plus the search's value after them; 0 past the end.

    Where the game was cut off before that, `game.bootstrap` stands for what would have come.
    """
    length = len(game)
    if ply > length:
        return 0.0
    stop = min(ply + td_steps, length)
    rewards = game.rewards[ply:stop]
    tail = float(game.root_values[stop]) if stop < length else game.bootstrap
    return float(rewards @ discount ** np.arange(len(rewards))) + discount ** (stop - ply) * tail
