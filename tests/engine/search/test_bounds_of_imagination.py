"""What a network may rule out of its own imagination: illegal actions, and positions too far from the root."""

from __future__ import annotations

import numpy as np
import pytest

from engine.errors import InvalidConfig
from engine.model.contract import ILLEGAL_LOGIT, RecurrentOutput
from engine.search.batch_search import BatchSearch
from engine.search.config import SearchConfig
from engine.search.limits import Limits
from engine.search.roots import RootBatch
from engine.search.search import Search
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


def depths(tree: Tree) -> np.ndarray:
    """Of the nodes in use."""
    depth = np.zeros(tree.num_nodes[0], np.int64)
    for node in range(ROOT + 1, len(depth)):
        depth[node] = depth[tree.parent[0, node]] + 1
    return depth


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


@BOTH
@pytest.mark.parametrize("max_depth", [1, 3])
def test_nothing_is_deeper_than_the_limit(config: SearchConfig, max_depth: int) -> None:
    search = Search(
        PathEvaluator(400, NUM_ACTIONS),
        num_actions=NUM_ACTIONS,
        config=SearchConfig(algorithm=config.algorithm, num_considered=4, max_depth=max_depth),
        max_nodes=400,
        threads=2,
    )
    result = search.start(make_root(), Limits(visits=300)).wait()
    tree = search._tree
    assert depths(tree).max() == max_depth
    assert result.total_visits == 300
    leaves = np.flatnonzero(depths(tree) == max_depth)
    means = tree.value_sum[0, leaves] / tree.node_visits[0, leaves]
    np.testing.assert_allclose(means, tree.raw_value[0, leaves], rtol=1e-6)  # their own value, again and again
    assert not tree.virtual_visits.any()


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(InvalidConfig, match="max_depth"):
        SearchConfig(max_depth=-1)
