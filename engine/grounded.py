"""`GroundedEvaluator`: a network whose imagination is held to the rules by real boards beside its states.

MuZero imagines every position below the root, legality included. Here each node of the tree has its real board, which
costs microseconds, and three things can be taken from it: which actions are legal (down to `rules_depth`), the exact
outcome of two passes, and, at every `reground_every`-th ply, the hidden state: the representation of the real position
takes the place of the imagined one. With 1 that is AlphaZero, with 0 MuZero. Where nothing is ever imagined, no hidden
states are kept, and each position may be looked at as one of its images (see `engine.go.symmetry`): a network errs a
little differently about each, and over the positions of a search that averages out. Knows Go and a network; nothing of
search.
"""
# mypy: disable-error-code="no-untyped-call, untyped-decorator"

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.go.board_tree import BoardTree, Branch, observe
from engine.go.features import NUM_PLANES, Variant, seen_by
from engine.go.following import NO_BOARD, follow
from engine.go.position import Position
from engine.go.symmetry import NUM_IMAGES, Images, restore, see_image
from engine.model.contract import ILLEGAL_LOGIT, PositionEvaluator, RecurrentOutput, RootOutput

Floats = NDArray[np.float32]

_LOST: Final = 0
"""The rules have lost the node: an illegal move led there."""
_KNOWN: Final = 1
"""The node has a board."""
_CHECKED: Final = 2
"""It has, and only legal actions are tried there."""
_OVER: Final = 3
"""Two passes have ended the game there or before: it stays as it is."""

_IMAGINED, _SEEN, _ENDED = 0, 1, 2
"""How a node is judged: by imagination, by a look at the real position, by the rules."""


def looks_suffice(*, rules_depth: float, reground_every: int) -> bool:
    """Whether nothing is imagined with these dials: every position is looked at, and only legal actions are tried."""
    return reground_every == 1 and rules_depth == math.inf


@njit(cache=True, nogil=True)
def _follow_each(  # type: ignore[no-untyped-def]
    branch,
    knowledge,
    imagined,
    rules_depth,
    reground_every,
    ends_are_exact,
    symmetric,
    images,
    parents,
    actions,
    children,
    how,
    tried,
    observations,
    seen_as,
    room,
):
    """Plays `actions` [B] on the boards of the slots `parents` into `children`, in this order, and notes what is known
    of the children and how many plies are `imagined`. Fills `how` [B] they are to be judged, `tried` [B, A + 1], the
    actions that are left there, and the first rows of `observations` [B, 24, A], of those that are to be looked at;
    returns the number of these. Where `symmetric` these rows are of the images `seen_as` [B], made in `room` [1, 24, A]
    with the `images` of the board; which image follows from the stones, so that the same search does the same again."""
    seen = 0
    for row in range(parents.shape[0]):
        parent, child = parents[row], children[row]
        known = knowledge[parent]
        passes = NO_BOARD
        if known != _LOST:
            passes = follow(branch, parent, actions[row], child, known >= _CHECKED)
        tried[row] = True
        how[row] = _IMAGINED
        if passes == NO_BOARD:
            knowledge[child] = _LOST
        elif known == _OVER or (passes == 2 and ends_are_exact):
            knowledge[child] = _OVER
            how[row] = _ENDED
            tried[row, :-1] = False  # passes change nothing any more
        else:
            knowledge[child] = _KNOWN
            if branch.slots.ply[child] - branch.root_ply[0] <= rules_depth:
                knowledge[child] = _CHECKED
                tried[row] = branch.legal[0]
            plies = imagined[parent] + 1
            if plies == reground_every:
                how[row] = _SEEN
                if symmetric:
                    observe(branch, child, room)
                    seen_as[seen] = branch.slots.hashes[child] % np.uint64(NUM_IMAGES)
                    see_image(room[0], seen_as[seen], images, observations[seen])
                else:
                    observe(branch, child, observations[seen : seen + 1])
                seen += 1
                plies = 0
            imagined[child] = min(plies, 255)
    return seen


@njit(cache=True, nogil=True)
def _leave(policy_logits, tried, illegal):  # type: ignore[no-untyped-def]
    """Writes `illegal` into `policy_logits` [B, A] for all actions but those `tried` [B, A]."""
    for row in range(policy_logits.shape[0]):
        for action in range(policy_logits.shape[1]):
            if not tried[row, action]:
                policy_logits[row, action] = illegal


class _Desk:
    """What one thread works with: a branch of the tree, and room for `rows` children."""

    def __init__(self, branch: Branch, rows: int, area: int) -> None:
        self.branch = branch
        self.how: NDArray[np.int8] = np.zeros(rows, np.int8)
        """[rows] how each is to be judged."""
        self.tried: NDArray[np.bool_] = np.zeros((rows, area + 1), np.bool_)
        """[rows, A + 1] actions that are left."""
        self.observations: Floats = np.zeros((rows, NUM_PLANES["full"], area), np.float32)
        """[rows, 24, A] of those that are to be looked at, the first ones."""
        self.seen_as: NDArray[np.int64] = np.zeros(rows, np.int64)
        """[rows] as which image of themselves."""
        self.room: Floats = np.zeros((1, NUM_PLANES["full"], area), np.float32)
        """[1, 24, A] for one observation."""


