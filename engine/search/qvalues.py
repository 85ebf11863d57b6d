"""What a tree says of its root actions: visits, Q, and sigma of the completed Q.

The formulas are `kernels._scan` (mixed value) and `kernels._normalise` (q01); this module reads them into arrays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.search.config import Formula
from engine.search.kernels import read_roots
from engine.search.tree import ROOT, Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class RootStatistics:
    """Statistics of B roots with A actions."""

    visits: NDArray[np.int32]
    """[B, A] finished simulations through each action."""
    q: NDArray[np.float32]
    """[B, A] Q of each action, Black's view; NaN where unvisited."""
    variance: NDArray[np.float32]
    """[B, A] variance of the single values whose mean is `q`; NaN where unvisited."""
    sigma: NDArray[np.float32]
    """[B, A] (c_visit + max N) * c_scale * q01 of the completed Q, for the player to move."""
    value: NDArray[np.float32]
    """[B] mean of the values backed up to the root, its own evaluation included; Black's view."""


def read_root_statistics(tree: Tree, formula: Formula, num_trees: int) -> RootStatistics:
    """Copies the statistics of the first `num_trees` roots."""
    shape = (num_trees, tree.children_index.shape[2])
    visits = np.empty(shape, np.int32)
    q, variance, sigma = (np.empty(shape, np.float32) for _ in range(3))
    read_roots(tree, formula, num_trees, visits, q, variance, sigma)
    value = tree.value_sum[:num_trees, ROOT] / tree.node_visits[:num_trees, ROOT]
    return RootStatistics(visits=visits, q=q, variance=variance, sigma=sigma, value=value.astype(np.float32))
