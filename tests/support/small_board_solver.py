"""Who wins a 2x2 or 3x3 position at a half-point komi: exact, under area scoring, positional superko and no suicide.

Two steps.

1. `force_win` finds the positions that one colour wins against any play, even if its opponent were free to repeat
   boards: the least fixed point of "some own move, or every move of the opponent, leads to a position that is won", so
   that endless play counts against the colour. With each goes a strategy and the set of boards that it may create.
   The strategy never comes back to a board (asserted), so superko never forbids its moves unless the game so far
   held a board of that set; whatever superko forbids the opponent changes nothing. Such a win is exact under positional
   superko, and under situational superko, which forbids less.
2. Where neither colour can do so (a sixth of all 3x3 positions at komi 8.5, the empty board among them), the winner
   depends on who runs into superko first. `Solver.winner` searches these with the whole history of the game, down to
   positions of step 1.

The answer is that of the game as it is played, and the tests hold it against plain search with the engine's rules.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tests.support.small_board_graph import END, ILLEGAL, PositionGraph, board_of, position_graph, to_play

UNKNOWN = 0
"""In place of the winner: the search was given up."""
NO_LIMIT = 1 << 20
"""Plies: more than any game has."""
NEVER = 1 << 30
"""Plies until a win that cannot be forced."""


class ForcedWins(NamedTuple):
    """What one colour can force; lists over positions."""

    plies: list[int]
    """Most plies until the end if the colour plays by its strategy; NEVER where there is no forced win."""
    created: list[int]
    """The boards that it may create on the way, a set of bits by board."""


def force_win(graph: PositionGraph, *, komi: float, color: int) -> ForcedWins:
    """The positions that `color` wins by step 1 above, in half a second for 3x3."""
    is_won_at_end = _margins(graph, komi) * color > 0
    plies = _forced_plies(graph, is_won_at_end, color)
    successors, needed, created = graph.successors.tolist(), plies.tolist(), [0] * len(plies)
    order = np.argsort(plies, kind="stable")[: int((plies < NEVER).sum())]
    for position in order.tolist():
        board, is_own = board_of(position), to_play(position) == color
        plans = []
        for after in successors[position]:
            if after == END and is_won_at_end[board]:
                plans.append(0)
            elif after >= 0 and needed[after] < needed[position]:
                is_stone = is_own and board_of(after) != board
                plans.append(created[after] | (1 << board_of(after) if is_stone else 0))
        if is_own:
            created[position] = min(plans, key=int.bit_count)
        else:
            for plan in plans:
                created[position] |= plan
        assert not created[position] >> board & 1, f"the strategy comes back to the board of position {position}"
    return ForcedWins(needed, created)


def _margins(graph: PositionGraph, komi: float) -> NDArray[np.float64]:
    """[P] area score with komi."""
    assert komi % 1 == 0.5, f"komi {komi}: games could be drawn"
    return graph.scores - komi


def _forced_plies(graph: PositionGraph, is_won_at_end: NDArray[np.bool_], color: int) -> NDArray[np.int32]:
    """[4 P] the plies that `color` needs at most until it has won, NEVER where it cannot force that."""
    successors = graph.successors
    is_own = np.array([to_play(position) == color for position in range(len(successors))])
    at_end = np.where(np.repeat(is_won_at_end, 4)[:, None] & (successors == END), 0, NEVER)
    plies = np.full(len(successors), NEVER)
    while True:
        after = np.where(successors >= 0, plies[successors], at_end)
        best, worst = after.min(axis=1), np.where(successors == ILLEGAL, 0, after).max(axis=1)
        found = np.minimum(np.where(is_own, best, worst) + 1, NEVER)
        if (found == plies).all():
            return plies.astype(np.int32)
        plies = found


class _GivenUpError(Exception):
    """The search took more steps than it may."""


class Solver:
    """The winner of every position at one komi. Histories are sets of bits by board."""

    def __init__(self, graph: PositionGraph, *, komi: float) -> None:
        self.graph = graph
        self._winner_at_end = np.sign(_margins(graph, komi)).astype(int).tolist()
        self._successors = graph.successors.tolist()
        self._forced = {color: force_win(graph, komi=komi, color=color) for color in (1, -1)}
        self._steps_left = 0

    def winner(self, position: int, *, history: int = 0, plies_left: int = NO_LIMIT, max_steps: int = 100_000) -> int:
        """+1 or -1 with best play, after a game that held the boards of `history`; UNKNOWN after `max_steps` steps.

        After `plies_left` plies, at least one, the game ends and is scored as the board stands.
        """
        history |= 1 << board_of(position)
        known = self._known(position, history, plies_left)
        if known != UNKNOWN:
            return known
        self._steps_left = max_steps
        try:
            return self._search(position, history, plies_left)
        except _GivenUpError:
            return UNKNOWN

    def winners_after(
        self, position: int, *, history: int = 0, plies_left: int = NO_LIMIT, max_steps: int = 100_000
    ) -> dict[int, int]:
        """The winner after every action that is legal, superko included; otherwise as `winner`."""
        history |= 1 << board_of(position)
        winners = {}
        for action, after in self._legal(position, history):
            winners[action] = self._ended(position, after, plies_left) or self.winner(
                after, history=history, plies_left=plies_left - 1, max_steps=max_steps
            )
        return winners

    def is_forced(self, position: int) -> bool:
        """Whether step 1 alone tells who wins, in a game that begins here."""
        return min(forced.plies[position] for forced in self._forced.values()) < NEVER

    def _legal(self, position: int, history: int) -> list[tuple[int, int]]:
        """(action, successor) of every legal action."""
        board = board_of(position)
        return [
            (action, after)
            for action, after in enumerate(self._successors[position])
            if after == END or (after >= 0 and (board_of(after) == board or not history >> board_of(after) & 1))
        ]

    def _ended(self, position: int, after: int, plies_left: int) -> int:
        """The winner if the game is over `after` an action, else UNKNOWN."""
        if after == END:
            return self._winner_at_end[board_of(position)]
        return self._winner_at_end[board_of(after)] if plies_left == 1 else UNKNOWN

    def _known(self, position: int, history: int, plies_left: int) -> int:
        """The winner that step 1 knows, if any."""
        for color, forced in self._forced.items():
            if forced.plies[position] <= plies_left and not forced.created[position] & history:
                return color
        return UNKNOWN

    def _search(self, position: int, history: int, plies_left: int) -> int:
        """The winner; every legal action is first looked at, then searched."""
        self._steps_left -= 1
        if self._steps_left < 0:
            raise _GivenUpError
        color = to_play(position)
        open_ends = []
        for _, after in self._legal(position, history):
            winner = self._ended(position, after, plies_left)
            if winner == UNKNOWN:
                winner = self._known(after, history | 1 << board_of(after), plies_left - 1)
            if winner == color:
                return color
            if winner == UNKNOWN:
                open_ends.append(after)
        for after in open_ends:
            if self._search(after, history | 1 << board_of(after), plies_left - 1) == color:
                return color
        return -color


@cache
def solver(size: int, komi: float) -> Solver:
    """The solver of a board of `size` 2 or 3 at a half-point `komi`."""
    return Solver(position_graph(size), komi=komi)
