from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.go.batch import GoBatch
from engine.search.batch_search import BatchResult
from trainer.actor import make_actor
from trainer.config import TrainConfig, load_config
from trainer.network import make_network
from trainer.record import GameRecord
from trainer.selfplay import SelfPlay, make_env, surprise

SMALL = [
    "selfplay.num_games=16",
    "search.num_simulations=4",
    "search.num_considered=2",
    "network.channels=8",
    "network.representation_blocks=1",
    "network.dynamics_blocks=1",
]


def self_play(config: TrainConfig) -> SelfPlay:
    torch.manual_seed(0)
    env = make_env(config, num_envs=config.selfplay.num_games)
    actor = make_actor(make_network(config.network).eval(), config, num_actions=env.num_actions, device="cpu")
    return SelfPlay(config, env, actor.evaluator, np.random.default_rng(0))


@pytest.fixture(scope="module")
def go_games() -> list[GameRecord]:
    config = load_config("go5", [*SMALL, "env.size=3", "env.komi_low=-2.0", "env.komi_high=3.0"])
    return self_play(config).play(1_000)


def test_go_records_replay_to_their_own_result(go_games: list[GameRecord]) -> None:
    assert len(go_games) > 20
    for game in go_games:
        batch = GoBatch(num_games=1, size=3, komi=game.komi)
        for action, colour in zip(game.actions, game.to_play, strict=True):
            assert not batch.finished[0]
            assert batch.to_play[0] == colour
            assert batch.legal_mask()[0, action]
            batch.play(np.array([action], np.int32))
        assert batch.finished[0]
        assert batch.area_scores()[0] == game.score
        assert batch.area_ownership()[0].tolist() == game.ownership.tolist()  # type: ignore[union-attr]


def test_go_records_hold_what_the_search_said(go_games: list[GameRecord]) -> None:
    komi = {game.komi for game in go_games}
    assert len(komi) > 4
    assert all(-2 <= k <= 3 and (2 * k).is_integer() for k in komi)
    opened = [game for game in go_games if not game.policy_probabilities[0].any()]
    assert 0.1 < len(opened) / len(go_games) < 0.45  # a quarter begins with random plies
    for game in go_games:
        searched = game.policy_probabilities.astype(np.float32).sum(1)
        assert ((searched == 0) | (np.abs(searched - 1) < 5e-3)).all()
        assert (np.abs(game.root_values) <= 1.0001).all()
        assert (game.surprise >= 0).all()
        for ply in np.flatnonzero(searched):
            policy = dict(zip(game.policy_actions[ply], game.policy_probabilities[ply], strict=True))
            assert policy  # the moves that were considered


def test_games_that_are_cut_off_are_bootstrapped() -> None:
    config = load_config("cartpole", [*SMALL, "env.id=CartPole-v1"])
    games = self_play(config).play(2_000)
    assert games
    for game in games:
        assert len(game.observations) == len(game) + 1  # type: ignore[arg-type]
        assert game.rewards.sum() == len(game) == game.score
        assert (game.bootstrap == 0.0) == (len(game) < 500)


def test_surprise_is_the_divergence_over_legal_actions() -> None:
    legal = np.array([[True, True, False]])
    target = np.array([[0.75, 0.25, 0.0]], np.float32)
    result = BatchResult(
        visits=np.zeros((1, 3), np.int32),
        q=np.zeros((1, 3), np.float32),
        policy_target=target,
        root_value=np.zeros(1, np.float32),
        raw_value=np.zeros(1, np.float32),
        action=np.zeros(1, np.int32),
        policy_logits=np.array([[0.0, 0.0, 9.0]], np.float32),
    )
    expected = 0.75 * np.log(0.75 / 0.5) + 0.25 * np.log(0.25 / 0.5)
    assert surprise(result, legal)[0] == pytest.approx(expected, abs=1e-6)
