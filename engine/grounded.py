"""`GroundedEvaluator`: a network whose imagination is held to the rules by real boards beside its states.

MuZero imagines every position below the root, legality included. Here each node of the tree has its real board, which
costs microseconds, and three things can be taken from it: which actions are legal (down to `rules_depth`), the exact
outcome of two passes, and, at every `reground_every`-th ply, the hidden state: the representation of the real position
takes the place of the imagined one. With 1 that is AlphaZero, with 0 MuZero. Knows Go and a network; nothing of search.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidInput
from engine.go.board_tree import NO_BOARD, BoardTree, set_where_illegal
from engine.go.features import Variant
from engine.go.position import Position
from engine.model.contract import ILLEGAL_LOGIT, Evaluator, RecurrentOutput, RootOutput

Floats = NDArray[np.float32]

_LOST: Final = 0
"""The rules have lost the node: an illegal move led there."""
_KNOWN: Final = 1
"""The node has a board."""
_CHECKED: Final = 2
"""It has, and only legal actions are tried there."""


class GroundedEvaluator:
    """An `Evaluator` of one tree at a time around another one. `begin` tells it the game before each search."""

    def __init__(
        self, evaluator: Evaluator, *, size: int, variant: Variant, rules_depth: float, reground_every: int
    ) -> None:
        """`size` of the board and `variant` of the observations: the network's. The dials: see `PlayerSettings`."""
        self.num_slots = evaluator.num_slots
        self._evaluator = evaluator
        self._variant = variant
        self._rules_depth = rules_depth
        self._reground_every = reground_every
        self._boards = BoardTree(size=size, num_slots=self.num_slots)
        # By slot; bytes are read and written in a fraction of the time that an array's elements take.
        self._knowledge = bytearray(self.num_slots)
        self._imagined = bytearray(self.num_slots)  # plies since the last look at a real position
        self._ends_are_exact = True

    def begin(self, position: Position, *, ends_are_exact: bool) -> None:
        """The next root is `position`. Slots of the tree that continue the game before stay of use.

        `ends_are_exact`: two passes end the game, and the area score decides it.
        """
        self._boards.begin(position)
        self._ends_are_exact = ends_are_exact

    def initial(self, observations: Floats, slots: NDArray[np.int32]) -> RootOutput:
        """See `Evaluator.initial`; the first slot is the root's."""
        output = self._evaluator.initial(observations, slots)
        root = int(slots[0])
        self._boards.set_root(root)
        self._knowledge[root] = _CHECKED
        self._imagined[root] = 0
        return output

    def recurrent(
        self,
        parent_slots: NDArray[np.int32],
        actions: NDArray[np.int32],
        to_play: NDArray[np.int8],
        child_slots: NDArray[np.int32],
    ) -> RecurrentOutput:
        """See `Evaluator.recurrent`; of one state. The state of a node where the game is over is not computed."""
        if len(actions) != 1:
            raise InvalidInput(f"{len(actions)} states: expected one")
        parent, child = parent_slots.item(), child_slots.item()
        boards, known = self._boards, self._knowledge[parent]
        buffers = boards.take()
        try:
            passes = NO_BOARD
            if known != _LOST:
                passes = boards.play(buffers, parent, actions.item(), child, is_checked=known == _CHECKED)
            if passes == NO_BOARD:
                self._knowledge[child] = _LOST
                return self._evaluator.recurrent(parent_slots, actions, to_play, child_slots)
            if passes == 2 and self._ends_are_exact:
                return _end(boards.outcome(child), num_actions=buffers.legal.shape[1])
            if self._reground_every and self._is_due(parent, child):
                root = self._evaluator.initial(boards.observe(buffers, child, variant=self._variant), child_slots)
                output = RecurrentOutput(
                    policy_logits=root.policy_logits, value=root.value, reward=np.zeros(1, np.float32)
                )
            else:
                output = self._evaluator.recurrent(parent_slots, actions, to_play, child_slots)
            is_near = boards.depth(child) <= self._rules_depth
            self._knowledge[child] = _CHECKED if is_near else _KNOWN
            if is_near:
                set_where_illegal(buffers.branch, output.policy_logits, ILLEGAL_LOGIT)
            return output
        finally:
            boards.give_back(buffers)

    def _is_due(self, parent: int, child: int) -> bool:
        """Whether it is time for a look at the real position; counts."""
        imagined = self._imagined[parent] + 1
        is_due = imagined >= self._reground_every
        self._imagined[child] = 0 if is_due else imagined
        return is_due


def _end(outcome: float, *, num_actions: int) -> RecurrentOutput:
    """What is to be said of a game that is over."""
    return RecurrentOutput(
        policy_logits=np.zeros((1, num_actions), np.float32),
        value=np.full(1, outcome, np.float32),
        reward=np.zeros(1, np.float32),
    )
