"""`BoardForest`: the real boards behind the nodes of G search trees that grow in step; see `board_tree.py`.

Tree g has the slots g * nodes_per_tree and following, its root's first. One thread at a time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.go import areas, features, tables
from engine.go.batch import GoBatch
from engine.go.board_tree import allocate_slots, fill_roots
from engine.go.following import Trees, follow_each


class BoardForest:
    """Boards of one size for `num_trees` trees."""

    def __init__(self, *, size: int, num_trees: int, nodes_per_tree: int) -> None:
        self.size = size
        self._area = size * size
        self._nodes = nodes_per_tree
        self._slots = allocate_slots(num_trees * nodes_per_tree, self._area)
        self._num_trees = num_trees
        self._games: GoBatch | None = None
        self._trees: Trees | None = None

    def begin(self, games: GoBatch) -> None:
        """The next roots are the positions of `games`, of which there are as many as trees; they are copied."""
        games = games.copy()
        games.extend(games.max_plies + self._nodes)
        fill_roots(self._slots, np.arange(self._num_trees, dtype=np.int32) * np.int32(self._nodes), games)
        count, area = self._num_trees, self._area
        self._games = games
        self._trees = Trees(
            slots=self._slots,
            root_ply=games.ply,
            ko_rule=games.ko_rule,
            suicide=games.suicide,
            neighbors=tables.point_neighbors(self.size),
            keys=tables.zobrist_keys(self.size),
            history=games.history,
            history_to_play=games.history_to_play,
            prisoners=np.zeros((count, 2), np.int32),
            move=np.zeros((count, 1), np.int32),
            active=np.ones(count, np.bool_),
            finished=np.zeros(count, np.bool_),
            legal=np.zeros((count, area + 1), np.bool_),
            banned=np.zeros((count, area), np.bool_),
            liberties=np.zeros((count, area), np.int16),
        )

    def play(
        self, parents: NDArray[np.int32], actions: NDArray[np.int32], children: NDArray[np.int32]
    ) -> NDArray[np.int8]:
        """Plays the legal `actions` [R] on the boards of the slots `parents` [R], of R different trees, into `children`
        [R]. Returns [R] the passes in a row up to now. Play may go on after two."""
        passes = np.empty(len(parents), np.int8)
        follow_each(self._begun(), parents, actions, children, passes)
        return passes

    def ply(self, slots: NDArray[np.int32]) -> NDArray[np.int32]:
        """[R] moves of the whole game that led to `slots` [R]."""
        return self._slots.ply[slots]

    def legal(self, slots: NDArray[np.int32]) -> NDArray[np.bool_]:
        """[R, A + 1] the legal actions at `slots` [R], which `play` has made last in their trees."""
        return self._begun().legal[slots // self._nodes]

    def outcomes(self, slots: NDArray[np.int32]) -> NDArray[np.float32]:
        """[R] the signs of the area scores, Black's view: exact where a game is over."""
        assert self._games is not None, "begin was not called"
        owner = np.empty((len(slots), self._area), np.int8)
        areas.own_areas(self._slots.stones[slots], tables.point_neighbors(self.size), owner)
        scores: NDArray[np.float32] = owner.sum(axis=1, dtype=np.float32) - self._games.komi[slots // self._nodes]
        return np.sign(scores)

    def observe(self, slots: NDArray[np.int32], *, variant: features.Variant = "full") -> NDArray[np.float32]:
        """[R, P, S, S] float32: what the network sees of `slots` [R], which `play` has made last in their trees."""
        games, trees, rows = self._games, self._begun(), slots // self._nodes
        assert games is not None
        return features.fill_observations(
            recent_stones=self._slots.recent_stones[slots],
            recent_moves=self._slots.recent_moves[slots],
            to_play=self._slots.to_play[slots],
            ply=self._slots.ply[slots],
            komi=games.komi[rows],
            ko_rule=games.ko_rule[rows],
            suicide=games.suicide[rows],
            scoring=games.scoring[rows],
            legal=trees.legal[rows],
            banned=trees.banned[rows],
            liberties=trees.liberties[rows],
            size=self.size,
            variant=variant,
            out=None,
        )

    def _begun(self) -> Trees:
        assert self._trees is not None, "begin was not called"
        return self._trees
