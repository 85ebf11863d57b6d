"""What a tree forgets: all but what lies behind the moves that were played; what it visits least, where memory ends.

Nodes never move: those that go give their numbers, and with them the slots of their hidden states, back to the tree.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.search.roots import RootBatch
from engine.search.tree import EXPANDED, NO_PASS, ROOT, UNVISITED, Tree

FORGOTTEN_SHARE: Final = 1 / 8
"""A full tree gives back at least so much of itself, if it can: each time costs a look at every node."""


def find_descendant(tree: Tree, path: Sequence[int], to_play: int) -> int | None:
    """The node of the first tree at which the actions `path` from the root end; None unless it has been expanded, or if
    another player than `to_play` moves there."""
    node = ROOT
    for action in path:
        node = int(tree.children_index[0, node, action])
        if node == UNVISITED or tree.status[0, node] != EXPANDED:  # only expanded nodes know their children
            return None
    return node if tree.to_play[0, node] == to_play else None


def keep_subtree(tree: Tree, node: int, root: RootBatch, discount: float) -> None:
    """Makes `node` the root of the first tree, `root` (one position) being what the rules say of it.

    The new root is a real position, so what the rules say replaces what was imagined: its actions are searched anew
    where they are illegal, end the game, or have an exact outcome. Visits and value of the root become those of its
    kept children; `add_root_evaluation` adds its own. No simulation may be under way.
    """
    children = tree.children_index[0, node].copy()
    tried = np.flatnonzero(children != UNVISITED)
    anew = _searched_anew(root)[tried] | (tree.status[0, children[tried]] != EXPANDED)
    dropped, kept = children[tried[anew]], children[tried[~anew]]
    children[tried[anew]] = UNVISITED
    used = _used_nodes(tree)
    stays = used & (_ancestors(tree, used, [node, *dropped]) == node)
    stays[node] = False
    stays[ROOT] = True
    _give_back(tree, used & ~stays)
    tree.children_index[0, ROOT] = children
    tree.parent[0, kept] = ROOT
    tree.to_play[0, ROOT] = root.to_play[0]
    tree.virtual_visits[0, ROOT] = 0
    visits = tree.node_visits[0, kept]
    tree.node_visits[0, ROOT] = visits.sum()
    tree.value_sum[0, ROOT] = (visits * tree.reward[0, kept] + discount * tree.value_sum[0, kept]).sum()


def add_root_evaluation(tree: Tree, value: float) -> None:
    """Counts the new root's own evaluation after `keep_subtree`: `value`, Black's view."""
    tree.raw_value[0, ROOT] = value
    tree.value_sum[0, ROOT] += value
    tree.node_visits[0, ROOT] += 1


def forget_least_visited(tree: Tree) -> int:
    """Takes the children from those nodes of the first tree that were visited least; returns how many nodes are free.

    Their own visits and values stay, so that what was learned behind them is not lost, and when the search comes back
    it goes on from there. At least `FORGOTTEN_SHARE` of the tree goes, if there is so much: the root's own children
    stay, and so do the nodes with simulations under way.
    """
    used = _used_nodes(tree)
    parents = tree.parent[0]
    may_go = used & (parents != ROOT) & (tree.virtual_visits[0, parents] == 0)
    may_go[ROOT] = False
    visits = tree.node_visits[0, parents]
    candidates = visits[may_go]
    if candidates.size:
        rank = min(candidates.size, math.ceil(FORGOTTEN_SHARE * used.size)) - 1
        # No node is visited more often than its parent: behind a node that goes everything goes.
        goes = may_go & (visits <= np.partition(candidates, rank)[rank])
        tree.children_index[0, parents[goes], tree.action_from_parent[0, goes]] = UNVISITED
        _give_back(tree, goes)
    return int(used.size - tree.num_nodes[0])


def _searched_anew(root: RootBatch) -> NDArray[np.bool_]:
    """[A] the root's actions of which the rules know more than a tree that imagined them."""
    anew: NDArray[np.bool_] = ~root.legal_mask[0]
    if root.terminal_values is not None:
        anew |= ~np.isnan(root.terminal_values[0])
    if root.pass_pass_values is not None and root.pass_action != NO_PASS and not math.isnan(root.pass_pass_values[0]):
        anew[root.pass_action] = True  # the answer to it has an exact outcome
    return anew


def _used_nodes(tree: Tree) -> NDArray[np.bool_]:
    """[N] which nodes of the first tree are in use."""
    used: NDArray[np.bool_] = np.ones(tree.status.shape[1], np.bool_)
    used[tree.free_nodes[0, tree.num_nodes[0] :]] = False
    return used


def _ancestors(tree: Tree, used: NDArray[np.bool_], tops: Sequence[int]) -> NDArray[np.int32]:
    """[N] of each node in use the nearest of `tops` or the root on the way up, itself included; of the others anything.

    Every step goes twice as far up as the one before.
    """
    above = np.where(used, tree.parent[0], ROOT)
    above[[ROOT, *tops]] = [ROOT, *tops]
    while True:
        further = above[above]
        if np.array_equal(further, above):
            return above
        above = further


def _give_back(tree: Tree, nodes: NDArray[np.bool_]) -> None:
    """Puts `nodes` [N], which were in use, first among the free ones of the first tree."""
    end = int(tree.num_nodes[0])
    begin = end - int(np.count_nonzero(nodes))
    tree.free_nodes[0, begin:end] = np.flatnonzero(nodes)
    tree.num_nodes[0] = begin
