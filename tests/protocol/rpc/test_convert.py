"""Messages to the engine's values and back: coordinates, positions, and the path of every field that can be wrong."""

from __future__ import annotations

import numpy as np
import pytest
from google.protobuf import duration_pb2

from engine.go import vertex
from engine.go.rules import BLACK, EMPTY, WHITE, KoRule, Scoring
from protocol.rpc import convert
from protocol.rpc.failures import RpcFailure
from protocol.v1 import engine_pb2 as pb


def move(name: str, color: int = pb.COLOR_UNSPECIFIED) -> pb.Move:
    return pb.Move(color=color, action=pb.Action(vertex=name))


def at(column: int, row: int, color: int = pb.COLOR_UNSPECIFIED) -> pb.Move:
    return pb.Move(color=color, action=pb.Action(point=pb.Point(column=column, row=row)))


def moves(*played: pb.Move, size: int = 9, **fields: object) -> pb.Position:
    return pb.Position(moves=pb.MoveList(board_size=size, moves=played, **fields))


def stone(color: int, name: str, size: int = 9) -> pb.SetupStone:
    column, row = vertex.to_column_row(vertex.from_gtp(name, size), size)
    return pb.SetupStone(color=color, point=pb.Point(column=column, row=row))


@pytest.mark.parametrize("size", [2, 9, 13, 25])
def test_every_action_round_trips(size: int) -> None:
    for action in range(size * size + 1):
        assert convert.to_action(convert.from_action(action, size), size, path="action") == action


@pytest.mark.parametrize(("name", "column", "row"), [("A1", 0, 0), ("D4", 3, 3), ("J9", 8, 8), ("A9", 0, 8)])
def test_points_count_from_a1(name: str, column: int, row: int) -> None:
    action = vertex.from_gtp(name, 9)
    assert convert.from_action(action, 9) == pb.Action(point=pb.Point(column=column, row=row), gtp_vertex=name)
    assert convert.to_action(pb.Action(vertex=name), 9, path="action") == action


def test_point_order_starts_at_a1_and_keeps_the_pass_last() -> None:
    size = 5
    values = np.arange(size * size + 1)
    ordered = convert.in_point_order(values, size)
    for point in range(size * size):
        column, row = vertex.to_column_row(point, size)
        assert ordered[row * size + column] == point
    assert ordered[-1] == size * size
    assert len(convert.in_point_order(values[:-1], size)) == size * size


def test_colors_round_trip() -> None:
    for color in (BLACK, WHITE):
        assert convert.to_color(convert.from_color(color), path="color") == color


def test_seconds_round_trip() -> None:
    for seconds in (0.000001, 0.04, 1.5, 60.0):
        assert convert.to_seconds(convert.from_seconds(seconds), path="time") == pytest.approx(seconds, abs=1e-9)


