"""Scores at the end, and estimates of them from a network's ownership."""

from __future__ import annotations

import numpy as np

from engine.final_score import dead_stones, estimated_score, exact_score, has_exact_score, owners
from engine.go.diagram import from_diagram
from engine.go.position import Position
from engine.go.rules import BLACK, RULE_PRESETS, WHITE

BOARD = ". X . O .\nX X . O O\n. X . O .\nX X . O O\n. X . O ."
"""10 : 10."""
WITH_DEAD_STONE = BOARD[:-3] + ". X"
"""The Black stone at E1 is dead."""
OWNERSHIP = np.repeat([[0.9, 0.9, 0.1, -0.9, -0.9]], 5, axis=0).astype(np.float32)


def position(*, komi: float = 0.5) -> Position:
    return from_diagram(BOARD, komi=komi)


def test_exact_after_two_passes() -> None:
    game = position()
    assert not has_exact_score(game)
    game.play(BLACK, 25)
    game.play(WHITE, 25)
    assert has_exact_score(game)
    score = exact_score(game)
    assert score.source == "rules"
    assert score.points == -0.5
    assert sum(score.ownership) == 0
    assert score.dead == frozenset()


def test_estimate_by_ownership_takes_the_dead_off() -> None:
    game = from_diagram(WITH_DEAD_STONE, komi=0.5)
    score = estimated_score(game, OWNERSHIP.reshape(-1))
    assert score.source == "network"
    assert score.dead == frozenset({24})
    assert score.ownership == (1, 1, 0, -1, -1) * 5
    assert score.points == -0.5


def test_a_chain_lives_or_dies_as_a_whole() -> None:
    game = from_diagram("X X . . .\n. . . . .\n. . . . .\n. . . . .\n. . . . .")
    judged = np.zeros(25, np.float32)
    judged[0], judged[1] = -1.0, 0.5
    assert dead_stones(game, judged) == frozenset()
    judged[1] = 0.3
    assert dead_stones(game, judged) == frozenset({0, 1})


def test_white_stones_die_by_black_ownership() -> None:
    game = from_diagram("O . . . .\n. . . . .\n. . . . .\n. . . . .\n. . . . .")
    judged = np.full(25, 0.8, np.float32)
    assert dead_stones(game, judged) == frozenset({0})
    assert owners(game, judged, {0}).tolist() == [1] * 25
    assert owners(game, judged, ()).tolist() == [-1] + [1] * 24


def test_without_ownership_the_board_counts() -> None:
    score = estimated_score(position(), None)
    assert score.source == "board"
    assert score.points == -0.5


def test_territory_counts_prisoners_and_dead_stones() -> None:
    game = from_diagram(WITH_DEAD_STONE, komi=0.5)
    game.rules = RULE_PRESETS["japanese"]
    for color in (BLACK, WHITE):
        game.play(color, 25)
    assert not has_exact_score(game)
    score = estimated_score(game, OWNERSHIP.reshape(-1))
    assert score.source == "network"
    assert score.points == game.territory_score({24})
