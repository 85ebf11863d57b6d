"""Famous positions: a diagram, moves, the diagram after them, what is legal then, and the area score.

Every case is also played with the colours exchanged, where boards swap and scores negate.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest

from engine.errors import IllegalMove
from engine.go.batch import GoBatch
from engine.go.diagram import from_diagram, from_rows, to_rows
from engine.go.position import Position
from engine.go.rules import BLACK, WHITE, KoRule, RuleSet
from engine.go.vertex import from_gtp

SIMPLE, POSITIONAL, SITUATIONAL = (RuleSet(ko=ko) for ko in KoRule)
SIMPLE_SUICIDE, POSITIONAL_SUICIDE, SITUATIONAL_SUICIDE = (RuleSet(ko=ko, suicide=True) for ko in KoRule)
ALL_KO_RULES = (SIMPLE, POSITIONAL, SITUATIONAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One position of the table."""

    label: str
    before: str
    """Diagram before the moves."""
    moves: str
    """"B C3, W pass", ... from the diagram on."""
    after: str
    """Diagram after the moves."""
    rules: tuple[RuleSet, ...] = ALL_KO_RULES
    """Every rule set that this row holds for."""
    legal: str = ""
    """Moves that are legal after, each tried alone."""
    illegal: str = ""
    """Moves that are illegal after."""
    score: int | None = None
    """Area score after, komi 0."""
    captures: tuple[int, int] | None = None
    """Prisoners that Black and White took."""


KO_CENTRE = """
    . . . . .
    . X O . .
    X O . O .
    . X O . .
    . . . . ."""
KO_CENTRE_TAKEN = """
    . . . . .
    . X O . .
    X . X O .
    . X O . .
    . . . . ."""
KO_EDGE = """
    X O . O
    . X O .
    . . . .
    . . . ."""
KO_EDGE_TAKEN = """
    X . X O
    . X O .
    . . . .
    . . . ."""
SEND_TWO = """
    . X . X
    O O X .
    . O X .
    . O X ."""
SEND_TWO_TAKEN = """
    . . O X
    O O X .
    . O X .
    . O X ."""
TRIPLE_KO = """
    X O . O . O X . X
    . X O . . . O X .
    . . . . . . . . .
    . . . . . . . . .
    . . . . . . . . .
    . . . . . . . . .
    . . . . . . . . .
    . X O . . . . . .
    X O . O . . . . ."""
TRIPLE_KO_LAST = """
    X O . O . O X . X
    . X O . . . O X .
    . . . . . . . . .
    . . . . . . . . .
    . . . . . . . . .
    . . . . . . . . .
    . . . . . . . . .
    . X O . . . . . .
    X . X O . . . . ."""
SUICIDE_THREE = """
    X . O .
    X O . .
    O . . .
    . . . ."""
SUICIDE_ONE = """
    . O . .
    O . . .
    . . . .
    . . . X"""

