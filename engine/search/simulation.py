"""One thread's simulations of the single tree: select, evaluate, back up, with buffers of its own."""

from __future__ import annotations

from engine.model.contract import Evaluator
from engine.search.backup import finish_lane
from engine.search.config import Formula
from engine.search.kernels import COLLIDED, begin_lane
from engine.search.lane import LaneBuffers
from engine.search.tree import Tree


class Simulation:
    """Runs one simulation at a time: `begin` and `finish` with the tree locked, `evaluate` in between without lock."""

    def __init__(self, evaluator: Evaluator, tree: Tree, formula: Formula) -> None:
        self._evaluator = evaluator
        self._buffers = LaneBuffers(tree, formula)
        self._lane = self._buffers.lane
        self._count: int = COLLIDED
        self.is_tree_full = False
        """Whether there was no room for another node when the last simulation had finished."""

    def begin(self) -> bool:
        """Selects a leaf; False after a collision: other threads evaluate everything that could be selected."""
        self._count = begin_lane(self._lane)
        return self.is_under_way

    @property
    def is_under_way(self) -> bool:
        """Whether there is one to finish."""
        return self._count != COLLIDED

    def evaluate(self) -> None:
        """Asks the network, unless the leaf's value is known."""
        if self._count:
            buffers, descents = self._buffers, self._buffers.descents
            output = self._evaluator.recurrent(
                descents.parent_slots, descents.actions, descents.to_play, descents.child_slots
            )
            # Into buffers of one type and layout: the lane has no others.
            buffers.policy_logits[:] = output.policy_logits
            buffers.value[:] = output.value
            buffers.reward[:] = output.reward

    def finish(self) -> int:
        """Adds the leaf to the tree's statistics. Returns the number of evaluations that it took: 1 or 0."""
        count, self._count = self._count, COLLIDED
        self.is_tree_full = finish_lane(self._lane, count)
        return count
