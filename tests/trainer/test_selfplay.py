from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from engine.go.batch import GoBatch
from engine.model.contract import Evaluator, RootOutput
from engine.search.batch_search import BatchResult
from engine.search.tree import NO_PASS
from tests.support.perfect_tictactoe import winner
from trainer.actor import Publisher, make_evaluator
from trainer.config import TrainConfig, load_config
from trainer.network import make_network
from trainer.record import GameRecord
from trainer.selfplay import SelfPlay, make_env, make_roots, surprise

SMALL = [
    "selfplay.num_games=16",
    "search.num_simulations=4",
    "search.num_considered=2",
    "network.channels=8",
    "network.representation_blocks=1",
    "network.dynamics_blocks=1",
]


def self_play(config: TrainConfig, wrap: Callable[[Evaluator], Any] = lambda evaluator: evaluator) -> SelfPlay:
    torch.manual_seed(0)
    env = make_env(config, num_envs=config.selfplay.num_games)
    network = make_network(config.network).eval()
    evaluator = make_evaluator(Publisher(network, device="cpu").publish(network), config, device="cpu")
    return SelfPlay(config, env, wrap(evaluator), np.random.default_rng(0))


def search_result(policy: np.ndarray) -> BatchResult:
    """A search that found `policy` [B, A] and nothing else."""
    count = len(policy)
    return BatchResult(
        visits=np.zeros(policy.shape, np.int32),
        q=np.zeros(policy.shape, np.float32),
        policy_target=policy,
        root_value=np.zeros(count, np.float32),
        raw_value=np.zeros(count, np.float32),
        action=np.zeros(count, np.int32),
        policy_logits=np.zeros(policy.shape, np.float32),
    )


@pytest.fixture(scope="module")
def go_games() -> list[GameRecord]:
    config = load_config("go5", [*SMALL, "env.size=3", "env.komi_low=-2.0", "env.komi_high=3.0"])
    return self_play(config).play(1_000)


def test_go_records_replay_to_their_own_result(go_games: list[GameRecord]) -> None:
    assert len(go_games) > 20
    for game in go_games:
        batch = GoBatch(num_games=1, size=3, komi=game.komi)
        for ply, (action, colour) in enumerate(zip(game.actions, game.to_play, strict=True)):
            assert not batch.finished[0]
            assert batch.to_play[0] == colour
            assert batch.legal_mask()[0, action]
            considered = game.policy_actions[ply][game.policy_probabilities[ply] > 0]
            assert batch.legal_mask()[0, considered].all()
            batch.play(np.array([action], np.int32))
        assert batch.finished[0]
        assert batch.area_scores()[0] == game.score
        assert batch.area_ownership()[0].tolist() == game.ownership.tolist()  # type: ignore[union-attr]


def test_positions_are_made_in_whole_plies_and_add_up_to_what_was_asked_for() -> None:
    play = self_play(load_config("tictactoe", SMALL))
    made, other = [], self_play(load_config("tictactoe", SMALL))
    for _ in range(3):
        play.play(20)  # of 16 games
        made.append(play.positions)
    assert made == [32, 48, 64]
    other.load_state(play.state() or {})
    other.play(4)
    assert other.positions == 0
    other.play(1)
    assert other.positions == 16


def test_go_records_hold_what_the_search_said(go_games: list[GameRecord]) -> None:
    komi = {game.komi for game in go_games}
    assert len(komi) > 4
    assert all(-2 <= k <= 3 and (2 * k).is_integer() for k in komi)
    opened = [game for game in go_games if game.opening_plies]
    assert 0.1 < len(opened) / len(go_games) < 0.45  # a quarter begins with random plies
    for game in go_games:
        searched = game.policy_probabilities.astype(np.float32).sum(1)
        assert ((searched == 0) | (np.abs(searched - 1) < 5e-3)).all()
        assert (np.abs(game.root_values) <= 1.0001).all()
        assert (game.surprise >= 0).all()
        assert (searched > 0).tolist() == [ply >= game.opening_plies for ply in range(len(game))]


class CountingEvaluator:
    """Passes everything on, counts imagined positions, and calls every position as good as `value`, times `swing` for
    every ply."""

    def __init__(self, evaluator: Evaluator, *, value: float, swing: float = 1.0) -> None:
        self._evaluator = evaluator
        self._value = value
        self._swing = swing
        self.num_slots = evaluator.num_slots
        self.imagined = 0

    def initial(self, observations: np.ndarray, slots: np.ndarray) -> RootOutput:
        output = self._evaluator.initial(observations, slots)
        self._value *= self._swing
        return dataclasses.replace(output, value=np.full_like(output.value, self._value))

    def recurrent(self, parents: np.ndarray, actions: np.ndarray, to_play: np.ndarray, slots: np.ndarray) -> Any:
        self.imagined += len(parents)
        output = self._evaluator.recurrent(parents, actions, to_play, slots)
        return dataclasses.replace(output, value=np.full_like(output.value, self._value))


