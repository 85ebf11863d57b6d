"""How much stronger a network became: paired games against an earlier one.

A run's own win rates say nothing of its strength, for both sides learn; these games do. Elo adds up along the chain of
ratings, and so do its errors. Two-player games only.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.elo import paired_share, to_elo
from engine.model.contract import PositionEvaluator
from trainer.actor import Weights, make_evaluator
from trainer.config import TrainConfig
from trainer.game_search import GameSearch
from trainer.selfplay import draw_komi, go_games, make_env, make_roots, random_actions

OPENING_PLIES = (2, 6)
"""Games begin with so many random legal moves, the same in both games of a pair."""


def rate(
    config: TrainConfig, newer: Weights, older: Weights, *, pairs: int, device: str, rng: np.random.Generator
) -> dict[str, float]:
    """Plays 2 * `pairs` games with the search of `config` and no noise.

    Returns the `win_rate` of `newer`, a draw being half a game won, its `elo_gain`, and the half width `elo_error` of
    the 95 % interval of that. Elo stays finite: a side that won every game is taken to have lost half a one.
    """
    config = dataclasses.replace(
        config,
        selfplay=dataclasses.replace(config.selfplay, num_games=pairs),
        search=dataclasses.replace(config.search, dirichlet_fraction=0.0),
    )
    evaluators = [make_evaluator(weights, config, device=device) for weights in (newer, older)]
    return elo_gain(play_pairs(config, *evaluators, pairs=pairs, rng=rng))


def elo_gain(shares: NDArray[np.float64]) -> dict[str, float]:
    """The `win_rate` of the side that won these `shares` [pairs] of each pair's points, its `elo_gain`, and the half
    width `elo_error` of the 95 % interval of that; finite, see `rate`."""
    share, least = paired_share(list(shares)), 0.5 / (2 * len(shares) + 1)
    gain, low, high = (to_elo(min(max(s, least), 1 - least)) for s in (share.mean, share.low, share.high))
    return {"win_rate": share.mean, "elo_gain": gain, "elo_error": max(high - gain, gain - low)}


def play_pairs(
    config: TrainConfig,
    first: PositionEvaluator,
    second: PositionEvaluator,
    *,
    pairs: int,
    rng: np.random.Generator,
    second_config: TrainConfig | None = None,
) -> NDArray[np.float64]:
    """Plays `pairs` openings with both colours, all games in step; returns [pairs] the share of each pair's points that
    `first` won. `second` searches by `second_config`, if it is not to search as `config` says."""
    env = make_env(config, num_envs=2 * pairs)
    searches = [
        GameSearch(side, evaluator, num_games=pairs, num_actions=env.num_actions)
        for side, evaluator in ((config, first), (second_config or config, second))
    ]
    openings = np.tile(rng.integers(*OPENING_PLIES, size=pairs, endpoint=True), 2)
    options: dict[str, Any] = {"reset_mask": np.ones(2 * pairs, bool)}
    if config.is_go:
        options["komi"] = np.tile(draw_komi(config, pairs, rng), 2)
    observations, infos = env.reset(seed=int(rng.integers(2**31)), options=options)
    is_over, outcome = np.zeros(2 * pairs, bool), np.zeros(2 * pairs)
    ply = 0
    while not is_over.all():
        actions = np.empty(2 * pairs, np.int32)
        # `first` is Black in the first half of the games, so that each side moves in one half of them.
        for search, half in zip(searches, _halves(pairs, ply), strict=True):
            roots = make_roots(config, observations[half], {k: v[half] for k, v in infos.items()})
            games = go_games(env)
            boards = None if games is None else games.take(half)
            actions[half] = search.run(roots, boards, rng=rng, gumbel_scale=0.0).action
        noise = np.tile(rng.random((pairs, env.num_actions)), (2, 1))
        random = random_actions(noise, infos["action_mask"], has_pass=config.is_go)
        actions = np.where(ply < openings, random, actions).astype(np.int32)
        observations, rewards, terminated, truncated, infos = env.step(actions)
        outcome += np.where(is_over, 0.0, rewards)
        is_over |= terminated | truncated
        ply += 1
    points = 0.5 + 0.5 * outcome * np.repeat([1, -1], pairs)
    return (points[:pairs] + points[pairs:]) / 2


def _halves(pairs: int, ply: int) -> tuple[slice, slice]:
    """The games in which the first side moves at `ply`, and those in which the second does."""
    halves = slice(0, pairs), slice(pairs, 2 * pairs)
    return halves if ply % 2 == 0 else halves[::-1]
