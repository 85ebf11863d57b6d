"""Games of k stones in a row: the rules for a batch of boards, and their vector environment.

TicTacToe and Connect Four differ only in the numbers of a `LineGame`. Cells are row-major, row 0 at the top. Plain
numpy: one step of 64 games costs a few dozen microseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import gymnasium
import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidInput
from trainer.envs.board_game import BoardGameVectorEnv
from trainer.envs.vector_env import State, checked_array

_SYMBOLS = {0: ".", 1: "X", -1: "O"}
_STATE_ARRAYS = ("stones", "to_play", "ply", "finished", "winner")


@dataclass(frozen=True, slots=True, kw_only=True)
class LineGame:
    """The numbers that define a game of k in a row."""

    rows: int
    """Height of the board."""
    columns: int
    """Width of the board."""
    line_length: int
    """Stones in a row, column or diagonal that win."""
    gravity: bool
    """True: an action names a column and the stone falls; False: an action names a cell."""

    @property
    def num_cells(self) -> int:
        return self.rows * self.columns

    @property
    def num_actions(self) -> int:
        return self.columns if self.gravity else self.num_cells

    def lines(self) -> list[list[int]]:
        """Every winning line as its cells."""
        found = []
        for row_step, column_step in ((0, 1), (1, 0), (1, 1), (1, -1)):
            for row in range(self.rows):
                for column in range(self.columns):
                    cells = [(row + row_step * i, column + column_step * i) for i in range(self.line_length)]
                    if all(0 <= r < self.rows and 0 <= c < self.columns for r, c in cells):
                        found.append([r * self.columns + c for r, c in cells])
        return found


class LineBatch:
    """G games in step. The arrays are public; `play` and `reset` change them.

    stones int8[G, cells] (+1 first player, -1 second, 0 empty), to_play int8[G], ply int32[G], finished bool[G],
    winner int8[G] (0 while nobody has won).
    """

    def __init__(self, *, num_games: int, game: LineGame) -> None:
        self.num_games = num_games
        self.game = game
        self.stones = np.zeros((num_games, game.num_cells), dtype=np.int8)
        self.to_play = np.ones(num_games, dtype=np.int8)
        self.ply = np.zeros(num_games, dtype=np.int32)
        self.finished = np.zeros(num_games, dtype=np.bool_)
        self.winner = np.zeros(num_games, dtype=np.int8)
        lines = game.lines()
        self._incidence = np.zeros((game.num_cells, len(lines)), dtype=np.float32)
        for line, cells in enumerate(lines):
            self._incidence[cells, line] = 1.0

    def reset(self, games: NDArray[np.int64]) -> None:
        """Empties the boards of these games."""
        self.stones[games] = 0
        self.to_play[games] = 1
        self.ply[games] = 0
        self.finished[games] = False
        self.winner[games] = 0

    def legal_mask(self, out: NDArray[np.bool_]) -> None:
        """Writes the legal actions to `out` [G, num_actions]; in games that are over, where all are ignored, all."""
        # With gravity the top row alone says whether a column has room.
        np.equal(self.stones[:, : self.game.num_actions], 0, out=out)
        out[self.finished] = True

    def play(self, actions: NDArray[np.int32], active: NDArray[np.bool_]) -> None:
        """Plays legal `actions` [G] in the `active` games and ends those that are won or full."""
        games = active.nonzero()[0]
        movers = self.to_play[games]
        self.stones[games, self._cells(games, actions[games])] = movers
        self.to_play[games] = -movers
        self.ply[games] += 1
        # One product counts the stones of every line: exact, the sums are small integers.
        line_sums = self.stones[games].astype(np.float32) @ self._incidence
        won = (line_sums * movers[:, None]).max(axis=1) == self.game.line_length
        self.winner[games] = np.where(won, movers, 0)
        self.finished[games] = won | (self.ply[games] == self.game.num_cells)

    def _cells(self, games: NDArray[np.int64], actions: NDArray[np.int32]) -> NDArray[np.int64]:
        """The cells on which the stones come to rest."""
        if not self.game.gravity:
            return actions.astype(np.int64)
        columns = self.stones.reshape(self.num_games, self.game.rows, self.game.columns)[games, :, actions]
        cells: NDArray[np.int64] = ((columns == 0).sum(axis=1) - 1) * self.game.columns + actions
        return cells

    def observe(self, out: NDArray[np.float32]) -> None:
        """Writes float32 [G, 3 * cells]: first player's stones, second player's stones (0 or 1), to play (+1 or -1)."""
        planes = out.reshape(self.num_games, 3, self.game.num_cells)
        np.equal(self.stones, 1, out=planes[:, 0])
        np.equal(self.stones, -1, out=planes[:, 1])
        planes[:, 2] = self.to_play[:, None]


class LineGameVectorEnv(BoardGameVectorEnv):
    """G games of the `game` that a subclass names; observations are float32 vectors of 3 * cells."""

    game: ClassVar[LineGame]
    batch: LineBatch

    def __init__(self, num_envs: int = 1, *, copy: bool = True, render_mode: str | None = None) -> None:
        self.batch = LineBatch(num_games=num_envs, game=self.game)
        length = 3 * self.game.num_cells
        space = gymnasium.spaces.Box(-1.0, 1.0, shape=(length,), dtype=np.float32)
        self._set_spaces(num_envs=num_envs, observation_space=space, num_actions=self.game.num_actions)
        self._allocate(copy=copy, render_mode=render_mode)
        self._refresh()

    def _restart(self, games: NDArray[np.int64], options: dict[str, Any]) -> None:
        self.batch.reset(games)
        self._refresh()

    def _play(self, actions: NDArray[np.int32], active: NDArray[np.bool_]) -> None:
        self.batch.play(actions, active)

    def _outcomes(self) -> NDArray[np.float32]:
        return self.batch.winner.astype(np.float32)

    def _refresh(self) -> None:
        self.batch.observe(self._observations)
        self.batch.legal_mask(self._action_mask)

    def diagram(self, game: int) -> str:
        """Rows of X (first player), O and dots; column numbers below where actions are columns; who is to play."""
        board = self.batch.stones[game].reshape(self.game.rows, self.game.columns)
        rows = [" ".join(_SYMBOLS[int(stone)] for stone in row) for row in board]
        if self.game.gravity:
            rows.append(" ".join(str(column) for column in range(self.game.columns)))
        return "\n".join([*rows, self._status(game)])

    def _status(self, game: int) -> str:
        if not self.batch.finished[game]:
            return f"{_SYMBOLS[int(self.batch.to_play[game])]} to play"
        winner = int(self.batch.winner[game])
        if winner:
            return f"{_SYMBOLS[winner]} has won"
        return "draw" if self.batch.ply[game] == self.game.num_cells else "ended by an illegal action"

    def state(self) -> State:
        return {name: getattr(self.batch, name).copy() for name in _STATE_ARRAYS}

    def set_state(self, state: State) -> None:
        saved = {name: checked_array(state, name, getattr(self.batch, name)) for name in _STATE_ARRAYS}
        if (np.abs(saved["stones"]) > 1).any() or (np.abs(saved["to_play"]) != 1).any():
            raise InvalidInput("state holds stones or players that are not +1, 0, -1")
        for name, array in saved.items():
            getattr(self.batch, name)[...] = array
        self._illegal[:] = False
        self._refresh()
