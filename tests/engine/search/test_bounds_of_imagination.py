"""What a network may rule out of its own imagination: illegal actions."""

from __future__ import annotations

import numpy as np
import pytest

from engine.model.contract import ILLEGAL_LOGIT, RecurrentOutput
from engine.search.batch_search import BatchSearch
from engine.search.config import SearchConfig
from engine.search.roots import RootBatch
from engine.search.tree import NO_ACTION, ROOT, UNVISITED, Tree
from tests.support.path_evaluator import PathEvaluator

NUM_ACTIONS = 5
GUMBEL = SearchConfig(num_simulations=200, num_considered=4)
PUCT = SearchConfig(algorithm="puct", num_simulations=200)
BOTH = pytest.mark.parametrize("config", [GUMBEL, PUCT], ids=["gumbel", "puct"])


class Forbidding(PathEvaluator):
    """Below the root only `allowed` may be played; the network likes the rest better."""

    allowed: tuple[int, ...] = ()

    def recurrent(self, *arguments: np.ndarray) -> RecurrentOutput:
        output = super().recurrent(*arguments)
        forbidden = np.setdiff1d(np.arange(NUM_ACTIONS), self.allowed)
        output.policy_logits[:, forbidden] = ILLEGAL_LOGIT
        return output


def make_root() -> RootBatch:
    return RootBatch(
        observations=np.full((1, 1), 3, np.float32),
        legal_mask=np.ones((1, NUM_ACTIONS), np.bool_),
        to_play=np.ones(1, np.int8),
    )


def grow(config: SearchConfig, allowed: tuple[int, ...]) -> Tree:
    evaluator = Forbidding(config.num_simulations + 1, NUM_ACTIONS)
    evaluator.allowed = allowed
    search = BatchSearch(evaluator, batch_size=1, num_actions=NUM_ACTIONS, config=config)
    search.run(make_root(), rng=np.random.default_rng(1))
    return search.tree


@BOTH
@pytest.mark.parametrize("allowed", [(2,), (1, 4)])
def test_illegal_actions_are_never_tried(config: SearchConfig, allowed: tuple[int, ...]) -> None:
    tree = grow(config, allowed)
    used = tree.num_nodes[0]
    below = tree.action_from_parent[0, :used][tree.parent[0, :used] > ROOT]
    assert len(below) > 100
    assert set(below.tolist()) == set(allowed)
    children = tree.children_index[0, ROOT]
    first = children[children != UNVISITED][0]
    assert set(np.flatnonzero(tree.prior[0, first])) == set(allowed)


@BOTH
def test_where_nothing_is_legal_everything_may_be_tried(config: SearchConfig) -> None:
    tree = grow(config, ())
    assert set(tree.action_from_parent[0, : tree.num_nodes[0]].tolist()) == {NO_ACTION, *range(NUM_ACTIONS)}
