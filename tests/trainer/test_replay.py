from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest

from tests.support.go_games import random_games
from trainer.config import ReplayConfig
from trainer.replay import ReplayBuffer, window_size


def test_the_window_grows_by_the_power_law() -> None:
    config = ReplayConfig(window_scale=100.0, window_exponent=0.5, window_slope=0.4)
    assert window_size(0, config) == 100
    assert window_size(100, config) == 100
    assert window_size(400, config) == pytest.approx(100 * (1 + 0.4 * (2 - 1) / 0.5))


def test_old_games_leave_and_held_out_games_are_never_drawn() -> None:
    games = random_games(40, size=3, seed=0)
    buffer = ReplayBuffer(ReplayConfig(window_scale=200.0, window_slope=0.0, holdout_every=10))
    buffer.add(games)
    assert [id(g) for g in buffer.holdout] == [id(g) for g in games[9::10]]
    assert 200 <= buffer.positions < 200 + max(map(len, games))
    assert buffer.positions == sum(map(len, buffer.games))
    drawn = {id(game) for game, _ in buffer.sample(2_000, np.random.default_rng(0))}
    assert drawn == {id(game) for game in buffer.games}
    assert not drawn & {id(game) for game in buffer.holdout}
    assert buffer.total_positions == sum(len(game) for i, game in enumerate(games) if i % 10 != 9)
    assert [id(game) for game in buffer.games] == [id(game) for game in games if id(game) in drawn]  # the newest
    assert buffer.games[-1] is games[-2]


def test_games_that_were_just_added_are_drawn() -> None:
    games = random_games(2, size=3, seed=0)
    buffer = ReplayBuffer(ReplayConfig(holdout_every=0))
    for game in games:
        buffer.add([game])
        buffer.sample(1, np.random.default_rng(0))
    assert {id(game) for game, _ in buffer.sample(200, np.random.default_rng(0))} == {id(game) for game in games}


def test_positions_are_drawn_by_surprise() -> None:
    game = random_games(1, size=3, seed=1)[0]
    game.surprise[:] = 0.0
    game.surprise[2] = 1.0
    buffer = ReplayBuffer(ReplayConfig(surprise_weight=0.3, holdout_every=0))
    buffer.add([game])
    counts = Counter(ply for _, ply in buffer.sample(20_000, np.random.default_rng(0)))
    length = len(game)
    weights = np.full(length, 0.7)
    weights[2] += 0.3 * min(length, 10.0)
    share = weights / weights.sum()
    assert [counts[i] / 20_000 for i in range(length)] == pytest.approx(share, abs=0.015)


def test_surprise_moves_weight_within_a_game_and_never_between_games() -> None:
    """Or games of one age or board would push out those of another."""
    games = random_games(2, size=3, seed=1)
    games[0].surprise[:], games[1].surprise[:] = 0.01, 1.0
    games[0].surprise[0] = 0.05
    buffer = ReplayBuffer(ReplayConfig(surprise_weight=0.5, holdout_every=0))
    buffer.add(games)
    drawn = buffer.sample(20_000, np.random.default_rng(0))
    counts = [sum(game is other for game, _ in drawn) / 20_000 for other in games]
    assert counts == pytest.approx([len(game) / buffer.positions for game in games], abs=0.015)


def test_a_ply_that_teaches_nothing_is_not_drawn() -> None:
    """Of a random opening, that is, unless it was searched since; a quick move teaches its value."""
    game = dataclasses.replace(random_games(1, size=3, seed=1)[0], opening_plies=3)
    game.surprise[:] = 1.0
    game.surprise[[0, 2, 4]] = 0.0
    buffer = ReplayBuffer(ReplayConfig(holdout_every=0))
    buffer.add([game])
    drawn = {ply for _, ply in buffer.sample(2_000, np.random.default_rng(0))}
    assert drawn == {1, *range(3, len(game))}


def test_games_without_surprise_count_as_others_do() -> None:
    games = random_games(2, size=3, seed=1)
    games[0].surprise[:] = 0.0
    buffer = ReplayBuffer(ReplayConfig(surprise_weight=1.0, holdout_every=0))
    buffer.add(games)
    assert any(game is games[0] for game, _ in buffer.sample(100, np.random.default_rng(0)))
