"""What the client sends and what it makes of the answers: pure functions between plain values and messages."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import grpc
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from engine.errors import InvalidInput
from engine.go import vertex
from engine.go.rules import KoRule, RuleSet, Scoring
from protocol.v1 import MODEL_PREFIX, engine_pb2

DEFAULT_BOARD_SIZE: Final = 9

_COLORS: Final = {"B": engine_pb2.COLOR_BLACK, "W": engine_pb2.COLOR_WHITE}
_KO_RULES: Final = {
    KoRule.SIMPLE: engine_pb2.KO_RULE_SIMPLE,
    KoRule.POSITIONAL: engine_pb2.KO_RULE_POSITIONAL_SUPERKO,
    KoRule.SITUATIONAL: engine_pb2.KO_RULE_SITUATIONAL_SUPERKO,
}
_SCORING_RULES: Final = {
    Scoring.AREA: engine_pb2.SCORING_RULE_AREA,
    Scoring.TERRITORY: engine_pb2.SCORING_RULE_TERRITORY,
}
_STOP_REASON_PREFIX: Final = "STOP_REASON_"


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateMove:
    """One move that the search considered. Rates are the view of the side to move."""

    move: str
    """GTP vertex, or "pass"."""
    visits: int
    """How often the search tried it."""
    win_rate: float
    """In [0, 1]."""
    prior: float
    """The network's probability of the move, in [0, 1]."""
    principal_variation: tuple[str, ...]
    """The best play from here, the move itself first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveSuggestion:
    """The answer to `suggest_move`. Rates, scores and ownership are the view of the side to move."""

    move: str
    """GTP vertex, or "pass"."""
    side_to_move: str
    """"B" or "W"."""
    win_rate: float
    """Of the position, in [0, 1]."""
    score_lead: float | None
    """In points, komi included; None if the model does not say."""
    visits: int
    """Of the whole search."""
    candidates: tuple[CandidateMove, ...]
    """`move` first, then by visits."""
    stop_reason: str
    """VISITS, TIME, DEADLINE, DECIDED, ONLY_MOVE or SERVER_DRAIN."""
    search_time_s: float
    """Of the search."""
    queue_time_s: float
    """Before the search."""
    model: str
    """Name and digest of the model."""
    seed: int
    """Of the search's random choices."""
    policy: Mapping[str, float] | None
    """Prior by move, if asked for; 0 where illegal."""
    ownership: Mapping[str, float] | None
    """By point, in [-1, 1], 1 = owned by the side to move; if asked for and known to the model."""
    request_id: str
    """As sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDescription:
    """One model of the server."""

    name: str
    """For `suggest_move(model=...)`."""
    digest: str
    """Identifies the network files, hexadecimal."""
    board_sizes: tuple[int, ...]
    """Sizes that it may play."""
    trained_board_sizes: tuple[int, ...]
    """Sizes that it was trained on."""
    komi_range: tuple[float, float] | None
    """Smallest and largest komi of its training games, if known."""
    properties: Mapping[str, str]
    """Further facts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerDescription:
    """Version and limits of a server."""

    version: str
    """Of Tengen."""
    max_concurrent_searches: int
    """Searches at a time."""
    max_queue_length: int
    """Calls that may wait for a search."""
    max_visits: int
    """Most visits that a request may ask for."""
    max_message_bytes: int
    """Largest request."""
    default_time_s: float
    """Search time of a request with neither limit nor deadline."""
    max_time_s: float
    """Longest search, and so the longest `max_time_s` that a request may ask for."""
    deadline_slack_s: float
    """Kept back from a deadline for the answer's way."""


