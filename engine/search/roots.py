"""The positions that a search starts from, and their way into the tree.

Knows what a game tells the search about a root (legality, exact outcomes) and nothing else of the game.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidInput
from engine.search.config import PRIOR_FLOOR
from engine.search.tree import EXPANDED, NO_ACTION, NO_PARENT, NO_PASS, ROOT, UNVISITED, Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class RootBatch:
    """B real positions with A actions."""

    observations: NDArray[np.float32]
    """[B, ...] what `Evaluator.initial` takes."""
    legal_mask: NDArray[np.bool_]
    """[B, A] exact; at least one action of every row is legal."""
    to_play: NDArray[np.int8]
    """[B] player to move, +1 or -1."""
    terminal_values: NDArray[np.float32] | None = None
    """[B, A] exact outcome (Black's view) of an action that ends the game, NaN where it does not; None: none does."""
    pass_pass_values: NDArray[np.float32] | None = None
    """[B] exact outcome (Black's view) if both players pass now, NaN where unknown; None: unknown everywhere."""
    pass_action: int = NO_PASS
    """The action that passes; two in a row end the game. NO_PASS: none does."""

    def __post_init__(self) -> None:
        """Raises `InvalidInput` for arrays that do not fit together or a root without legal action."""
        batch, actions = self.legal_mask.shape
        expected = {"observations": (batch, *self.observations.shape[1:]), "to_play": (batch,)}
        expected |= {"terminal_values": (batch, actions), "pass_pass_values": (batch,)}
        for name, shape in expected.items():
            array = getattr(self, name)
            if array is not None and array.shape != shape:
                raise InvalidInput(f"root {name} has shape {array.shape}: expected {shape}")
        if not self.legal_mask.any(axis=1).all():
            raise InvalidInput(f"root {int(np.argmin(self.legal_mask.any(axis=1)))} has no legal action")

    @property
    def size(self) -> int:
        """B."""
        return int(self.legal_mask.shape[0])


def masked_softmax(logits: NDArray[np.float32], legal_mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """[B, A] probabilities over the legal actions: exactly 0 on illegal ones, each row sums to 1."""
    shifted = np.where(legal_mask, logits, -np.inf).astype(np.float64)
    shifted -= shifted.max(axis=1, keepdims=True)
    weights = np.exp(shifted)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)


def set_roots(
    tree: Tree,
    roots: RootBatch,
    *,
    prior: NDArray[np.float32],
    root_scores: NDArray[np.float32],
    value: NDArray[np.float32],
) -> None:
    """Begins a search in the first B trees: an evaluated root each, and no other node.

    `prior` [B, A] float32 is 0 on illegal actions; `root_scores` [B, A] float32 are read by sequential halving only;
    `value` [B] float32 is the network's, Black's view.
    """
    trees = slice(0, roots.size)
    tree.num_nodes[trees] = 1
    tree.free_nodes[trees] = np.arange(tree.free_nodes.shape[1])
    tree.node_visits[trees, ROOT] = 1
    tree.virtual_visits[trees, ROOT] = 0
    tree.value_sum[trees, ROOT] = value
    tree.value_squares[trees, ROOT] = value * value
    tree.raw_value[trees, ROOT] = value
    tree.reward[trees, ROOT] = 0.0
    tree.to_play[trees, ROOT] = roots.to_play
    tree.status[trees, ROOT] = EXPANDED
    tree.parent[trees, ROOT] = NO_PARENT
    tree.action_from_parent[trees, ROOT] = NO_ACTION
    tree.children_index[trees, ROOT] = UNVISITED
    tree.value_min[trees] = value
    tree.value_max[trees] = value
    tree.considered_visits[trees] = 0
    tree.base_visits[trees] = 0
    set_rules(tree, roots, prior=prior, root_scores=root_scores)


def set_rules(tree: Tree, roots: RootBatch, *, prior: NDArray[np.float32], root_scores: NDArray[np.float32]) -> None:
    """What rules and network say of the actions of the first B roots; see `set_roots`."""
    trees = slice(0, roots.size)
    tree.prior[trees, ROOT] = np.where(roots.legal_mask, np.maximum(prior, PRIOR_FLOOR), 0.0)
    tree.root_scores[trees] = root_scores
    tree.terminal_values[trees] = np.nan if roots.terminal_values is None else roots.terminal_values
    tree.pass_pass_values[trees] = np.nan if roots.pass_pass_values is None else roots.pass_pass_values
