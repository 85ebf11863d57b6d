"""Paired matches between the networks of one run."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.model.contract import Evaluator
from trainer import rating
from trainer.actor import Publisher, Weights, make_evaluator
from trainer.config import TrainConfig, load_config
from trainer.network import make_network
from trainer.rating import play_pairs, rate

SMALL = ["search.num_simulations=4", "search.num_considered=2", "network.channels=8", "selfplay.num_games=16"]
GO = [
    "env.size=3", "env.komi_low=-1.0", "env.komi_high=1.0", "network.head_channels=8",
    "network.representation_blocks=1", "network.dynamics_blocks=1",
]  # fmt: skip


def config_of(preset: str) -> TrainConfig:
    return load_config(preset, SMALL + (GO if preset == "go5" else []))


def weights_of(config: TrainConfig, seed: int) -> Weights:
    torch.manual_seed(seed)
    network = make_network(config.network).eval()
    return Publisher(network, device="cpu:0").publish(network)


def evaluator_of(config: TrainConfig, seed: int) -> Evaluator:
    return make_evaluator(weights_of(config, seed), config, device="cpu:0")


@pytest.mark.parametrize("preset", ["go5", "tictactoe"])
def test_equal_networks_share_every_pair(preset: str) -> None:
    """The same opening, the same deterministic players: the two games of a pair are one game."""
    config = config_of(preset)
    evaluator = evaluator_of(config, 0)
    shares = play_pairs(config, evaluator, evaluator, pairs=16, rng=np.random.default_rng(0))
    assert shares.shape == (16,)
    assert (shares == 0.5).all()


@pytest.mark.parametrize("preset", ["go5", "tictactoe"])
def test_exchanged_sides_get_what_the_other_leaves(preset: str) -> None:
    config = config_of(preset)
    one, other = evaluator_of(config, 0), evaluator_of(config, 1)
    shares = play_pairs(config, one, other, pairs=16, rng=np.random.default_rng(0))
    exchanged = play_pairs(config, other, one, pairs=16, rng=np.random.default_rng(0))
    assert shares == pytest.approx(1.0 - exchanged)
    assert len(set(shares)) > 1


def test_a_clean_sweep_is_a_finite_gain(monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_of("tictactoe")
    weights = weights_of(config, 0)
    for share, sign in ((1.0, 1.0), (0.0, -1.0)):
        monkeypatch.setattr(rating, "play_pairs", lambda *_, share=share, pairs, rng: np.full(pairs, share))
        figures = rate(config, weights, weights, pairs=8, device="cpu:0", rng=np.random.default_rng(0))
        assert 500 < sign * figures["elo_gain"] < 700
        assert 0 < figures["elo_error"] < 700
