from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.support.go_games import random_games
from trainer.record import POLICY_TOP, GameRecord, top_policy
from trainer.targets import n_step_value, window_targets


def reward_game(rewards: list[float], values: list[float], *, bootstrap: float) -> GameRecord:
    length = len(rewards)
    return GameRecord(
        actions=np.zeros(length, np.int16),
        to_play=np.ones(length, np.int8),
        rewards=np.array(rewards, np.float32),
        policy_actions=np.zeros((length, POLICY_TOP), np.int16),
        policy_probabilities=np.ones((length, POLICY_TOP), np.float16) / POLICY_TOP,
        root_values=np.array(values, np.float32),
        surprise=np.ones(length, np.float32),
        bootstrap=bootstrap,
        score=sum(rewards),
    )


@pytest.mark.parametrize(
    ("ply", "bootstrap", "expected"),
    [
        (0, 0.0, 1 + 0.5 * 2 + 0.25 * 30),  # two rewards, then the search's value
        (1, 0.0, 2 + 0.5 * 4 + 0.0),  # the end comes before the value
        (2, 0.0, 4.0),
        (3, 0.0, 0.0),  # past the end
        (1, 8.0, 2 + 0.5 * 4 + 0.25 * 8),  # cut off: the bootstrap stands for the rest
        (3, 8.0, 8.0),
        (4, 8.0, 0.0),
    ],
)
def test_n_step_values(ply: int, bootstrap: float, expected: float) -> None:
    game = reward_game([1, 2, 4], [10, 20, 30], bootstrap=bootstrap)
    assert n_step_value(game, ply, td_steps=2, discount=0.5) == pytest.approx(expected)


def test_past_the_end_the_outcome_stays_and_the_policy_has_no_weight() -> None:
    game = random_games(1, size=3, seed=0)[0]
    start = len(game) - 2
    targets = window_targets([(game, start)], steps=4, num_actions=10, value_target="outcome", td_steps=0, discount=1.0)
    assert targets.value.tolist() == [[game.outcome] * 5]
    assert targets.policy_weight[0, :2] == pytest.approx(1.0, abs=1e-3)
    assert targets.policy_weight[0, 2:].tolist() == [0, 0, 0]


def test_every_state_has_the_policy_of_its_own_ply() -> None:
    game = random_games(1, size=3, seed=0)[0]
    targets = window_targets([(game, 1)], steps=2, num_actions=10, value_target="outcome", td_steps=0, discount=1.0)
    for k in range(3):
        expected = np.zeros(10)
        expected[game.policy_actions[1 + k, :10]] = game.policy_probabilities[1 + k, :10]
        assert targets.policy[0, k] == pytest.approx(expected)


def test_random_opening_moves_teach_neither_policy_nor_outcome() -> None:
    """What follows a random move says nothing of the position before it."""
    game = dataclasses.replace(random_games(1, size=3, seed=0)[0], opening_plies=2)
    game.policy_probabilities[:2] = 0
    targets = window_targets([(game, 0)], steps=3, num_actions=10, value_target="outcome", td_steps=0, discount=1.0)
    assert targets.policy_weight[0] == pytest.approx([0, 0, 1, 1], abs=1e-3)
    assert targets.value_weight.tolist() == [[0, 0, 1, 1]]


def test_a_random_opening_that_was_searched_since_teaches_its_policy_and_still_no_outcome() -> None:
    game = dataclasses.replace(random_games(1, size=3, seed=0)[0], opening_plies=2)
    targets = window_targets([(game, 1)], steps=2, num_actions=10, value_target="outcome", td_steps=0, discount=1.0)
    assert targets.policy_weight[0] == pytest.approx([1, 1, 1], abs=1e-3)
    assert targets.value_weight.tolist() == [[0, 1, 1]]


def test_a_quick_search_teaches_its_outcome_but_not_its_policy() -> None:
    """Unlike a random move, it plays as well as the network can: `selfplay.quick_share`."""
    game = random_games(1, size=3, seed=0)[0]
    game.policy_probabilities[[0, 2]] = 0
    targets = window_targets([(game, 0)], steps=3, num_actions=10, value_target="outcome", td_steps=0, discount=1.0)
    assert targets.policy_weight[0] == pytest.approx([0, 1, 0, 1], abs=1e-3)
    assert targets.value_weight.tolist() == [[1, 1, 1, 1]]


@pytest.mark.parametrize(
    ("bootstrap", "values", "value_weight", "reward_weight"),
    [
        (0.0, [4, 0, 0, 0], [1, 1, 1, 1], [1, 1, 1]),  # the game is over: nothing more comes, and that is known
        (8.0, [12, 8, 0, 0], [1, 1, 0, 0], [1, 0, 0]),  # cut off: what comes is not known
    ],
)
def test_past_a_cut_nothing_is_taught(
    bootstrap: float, values: list[float], value_weight: list[int], reward_weight: list[int]
) -> None:
    game = reward_game([1, 2, 4], [0, 0, 0], bootstrap=bootstrap)
    targets = window_targets([(game, 2)], steps=3, num_actions=2, value_target="n_step", td_steps=9, discount=1.0)
    assert targets.value.tolist() == [values]
    assert targets.value_weight.tolist() == [value_weight]
    assert targets.reward.tolist() == [[4, 0, 0]]
    assert targets.reward_weight.tolist() == [reward_weight]


@pytest.mark.parametrize(("score", "outcome"), [(-24.5, -1.0), (0.0, 0.0), (0.5, 1.0)])
def test_an_outcome_is_who_won_and_not_by_how_much(score: float, outcome: float) -> None:
    game = dataclasses.replace(reward_game([0], [0], bootstrap=0.0), score=score)
    targets = window_targets([(game, 0)], steps=1, num_actions=2, value_target="outcome", td_steps=1, discount=1.0)
    assert targets.value.tolist() == [[outcome, outcome]]


def test_rewards_of_a_window_are_those_of_its_steps() -> None:
    game = reward_game([1, 2, 4], [0, 0, 0], bootstrap=0.0)
    targets = window_targets([(game, 1)], steps=3, num_actions=2, value_target="n_step", td_steps=1, discount=1.0)
    assert targets.reward.tolist() == [[2, 4, 0]]


def test_top_policy_keeps_the_likeliest_and_sums_to_one() -> None:
    policy = np.random.default_rng(0).dirichlet(np.full(82, 0.1), size=20).astype(np.float32)
    actions, probabilities = top_policy(policy)
    assert probabilities.sum(1) == pytest.approx(1.0, abs=2e-3)
    for row, kept in zip(policy, actions, strict=True):
        assert set(kept) == set(np.argsort(-row)[:POLICY_TOP])
