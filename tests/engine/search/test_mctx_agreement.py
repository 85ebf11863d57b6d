"""The batched search against mctx on random problems: same visits, same action weights."""

from __future__ import annotations

import numpy as np
import pytest

from engine.search.batch_search import BatchSearch
from engine.search.config import SearchConfig
from engine.search.roots import RootBatch
from tests.support.path_evaluator import PathEvaluator

pytest.importorskip("mctx", reason="mctx (extra `dev`) is the reference of these tests")
mctx_oracle = pytest.importorskip("tests.support.mctx_oracle")

BATCH = 24

CASES = {
    "gumbel go": (26, SearchConfig(num_simulations=16, num_considered=8)),
    "gumbel one player": (6, SearchConfig(num_simulations=40, num_considered=4, two_player=False, discount=0.97)),
    "puct go": (26, SearchConfig(algorithm="puct", num_simulations=48)),
    "puct one player": (6, SearchConfig(algorithm="puct", num_simulations=48, two_player=False, discount=0.9)),
}
SLOW_CASES = {
    "gumbel one ply": (9, SearchConfig(num_simulations=16, num_considered=16)),
    "gumbel deep": (5, SearchConfig(num_simulations=64, num_considered=4)),
    "gumbel wide": (82, SearchConfig(num_simulations=50, num_considered=16)),
    "gumbel few": (26, SearchConfig(num_simulations=3, num_considered=8)),
    "gumbel one candidate": (4, SearchConfig(num_simulations=9, num_considered=1)),
    "gumbel small scale": (9, SearchConfig(num_simulations=64, num_considered=8, c_scale=0.05)),
    "puct deep": (4, SearchConfig(algorithm="puct", num_simulations=96, c_puct_init=0.6)),
}


@pytest.mark.parametrize("name", [*CASES, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW_CASES)])
def test_agrees_with_mctx(name: str) -> None:
    num_actions, config = (CASES | SLOW_CASES)[name]
    with_reward = not config.two_player
    rng = np.random.default_rng(len(name))
    legal_mask = rng.random((BATCH, num_actions)) < 0.7
    legal_mask[np.arange(BATCH), rng.integers(num_actions, size=BATCH)] = True
    to_play = np.where(rng.random(BATCH) < 0.5, 1, -1).astype(np.int8) if config.two_player else np.ones(BATCH, np.int8)
    seeds = rng.integers(2**20, size=(BATCH, 1)).astype(np.float32)
    gumbel = rng.gumbel(size=(BATCH, num_actions)).astype(np.float32)

    expected = mctx_oracle.run(
        config, seeds=seeds, legal_mask=legal_mask, to_play=to_play, gumbel=gumbel, with_reward=with_reward
    )
    evaluator = PathEvaluator(BATCH * (config.num_simulations + 1), num_actions, with_reward=with_reward)
    search = BatchSearch(evaluator, batch_size=BATCH, num_actions=num_actions, config=config)
    roots = RootBatch(observations=seeds, legal_mask=legal_mask, to_play=to_play)
    result = search.run(roots, rng=np.random.default_rng(0), gumbel=gumbel)

    np.testing.assert_array_equal(result.visits, expected["visits"])
    np.testing.assert_allclose(result.policy_target, expected["action_weights"], atol=1e-5)
    np.testing.assert_allclose(result.root_value, expected["root_value"], atol=1e-5)
    visited = result.visits > 0
    np.testing.assert_allclose(result.q[visited], expected["q"][visited], atol=1e-5)
    if config.algorithm == "gumbel":
        np.testing.assert_array_equal(result.action, expected["action"])
