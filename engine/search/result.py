"""What a search of one position has found: `SearchResult`, and how its variations are read from the tree."""
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.search.tree import EXPANDED, NO_ACTION, ROOT, UNVISITED, Tree

MAX_VARIATION_LENGTH: Final = 15
"""Longest variation that a result keeps."""


class StopReason(Enum):
    """Why a search ended."""

    VISITS = "visits"
    """The limit of visits or playouts."""
    TIME = "time"
    """The limit of time."""
    STOPPED = "stopped"
    """`SearchHandle.stop`, or an error of the network."""
    DECIDED = "decided"
    """Early stop: the rest of the search could not change the choice."""
    ONLY_MOVE = "only move"
    """Early stop: one action is legal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """A search at one moment, or at its end. Values, scores and ownership are Black's view; A actions."""

    visits: NDArray[np.int32]
    """[A] finished simulations through each root action; sums to `total_visits - 1`."""
    q: NDArray[np.float32]
    """[A] value of each root action, NaN where unvisited."""
    q_bound: NDArray[np.float32]
    """[A] what `q` is hardly worse than, for the player to move: the bound by which the choice "lcb" goes, Black's view
    as all values are; NaN where unvisited."""
    prior: NDArray[np.float32]
    """[A] the network's policy over the legal actions, exactly 0 on illegal ones."""
    policy_target: NDArray[np.float32]
    """[A] the search's policy: improved ("gumbel") or shares of the visits ("puct"); exactly 0 on illegal actions."""
    root_value: float
    """Mean of the values backed up to the root."""
    raw_value: float
    """The network's value of the root."""
    best_action: int
    """The choice; always legal."""
    total_visits: int
    """Visits of the root, its own evaluation included; at least 1."""
    carried_visits: int = 0
    """Of these, those that an earlier search made (see `Search.start`)."""
    is_full: bool = False
    """Whether the tree has filled its memory; from then on it forgets what lies behind its least visited nodes."""
    evaluations: int
    """Positions that the network has evaluated in this search, the root included."""
    elapsed_s: float
    """Seconds since the start, or from start to end."""
    stop_reason: StopReason | None
    """Why the search ended; None while it runs."""
    ownership: NDArray[np.float32] | None
    """[H, W] in [-1, 1], +1 = Black owns the point; None where the model has no such head."""
    score_mean: float | None
    """Expected final score in points, komi included; None where the model has no such head."""
    score_stdev: float | None
    """How far off that will be, in points: of models made here the mean absolute error; see `RootOutput`."""
    variations: NDArray[np.int32]
    """[A, MAX_VARIATION_LENGTH] most visited line behind each visited root action, padded with NO_ACTION."""

    def principal_variation(self, action: int | None = None, max_length: int = MAX_VARIATION_LENGTH) -> list[int]:
        """The most visited line that begins with `action` (None: the best), at most MAX_VARIATION_LENGTH actions.

        Below the root they may be illegal on the board, where the evaluator only imagines what is legal.
        """
        first = self.best_action if action is None else action
        line = self.variations[first, :max_length]
        line = line[line != NO_ACTION]
        return [int(step) for step in line] if line.size else [first][:max_length]


@njit(cache=True, nogil=True)
def read_variations(tree: Tree, b: int, variations: NDArray[np.int32]) -> None:
    """Fills `variations` [A, L] int32: behind each visited root action the most visited child of every node."""
    for first in range(variations.shape[0]):
        variations[first] = NO_ACTION
        node, action = ROOT, first
        for depth in range(variations.shape[1]):
            child = tree.children_index[b, node, action]
            if child == UNVISITED or tree.node_visits[b, child] == 0:
                break
            variations[first, depth] = action
            if tree.status[b, child] != EXPANDED:
                break
            node, action, most = child, 0, 0
            for candidate in range(tree.children_index.shape[2]):
                grandchild = tree.children_index[b, node, candidate]
                if grandchild != UNVISITED and tree.node_visits[b, grandchild] > most:
                    action, most = candidate, tree.node_visits[b, grandchild]
