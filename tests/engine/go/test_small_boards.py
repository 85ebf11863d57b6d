"""The solver of small boards: its rules against the engine's, its winners against plain search and what is known."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from engine.go.position import Position
from engine.go.rules import BLACK, WHITE
from tests.support.small_board_graph import END, ILLEGAL, board_of, position_graph, to_play
from tests.support.small_board_solver import NO_LIMIT, UNKNOWN, solver

CENTRE = 4


def set_up(size: int, position: int, *, komi: float) -> Position:
    """The engine's view of a position, as the start of a game."""
    color, after_pass = to_play(position), bool(position & 1)
    stones = position_graph(size).stones[board_of(position)]
    game = Position(size, komi=komi)
    first = -color if after_pass else color
    game.set_stones(np.flatnonzero(stones > 0).tolist(), np.flatnonzero(stones < 0).tolist(), first)
    if after_pass:
        game.play(first, game.pass_action)
    return game


class TooLongError(Exception):
    """A plain search took more steps than it may."""


def searched_winner(game: Position, *, plies_left: int = NO_LIMIT, steps: Iterator[int] | None = None) -> int:
    """The winner by plain search with the engine's rules; the game ends after `plies_left` plies at the latest.

    Raises `TooLongError` when it needs another step and `steps` has none.
    """
    if steps is not None and next(steps, None) is None:
        raise TooLongError
    color = game.to_play
    for action in np.flatnonzero(game.legal_mask())[::-1].tolist():
        game.play(color, action)
        is_over = game.is_over or plies_left == 1
        winner = int(np.sign(game.score()))
        if not is_over:
            winner = searched_winner(game, plies_left=plies_left - 1, steps=steps)
        game.undo()
        if winner == color:
            return color
    return -color


def random_game(size: int, plies: int, *, komi: float, rng: np.random.Generator) -> tuple[Position, int]:
    """A game in progress of random moves without passes, and the boards that it held as a set of bits."""
    graph = position_graph(size)
    game, history = Position(size, komi=komi), 1 << graph.board([0] * size**2)
    for _ in range(plies):
        points = np.flatnonzero(game.legal_mask()[:-1])
        game.play(game.to_play, int(rng.choice(points)) if len(points) else game.pass_action)
        if game.is_over:
            break
        history |= 1 << graph.board(game.stones)
    return game, history


def distinct_boards(size: int) -> list[int]:
    """One board of each set that the symmetries of the square map onto each other."""
    graph = position_graph(size)
    kept = {}
    for board, stones in enumerate(graph.stones):
        grid = stones.reshape(size, size)
        images = [np.rot90(side, turn).ravel() for side in (grid, grid.T) for turn in range(4)]
        kept.setdefault(min(graph.board(image) for image in images), board)
    return list(kept.values())


def test_boards_are_all_there() -> None:
    """Tromp and Farnebäck, "Combinatorics of Go": legal positions of 2x2 and 3x3."""
    assert [len(position_graph(size).stones) for size in (2, 3)] == [57, 12675]


@pytest.mark.parametrize("size", [2, 3])
def test_moves_and_scores_are_the_engines(size: int) -> None:
    graph, rng = position_graph(size), np.random.default_rng(1)
    for position in rng.permutation(len(graph.successors))[:300].tolist():
        game = set_up(size, position, komi=0.0)
        after = graph.successors[position]
        assert game.score() == graph.scores[board_of(position)]
        assert game.legal_mask().tolist() == (after != ILLEGAL).tolist()  # there is no history to repeat
        assert (after[-1] == END) == bool(np.sign(game.score()) == game.root_terminal_values()[-1])
        for action in np.flatnonzero(after >= 0).tolist():
            color = game.to_play
            game.play(color, action)
            is_pass = action == game.pass_action
            assert graph.position(game.stones, to_play=-color, after_pass=is_pass) == after[action]
            game.undo()


@pytest.mark.parametrize("komi", [0.5, 1.5])
def test_winners_of_2x2_are_those_of_plain_search(komi: float) -> None:
    for board in distinct_boards(2):
        for position in range(4 * board, 4 * board + 4):
            game = set_up(2, position, komi=komi)
            assert solver(2, komi).winner(position) == searched_winner(game), f"\n{game.stones}"


def test_winners_of_3x3_after_a_game_are_those_of_plain_search() -> None:
    """Histories that forbid moves, and games cut off: where the solver's two steps could go wrong."""
    rng, solved = np.random.default_rng(2), solver(3, 8.5)
    forbidden = wins = 0
    for _ in range(24):
        game, history = random_game(3, int(rng.integers(6, 30)), komi=8.5, rng=rng)
        after_pass = game.moves[-1].action == game.pass_action
        position = solved.graph.position(game.stones, to_play=game.to_play, after_pass=after_pass)
        forbidden += int((solved.graph.successors[position] != ILLEGAL).sum() - game.legal_mask().sum())
        for plies_left in (1, 2, 3, 4):
            expected = searched_winner(game, plies_left=plies_left)
            assert solved.winner(position, history=history, plies_left=plies_left) == expected, f"\n{game.stones}"
            wins += expected == BLACK
    assert forbidden > 0
    assert wins > 10


def test_superko_can_take_a_forced_win_away() -> None:
    """If the game began here, Black would win within three plies; but they lead to a board that was there before."""
    solved, game = solver(3, 8.5), Position(3, komi=8.5)
    history = 0
    for action in (5, 7, 2, 6, 1, 3, 0, 4, 8, 6, 7, 4, 3, 9, 6, 4, 5, 8, 7, 2, 3, 1, 0, 4, 8, 1, 2, 4):
        game.play(game.to_play, action)
        history |= 1 << solved.graph.board(game.stones)
    position = solved.graph.position(game.stones, to_play=BLACK)
    assert solved.winner(position, plies_left=3) == BLACK
    assert solved.winner(position, plies_left=3, history=history) == WHITE
    assert searched_winner(game, plies_left=3) == WHITE


@pytest.mark.slow
def test_winners_of_3x3_are_those_of_plain_search() -> None:
    """To the end of the game, wherever plain search gets there."""
    solved, found = solver(3, 2.5), 0
    for position in np.random.default_rng(5).permutation(len(solved.graph.successors))[:200].tolist():
        game = set_up(3, position, komi=2.5)
        try:
            winner = searched_winner(game, steps=iter(range(1000)))
        except TooLongError:
            continue
        assert solved.winner(position) == winner, f"\n{game.stones}"
        found += 1
    assert found > 50


def test_empty_boards_are_worth_what_is_known() -> None:
    """2x2: Black by one point; 3x3: Black takes all nine from the centre and nowhere else."""
    empty = solver(2, 0.5).graph.position([0] * 4, to_play=BLACK)
    assert [solver(2, komi).winner(empty) for komi in (0.5, 1.5)] == [BLACK, WHITE]
    solved = solver(3, 8.5)
    empty = solved.graph.position([0] * 9, to_play=BLACK)
    assert not solved.is_forced(empty)
    assert solved.winners_after(empty) == {action: BLACK if action == CENTRE else WHITE for action in range(10)}


def test_a_winner_is_the_best_of_what_follows() -> None:
    solved = solver(3, 8.5)
    for position in np.random.default_rng(3).permutation(len(solved.graph.successors))[:1000].tolist():
        color, after = to_play(position), solved.winners_after(position, max_steps=300).values()
        if UNKNOWN not in after:
            assert solved.winner(position) == (color if color in after else -color)
