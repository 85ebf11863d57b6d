"""`GameSearch`: the batched search of a run's games, with real boards beside its trees where the run says so.

The games may be searched in parts, each by a thread of its own: while the network judges the leaves of one part, the
trees and boards of the others are worked on, in compiled code that runs on as many cores as there are.
"""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

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
        self._shape = num_games, num_actions
        threads = 1
        # Parts share the evaluator, but not its slots, and one stream of noise.
        if config.selfplay.reground_every == 1 and config.search.algorithm == "gumbel":
            threads = min(config.selfplay.search_threads, num_games)
        bounds = np.linspace(0, num_games, threads + 1).astype(int).tolist()
        self._rows = [slice(*ends) for ends in pairwise(bounds)]
        self._parts = [_Part(config, evaluator, rows.stop - rows.start, num_actions) for rows in self._rows]
        self._threads = ThreadPoolExecutor(threads, "games") if threads > 1 else None

    def run(
        self,
        roots: RootBatch,
        games: GoBatch | None,
        *,
        rng: np.random.Generator,
        num_simulations: int | NDArray[np.int64] | None = None,
        gumbel_scale: float | NDArray[np.float32] = 1.0,
    ) -> BatchResult:
        """See `BatchSearch.run`. `games` are those of the roots; only Go has them. The result does not depend on the
        number of parts but for the rounding of the network."""
        if self._threads is None:
            return self._parts[0].run(roots, games, rng=rng, num_simulations=num_simulations, gumbel_scale=gumbel_scale)
        assert games is not None
        scale = np.asarray(gumbel_scale).reshape(-1, 1)
        noise = scale * rng.gumbel(size=self._shape) if scale.any() else np.zeros(self._shape)
        gumbel = noise.astype(np.float32)

        def search(part: _Part, rows: slice) -> BatchResult:
            simulations = num_simulations[rows] if isinstance(num_simulations, np.ndarray) else num_simulations
            return part.run(
                _taken(roots, rows), games.take(rows), rng=rng, num_simulations=simulations, gumbel=gumbel[rows]
            )

        results = list(self._threads.map(search, self._parts, self._rows))
        names = [field.name for field in dataclasses.fields(BatchResult)]
        return BatchResult(**{name: np.concatenate([getattr(result, name) for result in results]) for name in names})


class _Part:
    """Games that are searched together."""

    def __init__(self, config: TrainConfig, evaluator: PositionEvaluator, num_games: int, num_actions: int) -> None:
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
        num_simulations: int | NDArray[np.int64] | None,
        gumbel_scale: float | NDArray[np.float32] = 1.0,
        gumbel: NDArray[np.float32] | None = None,
    ) -> BatchResult:
        """See `BatchSearch.run`."""
        if self._grounded is not None:
            assert games is not None
            self._grounded.begin(games)
        return self._search.run(
            roots, rng=rng, num_simulations=num_simulations, gumbel_scale=gumbel_scale, gumbel=gumbel
        )


def _taken(roots: RootBatch, rows: slice) -> RootBatch:
    """The roots of these rows."""
    arrays = {field.name: getattr(roots, field.name) for field in dataclasses.fields(roots)}
    return dataclasses.replace(
        roots, **{name: value[rows] for name, value in arrays.items() if isinstance(value, np.ndarray)}
    )
