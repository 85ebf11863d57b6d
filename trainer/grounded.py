"""`GroundedBatch`: what `engine.grounded` does for the one tree of a player, for the trees of self-play, in step.

Real boards stand beside the nodes of the trees. Only legal actions are tried, a game that is over has its outcome, and
every `reground_every`-th ply the representation of the real position takes the place of the imagined state; where that
is every ply, nothing is imagined and no states are kept. Knows Go and a network; nothing of search or learning.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.go.batch import GoBatch
from engine.go.board_forest import BoardForest
from engine.go.features import Variant
from engine.model.contract import ILLEGAL_LOGIT, PositionEvaluator, RecurrentOutput, RootOutput


class GroundedBatch:
    """An `Evaluator` of `num_trees` trees around another one. `begin` tells it the games before each search."""

    def __init__(
        self,
        evaluator: PositionEvaluator,
        *,
        size: int,
        num_trees: int,
        nodes_per_tree: int,
        reground_every: int,
        variant: Variant = "full",
    ) -> None:
        """For boards of one `size`; `reground_every` is at least 1. `variant`: the planes that the network sees."""
        self.num_slots = num_trees * nodes_per_tree
        self._evaluator = evaluator
        self._forest = BoardForest(size=size, num_trees=num_trees, nodes_per_tree=nodes_per_tree)
        self._reground_every = reground_every
        self._variant: Variant = variant
        self._max_plies = 0
        self._imagined = np.zeros(self.num_slots, np.int32)  # plies since the last look at a real position
        self._outcome = np.full(self.num_slots, np.nan, np.float32)  # of the game, NaN while it goes on

    def begin(self, games: GoBatch) -> None:
        """The next roots are the positions of `games`, in order."""
        self._max_plies = games.max_plies
        self._forest.begin(games)

    def initial(self, observations: NDArray[np.float32], slots: NDArray[np.int32]) -> RootOutput:
        """See `Evaluator.initial`; the slots are those of the roots."""
        self._imagined[slots], self._outcome[slots] = 0, np.nan
        return self._see(observations, slots)

    def recurrent(
        self,
        parent_slots: NDArray[np.int32],
        actions: NDArray[np.int32],
        to_play: NDArray[np.int8],
        child_slots: NDArray[np.int32],
    ) -> RecurrentOutput:
        """See `Evaluator.recurrent`; one step of a tree at most. A game that is over stays as it is."""
        forest, count = self._forest, len(actions)
        passes = forest.play(parent_slots, actions, child_slots)
        outcome = self._outcome[parent_slots]
        ends = np.isnan(outcome) & ((passes >= 2) | (forest.ply(child_slots) >= self._max_plies))
        outcome[ends] = forest.outcomes(child_slots[ends])
        self._outcome[child_slots] = outcome
        is_over = ~np.isnan(outcome)
        is_due = self._imagined[parent_slots] + 1 >= self._reground_every
        self._imagined[child_slots] = np.where(is_due, 0, self._imagined[parent_slots] + 1)
        legal = forest.legal(child_slots)
        legal[is_over, :-1] = False
        policy_logits, value, reward = np.zeros(legal.shape, np.float32), outcome, np.zeros(count, np.float32)
        seen, imagined = np.flatnonzero(is_due & ~is_over), np.flatnonzero(~is_due & ~is_over)
        if seen.size:
            slots = child_slots[seen]
            root = self._see(forest.observe(slots, variant=self._variant), slots)
            policy_logits[seen], value[seen] = root.policy_logits, root.value
        if imagined.size:
            output = self._evaluator.recurrent(
                parent_slots[imagined], actions[imagined], to_play[imagined], child_slots[imagined]
            )
            policy_logits[imagined], value[imagined] = output.policy_logits, output.value
            reward[imagined] = output.reward
        policy_logits[~legal] = ILLEGAL_LOGIT
        return RecurrentOutput(policy_logits=policy_logits, value=value, reward=reward)

    def _see(self, observations: NDArray[np.float32], slots: NDArray[np.int32]) -> RootOutput:
        """The network's judgement of real positions [B, ...], whose states go into `slots` [B] if any are imagined."""
        if self._reground_every > 1:
            return self._evaluator.initial(observations, slots)
        policy_logits, value = self._evaluator.look(observations)
        return RootOutput(policy_logits=policy_logits, value=value)