@pytest.mark.parametrize(("value", "swing", "later"), [(0.99, 1, 1), (-0.99, 1, 1), (0.9, 1, 4), (0.99, -1, 4)])
def test_decided_games_are_searched_less_after_three_plies(value: float, swing: float, later: int) -> None:
    """Three in which the same side wins."""
    settings = ["selfplay.decided_value=0.95", "selfplay.decided_simulations=1", "selfplay.random_opening_share=0"]
    config = load_config("tictactoe", [*SMALL, *settings])
    play = self_play(config, lambda evaluator: CountingEvaluator(evaluator, value=value, swing=swing))
    for _ in range(12):  # every game ends and begins again meanwhile
        plies = play._env.batch.ply.copy()  # type: ignore[attr-defined]
        before = play._evaluator.imagined  # type: ignore[attr-defined]
        play.play(16)
        assert play._evaluator.imagined - before == np.where(plies < 3, 4, later).sum()  # type: ignore[attr-defined]


@pytest.mark.parametrize("algorithm", ["gumbel", "puct"])
def test_random_moves_are_not_searched(algorithm: str) -> None:
    settings = ["selfplay.random_opening_share=0.5", "selfplay.random_opening_plies=3"]
    config = load_config("tictactoe", [*SMALL, *settings, f"search.algorithm={algorithm}"])
    play = self_play(config, lambda evaluator: CountingEvaluator(evaluator, value=0.0))
    searched = np.minimum(play._random_plies, 4)
    for ply in range(4):  # no game is over before
        before = play._evaluator.imagined  # type: ignore[attr-defined]
        play.play(16)
        assert play._evaluator.imagined - before == 4 * (searched <= ply).sum()  # type: ignore[attr-defined]
    assert set(searched.tolist()) == {0, 1, 2, 3}


def test_quick_moves_are_searched_less_and_their_policy_is_not_learned() -> None:
    settings = ["selfplay.quick_share=0.5", "selfplay.quick_simulations=1", "selfplay.random_opening_share=0"]
    play = self_play(load_config("tictactoe", [*SMALL, *settings]), lambda e: CountingEvaluator(e, value=0.0))
    total = 0
    for ply in range(4):  # no game is over before
        before = play._evaluator.imagined  # type: ignore[attr-defined]
        play.play(16)
        taught = int(play._history._arrays["policy_probabilities"][:, ply].any(1).sum())
        assert play._evaluator.imagined - before == 4 * taught + (16 - taught)  # type: ignore[attr-defined]
        total += taught
    assert 16 < total < 48


def test_quick_moves_have_no_noise() -> None:
    settings = ["selfplay.quick_share=1", "selfplay.random_opening_share=0", "selfplay.sampled_plies=0"]
    play = self_play(load_config("tictactoe", [*SMALL, *settings]), lambda e: e)
    games = play.play(16 * 12)
    assert len({tuple(game.actions.tolist()) for game in games}) == 1


def test_games_in_progress_go_on_where_they_were() -> None:
    """Also those that have been decided for two plies and are searched less after a third."""
    config = load_config("tictactoe", [*SMALL, "selfplay.decided_value=0.95", "selfplay.decided_simulations=1"])
    first, second = (self_play(config, lambda evaluator: CountingEvaluator(evaluator, value=0.99)) for _ in range(2))
    first.play(16 * 3)
    state = first.state()
    assert state is not None
    second.load_state({name: array.copy() for name, array in state.items()})
    second._rng.bit_generator.state = first._rng.bit_generator.state
    counts = []
    for play in (first, second):
        before = play._evaluator.imagined  # type: ignore[attr-defined]
        games = play.play(16 * 4)
        counts.append((play._evaluator.imagined - before, [game.actions.tolist() for game in games]))  # type: ignore[attr-defined]
    assert counts[0] == counts[1]
    assert counts[0][1]


