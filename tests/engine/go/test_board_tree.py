"""Boards by slot: every node of random trees against a game played move by move, also after the root has moved on."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from engine.go.board_tree import MOST_PLIES, BoardTree, Branch, observe
from engine.go.features import NUM_PLANES
from engine.go.following import NO_BOARD, follow
from engine.go.position import Position
from engine.go.rules import KoRule, RuleSet
from engine.go.vertex import from_gtp

ROOT = 0
ALL_RULES = [RuleSet(ko=ko, suicide=suicide) for ko, suicide in itertools.product(KoRule, (False, True))]


def random_action(position: Position, rng: np.random.Generator) -> int:
    """A legal action; a pass one time in twenty, or when there is nothing else."""
    points = np.flatnonzero(position.legal_mask()[:-1])
    return int(rng.choice(points)) if len(points) and rng.random() > 0.05 else position.pass_action


def played(position: Position, action: int) -> Position:
    after = position.copy()
    after.play(position.to_play, action)
    return after


def check_slot(tree: BoardTree, branch: Branch, parent: int, action: int, child: int, after: Position) -> None:
    """Plays into `child` and compares everything with `after`."""
    passes = follow(branch, parent, action, child, True)
    np.testing.assert_array_equal(tree.slots.stones[child], after.stones)
    observation = np.empty((1, NUM_PLANES["full"], after.size**2), np.float32)
    observe(branch, child, observation)
    np.testing.assert_array_equal(observation.reshape(after.observation().shape), after.observation())
    assert (passes == 2) == after.is_over
    assert tree.outcome(child) == np.sign(after.score())


@pytest.mark.parametrize("rules", ALL_RULES, ids=lambda rules: f"{rules.ko.name}-{rules.suicide}")
def test_a_tree_is_many_games(rules: RuleSet) -> None:
    rng = np.random.default_rng(int(rules.ko) + 10)
    for size in (2, 3, 5):
        tree = BoardTree(size=size, num_slots=64)
        root = Position(size, rules, 0.5)
        for _ in range(rng.integers(0, 2 * size**2)):
            root.play(root.to_play, random_action(root, rng))
        boards: dict[int, Position] = {}
        paths: dict[int, tuple[int, ...]] = {}
        for _ in range(4):
            boards[ROOT], paths[ROOT] = root, ()
            tree.begin(root)
            tree.set_root(ROOT)
            branches = tree.branch(), tree.branch()
            for child in sorted(set(range(64)) - set(boards)):
                parent = int(rng.choice(list(boards)[-4:]))
                if not boards[parent].is_over:
                    action = random_action(boards[parent], rng)
                    boards[child], paths[child] = played(boards[parent], action), (*paths[parent], child)
                    check_slot(tree, branches[child % 2], parent, action, child, boards[child])
            children = [slot for slot in boards if len(paths[slot]) == 1 and not boards[slot].is_over]
            if not children:
                break
            chosen = int(rng.choice(children))  # becomes the root, and its slot free; the others' are free as well
            root = boards[chosen]
            kept = [slot for slot, path in paths.items() if len(path) > 1 and path[0] == chosen]
            boards, paths = ({s: d[s] for s in kept} for d in (boards, {s: paths[s][1:] for s in kept}))


def test_an_illegal_action_has_no_board() -> None:
    position = Position(5)
    for vertex in ("B1", "C1", "A2", "D2", "B3", "C3", "C2", "B2"):  # White takes the ko at C2; B2 stands
        position.play(position.to_play, from_gtp(vertex, 5))
    assert position.captures(-1) == 1
    tree = BoardTree(size=5, num_slots=3)
    tree.begin(position)
    tree.set_root(0)
    branch = tree.branch()
    assert follow(branch, 0, from_gtp("C2", 5), 1, False) == NO_BOARD
    assert follow(branch, 0, from_gtp("B2", 5), 1, False) == NO_BOARD
    assert follow(branch, 0, from_gtp("A5", 5), 1, False) == 0


def test_a_path_that_is_too_long_loses_its_board() -> None:
    tree = BoardTree(size=2, num_slots=MOST_PLIES + 1)
    tree.begin(Position(2))
    tree.set_root(0)
    branch, slot = tree.branch(), 0
    while follow(branch, slot, 4, slot + 1, True) != NO_BOARD:  # nothing but passes
        slot += 1
    assert MOST_PLIES - 5 < slot < MOST_PLIES
