"""`BoardTree`: the real boards behind the nodes of a search tree, by the slot of their hidden states.

A search names positions by slot and makes a new one by an action in an old one. Here the rules do the same on boards:
captures, superko along the path and through the game before it, legal moves, the end by two passes. A slot takes about
six bytes a point. Knows nothing of searches, networks or values.

Threads may work on one tree at once, each with a `Branch` of its own and on slots that no other thread writes.
"""
# mypy: disable-error-code="misc, no-untyped-call, untyped-decorator, no-any-return"

from __future__ import annotations

from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
from numba import njit, types
from numba.experimental import structref
from numpy.typing import NDArray

from engine.go import areas, features, tables
from engine.go.batch import RECENT_BOARDS, GoBatch
from engine.go.position import Position

_Proxy = TypeVar("_Proxy")

SLOT_BYTES: Final = 32
"""Of a slot, beside `POINT_BYTES` for each point."""
POINT_BYTES: Final = RECENT_BOARDS + 2
TOUCHED_SLOTS: Final = 2**16
"""Slots whose memory is there from the beginning: to get it while searching costs time."""
MOST_PLIES: Final = 1000
"""The longest path below the root; what is deeper has no board."""


class Slots(NamedTuple):
    """Boards by slot, as in `GoBatch`; N slots, A points."""

    stones: NDArray[np.int8]
    """[N, A]"""
    recent_stones: NDArray[np.int8]
    """[N, 4, A]"""
    recent_moves: NDArray[np.int32]
    """[N, 2]"""
    removed_colors: NDArray[np.uint8]
    """[N, A]"""
    to_play: NDArray[np.int8]
    """[N]"""
    ply: NDArray[np.int32]
    """[N] from the beginning of the game."""
    passes: NDArray[np.int8]
    """[N]"""
    hashes: NDArray[np.uint64]
    """[N] of the position."""
    parents: NDArray[np.int32]
    """[N] slot of the position before; of no meaning for the root and for those that it leads to."""


def allocate_slots(num_slots: int, area: int) -> Slots:
    """Empty boards."""
    return Slots(
        stones=np.zeros((num_slots, area), np.int8),
        recent_stones=np.zeros((num_slots, RECENT_BOARDS, area), np.int8),
        recent_moves=np.zeros((num_slots, 2), np.int32),
        removed_colors=np.zeros((num_slots, area), np.uint8),
        to_play=np.ones(num_slots, np.int8),
        ply=np.zeros(num_slots, np.int32),
        passes=np.zeros(num_slots, np.int8),
        hashes=np.zeros(num_slots, np.uint64),
        parents=np.zeros(num_slots, np.int32),
    )


def fill_roots(slots: Slots, at: NDArray[np.int32], games: GoBatch) -> None:
    """Makes the positions of the G `games` those of the slots `at` [G]."""
    for name in ("stones", "recent_stones", "recent_moves", "removed_colors", "to_play", "ply", "passes"):
        getattr(slots, name)[at] = getattr(games, name)
    slots.hashes[at] = games.history[np.arange(games.num_games), games.ply]


@structref.register
class BranchType(types.StructRef):
    """A branch's type, for the compiler."""

    def preprocess_fields(self, fields: Any) -> Any:
        """Numbers are fields, not constants."""
        return tuple((name, types.unliteral(field)) for name, field in fields)


def _compiled(branch: type[_Proxy]) -> type[_Proxy]:
    """Teaches the compiler to make a branch, to take one and to give one back."""
    structref.define_constructor(branch, BranchType, list(branch.__annotations__))
    structref.define_boxing(BranchType, branch)
    return branch


