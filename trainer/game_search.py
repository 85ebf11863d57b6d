"""`GameSearch`: the batched search of a run's games, with real boards beside its trees where the run says so."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.go.batch import GoBatch
from engine.model.contract import PositionEvaluator
from engine.search.batch_search import BatchResult, BatchSearch
from engine.search.roots import RootBatch
from trainer.config import TrainConfig
from trainer.grounded import GroundedBatch


class GameSearch:
    """Searches `num_games` games in step with `config.search`."""

    def __init__(self, config: TrainConfig, evaluator: PositionEvaluator, *, num_games: int, num_actions: int) -> None:
        """`evaluator` is of `make_evaluator`, for as many games."""
        self._grounded: GroundedBatch | None = None
        if config.selfplay.reground_every:
            self._grounded = GroundedBatch(
                evaluator,
                size=config.env.size,
                num_trees=num_games,
                nodes_per_tree=config.search.num_simulations + 1,
                reground_every=config.selfplay.reground_every,
                variant=config.variant,
            )
        self._search = BatchSearch(
            self._grounded or evaluator, batch_size=num_games, num_actions=num_actions, config=config.search
        )

    def run(
        self,
        roots: RootBatch,
        games: GoBatch | None,
        *,
        rng: np.random.Generator,
        num_simulations: int | NDArray[np.int64] | None = None,
        gumbel_scale: float | NDArray[np.float32] = 1.0,
    ) -> BatchResult:
        """See `BatchSearch.run`. `games` are those of the roots; only Go has them."""
        if self._grounded is not None:
            assert games is not None
            self._grounded.begin(games)
        return self._search.run(roots, rng=rng, num_simulations=num_simulations, gumbel_scale=gumbel_scale)
