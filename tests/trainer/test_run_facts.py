"""What a run says of its settings."""

from __future__ import annotations

import pytest

from engine.errors import InvalidConfig
from trainer.config import load_config
from trainer.run_facts import check_same, describe


def test_a_configuration_in_a_few_words() -> None:
    config = load_config("go9", ["network.channels=40", "search.num_simulations=20"])
    assert describe(config) == "9x9 Go, network 40/3/2, 20 simulations"
    assert describe(load_config("cartpole", ["search.num_simulations=1"])).endswith(", 1 simulation")


def test_settings_that_must_be_the_same_are_named_as_the_command_line_takes_them() -> None:
    one, other = load_config("tictactoe"), load_config("cartpole")
    check_same(one, load_config("tictactoe", ["loop.seed=5"]), ("env.", "network."))
    with pytest.raises(InvalidConfig, match=r"TicTacToe-v0.* without network\.reward\.low, "):
        check_same(one, other, ("env.id", "network."))
    with pytest.raises(InvalidConfig, match=r"CartPole-v1.*--set network\.reward\.low="):
        check_same(other, one, ("env.id", "network."))