@_compiled
class Branch(structref.StructRefProxy):
    """All that `follow` needs to know, as one value that is taken apart once and not at every call: the tree's slots,
    the rules, and a thread's own buffers. Only kernels see the fields."""

    slots: Slots
    """The boards, shared with every other branch."""
    root_ply: NDArray[np.int32]
    """[1] ply of the root."""
    ko_rule: NDArray[np.int8]
    """[1]"""
    suicide: NDArray[np.bool_]
    """[1]"""
    komi: NDArray[np.float32]
    """[1]"""
    scoring: NDArray[np.int8]
    """[1]"""
    neighbors: NDArray[np.int32]
    """[A, 4]"""
    keys: NDArray[np.uint64]
    """[2, A]"""
    history: NDArray[np.uint64]
    """[1, P] hashes of the game's positions, and behind them those of the path last followed."""
    history_to_play: NDArray[np.int8]
    """[1, P]"""
    prisoners: NDArray[np.int32]
    """[1, 2]"""
    move: NDArray[np.int32]
    """[1, 1]"""
    active: NDArray[np.bool_]
    """[1] True."""
    finished: NDArray[np.bool_]
    """[1] False."""
    legal: NDArray[np.bool_]
    """[1, A + 1] of the slot last analysed: what the player to move may do."""
    banned: NDArray[np.bool_]
    """[1, A] of the same: what only the ko rule forbids."""
    liberties: NDArray[np.int16]
    """[1, A] of the same: liberties of the chain on each point."""


@njit(cache=True)
def _make(  # type: ignore[no-untyped-def]
    slots,
    root_ply,
    ko_rule,
    suicide,
    komi,
    scoring,
    neighbors,
    keys,
    history,
    history_to_play,
    prisoners,
    move,
    active,
    finished,
    legal,
    banned,
    liberties,
):
    return Branch(
        slots,
        root_ply,
        ko_rule,
        suicide,
        komi,
        scoring,
        neighbors,
        keys,
        history,
        history_to_play,
        prisoners,
        move,
        active,
        finished,
        legal,
        banned,
        liberties,
    )


def make_branch(slots: Slots, game: GoBatch) -> Branch:
    """A branch of the tree whose root is `game`, a batch of one whose history has room for every path."""
    area = game.area
    return _make(
        slots,
        game.ply.copy(),
        game.ko_rule,
        game.suicide,
        game.komi,
        game.scoring,
        tables.point_neighbors(game.size),
        tables.zobrist_keys(game.size),
        game.history.copy(),
        game.history_to_play.copy(),
        np.zeros((1, 2), np.int32),
        np.zeros((1, 1), np.int32),
        np.ones(1, np.bool_),
        np.zeros(1, np.bool_),
        np.zeros((1, area + 1), np.bool_),
        np.zeros((1, area), np.bool_),
        np.zeros((1, area), np.int16),
    )


@njit(cache=True, nogil=True)
def observe(branch, slot, out):  # type: ignore[no-untyped-def]
    """Fills `out` [1, 24, A] float32 with the observation, variant "full", of `slot`, which was analysed last."""
    slots = branch.slots
    features.fill_full(
        slots.recent_stones[slot : slot + 1],
        slots.recent_moves[slot : slot + 1],
        slots.to_play[slot : slot + 1],
        slots.ply[slot : slot + 1],
        branch.komi,
        branch.ko_rule,
        branch.suicide,
        branch.scoring,
        branch.legal,
        branch.banned,
        branch.liberties,
        out,
    )


class BoardTree:
    """Boards of one size for `num_slots` slots."""

    def __init__(self, *, size: int, num_slots: int) -> None:
        self.size = size
        self._area = area = size * size
        self.slots = allocate_slots(num_slots, area)
        """Public to read."""
        for array in self.slots:
            array[:TOUCHED_SLOTS] = array[:TOUCHED_SLOTS]
        self._game: GoBatch | None = None

    def begin(self, position: Position) -> None:
        """The game that leads to the next root. Slots that continue it keep their boards, also when the one that is now
        the root is used for another. The branches that there are belong to the game before."""
        game = position.to_batch()
        game.extend(max(game.max_plies, int(game.ply[0]) + MOST_PLIES))
        self._game = game

    def set_root(self, slot: int) -> None:
        """Makes the position of `begin` that of `slot`."""
        assert self._game is not None, "begin was not called"
        fill_roots(self.slots, np.array([slot], np.int32), self._game)

    def branch(self) -> Branch:
        """One for a thread that has none, of use until the next `begin`."""
        assert self._game is not None, "begin was not called"
        return make_branch(self.slots, self._game)

    def outcome(self, slot: int) -> float:
        """The sign of the area score, Black's view: exact where two passes have ended the game."""
        assert self._game is not None, "begin was not called"
        owner = np.empty((1, self._area), np.int8)
        areas.own_areas(self.slots.stones[slot : slot + 1], tables.point_neighbors(self.size), owner)
        return float(np.sign(owner.sum(dtype=np.int32) - self._game.komi[0]))
