"""An exact minimax player of TicTacToe, with rules of its own so that it can also judge the environment.

Boards are tuples of nine numbers, row-major, +1 first player, -1 second, 0 empty. Values are from the first player's
view. The whole game has 5478 positions; the first call solves it in about 50 ms.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

Board = tuple[int, ...]
Policy = Callable[[Board, int], int]

EMPTY_BOARD: Board = (0,) * 9
_LINES = ((0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6))


def winner(board: Board) -> int:
    """+1 or -1 for the player with three in a row, else 0."""
    for a, b, c in _LINES:
        if board[a] != 0 and board[a] == board[b] == board[c]:
            return board[a]
    return 0


def is_over(board: Board) -> bool:
    return winner(board) != 0 or 0 not in board


def after(board: Board, to_play: int, cell: int) -> Board:
    assert board[cell] == 0, f"cell {cell} of {board} is occupied"
    return (*board[:cell], to_play, *board[cell + 1 :])


@cache
def value(board: Board, to_play: int) -> int:
    """Result of perfect play: +1, 0 or -1, first player's view."""
    if is_over(board):
        return winner(board)
    replies = [value(after(board, to_play, cell), -to_play) for cell in range(9) if board[cell] == 0]
    return max(replies) if to_play == 1 else min(replies)


def perfect_moves(board: Board, to_play: int) -> list[int]:
    """Every cell that keeps the value of the position; empty in a position that is over."""
    if is_over(board):
        return []
    target = value(board, to_play)
    return [c for c in range(9) if board[c] == 0 and value(after(board, to_play, c), -to_play) == target]


def board_of(observation: NDArray[np.float32]) -> tuple[Board, int]:
    """Board and player to move of one observation float32[27] of `tengen/TicTacToe-v0`."""
    stones = observation[:9] - observation[9:18]
    return tuple(int(stone) for stone in stones), int(observation[18])


def observation_of(board: Board, to_play: int) -> NDArray[np.float32]:
    """The inverse of `board_of`."""
    stones = np.array(board)
    return np.concatenate([stones == 1, stones == -1, np.full(9, to_play)]).astype(np.float32)


def positions() -> list[tuple[Board, int]]:
    """Every position (board, player to move) that legal play can reach and that is not over: 4520."""
    found: set[tuple[Board, int]] = set()
    waiting = [(EMPTY_BOARD, 1)]
    while waiting:
        board, to_play = waiting.pop()
        if (board, to_play) in found or is_over(board):
            continue
        found.add((board, to_play))
        waiting.extend((after(board, to_play, cell), -to_play) for cell in range(9) if board[cell] == 0)
    return sorted(found)


def perfect_actions(observations: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.int32]:
    """For each observation [G, 27] one perfect move, drawn evenly; 0 in games that are over."""
    return np.array([int(rng.choice(perfect_moves(*board_of(row)) or [0])) for row in observations], dtype=np.int32)


def outcomes_against_everything(policy: Policy, player: int) -> dict[int, int]:
    """Plays a deterministic `policy` as `player` (+1 moves first) against every possible line of the opponent.

    Returns how many finished games ended with each result {+1, 0, -1}, first player's view. `policy(board, to_play)`
    must return an empty cell.
    """
    counts = {1: 0, 0: 0, -1: 0}
    open_positions = [(EMPTY_BOARD, 1)]
    while open_positions:
        board, to_play = open_positions.pop()
        if is_over(board):
            counts[winner(board)] += 1
            continue
        cells = [policy(board, to_play)] if to_play == player else [c for c in range(9) if board[c] == 0]
        open_positions.extend((after(board, to_play, cell), -to_play) for cell in cells)
    return counts
