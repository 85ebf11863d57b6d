"""The asyncio gRPC server: services, health, reflection, limits of the transport, and an orderly end.

Life: `start` binds and answers UNAVAILABLE, `load` makes the models ready and health SERVING, `drain` ends it.
"""

from __future__ import annotations

import asyncio
import logging

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from engine.errors import InvalidConfig
from protocol.rpc.address import parse_listen_address
from protocol.rpc.interceptor import FailureInterceptor
from protocol.rpc.search_queue import SearchQueue
from protocol.rpc.search_task import SearchRunner
from protocol.rpc.service import AnalysisService, Models, ModelService
from protocol.rpc.settings import ServerSettings
from protocol.rpc.suggester import Suggester
from protocol.v1 import engine_pb2, engine_pb2_grpc

logger = logging.getLogger(__name__)

SERVICE_NAMES = tuple(sorted(service.full_name for service in engine_pb2.DESCRIPTOR.services_by_name.values()))
"""Full names of the services that this server implements."""

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class RpcServer:
    """One server over one suggester. Make it, use it and drain it in the same event loop."""

    def __init__(self, suggester: Suggester, settings: ServerSettings) -> None:
        """Binds nothing yet."""
        self._settings = settings
        self._address = parse_listen_address(settings.listen)
        self._suggester = suggester
        self._models = Models()
        self._health = health.aio.HealthServicer()
        limits = settings.limits
        self.queue = SearchQueue(workers=limits.max_concurrent_searches, max_waiting=limits.max_queue_length)
        self._server = self._build()
        self.target = ""

    async def start(self) -> None:
        """Binds and answers; searches are refused with UNAVAILABLE until `load` is done. Sets `target`."""
        for name in ("", *SERVICE_NAMES):
            await self._health.set(name, NOT_SERVING)
        try:
            port = self._server.add_insecure_port(self._address.target)
        except RuntimeError as error:
            reason = self._address.why_unusable()
            raise InvalidConfig(f"cannot listen on {self._address.target!r}: {reason}") from error
        await self._server.start()
        self.target = self._address.with_port(port)

    async def load(self) -> None:
        """Waits until the suggester's models are ready. Raises `ModelError`."""
        await asyncio.to_thread(self._suggester.load)
        self._models.become_ready(self._suggester.models())
        for name in ("", *SERVICE_NAMES):
            await self._health.set(name, SERVING)

    async def drain(self, grace_s: float | None = None, *, answer_s: float = 1.0) -> None:
        """Ends the server: not serving at once, no new searches, and those under way or waiting may finish.

        Searches still running after `grace_s` seconds (None: the settings') answer with what they have; calls still
        open `answer_s` seconds after the last search, such as a health watch, are cancelled. Until then health checks
        are answered.
        """
        # grpc's stop is called once, at the end: a second call beside the first one can crash the process (1.85).
        await self._health.enter_graceful_shutdown()
        self.queue.refuse()
        idle = asyncio.ensure_future(self.queue.wait_idle())
        await asyncio.wait({idle}, timeout=self._settings.drain_grace_s if grace_s is None else grace_s)
        self.queue.close()
        await idle
        await self._server.stop(answer_s)
        self.queue.shut_down()

    async def _model_failed(self) -> None:
        """A network that returned NaN once is not to be trusted again: tell load balancers."""
        await self._health.set("", NOT_SERVING)
        await self._health.set(engine_pb2.DESCRIPTOR.services_by_name["AnalysisService"].full_name, NOT_SERVING)

    def _build(self) -> grpc.aio.Server:
        settings = self._settings
        server = grpc.aio.server(
            interceptors=[FailureInterceptor()],
            options=_transport_options(settings),
            maximum_concurrent_rpcs=settings.max_concurrent_calls,
        )
        limits = settings.limits
        runner = SearchRunner(self._suggester, self.queue, limits)
        analysis = AnalysisService(runner, self._models, limits, on_model_failure=self._model_failed)
        models = ModelService(self._models, limits)
        engine_pb2_grpc.add_AnalysisServiceServicer_to_server(analysis, server)
        engine_pb2_grpc.add_ModelServiceServicer_to_server(models, server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        if self._address.is_local if settings.reflection is None else settings.reflection:
            reflection.enable_server_reflection((*SERVICE_NAMES, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
        return server


def _transport_options(settings: ServerSettings) -> list[tuple[str, int]]:
    """gRPC channel arguments; grpc.github.io/grpc/core/group__grpc__arg__keys.html says what each one means."""
    return [
        ("grpc.so_reuseport", 0),  # else a second server would silently share the port
        ("grpc.max_receive_message_length", settings.limits.max_message_bytes),
        ("grpc.max_metadata_size", 8 * 1024),
        ("grpc.max_concurrent_streams", 128),
        ("grpc.server_handshake_timeout_ms", 5_000),
        ("grpc.max_connection_idle_ms", 300_000),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        # Beyond these gRPC answers a bare CANCELLED; our own limits refuse with a proper status well before.
        ("grpc.server.max_pending_requests", 20_000),
        ("grpc.server.max_pending_requests_hard_limit", 40_000),
    ]
