"""The minimax player that other tests trust, and play between it and the environment."""

from __future__ import annotations

import numpy as np

from tests.support import perfect_tictactoe as perfect
from trainer.envs import make_vector


def test_known_values() -> None:
    assert perfect.value(perfect.EMPTY_BOARD, 1) == 0
    assert perfect.perfect_moves(perfect.EMPTY_BOARD, 1) == list(range(9))
    corner = perfect.after(perfect.EMPTY_BOARD, 1, 0)
    assert perfect.perfect_moves(corner, -1) == [4], "only the centre answers a corner"
    centre = perfect.after(perfect.EMPTY_BOARD, 1, 4)
    assert perfect.perfect_moves(centre, -1) == [0, 2, 6, 8], "only a corner answers the centre"
    assert perfect.perfect_moves((1, 1, 0, -1, -1, 0, 0, 0, 0), 1) == [2], "a win is taken, not only a block"


def test_perfect_play_never_loses_and_a_naive_player_does() -> None:
    for player in (1, -1):
        outcomes = perfect.outcomes_against_everything(lambda b, p: perfect.perfect_moves(b, p)[0], player)
        assert outcomes[-player] == 0
        assert outcomes[player] > 0
        naive = perfect.outcomes_against_everything(lambda b, p: b.index(0), player)
        assert naive[-player] > 0


def test_every_position_and_its_observation() -> None:
    every = perfect.positions()
    assert len(every) == len(set(every)) == 4520
    assert all(perfect.board_of(perfect.observation_of(board, to_play)) == (board, to_play) for board, to_play in every)
    env = make_vector("tengen/TicTacToe-v0", 1)
    env.reset()
    observations, *_ = env.step(np.array([4], np.int32))
    board = perfect.after(perfect.EMPTY_BOARD, 1, 4)
    assert np.array_equal(observations[0], perfect.observation_of(board, -1))


def test_two_perfect_players_draw_in_the_environment() -> None:
    rng = np.random.default_rng(5)
    env = make_vector("tengen/TicTacToe-v0", 32)
    observations, _ = env.reset()
    for _ in range(9):
        observations, rewards, terminated, _, infos = env.step(perfect.perfect_actions(observations, rng))
        assert not rewards.any()
        assert not infos["illegal"].any()
    assert terminated.all()
