"""The handlers: AnalysisService and ModelService, each a reading of the request, a call, and a message back.

Knows no search and no transport; raises `RpcFailure`, which the interceptor turns into a status.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import engine
from engine.errors import EvaluationError
from protocol.rpc import failures
from protocol.rpc.budget import ServerLimits
from protocol.rpc.convert import from_seconds
from protocol.rpc.query import find_model, read_query
from protocol.rpc.report import to_response
from protocol.rpc.search_task import SearchRunner
from protocol.rpc.suggester import ModelFacts
from protocol.v1 import MODEL_PREFIX, engine_pb2, engine_pb2_grpc

logger = logging.getLogger(__name__)

DEFAULT_PAGE = 100
MAX_PAGE = 1000


class Models:
    """The models that this server searches with; empty until they are loaded."""

    def __init__(self) -> None:
        self._models: tuple[ModelFacts, ...] = ()

    def become_ready(self, models: Sequence[ModelFacts]) -> None:
        """From now on `ready` returns `models`."""
        self._models = tuple(models)

    def ready(self) -> tuple[ModelFacts, ...]:
        """The models. Raises UNAVAILABLE while they are being loaded."""
        if not self._models:
            raise failures.unavailable("MODEL_LOADING", "the models are being loaded: try again in some seconds")
        return self._models


class AnalysisService(engine_pb2_grpc.AnalysisServiceServicer):
    """Searches."""

    def __init__(
        self,
        runner: SearchRunner,
        models: Models,
        limits: ServerLimits,
        *,
        on_model_failure: Callable[[], Awaitable[None]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`on_model_failure` is awaited when a network returned NaN or infinity. `clock`: the runner's."""
        self._runner = runner
        self._models = models
        self._limits = limits
        self._on_model_failure = on_model_failure
        self._clock = clock

    async def SuggestMove(self, request: engine_pb2.SuggestMoveRequest, context: Any) -> engine_pb2.SuggestMoveResponse:  # noqa: N802
        """Searches one position."""
        arrival, remaining_s = self._clock(), context.time_remaining()
        models = self._models.ready()
        # In a thread, as the answer below: a long game or many candidates take a while, and others wait for the loop.
        query = await asyncio.to_thread(read_query, request, models=models, limits=self._limits)
        try:
            outcome = await self._runner.suggest(query, arrival=arrival, remaining_s=remaining_s)
        except EvaluationError:
            await self._on_model_failure()
            raise
        return await asyncio.to_thread(to_response, query, outcome)


class ModelService(engine_pb2_grpc.ModelServiceServicer):
    """Facts about models and server."""

    def __init__(self, models: Models, limits: ServerLimits) -> None:
        self._models = models
        self._limits = limits

    async def ListModels(self, request: engine_pb2.ListModelsRequest, context: Any) -> engine_pb2.ListModelsResponse:  # noqa: N802
        """A page of the models; a page token is the name of the page's first model."""
        models = self._models.ready()
        if not 0 <= request.page_size <= MAX_PAGE:
            raise failures.invalid_argument("page_size", f"{request.page_size} is not in 0..{MAX_PAGE}")
        names = [MODEL_PREFIX + model.name for model in models]
        if request.page_token and request.page_token not in names:
            raise failures.invalid_argument("page_token", f"{request.page_token!r} is none of this server's")
        start = names.index(request.page_token) if request.page_token else 0
        end = start + (request.page_size or DEFAULT_PAGE)
        page = [_from_model(model) for model in models[start:end]]
        return engine_pb2.ListModelsResponse(models=page, next_page_token="".join(names[end : end + 1]))

    async def GetModel(self, request: engine_pb2.GetModelRequest, context: Any) -> engine_pb2.GetModelResponse:  # noqa: N802
        """One model."""
        model = find_model(request.name, self._models.ready(), path="name")
        return engine_pb2.GetModelResponse(model=_from_model(model))

    async def GetServerInfo(  # noqa: N802
        self, request: engine_pb2.GetServerInfoRequest, context: Any
    ) -> engine_pb2.GetServerInfoResponse:
        """Version and limits."""
        limits = self._limits
        return engine_pb2.GetServerInfoResponse(
            version=engine.__version__,
            max_concurrent_searches=limits.max_concurrent_searches,
            max_queue_length=limits.max_queue_length,
            max_visits=limits.max_visits,
            max_message_bytes=limits.max_message_bytes,
            default_time=from_seconds(limits.default_time_s),
            max_time=from_seconds(limits.max_time_s),
            deadline_slack=from_seconds(limits.deadline_slack_s),
        )


def _from_model(model: ModelFacts) -> engine_pb2.Model:
    return engine_pb2.Model(
        name=MODEL_PREFIX + model.name,
        digest=model.digest,
        board_sizes=model.board_sizes,
        trained_board_sizes=model.trained_board_sizes,
        min_komi=None if model.komi_range is None else model.komi_range[0],
        max_komi=None if model.komi_range is None else model.komi_range[1],
        properties=dict(model.properties),
    )
