"""`Position`: play, undo, setup, handicap, scores, copies."""

from __future__ import annotations

import numpy as np
import pytest

from engine.errors import BoardNotEmpty, CannotUndo, IllegalMove, InvalidHandicap, InvalidRules, InvalidVertex
from engine.go.diagram import from_diagram
from engine.go.position import Move, Position, Setup, fixed_handicap_points
from engine.go.rules import BLACK, WHITE, KoRule, RuleSet, rules_by_name
from engine.go.vertex import from_gtp

KO = """
    . . . . .
    . X O . .
    X O . O .
    . X O . .
    . . . . ."""


def view(position: Position) -> dict[str, object]:
    """Everything that a caller can see, as comparable values."""
    return {
        "stones": position.stones.tolist(),
        "moves": position.moves,
        "to_play": position.to_play,
        "legal": [position.legal_mask(color).tolist() for color in (BLACK, WHITE)],
        "captures": [position.captures(color) for color in (BLACK, WHITE)],
        "is_over": position.is_over,
        "score": position.score(),
        "observation": position.observation().tolist(),
        "setup": position.setup,
    }


def play_at_random(position: Position, plies: int, seed: int) -> None:
    """Either colour at random, to meet two moves in a row by the same player too."""
    rng = np.random.default_rng(seed)
    for _ in range(plies):
        color = int(rng.choice([position.to_play, position.to_play, BLACK, WHITE]))
        position.play(color, int(rng.choice(np.flatnonzero(position.legal_mask(color)))))


@pytest.mark.parametrize("rules", [RuleSet(ko=ko, suicide=suicide) for ko in KoRule for suicide in (False, True)])
def test_undo_undoes_exactly(rules: RuleSet) -> None:
    position = Position(3, rules)
    rng = np.random.default_rng(5)
    stages = []
    for _ in range(60):
        stages.append(view(position))
        color = int(rng.choice([position.to_play, BLACK, WHITE]))
        position.play(color, int(rng.choice(np.flatnonzero(position.legal_mask(color)))))
    for expected in reversed(stages):
        position.undo()
        assert view(position) == expected
    with pytest.raises(CannotUndo):
        position.undo()


def test_undo_restores_the_ko() -> None:
    position = from_diagram(KO)
    position.play(BLACK, from_gtp("C3", 5))
    position.play(WHITE, from_gtp("A5", 5))
    position.play(BLACK, from_gtp("E1", 5))
    assert position.is_legal(WHITE, from_gtp("B3", 5))
    position.undo()
    position.undo()
    assert not position.is_legal(WHITE, from_gtp("B3", 5))
    position.undo()
    assert position.captures(BLACK) == 0
    assert position.stones[from_gtp("B3", 5)] == WHITE


def test_a_different_game_after_undo_does_not_see_the_old_one() -> None:
    position = Position(2, RuleSet(suicide=True))
    play_at_random(position, 12, seed=1)
    while position.moves:
        position.undo()
    play_at_random(position, 12, seed=2)
    fresh = Position(2, RuleSet(suicide=True))
    for color, action in position.moves:
        fresh.play(color, action)
    assert view(position) == view(fresh)


def test_play_goes_on_after_the_end_and_undo_reopens() -> None:
    position = Position(5)
    position.play(BLACK, 25)
    position.play(WHITE, 25)
    assert position.is_over
    position.play(BLACK, 12)
    assert not position.is_over
    assert position.stones[12] == BLACK
    position.undo()
    assert position.is_over
    position.play(BLACK, 25)
    assert position.is_over
    assert position.legal_mask().all()


def test_either_colour_may_move_and_to_play_follows() -> None:
    position = Position(5)
    position.play(WHITE, 0)
    position.play(WHITE, 1)
    assert position.moves == [Move(WHITE, 0), Move(WHITE, 1)]
    assert position.to_play == BLACK
    position.to_play = WHITE
    position.undo()
    assert position.to_play == BLACK
    assert position.stones[:2].tolist() == [WHITE, 0]


def test_hundreds_of_moves_without_a_cap() -> None:
    position = Position(3)
    for ply in range(500):
        position.play(BLACK if ply % 2 == 0 else WHITE, position.pass_action)
    position.play(BLACK, 4)
    assert len(position.moves) == 501
    for _ in range(501):
        position.undo()
    assert view(position) == view(Position(3))


@pytest.mark.parametrize("action", [-1, 26, 10_000])
def test_actions_off_the_board(action: int) -> None:
    position = Position(5)
    assert not position.is_legal(BLACK, action)
    with pytest.raises(IllegalMove, match=f"action {action} is not on the 5x5 board"):
        position.play(BLACK, action)
    assert view(position) == view(Position(5))


