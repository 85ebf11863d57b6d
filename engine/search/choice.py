"""From root statistics to a policy and an action, for B roots: what the two algorithms make of what they found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.search import gumbel, puct
from engine.search.config import SearchConfig
from engine.search.qvalues import RootStatistics
from engine.search.roots import RootBatch


@dataclass(frozen=True, slots=True, kw_only=True)
class RootChoice:
    """What is fixed of a search's roots once they are evaluated."""

    config: SearchConfig
    """The search's settings."""
    roots: RootBatch
    """The B positions."""
    policy_logits: NDArray[np.float32]
    """[B, A] the network's logits."""
    prior: NDArray[np.float32]
    """[B, A] its policy over the legal actions, 0 elsewhere."""
    scores: NDArray[np.float32]
    """[B, A] Gumbel noise + logits, see `gumbel.root_scores`."""

    def policy(self, statistics: RootStatistics) -> NDArray[np.float32]:
        """[B, A] float32: improved policy ("gumbel") or shares of the visits ("puct"), exactly 0 on illegal actions."""
        if self.config.algorithm == "gumbel":
            return gumbel.improved_policy(self.policy_logits, statistics.sigma, self.roots.legal_mask)
        return puct.visit_policy(statistics.visits, self.prior)

    def action(self, statistics: RootStatistics, *, in_rounds: bool = False) -> NDArray[np.int32]:
        """[B] int32: the search's choice. `in_rounds`: sequential halving has no last round, see `HalvingRounds`."""
        arguments = statistics.visits, self.scores, statistics.sigma, self.roots.legal_mask
        best = gumbel.winner(*arguments)
        if self.config.algorithm == "gumbel":
            return gumbel.anytime_winner(*arguments) if in_rounds else best
        found = self._most_certain(statistics) if self.config.choice == "lcb" else self._most_visited(statistics)
        return np.where(statistics.visits.any(axis=1), found, best)

    def _most_visited(self, statistics: RootStatistics) -> NDArray[np.int32]:
        return puct.most_visited(statistics.visits, self.prior, self.roots.legal_mask)

    def _most_certain(self, statistics: RootStatistics) -> NDArray[np.int32]:
        bounds, share = self.lower_bounds(statistics), self.config.lcb_min_share
        return puct.best_by_lower_bound(bounds, statistics.visits, self.roots.legal_mask, min_share=share)

    def lower_bounds(self, statistics: RootStatistics) -> NDArray[np.float64]:
        """[B, A] float64: what Q is hardly worse than, for the player to move; see `puct.lower_bounds`."""
        q = self.roots.to_play[:, None] * statistics.q
        return puct.lower_bounds(statistics.visits, q, statistics.variance, stdevs=self.config.lcb_stdevs)

    def winning_actions(self) -> NDArray[np.int32]:
        """[B] int32: an action that wins the game on the spot, or -1; only where values are outcomes."""
        values = self.roots.terminal_values
        if values is None or self.config.value_transform != "fixed":
            return np.full(self.roots.size, -1, np.int32)
        wins = self.roots.legal_mask & (values * self.roots.to_play[:, None] >= 1.0)
        best = np.where(wins, self.prior, -1.0).argmax(axis=1)
        return np.where(wins.any(axis=1), best, -1).astype(np.int32)
