"""What the rules know of a turn: own eyes, passes that win or lose for certain, and the choice after a search."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.errors import InvalidInput
from engine.go.diagram import from_diagram
from engine.go.position import Position
from engine.go.rules import BLACK, RULE_PRESETS, WHITE
from engine.go.vertex import from_gtp, to_gtp
from engine.search.result import MAX_VARIATION_LENGTH, SearchResult, StopReason
from engine.turn import LOST_WINRATE, Turn, own_eyes, to_winrate


def board(diagram: str, *, komi: float = 0.5) -> Position:
    return from_diagram(diagram, komi=komi)


def eyes_of(position: Position, color: int) -> set[str]:
    eyes = own_eyes(position.stones, position.size, color)
    return {to_gtp(int(point), position.size) for point in np.flatnonzero(eyes)}


# --- eyes


@pytest.mark.parametrize(
    ("label", "diagram", "black", "white"),
    [
        (
            "corner and edge",
            ". X . X .\nX X X X X\n. . . . .\nO O O O O\n. O . O .",
            {"A5", "C5", "E5"},
            {"A1", "C1", "E1"},
        ),
        ("corner, diagonal missing", ". X . . .\nX . . . .\n. . . . .\n. . . . .\n. . . . .", set(), set()),
        ("corner, diagonal the enemy's", ". X . . .\nX O . . .\n. . . . .\n. . . . .\n. . . . .", set(), set()),
        ("edge, one diagonal missing", "X . X . .\nX X . . .\n. . . . .\n. . . . .\n. . . . .", set(), set()),
        ("middle, all diagonals", ". . . . .\n. X X X .\n. X . X .\n. X X X .\n. . . . .", {"C3"}, set()),
        ("middle, one diagonal the enemy's", ". . . . .\n. X X O .\n. X . X .\n. X X X .\n. . . . .", {"C3"}, set()),
        ("middle, two diagonals missing", ". . . . .\n. . X . .\n. X . X .\n. X X X .\n. . . . .", set(), set()),
        ("two points", "X X X X .\nX . . X .\nX X X X .\n. . . . .\n. . . . .", set(), set()),
        ("empty board", ". . . . .\n. . . . .\n. . . . .\n. . . . .\n. . . . .", set(), set()),
    ],
)
def test_own_eyes(label: str, diagram: str, black: set[str], white: set[str]) -> None:
    position = board(diagram)
    assert eyes_of(position, BLACK) == black, label
    assert eyes_of(position, WHITE) == white, label


@pytest.mark.parametrize("seed", range(5))
def test_an_eye_has_one_chain_around_it(seed: int) -> None:
    """So filling it never connects anything: on random boards every neighbour of an eye is in the same chain."""
    rng = np.random.default_rng(seed)
    found = 0
    for _ in range(200):
        stones = rng.choice([0, 1, -1], p=[0.15, 0.7, 0.15], size=49).astype(np.int8)
        for eye in np.flatnonzero(own_eyes(stones, 7, BLACK)):
            found += 1
            assert len({_chain(stones, near) for near in _near(int(eye))}) == 1
    assert found > 20


def _near(point: int, size: int = 7) -> list[int]:
    row, column = divmod(point, size)
    around = [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
    return [r * size + c for r, c in around if 0 <= r < size and 0 <= c < size]


def _chain(stones: np.ndarray, start: int) -> frozenset[int]:
    chain, todo = {start}, [start]
    while todo:
        for near in _near(todo.pop()):
            if stones[near] == stones[start] and near not in chain:
                chain.add(near)
                todo.append(near)
    return frozenset(chain)


# --- what is settled, and what the search is told


WON_BY_BLACK = ". X . X .\nX X X X X\nX X X X X\nO O O O O\n. O . O ."
"""15 : 10 on the board."""

HALF_WAY = ". X . X .\nX X X X X\n. . . . .\nO O O O O\n. O . O ."
"""10 : 10, five neutral points: lost for Black by the komi as it stands, won by playing on."""


def play_pass(position: Position, color: int) -> Position:
    position.play(color, position.pass_action)
    return position


def test_a_pass_that_wins_at_once_is_the_only_choice() -> None:
    turn = Turn.of(play_pass(board(WON_BY_BLACK), WHITE), BLACK)
    assert turn.is_settled
    assert np.flatnonzero(turn.legal_mask).tolist() == [turn.pass_action]
    root = turn.root()
    assert root.terminal_values is not None
    assert root.terminal_values[0, turn.pass_action] == 1
    assert turn.standing == 4.5


def test_a_pass_that_loses_at_once_is_known() -> None:
    turn = Turn.of(play_pass(board(". X . . .\nX X . . .\n. . . . .\n. . . O O\n. . . O ."), BLACK), WHITE)
    assert turn.standing == pytest.approx(0.5)  # area 4 : 4, komi
    assert turn.is_settled
    black = Turn.of(play_pass(board(". X . . .\nX X . . .\n. . . . .\n. . . O O\n. . . O ."), WHITE), BLACK)
    assert not black.is_settled
    root = black.root()
    assert root.terminal_values is not None
    assert root.terminal_values[0, black.pass_action] == -1


@pytest.mark.parametrize(
    ("color", "komi", "value"), [(BLACK, 5.5, -1), (WHITE, 4.5, 1), (BLACK, 4.5, np.nan), (WHITE, 5, np.nan)]
)
def test_passing_first_on_a_lost_board_is_lost(color: int, komi: float, value: float) -> None:
    """The opponent passes too. It is 15 : 10."""
    turn = Turn.of(board(WON_BY_BLACK, komi=komi), color)
    root = turn.root()
    assert root.terminal_values is not None
    np.testing.assert_equal(root.terminal_values[0, turn.pass_action], value)
    assert np.isnan(root.terminal_values[0, :-1]).all()


def test_the_root_in_both_views() -> None:
    position = board(WON_BY_BLACK, komi=4.5)
    black, white = Turn.of(position.copy(), BLACK).root(), Turn.of(position.copy(), WHITE).root()
    assert (black.to_play[0], white.to_play[0]) == (BLACK, WHITE)
    assert black.pass_pass_values is not None
    assert white.pass_pass_values is not None
    assert (black.pass_pass_values[0], white.pass_pass_values[0]) == (1, 1)
    assert black.pass_action == 25


def test_after_the_game_only_a_pass_is_left() -> None:
    position = play_pass(play_pass(board(HALF_WAY, komi=9.5), BLACK), WHITE)
    turn = Turn.of(position, BLACK)
    assert np.flatnonzero(turn.legal_mask).tolist() == [turn.pass_action]


def test_cleaning_up_forbids_the_pass_while_there_is_something_to_do() -> None:
    position = play_pass(play_pass(board("X X . . .\nX X . . .\n. . . . .\n. . . . .\n. . . . O"), BLACK), WHITE)
    turn = Turn.of(position, BLACK, may_pass=False)
    assert not turn.legal_mask[turn.pass_action]
    assert turn.legal_mask[:-1].any()
    done = Turn.of(board(WON_BY_BLACK), BLACK, may_pass=False)
    assert done.is_settled
    assert done.legal_mask[done.pass_action]


def test_territory_rules_are_never_exact() -> None:
    position = board(HALF_WAY, komi=-5)
    assert Turn.of(play_pass(position.copy(), WHITE), BLACK).is_settled
    position.rules = RULE_PRESETS["japanese"]
    turn = Turn.of(play_pass(position, WHITE), BLACK)
    assert turn.standing is None
    assert turn.root().terminal_values is None
    assert not turn.is_settled


def test_own_eyes_are_no_choice() -> None:
    position = board(". X . X .\nX X X X X\n. . . . .\nO O O O O\n. O . O .")
    turn = Turn.of(position, BLACK)
    chosen = {to_gtp(int(action), 5) for action in np.flatnonzero(turn.legal_mask)}
    assert chosen == {"A3", "B3", "C3", "D3", "E3", "pass"}


def test_allowed_and_avoided_actions() -> None:
    position = Position(5)
    allowed = [from_gtp(vertex, 5) for vertex in ("A1", "B2", "C3")]
    turn = Turn.of(position.copy(), BLACK, allow=allowed, avoid=allowed[:1])
    assert np.flatnonzero(turn.legal_mask).tolist() == sorted(allowed[1:])
    avoiding = Turn.of(position.copy(), BLACK, avoid=[turn.pass_action])
    assert avoiding.legal_mask.sum() == 25
    assert not avoiding.legal_mask[turn.pass_action]


@pytest.mark.parametrize("wrong", [{"allow": []}, {"allow": [26]}, {"avoid": [-1]}, {"avoid": range(26)}])
def test_something_must_be_left_to_choose(wrong: dict[str, list[int]]) -> None:
    with pytest.raises(InvalidInput):
        Turn.of(Position(5), BLACK, **wrong)  # type: ignore[arg-type]


# --- the choice after the search


def result_of(size: int, best: str, **found: tuple[int, float]) -> SearchResult:
    """A result whose visits and Q (Black's view) are given by vertex."""
    actions = size * size + 1
    visits, q, prior = np.zeros(actions, np.int32), np.full(actions, np.nan, np.float32), np.zeros(actions, np.float32)
    for vertex, (count, value) in found.items():
        action = from_gtp(vertex, size)
        visits[action], prior[action] = count, 0.1
        q[action] = value if count else np.nan
    return SearchResult(
        visits=visits,
        q=q,
        q_bound=q,
        prior=prior,
        policy_target=prior,
        root_value=-0.5,
        raw_value=0.0,
        best_action=from_gtp(best, size),
        total_visits=int(visits.sum()) + 1,
        evaluations=1,
        elapsed_s=0.1,
        stop_reason=StopReason.VISITS,
        ownership=None,
        score_mean=None,
        score_stdev=None,
        variations=np.full((actions, MAX_VARIATION_LENGTH), -1, np.int32),
    )


@pytest.mark.parametrize(
    ("label", "color", "best", "found", "choice"),
    [
        ("a move is a move", BLACK, "B3", {"B3": (9, -0.9), "pass": (1, -1.0)}, "B3"),
        ("a lost pass gives way", BLACK, "pass", {"pass": (9, -1.0), "B3": (3, 0.2), "C3": (4, 0.1)}, "C3"),
        ("ties go to the prior", BLACK, "pass", {"pass": (9, -1.0), "A3": (0, 0.0)}, "A3"),
        ("all is lost", BLACK, "pass", {"pass": (9, -1.0), "B3": (3, -0.99), "C3": (4, -0.98)}, "pass"),
        ("an untried move counts like the root", BLACK, "pass", {"pass": (9, -1.0), "D3": (0, 0.0)}, "D3"),
        ("a won pass stays", WHITE, "pass", {"pass": (9, -1.0), "B3": (8, -0.9)}, "pass"),
    ],
)
def test_choice(label: str, color: int, best: str, found: dict[str, tuple[int, float]], choice: str) -> None:
    turn = Turn.of(board(HALF_WAY), color)
    assert to_gtp(turn.choose(result_of(5, best, **found)), 5) == choice, label


def test_the_threshold_of_lost() -> None:
    turn = Turn.of(board(HALF_WAY), BLACK)
    edge = 2 * LOST_WINRATE - 1
    lost = result_of(5, "pass", **{"pass": (9, -1.0), "B3": (3, edge - 0.001)})
    fought = result_of(5, "pass", **{"pass": (9, -1.0), "B3": (3, edge + 0.001)})
    assert to_gtp(turn.choose(lost), 5) == "pass"
    assert to_gtp(turn.choose(fought), 5) == "B3"


def test_winrate() -> None:
    turn = Turn.of(board(HALF_WAY), WHITE)
    result = result_of(5, "B3", B3=(4, -0.5), C3=(0, 0.0))
    assert turn.winrate(result, from_gtp("B3", 5)) == pytest.approx(0.75)
    assert turn.winrate(replace(result, root_value=0.5), from_gtp("C3", 5)) == pytest.approx(0.25)
    assert to_winrate(1.2, BLACK) == 1.0


def drawn(turn: Turn, temperature: float, shares: dict[str, float], *, best: str = "A1") -> list[str]:
    result = result_of(5, best, A1=(9, 0.0))
    policy = np.zeros(26, np.float32)
    for vertex, share in shares.items():
        policy[from_gtp(vertex, 5)] = share
    result, rng = replace(result, policy_target=policy), np.random.default_rng(3)
    return [to_gtp(turn.sample(result, temperature, rng), 5) for _ in range(400)]


def test_draws_follow_the_policy_and_the_temperature() -> None:
    turn = Turn.of(Position(5), BLACK)
    shares = {"A1": 0.6, "B2": 0.3, "pass": 0.1}
    even, sharp = drawn(turn, 1.0, shares), drawn(turn, 0.5, shares)
    assert set(even) == {"A1", "B2"}
    assert even.count("B2") == pytest.approx(400 / 3, abs=40)
    assert sharp.count("B2") == pytest.approx(400 / 5, abs=35)
    assert set(drawn(turn, 0.0, shares)) == {"A1"}
    assert set(drawn(turn, 1.0, shares, best="pass")) == {"pass"}


def test_draws_cool_down_with_the_game() -> None:
    position = Position(5)
    for point in range(20):
        position.play(BLACK if point % 2 == 0 else WHITE, point if point % 5 != 4 else 25)
    late = drawn(Turn.of(position, BLACK), 1.0, {"pass": 0.5, "B1": 0.6, "C1": 0.4}, best="B1")
    assert late.count("C1") < 15


# --- from one turn to the next


def turn_after(*moves: str, color: int = BLACK, size: int = 5, **changes: object) -> Turn:
    """The turn of `color` after `moves`, Black first, on an empty board; `changes` set fields of the position."""
    position = Position(size, komi=0.5)
    for name, value in changes.items():
        setattr(position, name, value)
    for ply, vertex in enumerate(moves):
        position.play(BLACK if ply % 2 == 0 else WHITE, from_gtp(vertex, size))
    return Turn.of(position, color)


def test_path_between_turns() -> None:
    first = turn_after("A1", "B2")
    assert turn_after("A1", "B2").path_from(first) == ()
    assert turn_after("A1", "B2", "C3", color=WHITE).path_from(first) == (from_gtp("C3", 5),)
    both = turn_after("A1", "B2", "C3", "D4").path_from(first)
    assert both == (from_gtp("C3", 5), from_gtp("D4", 5))
    assert turn_after("A1", "B2", "pass", "D4").path_from(first) == (25, from_gtp("D4", 5))


def test_no_path_from_a_search_of_some_moves_to_one_of_more() -> None:
    everything, some = Turn.of(Position(5), BLACK), Turn.of(Position(5), BLACK, avoid=[3])
    assert everything.path_from(some) is None
    assert some.path_from(everything) == ()


@pytest.mark.parametrize(
    ("label", "later"),
    [
        ("too long", turn_after("A1", "B2", "C3", "D4", "E5", color=WHITE)),
        ("back", turn_after("A1", color=WHITE)),
        ("other moves", turn_after("A1", "B3", "C3", color=WHITE)),
        ("the same player again", turn_after("A1", "B2", "C3", color=BLACK)),
        ("the other player", turn_after("A1", "B2", color=WHITE)),
        ("another komi", turn_after("A1", "B2", "C3", color=WHITE, komi=1.5)),
        ("other rules", turn_after("A1", "B2", "C3", color=WHITE, rules=RULE_PRESETS["aga"])),
        ("territory", turn_after("A1", "B2", "C3", color=WHITE, rules=RULE_PRESETS["japanese"])),
        ("another size", turn_after("A1", "B2", "C3", color=WHITE, size=6)),
    ],
)
def test_no_path_between_turns(label: str, later: Turn) -> None:
    assert later.path_from(turn_after("A1", "B2")) is None, label


def test_no_path_to_another_setup() -> None:
    plain, handicap = Position(5, komi=0.5), Position(5, komi=0.5)
    handicap.set_stones([from_gtp("A1", 5)], [])
    assert Turn.of(handicap, BLACK).path_from(Turn.of(plain, BLACK)) is None


def test_no_path_where_nothing_is_to_choose() -> None:
    before = board(WON_BY_BLACK, komi=0.5)
    after = play_pass(before.copy(), WHITE)
    settled = Turn.of(after, BLACK)
    assert settled.is_settled
    assert settled.path_from(Turn.of(before, WHITE)) is None