@pytest.mark.parametrize("color", [0, 2, -2])
def test_unknown_colours(color: int) -> None:
    position = Position(5)
    with pytest.raises(IllegalMove, match="neither"):
        position.play(color, 0)
    with pytest.raises(IllegalMove, match="neither"):
        position.to_play = color


@pytest.mark.parametrize("komi", [float("nan"), float("inf"), float("-inf")])
def test_komi_must_be_finite(komi: float) -> None:
    position = Position(5, komi=3.0)
    with pytest.raises(InvalidRules, match="finite"):
        position.komi = komi
    assert position.komi == 3.0


def test_komi_and_rules_may_change_during_the_game() -> None:
    position = from_diagram(KO, komi=1.0)
    position.play(BLACK, from_gtp("C3", 5))
    position.play(WHITE, position.pass_action)
    position.play(BLACK, position.pass_action)
    assert not position.is_legal(WHITE, from_gtp("B3", 5))
    position.rules = RuleSet(ko=KoRule.SIMPLE)
    assert position.is_legal(WHITE, from_gtp("B3", 5))
    before = position.score()
    position.komi = -2.0
    assert position.score() == before + 3.0
    assert len(position.moves) == 3


@pytest.mark.parametrize(
    ("name", "stones", "compensation"),
    [("chinese", 4, 4), ("aga", 4, 3), ("tromp-taylor", 4, 0), ("japanese", 4, 0), ("chinese", 2, 2), ("aga", 2, 1)],
)
def test_handicap_compensation_counts_in_the_score(name: str, stones: int, compensation: int) -> None:
    position = Position(9, rules_by_name(name), 0.5)
    position.place_handicap(fixed_handicap_points(9, stones))
    assert position.effective_komi == 0.5 + compensation
    assert position.score() == 81 - 0.5 - compensation
    assert position.komi == 0.5


def test_one_handicap_stone_earns_nothing() -> None:
    position = Position(9, rules_by_name("chinese"), 0.5)
    position.place_handicap([40])
    assert position.to_play == WHITE
    assert position.score() == 80.5


def test_compensation_follows_the_rules_and_ends_with_a_new_setup() -> None:
    position = Position(9, rules_by_name("chinese"), 0.5)
    position.place_handicap(fixed_handicap_points(9, 3))
    position.rules = rules_by_name("aga")
    assert position.effective_komi == 2.5
    position.set_stones([40], [])
    assert position.effective_komi == 0.5


def test_handicap_stones_are_no_moves() -> None:
    position = Position(9)
    points = fixed_handicap_points(9, 3)
    position.place_handicap(points)
    assert position.moves == []
    assert position.to_play == WHITE
    assert position.setup == Setup(black=tuple(sorted(points)), to_play=WHITE, handicap=3)
    with pytest.raises(CannotUndo):
        position.undo()
    position.play(WHITE, 40)
    position.undo()
    assert np.flatnonzero(position.stones).tolist() == sorted(points)
    assert position.to_play == WHITE


@pytest.mark.parametrize("points", [[], [0, 0], [-1, 3], [9, 3], list(range(9)), [3, 100]])
def test_handicap_points_that_the_board_does_not_admit(points: list[int]) -> None:
    position = Position(3)
    with pytest.raises(InvalidHandicap):
        position.place_handicap(points)
    assert view(position) == view(Position(3))


def test_eight_handicap_stones_on_nine_points() -> None:
    position = Position(3)
    position.place_handicap(range(8))
    assert position.stones.tolist() == [1] * 8 + [0]
    position.play(WHITE, 8)
    assert position.stones.tolist() == [0] * 8 + [-1]


def test_handicap_needs_an_empty_board() -> None:
    position = Position(9)
    position.play(BLACK, 81)
    with pytest.raises(BoardNotEmpty):
        position.place_handicap([0, 1])
    position.undo()
    position.place_handicap([0, 1])
    with pytest.raises(BoardNotEmpty):
        position.place_handicap([0, 1])


def test_setup_starts_a_new_game() -> None:
    position = Position(3)
    play_at_random(position, 6, seed=3)
    position.set_stones([0, 4], [8], WHITE)
    assert position.moves == []
    assert position.to_play == WHITE
    assert position.stones.tolist() == [1, 0, 0, 0, 1, 0, 0, 0, -1]
    assert position.setup == Setup(black=(0, 4), white=(8,), to_play=WHITE)
    assert position.captures(BLACK) == position.captures(WHITE) == 0
    with pytest.raises(CannotUndo):
        position.undo()


