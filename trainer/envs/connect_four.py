"""Connect Four, `tengen/ConnectFour-v0`: four in a row on 6 rows and 7 columns, action = column from the left.

Observation float32[126]: first player's stones, second player's stones, to play (+1 or -1 in 42 cells).
"""

from __future__ import annotations

from trainer.envs.board_game import BoardGameEnv
from trainer.envs.line_game import LineGame, LineGameVectorEnv

CONNECT_FOUR = LineGame(rows=6, columns=7, line_length=4, gravity=True)


class ConnectFourVectorEnv(LineGameVectorEnv):
    """G games of Connect Four in step."""

    game = CONNECT_FOUR


class ConnectFourEnv(BoardGameEnv):
    """One game of Connect Four."""

    def __init__(self, *, render_mode: str | None = None) -> None:
        super().__init__(ConnectFourVectorEnv(1, render_mode=render_mode))
