"""Reanalyze (Schrittwieser et al. 2021): positions of the window are searched again with the newest network.

A game keeps its moves and its outcome; the searched position gets a new policy, a new value of the search and a new
surprise. Go only: other environments cannot be set to a position of an old game.
"""

from __future__ import annotations

import numpy as np

from engine.go.batch import GoBatch
from engine.go.kernels import NO_MOVE
from engine.search.roots import RootBatch
from trainer.actor import Weights, load_weights, make_evaluator
from trainer.config import TrainConfig
from trainer.game_search import GameSearch
from trainer.record import GameRecord, top_policy
from trainer.replay import ReplayBuffer
from trainer.selfplay import roots_of, surprise


class Reanalyzer:
    """Searches positions of stored games, `selfplay.num_games` at a time."""

    def __init__(self, config: TrainConfig, weights: Weights, *, device: str) -> None:
        self._evaluator = make_evaluator(weights, config, device=device)
        self._count = config.selfplay.num_games
        self._variant = config.variant
        self._batch = GoBatch(num_games=self._count, size=config.env.size)
        self._search = GameSearch(config, self._evaluator, num_games=self._count, num_actions=self._batch.num_actions)

    def refresh(self, replay: ReplayBuffer, weights: Weights, *, positions: int, rng: np.random.Generator) -> int:
        """Searches at least `positions` of the window's positions, evenly drawn; returns how many it searched."""
        load_weights(self._evaluator, weights)
        searched = 0
        while searched < positions and replay.games:
            self._search_again(replay.sample_evenly(self._count, rng), rng)
            searched += self._count
        replay.reweigh()
        return searched

    def _search_again(self, positions: list[tuple[GameRecord, int]], rng: np.random.Generator) -> None:
        """Writes what the search finds into the records."""
        roots = self._roots(positions)
        result = self._search.run(roots, self._batch, rng=rng)
        actions, probabilities = top_policy(result.policy_target)
        surprises = surprise(result, roots.legal_mask)
        for row, (game, ply) in enumerate(positions):
            game.policy_actions[ply], game.policy_probabilities[ply] = actions[row], probabilities[row]
            game.root_values[ply], game.surprise[ply] = result.root_value[row], surprises[row]

    def _roots(self, positions: list[tuple[GameRecord, int]]) -> RootBatch:
        """The positions, replayed from the start of their games."""
        last = max(ply for _, ply in positions)
        moves = np.full((self._count, last), NO_MOVE, np.int32)
        for row, (game, ply) in enumerate(positions):
            moves[row, :ply] = game.actions[:ply]
        batch = self._batch
        batch.reset(np.arange(self._count), komi=np.array([game.komi for game, _ in positions], np.float32))
        batch.play_sequences(moves)
        return roots_of(batch, variant=self._variant)