CASES = [
    Case(
        label="ko in the centre",
        before=KO_CENTRE,
        moves="B C3",
        after=KO_CENTRE_TAKEN,
        illegal="W B3",
        legal="B B3, W A4, W pass",
        captures=(1, 0),
    ),
    Case(
        label="ko may be retaken after a threat and its answer",
        before=KO_CENTRE,
        moves="B C3, W A5, B E1",
        after="""
            O . . . .
            . X O . .
            X . X O .
            . X O . .
            . . . . X""",
        legal="W B3",
    ),
    Case(
        label="two passes are no threat under superko",
        before=KO_CENTRE,
        moves="B C3, W pass, B pass",
        after=KO_CENTRE_TAKEN,
        rules=(POSITIONAL,),
        illegal="W B3",
    ),
    Case(
        label="two passes lift a simple ko",
        before=KO_CENTRE,
        moves="B C3, W pass, B pass",
        after=KO_CENTRE_TAKEN,
        rules=(SIMPLE,),
        legal="W B3",
    ),
    Case(label="ko on the edge", before=KO_EDGE, moves="B C4", after=KO_EDGE_TAKEN, illegal="W B4", legal="B B4"),
    Case(
        label="taking two stones back is no ko",
        before="""
            . X O . .
            X O . O .
            X O X O .
            . X X O .
            . . . . .""",
        moves="B C4",
        after="""
            . X O . .
            X . X O .
            X . X O .
            . X X O .
            . . . . .""",
        legal="W B4, W B3",
        captures=(2, 0),
    ),
    Case(
        label="snapback",
        before="""
            X O . . X
            X O O O X
            . X X X .
            . . . . .
            . . . . .""",
        moves="B C5, W D5, B C5",
        after="""
            X . X . X
            X . . . X
            . X X X .
            . . . . .
            . . . . .""",
        score=25,
        captures=(5, 1),
    ),
    Case(
        label="send two, return one: the return repeats the board",
        before=SEND_TWO,
        moves="B A4, W C4",
        after=SEND_TWO_TAKEN,
        rules=(POSITIONAL,),
        illegal="B B4",
        legal="B A4",
        captures=(0, 2),
    ),
    Case(
        label="send two, return one: the other player is to move, so the situation is new",
        before=SEND_TWO,
        moves="B A4, W C4, B B4",
        after=SEND_TWO,
        rules=(SIMPLE, SITUATIONAL),
        captures=(1, 2),
    ),
    Case(
        label="send two, return one: the second cycle is a situation seen before",
        before=SEND_TWO,
        moves="B A4, W C4, B B4, W pass",
        after=SEND_TWO,
        rules=(SITUATIONAL,),
        illegal="B A4",
    ),
    Case(
        label="send two, return one: the simple rule lets it go on",
        before=SEND_TWO,
        moves="B A4, W C4, B B4, W pass, B A4, W C4, B B4, W pass",
        after=SEND_TWO,
        rules=(SIMPLE,),
        legal="B A4",
    ),
    Case(
        label="triple ko: the sixth move would close the cycle",
        before=TRIPLE_KO,
        moves="B C9, W H9, B C1, W B9, B G9",
        after=TRIPLE_KO_LAST,
        rules=(POSITIONAL, SITUATIONAL),
        illegal="W B1",
        legal="W E5",
    ),
    Case(
        label="triple ko: the simple rule does not see it",
        before=TRIPLE_KO,
        moves="B C9, W H9, B C1, W B9, B G9, W B1",
        after=TRIPLE_KO,
        rules=(SIMPLE,),
        captures=(3, 3),
    ),
    Case(
        label="suicide of three stones is forbidden",
        before=SUICIDE_THREE,
        moves="",
        after=SUICIDE_THREE,
        illegal="B B4",
        legal="W B4",
    ),
    Case(
        label="suicide of three stones where it is allowed",
        before=SUICIDE_THREE,
        moves="B B4",
        after="""
            . . O .
            . O . .
            O . . .
            . . . .""",
        rules=(SIMPLE_SUICIDE, POSITIONAL_SUICIDE, SITUATIONAL_SUICIDE),
        score=-16,
        captures=(0, 3),
    ),
    Case(
        label="suicide of one stone repeats the board",
        before=SUICIDE_ONE,
        moves="",
        after=SUICIDE_ONE,
        rules=(POSITIONAL_SUICIDE,),
        illegal="B A4",
    ),
    Case(
        label="suicide of one stone is a new situation: it hands over the move",
        before=SUICIDE_ONE,
        moves="B A4",
        after=SUICIDE_ONE,
        rules=(SITUATIONAL_SUICIDE, SIMPLE_SUICIDE),
        captures=(0, 1),
    ),
    Case(
        label="suicide of one stone after a pass repeats what the opponent passed on",
        before=SUICIDE_ONE,
        moves="B D4, W pass",
        after="""
            . O . X
            O . . .
            . . . .
            . . . X""",
        rules=(SIMPLE_SUICIDE, POSITIONAL_SUICIDE),
        illegal="B A4",
    ),
    Case(
        label="filling the last liberty is a capture, not suicide",
        before="""
            . O X
            O O X
            X X .""",
        moves="B A3",
        after="""
            X . X
            . . X
            X X .""",
        score=9,
        captures=(3, 0),
    ),
    Case(
        label="one stone captures four chains",
        before="""
            . . X . .
            . X O X .
            X O . O X
            . X O X .
            . . X . .""",
        moves="B C3",
        after="""
            . . X . .
            . X . X .
            X . X . X
            . X . X .
            . . X . .""",
        score=25,
        captures=(4, 0),
    ),
    Case(
        label="a chain that touches the stone on four sides is captured once",
        before="""
            O O O X
            O . O X
            O O O X
            X X X .""",
        moves="B B3",
        after="""
            . . . X
            . X . X
            . . . X
            X X X .""",
        score=16,
        captures=(8, 0),
    ),
    Case(
        label="one eye each and a shared liberty: nobody's points are neutral",
        before="""
            . X . O .
            X X . O O
            X X . O O
            X X . O O
            . X . O .""",
        moves="",
        after="""
            . X . O .
            X X . O O
            X X . O O
            X X . O O
            . X . O .""",
        score=0,
    ),
    Case(
        label="an empty board belongs to nobody",
        before=". .\n. .",
        moves="",
        after=". .\n. .",
        score=0,
        legal="B A1, W B2",
    ),
    Case(
        label="one stone owns the board",
        before=". . .\n. . .\n. . .",
        moves="B B2, W pass",
        after=". . .\n. X .\n. . .",
        score=9,
        legal="B A1, W A1",
    ),
]

