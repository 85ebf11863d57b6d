"""What imagination costs in strength: a model that looks ahead in what it learned against itself on real boards."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from engine.model.contract import PositionEvaluator
from trainer.config import TrainConfig
from trainer.diagnosis.candidate import with_size
from trainer.game_search import GameSearch
from trainer.positions import Position, replay_to
from trainer.rating import elo_gain, play_pairs
from trainer.selfplay import roots_of

MakeEvaluator = Callable[[int], PositionEvaluator]
"""An evaluator of the model with so many slots."""
Match = dict[str, Any]


def play_match(
    config: TrainConfig, make_evaluator: MakeEvaluator, simulations: tuple[int, int], *, pairs: int, seed: int
) -> Match:
    """Plays `pairs` openings with both colours on boards of `config.env.size`; `simulations` a move of the side that
    imagines, and of the side that looks at the real board at every node and knows its legal moves and outcomes.

    Returns both, `games`, and the Elo that imagining gains (`elo_gain`, as a rule negative) with half its 95 % interval
    (`elo_error`). The openings follow from `seed`.
    """
    sides = [_side(config, n, reground_every=i, games=pairs) for i, n in enumerate(simulations)]
    evaluators = [make_evaluator(pairs * (n + 1)) for n in simulations]
    rng = np.random.default_rng(seed)
    shares = play_pairs(sides[0], *evaluators, pairs=pairs, rng=rng, second_config=sides[1])
    elo = {name: round(value, 3) for name, value in elo_gain(shares).items()}
    return {"simulations": list(simulations), "games": 2 * pairs, **elo}


def equal_time(
    config: TrainConfig,
    make_evaluator: MakeEvaluator,
    positions: list[Position],
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[int, int]:
    """Simulations of the two sides of `play_match` that take equal time: those of `config` for the side that looks, as
    many more for the other as its search of `positions` is faster by `clock`."""
    count, simulations = len(positions), config.search.num_simulations
    seconds = []
    for reground_every in (0, 1):
        side = _side(config, simulations, reground_every=reground_every, games=count)
        boards = replay_to(positions, config.env.size)
        evaluator = make_evaluator(count * (simulations + 1))
        search = GameSearch(side, evaluator, num_games=count, num_actions=boards.num_actions)
        times = []
        for _ in range(3):
            begin = clock()
            search.run(roots_of(boards), boards, rng=np.random.default_rng(0), gumbel_scale=0.0)
            times.append(clock() - begin)
        seconds.append(min(times))
    return max(1, round(simulations * seconds[1] / seconds[0])), simulations


def _side(config: TrainConfig, simulations: int, *, reground_every: int, games: int) -> TrainConfig:
    config = with_size(config, config.env.size, num_simulations=simulations)
    return dataclasses.replace(
        config,
        selfplay=dataclasses.replace(config.selfplay, num_games=games, reground_every=reground_every),
        search=dataclasses.replace(config.search, dirichlet_fraction=0.0),
    )