class TestMoveList:
    def test_moves_alternate_and_keep_history(self) -> None:
        position = convert.to_position(moves(move("E5"), move("pass"), at(2, 2)))
        assert [(one.color, vertex.to_gtp(one.action, 9)) for one in position.moves] == [
            (BLACK, "E5"),
            (WHITE, "pass"),
            (BLACK, "C3"),
        ]
        assert position.to_play == WHITE

    def test_a_player_may_move_twice(self) -> None:
        position = convert.to_position(moves(move("E5", pb.COLOR_BLACK), move("C3", pb.COLOR_BLACK), move("G7")))
        assert [one.color for one in position.moves] == [BLACK, BLACK, WHITE]

    def test_white_may_begin(self) -> None:
        assert convert.to_position(moves(initial_player=pb.COLOR_WHITE)).to_play == WHITE

    def test_setup_stones_stand_before_the_first_move(self) -> None:
        setup = [stone(pb.COLOR_BLACK, "C3"), stone(pb.COLOR_BLACK, "G7"), stone(pb.COLOR_WHITE, "E5")]
        position = convert.to_position(moves(move("D4"), setup_stones=setup, initial_player=pb.COLOR_WHITE))
        stones = position.stones
        named = {name: stones[vertex.from_gtp(name, 9)] for name in ("C3", "G7", "E5", "D4", "A1")}
        assert named == {"C3": BLACK, "G7": BLACK, "E5": WHITE, "D4": WHITE, "A1": EMPTY}
        assert position.komi == 7.0

    def test_defaults_are_the_engine_s(self) -> None:
        position = convert.to_position(moves())
        assert (position.size, position.komi, position.to_play) == (9, 7.0, BLACK)
        assert (position.rules.ko, position.rules.scoring) == (KoRule.POSITIONAL, Scoring.AREA)
        assert not position.rules.suicide

    def test_rules_and_komi(self) -> None:
        rules = pb.Rules(
            ko_rule=pb.KO_RULE_SITUATIONAL_SUPERKO, scoring_rule=pb.SCORING_RULE_TERRITORY, suicide_allowed=True
        )
        position = convert.to_position(moves(rules=rules, komi=0.0))
        assert position.komi == 0.0
        assert (position.rules.ko, position.rules.scoring) == (KoRule.SITUATIONAL, Scoring.TERRITORY)
        assert position.rules.suicide

    def test_superko_needs_the_history(self) -> None:
        """White took the ko; Black may not take back at once."""
        played = [move(name) for name in ("D5", "E5", "E6", "F6", "E4", "F4", "A1", "G5", "F5")]
        position = convert.to_position(moves(*played))
        with pytest.raises(RpcFailure, match=r"moves\[9\].action: E5 is forbidden by the ko rule"):
            convert.to_position(moves(*played, move("E5")))
        assert position.to_play == WHITE

    @pytest.mark.parametrize(
        ("message", "path", "reason"),
        [
            (pb.Position(), "position", "INVALID_ARGUMENT"),
            (moves(size=1), "position.moves.board_size", "UNSUPPORTED_BOARD_SIZE"),
            (moves(size=26), "position.moves.board_size", "UNSUPPORTED_BOARD_SIZE"),
            (moves(move("E5"), move("E5")), "position.moves.moves[1].action", "ILLEGAL_MOVE"),
            (moves(at(9, 0)), "position.moves.moves[0].action.point.column", "INVALID_VERTEX"),
            (moves(at(0, -1)), "position.moves.moves[0].action.point.row", "INVALID_VERTEX"),
            (moves(move("I5")), "position.moves.moves[0].action.vertex", "INVALID_VERTEX"),
            (moves(move("resign")), "position.moves.moves[0].action.vertex", "INVALID_VERTEX"),
            (moves(pb.Move()), "position.moves.moves[0].action", "INVALID_ARGUMENT"),
            (moves(pb.Move(action=pb.Action(pass_turn=False))), "position.moves.moves[0].action", "INVALID_ARGUMENT"),
            (moves(move("E5", 3)), "position.moves.moves[0].color", "INVALID_ARGUMENT"),
            (moves(initial_player=-1), "position.moves.initial_player", "INVALID_ARGUMENT"),
            (moves(rules=pb.Rules(ko_rule=9)), "position.moves.rules.ko_rule", "INVALID_ARGUMENT"),
            (moves(rules=pb.Rules(scoring_rule=9)), "position.moves.rules.scoring_rule", "INVALID_ARGUMENT"),
            (moves(komi=float("nan")), "position.moves.komi", "INVALID_KOMI"),
            (moves(komi=float("inf")), "position.moves.komi", "INVALID_KOMI"),
            (moves(komi=400.5), "position.moves.komi", "INVALID_KOMI"),
            (moves(komi=6.75), "position.moves.komi", "INVALID_KOMI"),
            (moves(setup_stones=[stone(0, "A1")]), "position.moves.setup_stones[0].color", "INVALID_ARGUMENT"),
            (
                moves(setup_stones=[pb.SetupStone(color=1, point=pb.Point(row=9))]),
                "position.moves.setup_stones[0].point.row",
                "INVALID_VERTEX",
            ),
            (moves(setup_stones=[stone(1, "A1"), stone(2, "A1")]), "position.moves.setup_stones", "INVALID_VERTEX"),
            (
                moves(setup_stones=[stone(1, "A1"), stone(2, "A2"), stone(2, "B1")]),
                "position.moves.setup_stones",
                "ILLEGAL_MOVE",
            ),
            (moves(setup_stones=[stone(1, "A1")] * 82), "position.moves.setup_stones", "INVALID_ARGUMENT"),
            (moves(*[move("pass")] * 4097), "position.moves.moves", "INVALID_ARGUMENT"),
            (pb.Position(sgf=pb.SgfPosition(sgf=b"no game")), "position.sgf.sgf", "INVALID_SGF"),
            (pb.Position(sgf=pb.SgfPosition(sgf=b"(;SZ[40])")), "position.sgf.sgf", None),
            (pb.Position(sgf=pb.SgfPosition(sgf=b"(;SZ[9]KM[1000])")), "position.sgf.sgf", "INVALID_KOMI"),
            (pb.Position(sgf=pb.SgfPosition(sgf=b"(;SZ[9]", move_number=-1)), "position.sgf.move_number", None),
            (pb.Position(sgf=pb.SgfPosition(sgf=b"(;" + b" " * 262_144 + b")")), "position.sgf.sgf", None),
        ],
    )
    def test_refused(self, message: pb.Position, path: str, reason: str | None) -> None:
        with pytest.raises(RpcFailure) as failure:
            convert.to_position(message)
        assert str(failure.value).startswith(f"{path}: ")
        assert failure.value.code.name == "INVALID_ARGUMENT"
        assert reason in (None, failure.value.reason)


class TestSgf:
    SGF = b"(;GM[1]FF[4]SZ[9]KM[5.5];B[ee];W[cc];B[gg])"

    @pytest.mark.parametrize(("move_number", "played"), [(None, 3), (0, 0), (1, 1), (3, 3), (99, 3)])
    def test_main_line_after_so_many_moves(self, move_number: int | None, played: int) -> None:
        position = convert.to_position(pb.Position(sgf=pb.SgfPosition(sgf=self.SGF, move_number=move_number)))
        assert (position.size, position.komi, len(position.moves)) == (9, 5.5, played)

    def test_handicap_game(self) -> None:
        sgf = b"(;SZ[9]HA[2]AB[cg][gc];W[ee])"
        position = convert.to_position(pb.Position(sgf=pb.SgfPosition(sgf=sgf)))
        assert int((position.stones == BLACK).sum()) == 2
        assert position.to_play == BLACK


@pytest.mark.parametrize(
    "duration",
    [duration_pb2.Duration(), duration_pb2.Duration(seconds=-1), duration_pb2.Duration(seconds=1, nanos=2_000_000_000)],
)
def test_no_positive_time(duration: duration_pb2.Duration) -> None:
    with pytest.raises(RpcFailure, match=r"limits\.max_time"):
        convert.to_seconds(duration, path="limits.max_time")
