"""The kernels against the plain Python search, where mctx has no counterpart: exact endings, min-max normalisation."""

from __future__ import annotations

import numpy as np
import pytest

from engine.search.batch_search import BatchSearch
from engine.search.config import SearchConfig
from engine.search.roots import RootBatch
from tests.support.path_evaluator import PathEvaluator
from tests.support.reference_search import ReferenceSearch

BATCH = 12

CASES = {
    "gumbel fixed": SearchConfig(num_simulations=40, num_considered=4),
    "gumbel minmax": SearchConfig(num_simulations=40, num_considered=4, value_transform="minmax", c_scale=0.1),
    "gumbel minmax one player": SearchConfig(
        num_simulations=40, num_considered=4, value_transform="minmax", c_scale=0.1, two_player=False, discount=0.97
    ),
    "puct fixed": SearchConfig(algorithm="puct", num_simulations=60),
    "puct minmax": SearchConfig(algorithm="puct", num_simulations=60, value_transform="minmax", discount=0.95),
    "puct minmax one player": SearchConfig(
        algorithm="puct", num_simulations=60, value_transform="minmax", two_player=False, discount=0.9
    ),
}


@pytest.mark.parametrize("endings", [False, True], ids=["endless", "endings"])
@pytest.mark.parametrize("name", CASES)
def test_agrees_with_plain_python(name: str, endings: bool) -> None:
    config = CASES[name]
    num_actions = 5
    with_reward = config.value_transform == "minmax"
    rng = np.random.default_rng(list(CASES).index(name))
    legal = rng.random((BATCH, num_actions)) < 0.8
    legal[:, -1] = True
    to_play = np.where(rng.random(BATCH) < 0.5, 1, -1).astype(np.int8) if config.two_player else np.ones(BATCH, np.int8)
    seeds = rng.integers(2**20, size=(BATCH, 1)).astype(np.float32)
    gumbel = rng.gumbel(size=(BATCH, num_actions)).astype(np.float32)
    terminal = np.where(rng.random((BATCH, num_actions)) < 0.3, rng.integers(-1, 2, (BATCH, num_actions)), np.nan)
    pass_pass = rng.integers(-1, 2, BATCH).astype(np.float32)

    roots = RootBatch(
        observations=seeds,
        legal_mask=legal,
        to_play=to_play,
        terminal_values=terminal.astype(np.float32) if endings else None,
        pass_pass_values=pass_pass if endings else None,
        pass_action=num_actions - 1 if endings else -1,
    )
    evaluator = PathEvaluator(BATCH * (config.num_simulations + 1), num_actions, with_reward=with_reward)
    search = BatchSearch(evaluator, batch_size=BATCH, num_actions=num_actions, config=config)
    result = search.run(roots, rng=np.random.default_rng(0), gumbel=gumbel)

    evaluations = 0
    for b in range(BATCH):
        reference = ReferenceSearch(
            config,
            seed=float(seeds[b, 0]),
            legal=legal[b],
            to_play=int(to_play[b]),
            gumbel=gumbel[b],
            with_reward=with_reward,
            terminal_values=terminal[b] if endings else None,
            pass_pass_value=float(pass_pass[b]) if endings else np.nan,
            pass_action=num_actions - 1 if endings else None,
        )
        np.testing.assert_array_equal(result.visits[b], reference.run())
        assert result.root_value[b] == pytest.approx(reference.root.value_sum / reference.root.visits, abs=1e-5)
        if config.algorithm == "gumbel":
            np.testing.assert_allclose(result.policy_target[b], reference.improved_policy(), atol=1e-5)
        evaluations += reference.evaluations
    assert evaluator.rows == evaluations
