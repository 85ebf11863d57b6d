"""TicTacToe, `tengen/TicTacToe-v0`: three in a row on nine cells, action = cell, row-major from the top left.

Observation float32[27]: first player's stones, second player's stones, to play (+1 or -1 in nine cells).
"""

from __future__ import annotations

from trainer.envs.board_game import BoardGameEnv
from trainer.envs.line_game import LineGame, LineGameVectorEnv

TICTACTOE = LineGame(rows=3, columns=3, line_length=3, gravity=False)


class TicTacToeVectorEnv(LineGameVectorEnv):
    """G games of TicTacToe in step."""

    game = TICTACTOE


class TicTacToeEnv(BoardGameEnv):
    """One game of TicTacToe."""

    def __init__(self, *, render_mode: str | None = None) -> None:
        super().__init__(TicTacToeVectorEnv(1, render_mode=render_mode))