class GroundedEvaluator:
    """An `Evaluator` of one tree at a time around another one. `begin` tells it the game before each search."""

    def __init__(
        self,
        evaluator: PositionEvaluator,
        *,
        size: int,
        variant: Variant,
        rules_depth: float,
        reground_every: int,
        symmetries: bool = False,
        num_slots: int | None = None,
    ) -> None:
        """`size` of the board and `variant` of the observations: the network's. The dials: see `PlayerSettings`;
        `symmetries`: only for a network that was trained on them.

        `num_slots`: None: the network's. Where `looks_suffice`, the network needs slots for the roots only.
        """
        self.num_slots = evaluator.num_slots if num_slots is None else num_slots
        self._evaluator = evaluator
        self._imagines = not looks_suffice(rules_depth=rules_depth, reground_every=reground_every)
        self._size = size
        self._variant = variant
        self._rules_depth = float(rules_depth)
        self._reground_every = reground_every
        self._symmetric = symmetries and not self._imagines  # what follows is imagined from the position as it was seen
        self._images = Images.of(size)
        self._boards = BoardTree(size=size, num_slots=self.num_slots)
        self._knowledge = np.zeros(self.num_slots, np.uint8)
        self._imagined = np.zeros(self.num_slots, np.uint8)  # plies since the last look at a real position
        self._ends_are_exact = True
        self._spare: list[_Desk] = []

    def begin(self, position: Position, *, ends_are_exact: bool) -> None:
        """The next root is `position`. Slots of the tree that continue the game before stay of use. No thread may be
        at work.

        `ends_are_exact`: two passes end the game, and the area score decides it.
        """
        self._boards.begin(position)
        self._ends_are_exact = ends_are_exact
        self._spare.clear()

    def initial(self, observations: Floats, slots: NDArray[np.int32]) -> RootOutput:
        """See `Evaluator.initial`; the first slot is the root's."""
        kept = slots if self._imagines else np.arange(len(slots), dtype=np.int32)
        output = self._evaluator.initial(observations, kept)
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
        """See `Evaluator.recurrent`. The states of nodes where the game is over are not computed. Where nothing may be
        imagined, a node without a board, on a path too long to be followed, is worth a draw."""
        count = len(actions)
        desk = self._take(count)
        try:
            seen = _follow_each(
                desk.branch,
                self._knowledge,
                self._imagined,
                self._rules_depth,
                self._reground_every,
                self._ends_are_exact,
                self._symmetric,
                self._images,
                parent_slots,
                actions,
                child_slots,
                desk.how,
                desk.tried,
                desk.observations,
                desk.seen_as,
                desk.room,
            )
            if seen == count:
                policy_logits, value = self._look(desk, child_slots)
                output = RecurrentOutput(policy_logits=policy_logits, value=value, reward=np.zeros(count, np.float32))
            else:
                output = self._answer(desk, parent_slots, actions, to_play, child_slots)
            _leave(output.policy_logits, desk.tried, ILLEGAL_LOGIT)
            return output
        finally:
            self._spare.append(desk)

    def _take(self, rows: int) -> _Desk:
        """A desk that no other thread has, with room for `rows` children."""
        desk = self._spare.pop() if self._spare else None
        if desk is None or len(desk.how) < rows:
            desk = _Desk(self._boards.branch(), rows, self._size**2)
        return desk

    def _look(self, desk: _Desk, slots: NDArray[np.int32]) -> tuple[Floats, Floats]:
        """Policy logits [B, A] and values [B] of the real positions of `slots` [B], the first of the observations."""
        size = self._size
        observations = seen_by(self._variant, desk.observations[: len(slots)].reshape(len(slots), -1, size, size))
        if self._imagines:
            root = self._evaluator.initial(observations, slots)
            return root.policy_logits, root.value
        policy_logits, value = self._evaluator.look(observations)
        if self._symmetric:
            restore(policy_logits, value, desk.seen_as, self._images)
        return policy_logits, value

    def _answer(
        self,
        desk: _Desk,
        parent_slots: NDArray[np.int32],
        actions: NDArray[np.int32],
        to_play: NDArray[np.int8],
        child_slots: NDArray[np.int32],
    ) -> RecurrentOutput:
        """What the rules, looks at real positions, and imagination say, each of its own rows."""
        count = len(actions)
        policy_logits = np.zeros((count, self._size**2 + 1), np.float32)
        value, reward = np.zeros(count, np.float32), np.zeros(count, np.float32)
        ended, seen, imagined = (np.flatnonzero(desk.how[:count] == how) for how in (_ENDED, _SEEN, _IMAGINED))
        for row in ended.tolist():
            value[row] = self._boards.outcome(child_slots[row].item())
        if seen.size:
            policy_logits[seen], value[seen] = self._look(desk, child_slots[seen])
        if imagined.size and self._imagines:
            output = self._evaluator.recurrent(
                parent_slots[imagined], actions[imagined], to_play[imagined], child_slots[imagined]
            )
            policy_logits[imagined], value[imagined] = output.policy_logits, output.value
            reward[imagined] = output.reward
        return RecurrentOutput(policy_logits=policy_logits, value=value, reward=reward)
