"""One thread's simulations of the single tree: select, evaluate, back up, with buffers of its own."""

from __future__ import annotations

import numpy as np

from engine.model.contract import Evaluator
from engine.search.backup import expand_and_backup
from engine.search.config import Formula
from engine.search.kernels import select
from engine.search.tree import NO_LEAF, Tree, allocate_descents


class Simulation:
    """Runs one simulation at a time: `begin` and `finish` with the tree locked, `evaluate` in between without lock."""

    def __init__(self, evaluator: Evaluator, tree: Tree, formula: Formula) -> None:
        self._evaluator = evaluator
        self._tree = tree
        self._formula = formula
        self._active = np.ones(1, np.bool_)
        self._descents = allocate_descents(1)
        self._policy_logits = np.zeros((1, tree.children_index.shape[2]), np.float32)
        self._value = np.zeros(1, np.float32)
        self._reward = np.zeros(1, np.float32)
        self._count = 0

    def begin(self) -> bool:
        """Selects a leaf; False after a collision: other threads evaluate everything that could be selected."""
        self._count = select(self._tree, self._formula, self._active, self._descents, 0, 1)
        return bool(self._descents.leaf[0] != NO_LEAF)

    def evaluate(self) -> int:
        """Asks the network, unless the leaf's value is known. Returns the number of evaluations: 1 or 0."""
        if self._count:
            descents = self._descents
            output = self._evaluator.recurrent(
                descents.parent_slots, descents.actions, descents.to_play, descents.child_slots
            )
            # Into buffers of one type and layout: anything else would compile the kernel once more.
            self._policy_logits[:] = output.policy_logits
            self._value[:] = output.value
            self._reward[:] = output.reward
        return self._count

    def finish(self) -> None:
        """Adds the leaf to the tree's statistics."""
        answers = self._policy_logits, self._value, self._reward
        expand_and_backup(self._tree, self._formula, self._descents, 0, 1, self._count, *answers)
