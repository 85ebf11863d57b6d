"""One position after another along the paths of search trees, compiled with numba: `kernels.py` at work on slots.

Knows the arrays of a `board_tree.Branch`, or of several trees' together; conventions as in `kernels.py`.
"""
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.go.kernels import analyze, play_moves

NO_BOARD: Final = -1
"""Answer of `follow` when the rules cannot follow."""


class Trees(NamedTuple):
    """The fields of `board_tree.Branch` for G trees with the same number of slots, one tree's after another's."""

    slots: Any
    """`board_tree.Slots`, with tree 0's first."""
    root_ply: NDArray[np.int32]
    """[G] ply of each root."""
    ko_rule: NDArray[np.int8]
    """[G]"""
    suicide: NDArray[np.bool_]
    """[G]"""
    neighbors: NDArray[np.int32]
    """[A, 4]"""
    keys: NDArray[np.uint64]
    """[2, A]"""
    history: NDArray[np.uint64]
    """[G, P]"""
    history_to_play: NDArray[np.int8]
    """[G, P]"""
    prisoners: NDArray[np.int32]
    """[G, 2]"""
    move: NDArray[np.int32]
    """[G, 1]"""
    active: NDArray[np.bool_]
    """[G] True."""
    finished: NDArray[np.bool_]
    """[G] False."""
    legal: NDArray[np.bool_]
    """[G, A + 1] of the slot last analysed."""
    banned: NDArray[np.bool_]
    """[G, A]"""
    liberties: NDArray[np.int16]
    """[G, A]"""


@njit(cache=True, nogil=True)
def _recall(branch, slot):  # type: ignore[no-untyped-def]
    """Writes the hashes of the positions from below the root to `slot` into the branch's history."""
    slots = branch.slots
    for now in range(slots.ply[slot], branch.root_ply[0], -1):
        branch.history[0, now] = slots.hashes[slot]
        branch.history_to_play[0, now] = slots.to_play[slot]
        slot = slots.parents[slot]


@njit(cache=True, nogil=True)
def _analyze_slot(branch, slot):  # type: ignore[no-untyped-def]
    """`analyze` for one slot, after `_recall`."""
    slots = branch.slots
    analyze(
        slots.stones[slot : slot + 1],
        slots.to_play[slot : slot + 1],
        slots.ply[slot : slot + 1],
        branch.finished,
        branch.history,
        branch.history_to_play,
        slots.removed_colors[slot : slot + 1],
        branch.ko_rule,
        branch.suicide,
        branch.neighbors,
        branch.keys,
        branch.legal,
        branch.banned,
        branch.liberties,
    )


@njit(cache=True, nogil=True)
def follow(branch, parent, action, child, is_checked):  # type: ignore[no-untyped-def]
    """Plays `action` on the board of slot `parent` into slot `child` (see `board_tree.Branch`), and fills the branch's
    `legal`, `banned` and `liberties` for it. Returns the passes in a row up to now, or `NO_BOARD` where the action is
    illegal or the history has no room. `is_checked`: it is known to be legal. Play may go on after two passes."""
    slots = branch.slots
    slots.parents[child] = parent
    if slots.ply[parent] + 2 >= branch.history.shape[1]:
        return NO_BOARD
    _recall(branch, parent)
    if not is_checked:
        _analyze_slot(branch, parent)
        if not branch.legal[0, action]:
            return NO_BOARD
    slots.stones[child] = slots.stones[parent]
    slots.to_play[child] = slots.to_play[parent]
    slots.ply[child] = slots.ply[parent]
    slots.passes[child] = slots.passes[parent]
    slots.recent_stones[child] = slots.recent_stones[parent]
    slots.recent_moves[child] = slots.recent_moves[parent]
    slots.removed_colors[child] = slots.removed_colors[parent]
    branch.move[0, 0] = action
    play_moves(
        slots.stones[child : child + 1],
        slots.to_play[child : child + 1],
        slots.ply[child : child + 1],
        slots.passes[child : child + 1],
        branch.finished,
        slots.recent_stones[child : child + 1],
        slots.recent_moves[child : child + 1],
        branch.history,
        branch.history_to_play,
        slots.removed_colors[child : child + 1],
        branch.prisoners,
        branch.move,
        branch.active,
        branch.history.shape[1],
        branch.neighbors,
        branch.keys,
    )
    branch.finished[0] = False
    slots.hashes[child] = branch.history[0, slots.ply[child]]
    _analyze_slot(branch, child)
    return slots.passes[child]


@njit(cache=True, nogil=True)
def follow_each(trees, parents, actions, children, passes):  # type: ignore[no-untyped-def]
    """`follow` for the legal `actions` [R] at the slots `parents` [R] of R different trees; fills `passes` [R]."""
    num_slots = trees.slots.stones.shape[0] // trees.legal.shape[0]
    for row in range(parents.shape[0]):
        tree = parents[row] // num_slots
        branch = Trees(
            trees.slots,
            trees.root_ply[tree : tree + 1],
            trees.ko_rule[tree : tree + 1],
            trees.suicide[tree : tree + 1],
            trees.neighbors,
            trees.keys,
            trees.history[tree : tree + 1],
            trees.history_to_play[tree : tree + 1],
            trees.prisoners[tree : tree + 1],
            trees.move[tree : tree + 1],
            trees.active[tree : tree + 1],
            trees.finished[tree : tree + 1],
            trees.legal[tree : tree + 1],
            trees.banned[tree : tree + 1],
            trees.liberties[tree : tree + 1],
        )
        passes[row] = follow(branch, parents[row], actions[row], children[row], True)
