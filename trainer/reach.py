"""How far the rewards of games and what they add up to reach, and what of that a network's supports cut off.

`Support.encode` clamps without a word, for it is called at every step; this looks at every game once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate

import numpy as np
import torch

from trainer.network import NetworkConfig
from trainer.record import GameRecord

TOLERANCE = 1e-3
"""Part of a support by which a number may be beyond it: what rounding does, and what does no harm."""


def reach(games: Sequence[GameRecord], *, discount: float) -> dict[str, float]:
    """The least and the greatest reward of a ply of `games`, and of what follows on one, discounted, first player's
    view: "reward_low", "value_high" and so on. Nothing without games."""
    if not games:
        return {}
    rewards = np.concatenate([game.rewards for game in games])
    values = np.concatenate([_returns(game, discount) for game in games])
    return {
        "value_low": float(values.min()),
        "value_high": float(values.max()),
        "reward_low": float(rewards.min()),
        "reward_high": float(rewards.max()),
    }


def _returns(game: GameRecord, discount: float) -> list[float]:
    """Discounted rewards from each of the T + 1 positions on, the last one first."""
    rewards = reversed(game.rewards.tolist())
    return list(accumulate(rewards, lambda later, reward: reward + discount * later, initial=game.bootstrap))


def cut_off(figures: Mapping[str, float], network: NetworkConfig) -> dict[str, str]:
    """What the supports of `network` cut off of `figures` by `reach`: a line for each setting that is to change."""
    notes = {}
    for name, what, support in (("value", "returns", network.value), ("reward", "rewards", network.reward)):
        for end, sign in (("low", -1.0), ("high", 1.0)):
            reached = figures.get(f"{name}_{end}")
            if support is None or reached is None:
                continue
            bound: float = getattr(support, end)
            needed = support.transform(torch.tensor(reached, dtype=torch.float64)).item()
            if sign * (needed - bound) > TOLERANCE * (support.high - support.low):
                setting = f"network.{name}.{end}"
                compressed = f" (compressed {needed:.4g})" if support.compress else ""
                notes[setting] = (
                    f"{what} reach {reached:.4g}{compressed}, but {setting} is {bound:g}: what is beyond is learned as "
                    f"if it were there; begin a new run with --set {setting}={needed:.4g} or further out"
                )
    return notes
