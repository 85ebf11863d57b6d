"""`GroundedEvaluator`: a network whose imagination is held to the rules by real boards beside its states.

MuZero imagines every position below the root, legality included. Here each node of the tree has its real board, which
costs microseconds, and three things can be taken from it: which actions are legal (down to `rules_depth`), the exact
outcome of two passes, and, at every `reground_every`-th ply, the hidden state: the representation of the real position
takes the place of the imagined one. With 1 that is AlphaZero, with 0 MuZero. Knows Go and a network; nothing of search.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.go.board_tree import NO_BOARD, BoardTree, BranchBuffers, set_where_illegal
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
_OVER: Final = 3
"""Two passes have ended the game there or before: it stays as it is."""

_IMAGINED, _SEEN, _ENDED = range(3)
"""How a node is judged: by imagination, by a look at the real position, by the rules."""


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
        """See `Evaluator.recurrent`. The states of nodes where the game is over are not computed."""
        parents, moves, children = parent_slots.tolist(), actions.tolist(), child_slots.tolist()
        branches = [self._boards.take() for _ in moves]
        try:
            steps = [self._follow(*step) for step in zip(branches, parents, moves, children, strict=True)]
            if all(step == _IMAGINED for step in steps):
                output = self._evaluator.recurrent(parent_slots, actions, to_play, child_slots)
            else:
                output = self._answer(steps, branches, parent_slots, actions, to_play, child_slots)
            for row, child in enumerate(children):
                if steps[row] == _ENDED:
                    output.policy_logits[row, :-1] = ILLEGAL_LOGIT  # passes change nothing any more
                elif self._knowledge[child] == _CHECKED:
                    logits = output.policy_logits[row : row + 1]
                    set_where_illegal(branches[row].branch, logits, ILLEGAL_LOGIT)
            return output
        finally:
            for buffers in branches:
                self._boards.give_back(buffers)

    def _follow(self, buffers: BranchBuffers, parent: int, action: int, child: int) -> int:
        """Plays `action` on the board of `parent`, and notes what is known of `child`. Returns how it is judged."""
        known, passes = self._knowledge[parent], NO_BOARD
        if known != _LOST:
            passes = self._boards.play(buffers, parent, action, child, is_checked=known >= _CHECKED)
        if passes == NO_BOARD:
            self._knowledge[child] = _LOST
            return _IMAGINED
        if known == _OVER or (passes == 2 and self._ends_are_exact):
            self._knowledge[child] = _OVER
            return _ENDED
        self._knowledge[child] = _CHECKED if self._boards.depth(child) <= self._rules_depth else _KNOWN
        return _SEEN if self._reground_every and self._is_due(parent, child) else _IMAGINED

    def _answer(
        self,
        steps: Sequence[int],
        branches: Sequence[BranchBuffers],
        parent_slots: NDArray[np.int32],
        actions: NDArray[np.int32],
        to_play: NDArray[np.int8],
        child_slots: NDArray[np.int32],
    ) -> RecurrentOutput:
        """What the rules, looks at real positions, and imagination say, each of its own rows."""
        count = len(steps)
        policy_logits = np.zeros((count, branches[0].legal.shape[1]), np.float32)
        value, reward = np.zeros(count, np.float32), np.zeros(count, np.float32)
        ended, seen, imagined = (np.flatnonzero(np.equal(steps, how)) for how in (_ENDED, _SEEN, _IMAGINED))
        for row in ended.tolist():
            value[row] = self._boards.outcome(child_slots[row].item())
        if seen.size:
            looks = [
                self._boards.observe(branches[row], child_slots[row].item(), variant=self._variant)
                for row in seen.tolist()
            ]
            root = self._evaluator.initial(np.concatenate(looks), child_slots[seen])
            policy_logits[seen], value[seen] = root.policy_logits, root.value
        if imagined.size:
            output = self._evaluator.recurrent(
                parent_slots[imagined], actions[imagined], to_play[imagined], child_slots[imagined]
            )
            policy_logits[imagined], value[imagined] = output.policy_logits, output.value
            reward[imagined] = output.reward
        return RecurrentOutput(policy_logits=policy_logits, value=value, reward=reward)

    def _is_due(self, parent: int, child: int) -> bool:
        """Whether it is time for a look at the real position; counts."""
        imagined = self._imagined[parent] + 1
        is_due = imagined >= self._reground_every
        self._imagined[child] = 0 if is_due else imagined
        return is_due
