"""What a run says of its settings."""

from __future__ import annotations

import pytest

from engine.errors import InvalidConfig
from trainer.config import load_config
from trainer.run_facts import check_same


def test_settings_that_must_be_the_same_are_named_as_the_command_line_takes_them() -> None:
    one, other = load_config("tictactoe"), load_config("cartpole")
    check_same(one, load_config("tictactoe", ["loop.seed=5"]), ("env.", "network."))
    with pytest.raises(InvalidConfig, match=r"TicTacToe-v0.* without network\.reward\.low, "):
        check_same(one, other, ("env.id", "network."))
    with pytest.raises(InvalidConfig, match=r"CartPole-v1.*--set network\.reward\.low="):
        check_same(other, one, ("env.id", "network."))
