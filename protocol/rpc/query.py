"""Reads a SuggestMoveRequest: position, limits and options, checked against what the server grants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.go.position import Position
from engine.go.rules import MAX_SIZE
from engine.search.result import MAX_VARIATION_LENGTH as MAX_PV_LENGTH
from protocol.rpc import convert, failures
from protocol.rpc.budget import RequestedLimits, ServerLimits
from protocol.rpc.suggester import ModelFacts
from protocol.v1 import MODEL_PREFIX, engine_pb2

DEFAULT_CANDIDATES = 10
MAX_CANDIDATES = MAX_SIZE * MAX_SIZE + 1
MAX_REQUEST_ID = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A checked request for a search."""

    position: Position
    """What to search; handed over to the search."""
    size: int
    """The position's board size."""
    to_play: int
    """The position's side to move, +1 or -1."""
    limits: RequestedLimits
    """When to stop."""
    model: str | None
    """Name of the model to search with; None: the engine's choice for the board size."""
    seed: int | None
    """Of the search's random choices; None: the engine draws one."""
    max_candidates: int
    """How many moves to report, at least 1."""
    max_pv_length: int
    """Moves of a principal variation, at least 1."""
    include_policy: bool
    """Whether to report the prior of every move."""
    include_ownership: bool
    """Whether to report who owns each point."""
    request_id: str
    """To echo."""


def read_query(request: engine_pb2.SuggestMoveRequest, *, models: Sequence[ModelFacts], limits: ServerLimits) -> Query:
    """Checks `request`. `models`: what there is. Takes about 10 us a move of the game."""
    options = request.options
    model = find_model(options.model, models, path="options.model") if options.model else None
    position = convert.to_position(request.position)
    query = Query(
        position=position,
        size=position.size,
        to_play=position.to_play,
        limits=_read_limits(request.limits, limits),
        model=None if model is None else model.name,
        seed=options.seed if options.HasField("seed") else None,
        max_candidates=_count(options.max_candidates, DEFAULT_CANDIDATES, MAX_CANDIDATES, "options.max_candidates"),
        max_pv_length=_count(options.max_pv_length, MAX_PV_LENGTH, MAX_PV_LENGTH, "options.max_pv_length"),
        include_policy=options.include_policy,
        include_ownership=options.include_ownership,
        request_id=_request_id(request.request_id),
    )
    size_path = "position.moves.board_size" if request.position.WhichOneof("source") == "moves" else "position.sgf.sgf"
    _check_size(query.size, models if model is None else [model], path=size_path)
    if position.is_over:
        raise failures.failed_precondition(
            "GAME_FINISHED", "two passes have ended the game: ask for a position before them"
        )
    return query


def find_model(name: str, models: Sequence[ModelFacts], *, path: str) -> ModelFacts:
    """The model of the resource name "models/{model}". Raises INVALID_ARGUMENT or NOT_FOUND."""
    if not name.startswith(MODEL_PREFIX):
        raise failures.invalid_argument(path, f"{name!r} is no model name: expected models/NAME")
    for model in models:
        if MODEL_PREFIX + model.name == name:
            return model
    raise failures.not_found("MODEL_NOT_FOUND", f"there is no model {name!r}")


def _read_limits(message: engine_pb2.SearchLimits, limits: ServerLimits) -> RequestedLimits:
    time_s = None
    if message.HasField("max_time"):
        time_s = convert.to_seconds(message.max_time, path="limits.max_time")
        if time_s > limits.max_time_s:
            description = f"{time_s} s is more than this server's {limits.max_time_s} s"
            raise failures.invalid_argument("limits.max_time", description)
    if not 0 <= message.max_visits <= limits.max_visits:
        description = f"{message.max_visits} is not in 0..{limits.max_visits}"
        raise failures.invalid_argument("limits.max_visits", description)
    return RequestedLimits(time_s=time_s, visits=message.max_visits or None, early_stop=message.early_stop)


def _count(value: int, default: int, maximum: int, path: str) -> int:
    if not 0 <= value <= maximum:
        raise failures.invalid_argument(path, f"{value} is not in 0..{maximum}")
    return value or default


def _request_id(request_id: str) -> str:
    if len(request_id) > MAX_REQUEST_ID or not (request_id.isascii() and request_id.isprintable()):
        description = f"{request_id[:MAX_REQUEST_ID]!r} is not at most {MAX_REQUEST_ID} printable ASCII characters"
        raise failures.invalid_argument("request_id", description)
    return request_id


def _check_size(size: int, models: Sequence[ModelFacts], *, path: str) -> None:
    """Raises unless one of `models` plays on this board."""
    sizes = sorted({size for model in models for size in model.board_sizes})
    if size not in sizes:
        names = ", ".join(model.name for model in models)
        description = f"{size}x{size} is none of the board sizes of {names}: {', '.join(map(str, sizes))}"
        raise failures.invalid_argument(path, description, reason="UNSUPPORTED_BOARD_SIZE")