class CallFailed(Exception):
    """The server, or the way to it, failed; the text is the server's message."""

    def __init__(
        self,
        code: grpc.StatusCode,
        message: str,
        *,
        reason: str = "",
        violations: Mapping[str, str] | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        """`reason`: UPPER_SNAKE_CASE, for programs. `violations`: what is wrong, by path of the request's field.
        `retry_after_s`: when to try again."""
        super().__init__(f"{code.name}: {message}")
        self.code = code
        self.message = message
        self.reason = reason
        self.violations = dict(violations or {})
        self.retry_after_s = retry_after_s


def position(*, sgf: bytes | None, move_number: int | None, **description: Any) -> engine_pb2.Position:
    """The position of a game record after `move_number` moves (None: after the last one), or, without a record, that of
    `move_list(**description)`. Raises `InvalidInput` for a mixture, and as `move_list` does."""
    if sgf is None:
        if move_number is not None:
            raise InvalidInput(f"move_number {move_number} counts the moves of an sgf, which is missing: shorten moves")
        return move_list(**description)
    given = [name for name, value in description.items() if value not in (None, (), [])]
    if given:
        raise InvalidInput(f"{', '.join(given)} beside sgf, which is a whole position: leave out one or the other")
    return engine_pb2.Position(sgf=engine_pb2.SgfPosition(sgf=sgf, move_number=move_number))


def move_list(
    *,
    board_size: int | None,
    moves: Sequence[str | tuple[str, str]],
    komi: float | None,
    setup: Sequence[tuple[str, str]],
    first_player: str | None,
    rules: RuleSet | None,
) -> engine_pb2.Position:
    """The position after `moves`; see `EngineClient.suggest_move`. Raises `InvalidInput` for an unknown colour or a
    setup stone off the board; the rest is for the server to judge."""
    if board_size is None:
        board_size = DEFAULT_BOARD_SIZE
    stones = [engine_pb2.SetupStone(color=_color(color), point=_point(name, board_size)) for color, name in setup]
    message = engine_pb2.MoveList(
        board_size=board_size,
        setup_stones=stones,
        moves=[_move(move) for move in moves],
        initial_player=engine_pb2.COLOR_UNSPECIFIED if first_player is None else _color(first_player),
        rules=None if rules is None else _rules(rules),
        komi=komi,
    )
    return engine_pb2.Position(moves=message)


def search_limits(
    max_time_s: float | None, *, max_visits: int | None, early_stop: bool = False
) -> engine_pb2.SearchLimits:
    """The limits of a search. Raises `InvalidInput` for a time that is no finite number."""
    duration = None
    if max_time_s is not None:
        if not math.isfinite(max_time_s):
            raise InvalidInput(f"max_time_s {max_time_s!r} is not a finite number")
        duration = duration_pb2.Duration()
        duration.FromMicroseconds(round(max_time_s * 1_000_000))
    return engine_pb2.SearchLimits(max_time=duration, max_visits=max_visits, early_stop=early_stop)


def model_resource(name: str) -> str:
    """The resource name of a model, which may be one already."""
    return name if name.startswith(MODEL_PREFIX) else MODEL_PREFIX + name


def read_suggestion(response: engine_pb2.SuggestMoveResponse) -> MoveSuggestion:
    """The answer as plain values."""
    analysis = response.analysis
    board_size = analysis.board_size
    side = next(name for name, color in _COLORS.items() if color == analysis.side_to_move)
    return MoveSuggestion(
        move=response.action.gtp_vertex,
        side_to_move=side,
        win_rate=analysis.root_win_rate,
        score_lead=analysis.root_score_lead if analysis.HasField("root_score_lead") else None,
        visits=analysis.visits,
        candidates=tuple(_candidate(candidate) for candidate in analysis.candidates),
        stop_reason=engine_pb2.StopReason.Name(analysis.stop_reason).removeprefix(_STOP_REASON_PREFIX),
        search_time_s=_seconds(analysis.search_time),
        queue_time_s=_seconds(analysis.queue_time),
        model=analysis.model.removeprefix(MODEL_PREFIX),
        seed=analysis.seed,
        policy=_by_vertex(analysis.policy, board_size),
        ownership=_by_vertex(analysis.ownership, board_size),
        request_id=response.request_id,
    )


def read_model(model: engine_pb2.Model) -> ModelDescription:
    """One model as plain values."""
    return ModelDescription(
        name=model.name.removeprefix(MODEL_PREFIX),
        digest=model.digest,
        board_sizes=tuple(model.board_sizes),
        trained_board_sizes=tuple(model.trained_board_sizes),
        komi_range=(model.min_komi, model.max_komi) if model.HasField("min_komi") else None,
        properties=dict(model.properties),
    )


def read_server(response: engine_pb2.GetServerInfoResponse) -> ServerDescription:
    """The server's facts as plain values."""
    return ServerDescription(
        version=response.version,
        max_concurrent_searches=response.max_concurrent_searches,
        max_queue_length=response.max_queue_length,
        max_visits=response.max_visits,
        max_message_bytes=response.max_message_bytes,
        default_time_s=_seconds(response.default_time),
        max_time_s=_seconds(response.max_time),
        deadline_slack_s=_seconds(response.deadline_slack),
    )


def read_failure(error: grpc.RpcError) -> CallFailed:
    """The failure of a call, with the details that the server added, if any."""
    status = rpc_status.from_call(error)
    reason, violations, retry_after_s = "", {}, None
    for detail in () if status is None else status.details:
        information, request, retry = (
            error_details_pb2.ErrorInfo(),
            error_details_pb2.BadRequest(),
            error_details_pb2.RetryInfo(),
        )
        if detail.Unpack(information):
            reason = information.reason
        elif detail.Unpack(request):
            violations = {violation.field: violation.description for violation in request.field_violations}
        elif detail.Unpack(retry):
            retry_after_s = _seconds(retry.retry_delay)
    return CallFailed(
        error.code(), error.details() or "", reason=reason, violations=violations, retry_after_s=retry_after_s
    )


def _color(name: str) -> engine_pb2.Color:
    if name.upper() not in _COLORS:
        raise InvalidInput(f"{name!r} is no colour: expected 'B' or 'W'")
    return _COLORS[name.upper()]


def _point(name: str, size: int) -> engine_pb2.Point:
    column, row = vertex.to_column_row(vertex.from_gtp(name, size), size)
    return engine_pb2.Point(column=column, row=row)


def _move(move: str | tuple[str, str]) -> engine_pb2.Move:
    if isinstance(move, str):
        return engine_pb2.Move(action=engine_pb2.Action(vertex=move))
    color, name = move
    return engine_pb2.Move(color=_color(color), action=engine_pb2.Action(vertex=name))


def _rules(rules: RuleSet) -> engine_pb2.Rules:
    return engine_pb2.Rules(
        ko_rule=_KO_RULES[rules.ko], scoring_rule=_SCORING_RULES[rules.scoring], suicide_allowed=rules.suicide
    )


def _candidate(candidate: engine_pb2.Candidate) -> CandidateMove:
    return CandidateMove(
        move=candidate.action.gtp_vertex,
        visits=candidate.visits,
        win_rate=candidate.win_rate,
        prior=candidate.prior,
        principal_variation=tuple(action.gtp_vertex for action in candidate.principal_variation),
    )


def _by_vertex(values: Sequence[float], size: int) -> dict[str, float] | None:
    """Values in the interface's order, by GTP vertex; the one after the points is the pass's."""
    if not values:
        return None
    names = [
        vertex.to_gtp(vertex.from_column_row(column, row, size), size) for row in range(size) for column in range(size)
    ]
    return dict(zip([*names, vertex.PASS_VERTEX], values, strict=False))


def _seconds(duration: duration_pb2.Duration) -> float:
    return float(duration.seconds + duration.nanos / 1e9)
