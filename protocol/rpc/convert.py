"""Between the messages of `engine.proto` and the engine's own values: colours, points, actions, rules, positions.

Whatever a message holds is checked here; what is wrong raises INVALID_ARGUMENT with the path of the field, such as
"position.moves.moves[17].action.point.row".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

from google.protobuf import duration_pb2

from engine.errors import InvalidInput
from engine.go import vertex
from engine.go.position import Position
from engine.go.record import load_sgf
from engine.go.rules import BLACK, DEFAULT_RULES, MAX_SIZE, MIN_SIZE, WHITE, KoRule, RuleSet, Scoring
from engine.player import DEFAULT_KOMI
from protocol.rpc import failures
from protocol.v1 import engine_pb2

Value = TypeVar("Value")

MAX_MOVES: Final = 4096
MAX_SGF_BYTES: Final = 256 * 1024
MAX_KOMI: Final = 400.0

_COLORS: Final[dict[int, int]] = {engine_pb2.COLOR_BLACK: BLACK, engine_pb2.COLOR_WHITE: WHITE}
_KO_RULES: Final = {
    engine_pb2.KO_RULE_UNSPECIFIED: DEFAULT_RULES.ko,
    engine_pb2.KO_RULE_SIMPLE: KoRule.SIMPLE,
    engine_pb2.KO_RULE_POSITIONAL_SUPERKO: KoRule.POSITIONAL,
    engine_pb2.KO_RULE_SITUATIONAL_SUPERKO: KoRule.SITUATIONAL,
}
_SCORING_RULES: Final = {
    engine_pb2.SCORING_RULE_UNSPECIFIED: DEFAULT_RULES.scoring,
    engine_pb2.SCORING_RULE_AREA: Scoring.AREA,
    engine_pb2.SCORING_RULE_TERRITORY: Scoring.TERRITORY,
}


def to_position(message: engine_pb2.Position, *, path: str = "position") -> Position:
    """The position that `message` describes, with its whole history."""
    source = message.WhichOneof("source")
    if source == "moves":
        return _from_move_list(message.moves, path=f"{path}.moves")
    if source == "sgf":
        return _from_sgf(message.sgf, path=f"{path}.sgf")
    raise failures.invalid_argument(path, "neither moves nor sgf is set")


def to_color(message: int, *, path: str, default: int | None = None) -> int:
    """+1 or -1; `default`, if there is one, for an unspecified colour."""
    if message == engine_pb2.COLOR_UNSPECIFIED and default is not None:
        return default
    if message not in _COLORS:
        raise failures.invalid_argument(path, f"{message} is no colour")
    return _COLORS[message]


def from_color(color: int) -> engine_pb2.Color:
    """The message of +1 (Black) or -1 (White)."""
    return engine_pb2.COLOR_BLACK if color == BLACK else engine_pb2.COLOR_WHITE


def to_action(message: engine_pb2.Action, size: int, *, path: str) -> int:
    """The action number."""
    kind = message.WhichOneof("kind")
    if kind == "point":
        return to_point(message.point, size, path=f"{path}.point")
    if kind == "vertex":
        return _checked(f"{path}.vertex", lambda: vertex.from_gtp(message.vertex, size))
    if kind == "pass_turn" and message.pass_turn:
        return vertex.pass_action(size)
    raise failures.invalid_argument(path, "none of point, pass_turn and vertex is set")


def from_action(action: int, size: int) -> engine_pb2.Action:
    """The message of a point or a pass."""
    name = vertex.to_gtp(action, size)
    if action == vertex.pass_action(size):
        return engine_pb2.Action(pass_turn=True, gtp_vertex=name)
    column, row = vertex.to_column_row(action, size)
    return engine_pb2.Action(point=engine_pb2.Point(column=column, row=row), gtp_vertex=name)


def to_point(message: engine_pb2.Point, size: int, *, path: str) -> int:
    """The point number."""
    for name, value in (("column", message.column), ("row", message.row)):
        if not 0 <= value < size:
            raise failures.invalid_argument(
                f"{path}.{name}", f"{value} is not in 0..{size - 1}", reason="INVALID_VERTEX"
            )
    return vertex.from_column_row(message.column, message.row, size)


def to_rules(message: engine_pb2.Rules, *, path: str) -> RuleSet:
    """The rules; what is unspecified is as in DEFAULT_RULES."""
    if message.ko_rule not in _KO_RULES:
        raise failures.invalid_argument(f"{path}.ko_rule", f"{message.ko_rule} is no ko rule")
    if message.scoring_rule not in _SCORING_RULES:
        raise failures.invalid_argument(f"{path}.scoring_rule", f"{message.scoring_rule} is no scoring rule")
    return RuleSet(
        ko=_KO_RULES[message.ko_rule],
        scoring=_SCORING_RULES[message.scoring_rule],
        suicide=message.suicide_allowed if message.HasField("suicide_allowed") else DEFAULT_RULES.suicide,
    )


def to_seconds(message: duration_pb2.Duration, *, path: str) -> float:
    """A positive time."""
    seconds = float(message.seconds + message.nanos / 1e9)
    if not (seconds > 0 and abs(message.nanos) < 1_000_000_000):
        raise failures.invalid_argument(path, f"{seconds} s is no positive time")
    return seconds


def from_seconds(seconds: float) -> duration_pb2.Duration:
    """The message of a time >= 0, to the microsecond."""
    microseconds = round(seconds * 1_000_000)
    return duration_pb2.Duration(seconds=microseconds // 1_000_000, nanos=microseconds % 1_000_000 * 1000)


def in_point_order(values: Iterable[Any], size: int) -> list[float]:
    """One value a point, from the engine's order (top row first) to the interface's (row 0 is A1's); what follows the
    points, the pass, stays last."""
    rows = list(values)
    turned = [rows[row * size : (row + 1) * size] for row in reversed(range(size))]
    return [float(value) for row in (*turned, rows[size * size :]) for value in row]


def _from_move_list(message: engine_pb2.MoveList, *, path: str) -> Position:
    size = message.board_size
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise failures.invalid_argument(
            f"{path}.board_size", f"{size} is not in {MIN_SIZE}..{MAX_SIZE}", reason="UNSUPPORTED_BOARD_SIZE"
        )
    if len(message.moves) > MAX_MOVES:
        raise failures.invalid_argument(f"{path}.moves", f"{len(message.moves)} moves, of {MAX_MOVES} at most")
    position = Position(
        size=size, rules=to_rules(message.rules, path=f"{path}.rules"), komi=_komi(message, path=f"{path}.komi")
    )
    _set_up(position, message, path=path)
    for index, move in enumerate(message.moves):
        _play(position, move, path=f"{path}.moves[{index}]")
    return position


def _set_up(position: Position, message: engine_pb2.MoveList, *, path: str) -> None:
    """Setup stones and the first player."""
    to_play = to_color(message.initial_player, path=f"{path}.initial_player", default=BLACK)
    stones_path = f"{path}.setup_stones"
    if len(message.setup_stones) > position.area:
        raise failures.invalid_argument(stones_path, f"{len(message.setup_stones)} stones on {position.area} points")
    stones: dict[int, list[int]] = {BLACK: [], WHITE: []}
    for index, stone in enumerate(message.setup_stones):
        color = to_color(stone.color, path=f"{stones_path}[{index}].color")
        stones[color].append(to_point(stone.point, position.size, path=f"{stones_path}[{index}].point"))
    _checked(stones_path, lambda: position.set_stones(stones[BLACK], stones[WHITE], to_play))


def _play(position: Position, move: engine_pb2.Move, *, path: str) -> None:
    color = to_color(move.color, path=f"{path}.color", default=position.to_play)
    action = to_action(move.action, position.size, path=f"{path}.action")
    _checked(f"{path}.action", lambda: position.play(color, action))


def _komi(message: engine_pb2.MoveList, *, path: str) -> float:
    komi = float(message.komi) if message.HasField("komi") else DEFAULT_KOMI
    if not (math.isfinite(komi) and abs(komi) <= MAX_KOMI and (2 * komi).is_integer()):
        description = f"{komi} is no multiple of 0.5 in -{MAX_KOMI:.0f}..{MAX_KOMI:.0f}"
        raise failures.invalid_argument(path, description, reason="INVALID_KOMI")
    return komi


def _from_sgf(message: engine_pb2.SgfPosition, *, path: str) -> Position:
    if len(message.sgf) > MAX_SGF_BYTES:
        raise failures.invalid_argument(f"{path}.sgf", f"{len(message.sgf)} bytes, of {MAX_SGF_BYTES} at most")
    if message.move_number < 0:
        raise failures.invalid_argument(f"{path}.move_number", f"{message.move_number} is negative")
    next_move = message.move_number + 1 if message.HasField("move_number") else None
    position = _checked(f"{path}.sgf", lambda: load_sgf(message.sgf, next_move))
    if abs(position.komi) > MAX_KOMI:
        raise failures.invalid_argument(f"{path}.sgf", f"komi {position.komi} is out of range", reason="INVALID_KOMI")
    return position


def _checked(path: str, call: Callable[[], Value]) -> Value:
    """What `call` returns; the engine's complaint becomes one about the field at `path`."""
    try:
        return call()
    except InvalidInput as error:
        raise failures.from_engine_error(error, path=path) or error from None
