"""A real gRPC server on a free port, its event loop in a thread of its own, so that a test is an ordinary client."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import grpc

from protocol.rpc.server import RpcServer
from protocol.rpc.settings import ServerSettings
from protocol.rpc.suggester import Suggester

PATIENCE_S = 10.0
LISTEN = "127.0.0.1:0"


class ServerInThread:
    """A server to call, and a way to run coroutines in its loop."""

    def __init__(self, suggester: Suggester, settings: ServerSettings) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="server")
        self._thread.start()
        try:
            self.server = self.call(self._make(suggester, settings))
        except BaseException:
            self._end_loop()
            raise

    async def _make(self, suggester: Suggester, settings: ServerSettings) -> RpcServer:
        server = RpcServer(suggester, settings)
        await server.start()
        return server

    @property
    def target(self) -> str:
        return self.server.target

    def begin(self, coroutine: Coroutine[Any, Any, Any]) -> Future[Any]:
        """Starts `coroutine` in the server's loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def call(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Runs `coroutine` in the server's loop and returns its result."""
        return self.begin(coroutine).result(PATIENCE_S)

    def wait_until_queued(self, count: int) -> None:
        """Waits until `count` requests wait for a search."""

        async def wait() -> None:
            while self.server.queue.waiting != count:
                await asyncio.sleep(0)

        self.call(asyncio.wait_for(wait(), PATIENCE_S))

    def close(self) -> None:
        """Drains without patience; may be called twice."""
        if self._loop.is_closed():
            return
        try:
            self.call(self.server.drain(0.0, answer_s=0.0))
        finally:
            self._end_loop()

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()


@contextmanager
def running_server(
    suggester: Suggester, settings: ServerSettings | None = None, *, load: bool = True
) -> Iterator[ServerInThread]:
    """A server on a free port of the loopback address, ready unless `load` is False."""
    server = ServerInThread(suggester, settings or ServerSettings(listen=LISTEN))
    try:
        if load:
            server.call(server.server.load())
        yield server
    finally:
        server.close()


@contextmanager
def channel_to(server: ServerInThread) -> Iterator[grpc.Channel]:
    """A plain client connection."""
    with grpc.insecure_channel(server.target) as channel:
        yield channel
