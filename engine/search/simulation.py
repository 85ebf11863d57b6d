"""One thread's simulations of the single tree: select, evaluate, back up, with buffers of its own."""

from __future__ import annotations

from engine.model.contract import Evaluator
from engine.search.backup import finish_lane
from engine.search.config import Formula
from engine.search.kernels import COLLIDED, begin_lane
from engine.search.lane import LaneBuffers
from engine.search.tree import Tree


class Simulations:
    """Up to `most` simulations at a time: `begin` and `finish` with the tree locked, `evaluate` in between without."""

    def __init__(self, evaluator: Evaluator, tree: Tree, formula: Formula, *, most: int = 1) -> None:
        self.most = most
        """So many leaves are evaluated together at most."""
        self.is_tree_full = False
        """Whether there was no room for another node when the last simulation had finished."""
        self._evaluator = evaluator
        self._buffers = LaneBuffers(tree, formula, most)
        self._lanes = self._buffers.lanes
        self._count = 0

    def begin(self) -> bool:
        """Selects one more leaf; False after a collision: everything that could be selected is being evaluated. Where
        the leaf's value is known, the simulation has ended as well."""
        lane = self._lanes[self._count]
        found = begin_lane(lane)
        if found == COLLIDED:
            return False
        if found:
            self._count += 1
        else:
            self.is_tree_full = finish_lane(lane, 0)
        return True

    @property
    def are_under_way(self) -> bool:
        """Whether there are some to finish."""
        return self._count > 0

    def evaluate(self) -> None:
        """Asks the network about all leaves."""
        count = self._count
        if count:
            buffers, descents = self._buffers, self._buffers.descents
            output = self._evaluator.recurrent(
                descents.parent_slots[:count],
                descents.actions[:count],
                descents.to_play[:count],
                descents.child_slots[:count],
            )
            # Into buffers of one type and layout: the lanes have no others.
            buffers.policy_logits[:count] = output.policy_logits
            buffers.value[:count] = output.value
            buffers.reward[:count] = output.reward

    def finish(self) -> int:
        """Adds the leaves to the tree's statistics. Returns their number, which is that of the evaluations."""
        count, self._count = self._count, 0
        for lane in self._lanes[:count]:
            self.is_tree_full = finish_lane(lane, 1)
        return count