@pytest.mark.parametrize(
    ("black", "white", "error"),
    [
        ([0, 0], [], InvalidVertex),
        ([0], [0], InvalidVertex),
        ([9], [], InvalidVertex),
        ([], [-1], InvalidVertex),
        ([0], [1, 3], IllegalMove),
        (list(range(9)), [], IllegalMove),
    ],
)
def test_bad_setup_changes_nothing(black: list[int], white: list[int], error: type[Exception]) -> None:
    position = Position(3)
    position.play(BLACK, 4)
    before = view(position)
    with pytest.raises(error):
        position.set_stones(black, white)
    assert view(position) == before


def test_the_setup_counts_in_the_superko_history() -> None:
    """White may not bring the setup position back."""
    position = from_diagram(KO)
    position.play(BLACK, from_gtp("C3", 5))
    assert not position.is_legal(WHITE, from_gtp("B3", 5))


def test_situational_setup_remembers_who_was_to_move() -> None:
    """Sending two and returning one brings back the setup; whether it repeats depends on who was to move there."""
    diagram = ". X . X\nO O X .\n. O X .\n. O X ."
    for first in (BLACK, WHITE):
        position = from_diagram(diagram, rules=RuleSet(ko=KoRule.SITUATIONAL))
        position.to_play = first
        if first == WHITE:
            position.play(WHITE, 16)
        position.play(BLACK, 0)
        position.play(WHITE, 2)
        assert position.is_legal(BLACK, 1) == (first == BLACK)


DEAD_STONES = """
    . . O X . .
    . X O X . .
    . O O X O .
    O O O X . .
    . . O X . .
    . . O X . ."""


def test_area_score_with_dead_stones() -> None:
    position = from_diagram(DEAD_STONES, komi=0.5)
    assert position.score() == 7 - 14 - 0.5
    dead = {from_gtp("B5", 6), from_gtp("E4", 6)}
    assert position.area_ownership(dead).sum() == 18 - 18
    assert position.score() == 7 - 14 - 0.5


def test_territory_score_counts_dead_stones_twice() -> None:
    position = from_diagram(DEAD_STONES, rules=rules_by_name("japanese"), komi=6.5)
    dead = {from_gtp("B5", 6), from_gtp("E4", 6)}
    black, white = 12 + 1, 9 + 1
    assert position.territory_score(dead) == black - white - 6.5
    assert position.territory_score({from_gtp("B5", 6)}) == -white - 6.5


def test_territory_score_counts_prisoners() -> None:
    position = from_diagram("O X . .\n. X . .\nX X O O\n. . . .", rules=rules_by_name("japanese"), komi=0.0)
    position.play(BLACK, from_gtp("A3", 4))
    assert position.captures(BLACK) == 1
    assert position.captures(WHITE) == 0
    assert position.territory_score() == 1 + 1


@pytest.mark.parametrize("dead", [{0}, {-1}, {36}])
def test_dead_points_must_hold_stones(dead: set[int]) -> None:
    position = from_diagram(DEAD_STONES)
    with pytest.raises(InvalidVertex, match="no stone"):
        position.area_ownership(dead)


def test_values_at_the_root() -> None:
    position = Position(3, komi=8.5)
    position.play(BLACK, 4)
    assert np.isnan(position.root_terminal_values()).all()
    position.play(WHITE, position.pass_action)
    values = position.root_terminal_values()
    assert values[position.pass_action] == 1.0
    assert np.isnan(values[:-1]).all()


def test_the_last_ply_of_the_arrays_is_not_the_end_of_the_game() -> None:
    """The batch inside has a cap; no position may ever see it."""
    position = Position(2)
    for ply in range(40):
        assert np.isnan(position.root_terminal_values()[:-1]).all(), ply
        position.play(position.to_play, position.pass_action)


def test_a_copy_is_independent() -> None:
    position = Position(5)
    play_at_random(position, 20, seed=9)
    before = view(position)
    copy = position.copy()
    assert view(copy) == before
    copy.undo()
    play_at_random(copy, 5, seed=10)
    copy.komi = 99.0
    assert view(position) == before
    twin = position.copy()
    position.undo()
    assert view(twin) == before


def test_returned_arrays_and_lists_are_not_the_state() -> None:
    position = Position(5)
    position.stones[:] = 1
    position.legal_mask()[:] = False
    position.moves.append(Move(BLACK, 0))
    assert view(position) == view(Position(5))


def test_asking_for_the_other_colour_changes_nothing() -> None:
    position = Position(3, RuleSet(ko=KoRule.SITUATIONAL, suicide=True))
    for seed in range(5):
        play_at_random(position, 5, seed=seed)
        before = view(position)
        position.legal_mask(-position.to_play)
        position.is_legal(-position.to_play, 0)
        assert view(position) == before
