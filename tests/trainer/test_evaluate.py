"""Matches of scripted agents, whose results are known, and whole small runs that must play well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from engine.model.contract import Evaluator
from tests.support.perfect_tictactoe import perfect_actions
from trainer.actor import make_evaluator
from trainer.checkpoint import Checkpoint, find_checkpoint, load_checkpoint
from trainer.config import TrainConfig, load_config
from trainer.envs import make_vector
from trainer.evaluate import GameResults, RandomAgent, describe_results, evaluate, play_games
from trainer.learner import Learner
from trainer.loop import train
from trainer.network import make_network
from trainer.progress import Reporter

pytestmark = pytest.mark.usefixtures("traced_once")


def lowest(observations: NDArray[np.float32], infos: dict[str, Any]) -> NDArray[np.int32]:
    """The first legal action."""
    return infos["action_mask"].argmax(1).astype(np.int32)


def highest(observations: NDArray[np.float32], infos: dict[str, Any]) -> NDArray[np.int32]:
    """The last legal action."""
    mask = infos["action_mask"]
    return (mask.shape[1] - 1 - mask[:, ::-1].argmax(1)).astype(np.int32)


def untrained(config: TrainConfig) -> Checkpoint:
    torch.manual_seed(0)
    learner = Learner(make_network(config.network), config.learner)
    return Checkpoint(config=config, learner=learner.state(), progress={"step": 0})


def test_each_agent_moves_for_its_own_player() -> None:
    results = play_games(make_vector("tengen/TicTacToe-v0", 3), lowest, highest)
    assert results.first_actions.tolist() == [0, 0, 0]
    assert results.lengths.tolist() == [5, 5, 5]  # 0 8 1 7 2
    assert results.returns.tolist() == [1, 1, 1]
    results = play_games(make_vector("tengen/TicTacToe-v0", 2), highest, lowest)
    assert results.first_actions.tolist() == [8, 8]
    assert results.returns.tolist() == [1, 1]


def test_go_has_scores_and_takes_komi() -> None:
    passes = play_games(make_vector("tengen/Go-v0", 2, size=3), highest, highest, options={"komi": 2.5})
    assert passes.scores is not None
    assert passes.scores.tolist() == [-2.5, -2.5]
    assert passes.returns.tolist() == [-1, -1]
    assert passes.lengths.tolist() == [2, 2]


def test_what_finished_games_do_does_not_count() -> None:
    """Poles fall at different times; each return is the length of its own first game."""
    results = play_games(make_vector("CartPole-v1", 16), RandomAgent(avoid_last=False, seed=1), seed=3)
    assert len(set(results.lengths.tolist())) > 4
    assert results.returns.tolist() == results.lengths.tolist()
    again = play_games(make_vector("CartPole-v1", 16), RandomAgent(avoid_last=False, seed=1), seed=3)
    assert again.returns.tolist() == results.returns.tolist()


def test_a_random_mover_passes_only_when_nothing_else_is_left() -> None:
    agent = RandomAgent(avoid_last=True)
    mask = np.array([[True, False, True], [False, False, True]])
    seen = {tuple(agent(np.zeros((2, 1), np.float32), {"action_mask": mask}).tolist()) for _ in range(50)}
    assert seen == {(0, 2)}


def test_a_network_is_evaluated_with_both_colours_and_without_noise() -> None:
    board = ["env.size=3", "env.komi_low=0.5", "env.komi_high=2.5"]
    config = load_config("go5", [*board, "network.channels=8", "search.num_simulations=4"])
    seats: list[int] = []

    def opponent(observations: NDArray[np.float32], infos: dict[str, Any]) -> NDArray[np.int32]:
        seats.append(int(infos["to_play"][0]))
        return highest(observations, infos)  # it passes

    checkpoint = untrained(config)
    once = evaluate(checkpoint, games=5, opponent=opponent, komi=0.5)
    again = evaluate(checkpoint, games=5, opponent=highest, komi=0.5)
    assert seats == sorted(seats)  # second player in the first match, first player in the second
    assert {-1, 1} == set(seats)
    for result, repeated, seat in zip(once, again, (1, -1), strict=True):
        assert len(result.returns) == 3
        assert len(set(result.first_actions.tolist())) == 1  # no noise
        assert result.scores is not None
        assert repeated.scores is not None
        assert result.scores.tolist() == repeated.scores.tolist()
        assert set((result.scores * seat).tolist()) <= {-0.5 * seat, 9 - 0.5 * seat}  # all points or none


@pytest.mark.parametrize("reground_every", [0, 1])
def test_the_search_looks_at_real_boards_if_the_runs_does(monkeypatch: pytest.MonkeyPatch, reground_every: int) -> None:
    board = ["env.size=3", "env.komi_low=0.5", "env.komi_high=2.5", f"selfplay.reground_every={reground_every}"]
    checkpoint = untrained(load_config("go5", [*board, "network.channels=8", "search.num_simulations=4"]))
    imagined = []

    def counting(*args: Any, **kwargs: Any) -> Evaluator:
        evaluator = make_evaluator(*args, **kwargs)
        recurrent = evaluator.recurrent
        monkeypatch.setattr(evaluator, "recurrent", lambda *moves: imagined.append(1) or recurrent(*moves))
        return evaluator

    monkeypatch.setattr("trainer.evaluate.make_evaluator", counting)
    evaluate(checkpoint, games=2)
    assert bool(imagined) == (reground_every == 0)


def test_the_noise_of_puct_self_play_is_left_out() -> None:
    board = ["env.size=3", "env.komi_low=0.5", "env.komi_high=2.5", "network.channels=8", "network.head_channels=8"]
    search = ["search.algorithm=puct", "search.num_simulations=4", "search.dirichlet_alpha=0.03"]
    plain, noisy = (
        evaluate(untrained(load_config("go5", [*board, *search, f"search.dirichlet_fraction={fraction}"])), games=4)
        for fraction in (0.0, 1.0)
    )
    for one, other in zip(plain, noisy, strict=True):
        assert one.first_actions.tolist() == other.first_actions.tolist()
        assert one.lengths.tolist() == other.lengths.tolist()


def test_one_player_is_described_by_the_mean() -> None:
    config = load_config("cartpole", ["search.num_simulations=2"])
    [results] = evaluate(untrained(config), games=7, num_simulations=4)
    [line] = describe_results([results])
    assert line.startswith(f"mean return {results.returns.mean():.1f} +- ")
    assert "over 7 games" in line


def test_two_players_are_described_by_seat() -> None:
    def results(*scores: float) -> GameResults:
        returns = np.sign(np.array(scores, np.float32))
        empty = np.zeros(len(scores), np.int32)
        return GameResults(returns=returns, scores=np.array(scores, np.float32), first_actions=empty, lengths=empty)

    assert describe_results([results(3.0, 0.0, 2.0), results(-4.0, 1.0)]) == [
        "as first player: 2 wins, 1 draw, 0 losses; mean score +1.7 points for the network",
        "as second player: 1 win, 0 draws, 1 loss; mean score +1.5 points for the network",
    ]


def learned(preset: str, folder: Path, *overrides: str) -> Checkpoint:
    config = load_config(preset, list(overrides))
    with Reporter(folder, title=preset) as reporter:
        train(config, folder, reporter=reporter)
    return load_checkpoint(find_checkpoint(folder))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_cartpole_is_learned_from_zero(tmp_path: Path) -> None:
    """A quarter of the preset's run, about 40 s of one core; a random mover's mean is 22."""
    [results] = evaluate(learned("cartpole", tmp_path, "learner.total_steps=1500"), games=100)
    assert results.returns.mean() >= 250


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_tictactoe_is_learned_from_zero(tmp_path: Path) -> None:
    """The whole run of the preset, about 260 s of one core, never loses to a perfect player, however long it thinks."""
    checkpoint = learned("tictactoe", tmp_path)
    for num_simulations in (8, 25, 50):
        rng = np.random.default_rng(0)
        first, second = evaluate(
            checkpoint,
            games=400,
            num_simulations=num_simulations,
            opponent=lambda observations, infos, rng=rng: perfect_actions(observations, rng),
        )
        assert (first.returns.tolist(), second.returns.tolist()) == ([0] * 200, [0] * 200)
