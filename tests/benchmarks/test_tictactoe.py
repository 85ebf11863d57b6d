"""The strength of TicTacToe runs, measured on a network that has learned nothing."""

from __future__ import annotations

import torch

from benchmarks.tictactoe import choices, every_line, value_errors
from tests.support.perfect_tictactoe import perfect_moves, positions
from trainer.checkpoint import Checkpoint
from trainer.config import load_config
from trainer.learner import Learner
from trainer.network import make_network


def test_who_has_learned_nothing_plays_by_the_rules_and_loses() -> None:
    torch.manual_seed(0)
    config = load_config("tictactoe", ["network.channels=8"])
    learner = Learner(make_network(config.network), config.learner)
    untrained = Checkpoint(config=config, learner=learner.state(), progress={"step": 0})
    chosen = choices(untrained, num_simulations=2)
    assert chosen.keys() == set(positions())
    assert all(board[action] == 0 for (board, _), action in chosen.items())
    assert all(outcomes[-1] > 0 for outcomes in every_line(chosen).values())
    errors = value_errors(untrained, moves=2, seed=0)
    assert len(errors) == 3
    assert all(0.5 < error < 1.5 for error in errors)


def test_a_perfect_player_loses_no_line() -> None:
    perfect = {(board, to_play): perfect_moves(board, to_play)[0] for board, to_play in positions()}
    first, second = every_line(perfect).values()
    assert (first[-1], second[-1]) == (0, 0)
    assert first[1] > 0
    assert second[1] > 0
    assert first != second