def test_the_search_is_told_what_the_rules_know_of_a_root() -> None:
    config = load_config("go5", ["env.size=3", "env.komi_low=0.5", "env.komi_high=2.5"])
    env = make_env(config, num_envs=2)
    env.reset(options={"komi": 0.5})
    observations, *_, infos = env.step(np.array([4, 9]))
    roots = make_roots(config, observations, infos)
    assert roots.pass_action == 9
    assert roots.to_play.tolist() == [-1, -1]
    assert roots.legal_mask[:, 4].tolist() == [False, True]
    assert roots.terminal_values is not None
    assert roots.pass_pass_values is not None
    assert np.isnan(roots.terminal_values[0]).all()
    assert roots.terminal_values[1, 9] == -1  # a pass that answers a pass ends an empty board
    assert roots.pass_pass_values.tolist() == [1, -1]
    config = load_config("tictactoe")
    roots = make_roots(config, *make_env(config, num_envs=2).reset())
    assert roots.pass_action == NO_PASS
    assert roots.terminal_values is None


def test_moves_are_drawn_from_the_policy_of_the_search_at_first_and_are_its_choice_later() -> None:
    config = load_config("tictactoe", [*SMALL, "selfplay.sampled_plies=2", "selfplay.random_opening_share=0"])
    play = self_play(config)
    policy = np.tile(np.array([0, 0.5, 0, 0.5, 0, 0, 0, 0, 0], np.float32), (16, 1))
    result = dataclasses.replace(
        search_result(policy), visits=np.ones((16, 9), np.int32), action=np.full(16, 7, np.int32)
    )
    legal = np.ones((16, 9), bool)
    drawn, searched = play._choose(result, legal)
    assert set(drawn.tolist()) == {1, 3}
    assert searched.all()
    play.play(16 * 2)
    chosen, _ = play._choose(result, legal)
    assert set(chosen.tolist()) == {7}


def test_temperature_sharpens_the_draw() -> None:
    policy = np.tile(np.array([0.6, 0.4], np.float32), (16, 1))
    config = load_config("cartpole", [*SMALL, "selfplay.temperature=0.01"])
    actions, _ = self_play(config)._choose(search_result(policy), np.ones((16, 2), bool))
    assert (actions == 0).all()


def test_openings_are_random_legal_moves_and_no_passes() -> None:
    board = ["env.size=3", "env.komi_low=0.5", "env.komi_high=2.5"]
    opening = ["selfplay.random_opening_share=1.0", "selfplay.random_opening_plies=3"]
    config = load_config("go5", [*SMALL, *board, *opening])
    games = self_play(config).play(1_500)
    random_plies = [int(np.argmax(game.policy_probabilities.any(1))) for game in games]
    assert set(random_plies) == {1, 2, 3}
    for game, plies in zip(games, random_plies, strict=True):
        assert game.opening_plies == plies
        assert game.policy_probabilities[plies:].any(1).all()
        assert (game.actions[:plies] < 9).all()
        assert (game.surprise[:plies] == 0).all()
    assert len({int(game.actions[0]) for game in games}) == 9


def test_board_games_pay_at_the_end_and_to_the_first_player() -> None:
    games = self_play(load_config("tictactoe", SMALL)).play(600)
    assert {game.outcome for game in games} == {1.0, -1.0, 0.0}
    for game in games:
        assert (game.rewards[:-1] == 0).all()
        assert game.rewards[-1] == game.score == game.outcome
        assert game.to_play.tolist() == [1, -1, 1, -1, 1, -1, 1, -1, 1][: len(game)]
        stones = game.observations[-1][:9] - game.observations[-1][9:18]  # type: ignore[index]
        assert winner(tuple(int(stone) for stone in stones)) == game.outcome
        assert game.observations[0][:18].tolist() == [0] * 18  # type: ignore[index]


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
    result = dataclasses.replace(search_result(target), policy_logits=np.array([[0.0, 0.0, 9.0]], np.float32))
    expected = 0.75 * np.log(0.75 / 0.5) + 0.25 * np.log(0.25 / 0.5)
    assert surprise(result, legal)[0] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("fraction", "policies"), [(0.0, 1), (0.25, 16)])
def test_puct_teaches_shares_of_visits_and_dirichlet_noise_tells_games_apart(fraction: float, policies: int) -> None:
    """MuZero without Gumbel. All games begin alike, so that only the noise at the root makes their searches differ."""
    settings = ["search.algorithm=puct", f"search.dirichlet_fraction={fraction}", "search.num_simulations=64"]
    play = self_play(load_config("tictactoe", [*SMALL, *settings, "selfplay.random_opening_share=0"]))
    play.play(16)
    arrays = play._history._arrays
    shares = np.zeros((16, 9), np.float32)
    np.add.at(shares, (np.arange(16)[:, None], arrays["policy_actions"][:, 0]), arrays["policy_probabilities"][:, 0])
    visits = shares * 64
    assert np.array_equal(visits, visits.round())
    assert (visits.sum(1) == 64).all()
    assert len({tuple(row) for row in visits}) == policies
