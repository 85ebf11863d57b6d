"""An independent referee of Go: sgfmill's board and plain sets of positions. Slow and obvious, for tests only.

Shares no code with `engine.go`, except the numbering of points and the enumerations of the rules.
"""

from __future__ import annotations

import numpy as np
from sgfmill.boards import Board

from engine.go.rules import BLACK, WHITE, KoRule

COLOR_LETTERS = {BLACK: "b", WHITE: "w"}


class Referee:
    """One game from the empty board, Black to move, under any ko and suicide rule."""

    def __init__(self, size: int, *, ko: KoRule, suicide: bool) -> None:
        self.size = size
        self.ko = ko
        self.suicide = suicide
        self.to_play = BLACK
        self.board = Board(size)
        self.positions = [self._position(self.board)]
        self.situations = {(self.positions[0], BLACK)}

    def _position(self, board: Board) -> tuple[tuple[str | None, ...], ...]:
        return tuple(tuple(row) for row in board.board)

    def _after(self, action: int) -> Board | None:
        """The board after a stone on the empty point `action`; None for a suicide that the rules forbid."""
        board = self.board.copy()
        row, column = self._sgfmill_point(action)
        board.play(row, column, COLOR_LETTERS[self.to_play])
        if board.get(row, column) is None and not self.suicide:
            return None
        return board

    def _sgfmill_point(self, action: int) -> tuple[int, int]:
        """sgfmill counts rows from the bottom."""
        row, column = divmod(action, self.size)
        return self.size - 1 - row, column

    def is_legal(self, action: int) -> bool:
        if action == self.size * self.size:
            return True
        if self.board.get(*self._sgfmill_point(action)) is not None:
            return False
        board = self._after(action)
        if board is None:
            return False
        position = self._position(board)
        if self.ko == KoRule.SIMPLE:
            return len(self.positions) < 2 or position != self.positions[-2]
        if self.ko == KoRule.POSITIONAL:
            return position not in set(self.positions)
        return (position, -self.to_play) not in self.situations

    def legal_mask(self) -> np.ndarray:
        """[A + 1] bool."""
        return np.array([self.is_legal(action) for action in range(self.size * self.size + 1)])

    def play(self, action: int) -> None:
        """Plays a legal action."""
        if action != self.size * self.size:
            self.board.play(*self._sgfmill_point(action), COLOR_LETTERS[self.to_play])
        self.to_play = -self.to_play
        self.positions.append(self._position(self.board))
        self.situations.add((self.positions[-1], self.to_play))

    def stones(self) -> np.ndarray:
        """[A] int8."""
        values = {None: 0, "b": BLACK, "w": WHITE}
        return np.array([values[point] for row in reversed(self.board.board) for point in row], dtype=np.int8)

    def area_score(self) -> int:
        """Black's area minus White's."""
        return int(self.board.area_score())
