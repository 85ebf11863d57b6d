"""Weights and scales of the loss terms, on windows whose loss can be computed by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from engine.search.config import SearchConfig
from tests.support.go_games import random_games
from trainer.config import EnvConfig, LearnerConfig, TrainConfig
from trainer.losses import compute_losses
from trainer.network import GoNetwork, NetworkConfig, VectorNetwork, make_network
from trainer.record import POLICY_TOP, GameRecord
from trainer.support import Support
from trainer.windows import WindowBuilder, Windows

STEPS = 4
RNG = np.random.default_rng(0)
CONFIG = TrainConfig(
    env=EnvConfig(id="CartPole-v1"),
    network=NetworkConfig(
        kind="vector",
        observation_size=3,
        num_actions=2,
        channels=8,
        value=Support(low=0.0, high=8.0, bins=9),
        reward=Support(low=0.0, high=1.0, bins=2),
    ),
    search=SearchConfig(value_transform="minmax"),
    learner=LearnerConfig(unroll_steps=STEPS, consistency_steps=2, value_target="n_step", td_steps=3),
)


def make_game(length: int, *, bootstrap: float = 0.0) -> GameRecord:
    rng = np.random.default_rng(length)
    return GameRecord(
        actions=rng.integers(2, size=length).astype(np.int16),
        to_play=np.ones(length, np.int8),
        rewards=np.ones(length, np.float32),
        policy_actions=np.zeros((length, POLICY_TOP), np.int16),
        policy_probabilities=np.eye(1, POLICY_TOP, dtype=np.float16).repeat(length, 0),
        root_values=np.ones(length, np.float32),
        surprise=np.ones(length, np.float32),
        bootstrap=bootstrap,
        observations=rng.normal(size=(length + 1, 3)).astype(np.float32),
    )


def windows_of(*pairs: tuple[GameRecord, int]) -> Windows:
    return WindowBuilder(CONFIG, num_actions=2).build(list(pairs), np.random.default_rng(0))


def indifferent_network() -> VectorNetwork:
    """Every distribution it predicts is even: each cross-entropy is the logarithm of the number of atoms."""
    torch.manual_seed(0)
    network = make_network(CONFIG.network)
    assert isinstance(network, VectorNetwork)
    assert network.reward is not None
    with torch.no_grad():
        for head in (network.policy, network.value, network.reward):
            for parameter in head.parameters():
                parameter.zero_()
    return network.requires_grad_(False)


def test_the_first_state_counts_one_and_the_imagined_ones_together_one() -> None:
    windows = windows_of((make_game(20), 3), (make_game(30), 8))
    losses = compute_losses(indifferent_network(), windows, CONFIG.learner)
    assert float(losses["policy"]) == pytest.approx(2 * np.log(2), rel=1e-5)
    assert float(losses["value"]) == pytest.approx(2 * np.log(9), rel=1e-5)
    assert float(losses["reward"]) == pytest.approx(np.log(2), rel=1e-5)


@pytest.mark.parametrize(
    ("bootstrap", "policy", "value", "reward"),
    [(0.0, 1 + 1 / STEPS, 2.0, 1.0), (5.0, 1 + 1 / STEPS, 1 + 2 / STEPS, 2 / STEPS)],
    ids=["over", "cut off"],
)
def test_windows_that_reach_past_the_end(bootstrap: float, policy: float, value: float, reward: float) -> None:
    """Two plies before the end: the policy has two states; value and reward go on where the end is known."""
    losses = compute_losses(indifferent_network(), windows_of((make_game(9, bootstrap=bootstrap), 7)), CONFIG.learner)
    assert float(losses["policy"]) == pytest.approx(policy * np.log(2), rel=1e-5)
    assert float(losses["value"]) == pytest.approx(value * np.log(9), rel=1e-5)
    assert float(losses["reward"]) == pytest.approx(reward * np.log(2), rel=1e-5)


def test_rewards_belong_to_the_action_that_earns_them() -> None:
    """A network whose reward head reads nothing but the action fits a reward that is the action."""
    game = make_game(40)
    game.rewards[:] = game.actions
    windows = windows_of(*((game, start) for start in range(30)))
    actions = windows.action_planes.argmax(-1).T.float()
    assert torch.equal(windows.reward, actions)
    network = indifferent_network()
    assert network.reward is not None
    with torch.no_grad():
        first, last = network.reward[0], network.reward[-1]
        first.weight[0, -1], first.weight[1, -2] = 1.0, 1.0  # action 1, action 0
        last.weight[1, 0], last.weight[0, 1] = 20.0, 20.0
    assert float(compute_losses(network, windows, CONFIG.learner)["reward"]) < 1e-3


def test_values_belong_to_the_state_before_their_action() -> None:
    game = make_game(12)
    windows = windows_of((game, 0))
    # n = 3, discount 1: three rewards of 1 and the search's value 1, until the end comes nearer
    assert windows.value.tolist() == [[4.0] * (STEPS + 1)]
    assert windows_of((game, 9)).value.tolist() == [[3.0, 2.0, 1.0, 0.0, 0.0]]


def test_consistency_compares_with_the_real_states_of_the_future() -> None:
    game = make_game(12)
    every = dataclasses.replace(CONFIG, learner=dataclasses.replace(CONFIG.learner, consistency_steps=STEPS))
    windows = WindowBuilder(every, num_actions=2).build([(game, 9), (game, 2)], np.random.default_rng(0))
    assert windows.future_steps == (1, 2, 3, 4)
    for row, step in enumerate(windows.future_steps):
        for column, start in enumerate((9, 2)):
            inside = start + step <= len(game)
            assert bool(windows.future_weight[row, column]) == inside
            if inside:
                expected = game.observations[start + step]  # type: ignore[index]
                assert windows.future_observations[row, column].tolist() == expected.tolist()


def test_a_model_that_imagines_the_truth_is_consistent() -> None:
    """A world that turns its three numbers by one place a step, and a network that says exactly that."""
    game = make_game(20)
    game.observations[:] = [np.roll([1.0, 2.0, 4.0], ply) for ply in range(21)]  # type: ignore[index]
    torch.manual_seed(0)
    network = make_network(dataclasses.replace(CONFIG.network, channels=3))
    network.represent = lambda observation, mask=None: observation  # type: ignore[method-assign]
    network.imagine = lambda hidden, planes, mask=None: hidden.roll(1, 1)  # type: ignore[method-assign]
    network.projection = torch.nn.Identity()
    windows = windows_of((game, 3), (game, 7))
    assert float(compute_losses(network, windows, CONFIG.learner)["consistency"].detach()) == pytest.approx(0, abs=1e-6)
    network.imagine = lambda hidden, planes, mask=None: hidden  # type: ignore[method-assign]
    assert float(compute_losses(network, windows, CONFIG.learner)["consistency"].detach()) > 0.1


@pytest.mark.parametrize("score", [-6.0, 6.0])
def test_score_mean_and_spread_are_compared_with_the_score_and_its_distance(score: float) -> None:
    """A network that says 0 points, give or take 10 ln 2, in every state."""
    torch.manual_seed(0)
    network = make_network(NetworkConfig(channels=8, head_channels=8, representation_blocks=1, dynamics_blocks=1))
    assert isinstance(network, GoNetwork)
    torch.nn.init.zeros_(network.heads.score_out.weight)
    config = TrainConfig(env=EnvConfig(size=3), learner=LearnerConfig(unroll_steps=2, branch_share=0.0))
    windows = WindowBuilder(config, num_actions=10).build([(random_games(1, size=3, seed=0)[0], 0)], RNG)
    assert windows.go is not None
    windows = dataclasses.replace(windows, go=dataclasses.replace(windows.go, score=torch.tensor([score])))
    spread = 10 * np.log(2) - abs(score)
    expected = 0.02 * 2 * (0.5 * score**2 + 0.5 * 0.5 * spread**2) / 10
    found = compute_losses(network.requires_grad_(False), windows, config.learner)["score"]
    assert float(found) == pytest.approx(expected, rel=1e-5)


GO_STEPS = 3
GO_CONFIG = TrainConfig(
    env=EnvConfig(size=3),
    network=NetworkConfig(channels=8, head_channels=8, representation_blocks=1, dynamics_blocks=1),
    learner=LearnerConfig(unroll_steps=GO_STEPS, branch_share=0.5, consistency_weight=0.0),
)


def go_windows() -> Windows:
    """Of eight games, from the beginning and from where the end is near; half of them leave their game."""
    games = random_games(8, size=3, seed=0)
    starts = [0 if i % 2 else len(game) - 2 for i, game in enumerate(games)]
    builder = WindowBuilder(GO_CONFIG, num_actions=10)
    windows = builder.build(list(zip(games, starts, strict=True)), np.random.default_rng(1))
    assert windows.go is not None
    assert 0 < windows.go.terminal.sum() < windows.go.terminal.numel()
    assert 0 < windows.value_weight.sum() < windows.value_weight.numel()
    return windows


def says(**heads: torch.Tensor) -> GoNetwork:
    """A network whose heads give these values, for all states of a batch in turn."""
    network = make_network(GO_CONFIG.network)
    assert isinstance(network, GoNetwork)
    predict = network.predict
    network.predict = lambda *args, **options: predict(*args, **options)._replace(**heads)  # type: ignore[method-assign]
    return network.requires_grad_(False)


def step_weights(batch: int) -> np.ndarray:
    """[K + 1, B]: 1 for the first state, 1 / K for each of the others, as a mean over the batch."""
    return np.repeat([[1.0], *[[1 / GO_STEPS]] * GO_STEPS], batch, axis=1) / batch


def log_sigmoid(x: np.ndarray) -> np.ndarray:
    return -np.log1p(np.exp(-x))


def test_ownership_is_a_squared_error_over_points_where_the_outcome_is_known() -> None:
    windows = go_windows()
    assert windows.go is not None
    said = np.random.default_rng(2).uniform(-1, 1, (GO_STEPS + 1, 8, 9))
    error = (said - windows.go.ownership.numpy()) ** 2
    expected = 1.5 * (error.mean(-1) * windows.value_weight.numpy().T * step_weights(8)).sum()
    network = says(ownership=torch.tensor(said, dtype=torch.float32).view(-1, 3, 3))
    assert float(compute_losses(network, windows, GO_CONFIG.learner)["ownership"]) == pytest.approx(expected, rel=1e-5)


def test_the_board_is_a_cross_entropy_over_points() -> None:
    """Of every state, of those after a branch as well."""
    windows = go_windows()
    assert windows.go is not None
    logits = np.random.default_rng(3).normal(size=(GO_STEPS + 1, 8, 3, 9))
    probability = np.exp(logits) / np.exp(logits).sum(2, keepdims=True)
    truth = windows.go.board.numpy().transpose(1, 0, 2)
    right = np.take_along_axis(probability, truth[:, :, None], axis=2)[:, :, 0]
    expected = 0.5 * (-np.log(right).mean(-1) * step_weights(8)).sum()
    network = says(board_logits=torch.tensor(logits, dtype=torch.float32).view(-1, 3, 3, 3))
    assert float(compute_losses(network, windows, GO_CONFIG.learner)["board"]) == pytest.approx(expected, rel=1e-5)


def test_legality_is_a_binary_cross_entropy_over_points_until_the_game_is_over() -> None:
    windows = go_windows()
    assert windows.go is not None
    logits = np.random.default_rng(4).normal(size=(GO_STEPS + 1, 8, 9))
    legal = windows.go.legal.numpy().transpose(1, 0, 2)
    entropy = -(legal * log_sigmoid(logits) + (1 - legal) * log_sigmoid(-logits)).mean(-1)
    expected = 0.25 * (entropy * (1 - windows.go.terminal.numpy().T) * step_weights(8)).sum()
    network = says(legal_logits=torch.tensor(logits, dtype=torch.float32).view(-1, 9))
    assert float(compute_losses(network, windows, GO_CONFIG.learner)["legal"]) == pytest.approx(expected, rel=1e-5)


def test_the_end_is_a_binary_cross_entropy_of_every_state() -> None:
    windows = go_windows()
    assert windows.go is not None
    logits = np.random.default_rng(5).normal(size=(GO_STEPS + 1, 8))
    terminal = windows.go.terminal.numpy().T
    entropy = -(terminal * log_sigmoid(logits) + (1 - terminal) * log_sigmoid(-logits))
    expected = 0.1 * (entropy * step_weights(8)).sum()
    network = says(terminal_logit=torch.tensor(logits, dtype=torch.float32).flatten())
    assert float(compute_losses(network, windows, GO_CONFIG.learner)["terminal"]) == pytest.approx(expected, rel=1e-5)
