"""Old positions get the newest network's search, and nothing else of a game changes."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from engine.go.batch import GoBatch
from engine.search.batch_search import BatchSearch
from engine.search.roots import RootBatch
from tests.support.go_games import random_games
from trainer.actor import Publisher, Weights, make_evaluator
from trainer.config import load_config
from trainer.network import make_network
from trainer.reanalyze import Reanalyzer
from trainer.record import GameRecord
from trainer.replay import ReplayBuffer

CONFIG = load_config(
    "go5",
    [
        "env.size=3", "env.komi_low=-1.0", "env.komi_high=1.0", "network.channels=8", "network.head_channels=8",
        "network.representation_blocks=1", "network.dynamics_blocks=1", "search.num_simulations=4",
        "search.num_considered=2", "selfplay.num_games=16", "selfplay.reground_every=0", "replay.holdout_every=0",
        "replay.reanalyze_share=0.5",
    ],
)  # fmt: skip


@pytest.fixture(scope="module")
def weights() -> Weights:
    torch.manual_seed(3)
    network = make_network(CONFIG.network).eval()
    return Publisher(network, device="cpu:0").publish(network)


def refreshed(weights: Weights) -> tuple[list[GameRecord], list[GameRecord]]:
    """Games before and after."""
    buffer = ReplayBuffer(CONFIG.replay)
    buffer.add(random_games(12, size=3, seed=1))
    before = copy.deepcopy(buffer.games)
    reanalyzer = Reanalyzer(CONFIG, weights, device="cpu:0")
    assert reanalyzer.refresh(buffer, weights, positions=30, rng=np.random.default_rng(0)) == 32
    return before, buffer.games


def test_only_what_the_search_says_changes(weights: Weights) -> None:
    before, after = refreshed(weights)
    changed = 0
    for old, new in zip(before, after, strict=True):
        for name in ("actions", "to_play", "rewards", "ownership"):
            assert np.array_equal(getattr(old, name), getattr(new, name)), name
        assert (old.score, old.komi) == (new.score, new.komi)
        changed += int((old.root_values != new.root_values).sum())
        assert new.policy_probabilities.astype(np.float32).sum(1) == pytest.approx(1.0, abs=0.01)
    assert 20 <= changed <= 32  # drawn with replacement


def test_a_position_is_searched_as_it_stood(weights: Weights) -> None:
    """Its value is one that a search of the same position finds, reached move by move, for some of twelve seeds."""
    config = CONFIG
    before, after = refreshed(weights)
    evaluator = make_evaluator(weights, config, device="cpu:0")
    search = BatchSearch(evaluator, batch_size=1, num_actions=10, config=config.search)
    compared = 0
    for old, new in zip(before, after, strict=True):
        for ply in np.flatnonzero(old.root_values != new.root_values).tolist():
            batch = GoBatch(num_games=1, size=3, komi=old.komi)
            for action in old.actions[:ply]:
                batch.play(np.array([action], np.int32))
            roots = RootBatch(
                observations=batch.observe(),
                legal_mask=batch.legal_mask(),
                to_play=batch.to_play,
                terminal_values=batch.terminal_values(),
                pass_pass_values=batch.pass_pass_values(),
                pass_action=9,
            )
            values = [float(search.run(roots, rng=np.random.default_rng(seed)).root_value[0]) for seed in range(12)]
            assert min(np.abs(np.array(values) - new.root_values[ply])) < 1e-4
            legal = set(np.flatnonzero(batch.legal_mask()[0]).tolist())
            assert set(new.policy_actions[ply][new.policy_probabilities[ply] > 0].tolist()) <= legal
            compared += 1
    assert compared > 10
