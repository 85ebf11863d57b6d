"""The trees of a batch, as a structure of arrays: B trees of at most N nodes with A actions each.

Knows how nodes are stored and named; knows nothing of formulas or networks. A node has no Python object: it is the pair
(tree, node number). The hidden state of node n of tree b is in the evaluator's slot b * N + n. The statistics of an
edge are those of the node it leads to. Nothing is cleared between searches: creating a node initialises it, and
expanding it its children. While no node is given back (see `pruning`), numbers are given in order: the nodes in use are
those below `num_nodes`, and a parent has a smaller number than its children.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

ROOT = 0
"""Number of the root node."""
UNVISITED = -1
"""In `children_index`: no simulation has gone this way."""
NO_PARENT = -1
"""`parent` of the root."""
NO_ACTION = -1
"""`action_from_parent` of the root; padding of a variation."""
NO_PASS = -1
"""`pass_action` of a game in which nobody may pass."""

PENDING = 0
"""Status: created, its evaluation has not come back."""
EXPANDED = 1
"""Status: evaluated, has a prior."""
TERMINAL = 2
"""Status: the game is over here; the node is visited again and again but never expanded."""


class Tree(NamedTuple):
    """Arrays of B trees; values, rewards and Q are Black's view."""

    node_visits: NDArray[np.int32]
    """[B, N] finished simulations through the node, its own evaluation included."""
    virtual_visits: NDArray[np.int32]
    """[B, N] simulations through the node that are under way."""
    value_sum: NDArray[np.float64]
    """[B, N] sum of the values backed up; the node's value is `value_sum / node_visits`."""
    value_squares: NDArray[np.float64]
    """[B, N] sum of the squares of the values backed up; not for roots."""
    raw_value: NDArray[np.float32]
    """[B, N] the network's value; 0 in nodes whose value is known exactly (it is in `reward`)."""
    reward: NDArray[np.float32]
    """[B, N] reward of the step into the node; the exact outcome where the game is known to end there."""
    to_play: NDArray[np.int8]
    """[B, N] player to move, +1 or -1."""
    status: NDArray[np.int8]
    """[B, N] PENDING, EXPANDED or TERMINAL."""
    parent: NDArray[np.int32]
    """[B, N] parent node or NO_PARENT."""
    action_from_parent: NDArray[np.int32]
    """[B, N] action that led here or NO_ACTION."""
    children_index: NDArray[np.int32]
    """[B, N, A] node reached by the action or UNVISITED."""
    prior: NDArray[np.float32]
    """[B, N, A] prior probability; exactly 0 where an action is known to be illegal, above 0 elsewhere."""
    num_nodes: NDArray[np.int32]
    """[B] nodes in use."""
    free_nodes: NDArray[np.int32]
    """[B, N] from place `num_nodes` on the numbers of the nodes not in use, the next one first; before it anything."""
    value_min: NDArray[np.float64]
    """[B] least Q seen in the tree, or the root's raw value."""
    value_max: NDArray[np.float64]
    """[B] greatest Q seen in the tree, or the root's raw value."""
    root_scores: NDArray[np.float32]
    """[B, A] Gumbel noise + prior logits (their maximum made 0) of the root actions."""
    terminal_values: NDArray[np.float32]
    """[B, A] exact outcome of a root action that ends the game, NaN elsewhere."""
    pass_pass_values: NDArray[np.float32]
    """[B] exact outcome if both players pass from the root, or NaN."""
    considered_visits: NDArray[np.int32]
    """[B] visits (less `base_visits`) that a root action must have to be considered by sequential halving now."""
    base_visits: NDArray[np.int32]
    """[B, A] visits of the root actions when the present round of sequential halving began."""


def allocate_tree(num_trees: int, num_nodes: int, num_actions: int) -> Tree:
    """Arrays for `num_trees` trees of up to `num_nodes` nodes; no root is set."""
    nodes = (num_trees, num_nodes)
    edges = (num_trees, num_nodes, num_actions)
    actions = (num_trees, num_actions)
    return Tree(
        node_visits=np.zeros(nodes, np.int32),
        virtual_visits=np.zeros(nodes, np.int32),
        value_sum=np.zeros(nodes, np.float64),
        value_squares=np.zeros(nodes, np.float64),
        raw_value=np.zeros(nodes, np.float32),
        reward=np.zeros(nodes, np.float32),
        to_play=np.ones(nodes, np.int8),
        status=np.zeros(nodes, np.int8),
        parent=np.full(nodes, NO_PARENT, np.int32),
        action_from_parent=np.full(nodes, NO_ACTION, np.int32),
        children_index=np.full(edges, UNVISITED, np.int32),
        prior=np.zeros(edges, np.float32),
        num_nodes=np.zeros(num_trees, np.int32),
        free_nodes=np.zeros(nodes, np.int32),
        value_min=np.zeros(num_trees, np.float64),
        value_max=np.zeros(num_trees, np.float64),
        root_scores=np.zeros(actions, np.float32),
        terminal_values=np.full(actions, np.nan, np.float32),
        pass_pass_values=np.full(num_trees, np.nan, np.float32),
        considered_visits=np.zeros(num_trees, np.int32),
        base_visits=np.zeros(actions, np.int32),
    )


class Descents(NamedTuple):
    """Where one simulation of each tree ended: written by `select`, read by `expand_and_backup`.

    The first four arrays are the arguments of `Evaluator.recurrent`, one row for each leaf that needs the network.
    """

    parent_slots: NDArray[np.int32]
    """[B] hidden state from which the leaf is imagined."""
    actions: NDArray[np.int32]
    """[B] action that leads to the leaf."""
    to_play: NDArray[np.int8]
    """[B] player who makes it."""
    child_slots: NDArray[np.int32]
    """[B] where the leaf's hidden state goes."""
    tree_index: NDArray[np.int32]
    """[B] tree of each row."""
    leaf: NDArray[np.int32]
    """[B] by tree: the node where its simulation ended, or NO_LEAF."""


NO_LEAF = -1
"""In `Descents.leaf`: this tree took no part, or met only pending nodes."""


def allocate_descents(num_trees: int) -> Descents:
    """Descents of `num_trees` trees, none under way."""
    return Descents(
        parent_slots=np.zeros(num_trees, np.int32),
        actions=np.zeros(num_trees, np.int32),
        to_play=np.ones(num_trees, np.int8),
        child_slots=np.zeros(num_trees, np.int32),
        tree_index=np.zeros(num_trees, np.int32),
        leaf=np.full(num_trees, NO_LEAF, np.int32),
    )
