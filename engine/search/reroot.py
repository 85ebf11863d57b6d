"""A tree for the next move: the subtree of a node becomes the tree, and its hidden states stay in their slots.

Keeps what was learned of the moves that were then played. The new root is a real position, so what the rules say of it
replaces what was imagined: its prior and value are new, and its actions are searched anew where they are illegal, end
the game, or have an exact outcome.
"""
# mypy: disable-error-code="untyped-decorator, no-any-return, call-overload"

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.search.roots import RootBatch
from engine.search.tree import EXPANDED, NO_ACTION, NO_PARENT, NO_PASS, ROOT, UNVISITED, Tree

MOST_KEPT = 0.75
"""A subtree that fills more of the tree than this is not kept: the search would have no room."""


def find_descendant(tree: Tree, path: Sequence[int], to_play: int) -> int | None:
    """The node of the first tree at which the actions `path` from the root end; None unless it has been expanded, or if
    another player than `to_play` moves there."""
    node = ROOT
    for action in path:
        node = int(tree.children_index[0, node, action])
        if node == UNVISITED or tree.status[0, node] != EXPANDED:  # only expanded nodes know their children
            return None
    return node if tree.to_play[0, node] == to_play else None


def keep_subtree(tree: Tree, node: int, root: RootBatch, discount: float) -> bool:
    """Makes `node` the root of the first tree, `root` (one position) being what the rules say of it.

    Visits and value of the root become those of its kept children; `add_root_evaluation` adds its own. Returns False,
    and changes nothing, where the subtree is too large. No simulation may be under way.
    """
    known = np.full(root.legal_mask.shape[1], np.nan, np.float32)
    if root.terminal_values is not None:
        known = np.array(root.terminal_values[0], np.float32)
    dropped = ~np.isnan(known) | ~root.legal_mask[0]
    if root.pass_pass_values is not None and root.pass_action != NO_PASS and not math.isnan(root.pass_pass_values[0]):
        dropped[root.pass_action] = True  # the answer to it has an exact outcome
    return bool(_keep_subtree(tree, 0, node, dropped, int(MOST_KEPT * tree.status.shape[1]), discount))


def add_root_evaluation(tree: Tree, value: float) -> None:
    """Counts the new root's own evaluation after `keep_subtree`: `value`, Black's view."""
    tree.raw_value[0, ROOT] = value
    tree.value_sum[0, ROOT] += value
    tree.node_visits[0, ROOT] += 1


@njit(cache=True, nogil=True)
def _keep_subtree(tree: Tree, b: int, root: int, dropped: NDArray[np.bool_], most_kept: int, discount: float) -> bool:
    """See `keep_subtree`. Children come after their parents, so that one pass finds the subtree and one moves it."""
    num_nodes = tree.num_nodes[b]
    number = np.full(num_nodes, UNVISITED, np.int32)  # new numbers; what is not kept has not been visited
    number[root] = ROOT
    num_kept = 1
    for node in range(root + 1, num_nodes):
        parent = tree.parent[b, node]
        if number[parent] == UNVISITED:
            continue
        if parent == root and (dropped[tree.action_from_parent[b, node]] or tree.status[b, node] != EXPANDED):
            continue
        number[node] = num_kept
        num_kept += 1
    if num_kept > most_kept:
        return False
    free = tree.slots[b, :num_nodes].copy()
    num_free = 0
    for node in range(num_nodes):
        slot = tree.slots[b, node]
        if number[node] == UNVISITED:
            free[num_free] = slot
            num_free += 1
        else:
            _move(tree, b, node, number)
            tree.slots[b, number[node]] = slot
    tree.slots[b, num_kept:num_nodes] = free[:num_free]
    tree.num_nodes[b] = num_kept
    tree.parent[b, ROOT] = NO_PARENT
    tree.action_from_parent[b, ROOT] = NO_ACTION
    tree.reward[b, ROOT] = 0.0
    tree.node_visits[b, ROOT] = 0
    tree.value_sum[b, ROOT] = 0.0
    for child in tree.children_index[b, ROOT]:
        if child != UNVISITED:
            visits = tree.node_visits[b, child]
            tree.node_visits[b, ROOT] += visits
            tree.value_sum[b, ROOT] += visits * tree.reward[b, child] + discount * tree.value_sum[b, child]
    return True


@njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)
def _move(tree: Tree, b: int, node: int, number: NDArray[np.int32]) -> None:
    """Moves a node, but for its slot, to its new number, which is not greater than the old one."""
    new = number[node]
    tree.node_visits[b, new] = tree.node_visits[b, node]
    tree.virtual_visits[b, new] = 0
    tree.value_sum[b, new] = tree.value_sum[b, node]
    tree.value_squares[b, new] = tree.value_squares[b, node]
    tree.raw_value[b, new] = tree.raw_value[b, node]
    tree.reward[b, new] = tree.reward[b, node]
    tree.to_play[b, new] = tree.to_play[b, node]
    tree.status[b, new] = tree.status[b, node]
    parent = tree.parent[b, node]
    tree.parent[b, new] = number[parent] if parent != NO_PARENT else NO_PARENT
    tree.action_from_parent[b, new] = tree.action_from_parent[b, node]
    if tree.status[b, node] != EXPANDED:  # never had children: what stands there is of an earlier tree
        return
    for action in range(tree.children_index.shape[2]):
        child = tree.children_index[b, node, action]
        tree.children_index[b, new, action] = number[child] if child != UNVISITED else UNVISITED
        tree.prior[b, new, action] = tree.prior[b, node, action]