COLORS = {"B": BLACK, "W": WHITE}


def parse_moves(text: str, size: int, sign: int) -> list[tuple[int, int]]:
    pairs = [move.split() for move in text.split(",")] if text else []
    return [(sign * COLORS[color], from_gtp(name, size)) for color, name in pairs]


def exchanged(diagram: str, sign: int) -> str:
    return diagram if sign > 0 else diagram.translate(str.maketrans("XO", "OX"))


def assert_board(position: Position, diagram: str) -> None:
    expected = from_rows(diagram)
    boards = f"expected\n{to_rows(expected, position.size)}\nfound\n{to_rows(position.stones, position.size)}"
    assert np.array_equal(position.stones, expected), boards


@pytest.mark.parametrize("sign", [1, -1], ids=["as drawn", "colours exchanged"])
@pytest.mark.parametrize(
    ("case", "rules"),
    [(case, rules) for case in CASES for rules in case.rules],
    ids=lambda value: getattr(value, "label", ""),
)
def test_case(case: Case, rules: RuleSet, sign: int) -> None:
    position = from_diagram(exchanged(case.before, sign), rules=rules, komi=0.0)
    position.to_play = sign * BLACK
    for color, action in parse_moves(case.moves, position.size, sign):
        position.play(color, action)
    assert_board(position, exchanged(case.after, sign))
    for color, action in parse_moves(case.legal, position.size, sign):
        assert position.is_legal(color, action), f"{color} {action} should be legal"
        position.play(color, action)
        position.undo()
    for color, action in parse_moves(case.illegal, position.size, sign):
        assert not position.is_legal(color, action), f"{color} {action} should be illegal"
        with pytest.raises(IllegalMove):
            position.play(color, action)
    assert_board(position, exchanged(case.after, sign))
    if case.score is not None:
        assert position.score() == sign * case.score
    if case.captures is not None:
        assert (position.captures(BLACK), position.captures(WHITE)) == case.captures[::sign]


def test_labels_are_unique_and_every_case_runs() -> None:
    labels = [case.label for case in CASES]
    assert len(set(labels)) == len(labels)
    assert all(case.rules for case in CASES)


@pytest.mark.parametrize(
    ("diagram", "name", "reason"),
    [
        (KO_CENTRE_TAKEN, "C3", "C3 is occupied"),
        (SUICIDE_THREE, "B4", "B4 is suicide"),
    ],
)
def test_the_reason_is_told(diagram: str, name: str, reason: str) -> None:
    position = from_diagram(diagram)
    with pytest.raises(IllegalMove, match=reason):
        position.play(BLACK, from_gtp(name, position.size))


def test_the_ko_rule_is_told_as_the_reason() -> None:
    position = from_diagram(KO_CENTRE)
    position.play(BLACK, from_gtp("C3", 5))
    with pytest.raises(IllegalMove, match="B3 is forbidden by the ko rule"):
        position.play(WHITE, from_gtp("B3", 5))


@pytest.mark.parametrize(("size", "legal_positions"), [(2, 57), (3, 12_675)])
def test_number_of_legal_positions(size: int, legal_positions: int) -> None:
    """Tromp and Farneback, "Combinatorics of Go": boards on which every chain has a liberty."""
    boards = np.array(list(product((0, 1, -1), repeat=size * size)), dtype=np.int8)
    batch = GoBatch(num_games=len(boards), size=size)
    for game, board in enumerate(boards):
        batch.set_stones(game, board, BLACK)
    has_dead_chain = ((boards != 0) & (batch.liberties() == 0)).any(axis=1)
    assert int((~has_dead_chain).sum()) == legal_positions
