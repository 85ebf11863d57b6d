"""The one wrapper around every handler: parses the request, turns exceptions into statuses, writes one log line a call.

grpcio left alone answers undecodable bytes and any exception with UNKNOWN and the exception's text, which leaks
internals; behind this interceptor a client sees only what `protocol.rpc.failures` says.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError
from grpc_status import rpc_status

from engine.errors import TengenError
from protocol.rpc import failures

logger = logging.getLogger(__name__)

PUSHBACK: Final = "grpc-retry-pushback-ms"
"""Trailing metadata by which a server says when a client's gRPC library may retry, -1: not at all (gRFC A6)."""

Behaviour = Callable[[Any, Any], Any]
"""A handler's function: (request or request iterator, context) -> awaitable response or asynchronous iterator."""


class FailureInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpcio has no types
    """Guards every handler of a server."""

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], details: Any) -> Any:
        """Returns the handler of the call, guarded; None, which gRPC answers with UNIMPLEMENTED, stays None."""
        handler = await continuation(details)
        if handler is None:
            return None
        # An undecodable message within a stream of requests is gRPC's own affair: it comes after the handler began.
        parse = _as_it_is if handler.request_streaming else handler.request_deserializer
        kind = f"{'stream' if handler.request_streaming else 'unary'}_"
        kind += "stream" if handler.response_streaming else "unary"
        behaviour = getattr(handler, kind)
        guarded = _guarded(_written(behaviour) if handler.response_streaming else behaviour, parse, details.method)
        return handler._replace(
            **{kind: guarded}, request_deserializer=handler.request_deserializer if parse is _as_it_is else None
        )


def _as_it_is(request: Any) -> Any:
    return request


def _written(behaviour: Behaviour) -> Behaviour:
    """`behaviour` that may yield its responses, as one that writes them to the context."""

    async def write_all(request: Any, context: Any) -> None:
        responses = behaviour(request, context)
        if not hasattr(responses, "__aiter__"):
            await responses
            return
        async for response in responses:
            await context.write(response)

    return write_all


def _guarded(behaviour: Behaviour, parse: Callable[[Any], Any], method: str) -> Behaviour:
    """`behaviour` for requests before `parse`; its exceptions reach the client as statuses, the log as one line or a
    traceback."""

    async def guarded(raw: Any, context: Any) -> Any:
        started = time.monotonic()
        outcome, request_id = "OK", ""
        try:
            request = _parsed(raw, parse)
            request_id = str(getattr(request, "request_id", ""))
            return await behaviour(request, context)
        except (grpc.aio.AbortError, grpc.aio.UsageError):
            outcome = "ABORTED_BY_HANDLER"
            raise
        except asyncio.CancelledError:
            outcome = "CANCELLED"
            raise
        except Exception as error:
            failure = _to_failure(error, method)
            outcome = failure.code.name
            await context.abort_with_status(_to_status(failure, context.time_remaining()))
        finally:
            elapsed_ms = (time.monotonic() - started) * 1000
            line = "%s %s in %.1f ms from %s, request %.130r"
            logger.info(line, method, outcome, elapsed_ms, context.peer(), request_id)

    return guarded


def _parsed(raw: Any, parse: Callable[[Any], Any]) -> Any:
    """The request; bytes that are no such message are the client's fault."""
    try:
        return parse(raw)
    except DecodeError:
        description = f"these {len(raw)} bytes are not a valid request message"
        raise failures.invalid_argument("(request)", description, reason="UNDECODABLE_REQUEST") from None


def _to_failure(error: Exception, method: str) -> failures.RpcFailure:
    """What the client is told of `error`; the unexpected is logged with its traceback."""
    if isinstance(error, failures.RpcFailure):
        return error
    expected = failures.from_engine_error(error, path="(request)") if isinstance(error, TengenError) else None
    if expected is not None:
        return expected
    correlation_id = uuid.uuid4().hex
    logger.error("%s failed, correlation id %s", method, correlation_id, exc_info=error)
    return failures.internal(correlation_id)


def _to_status(failure: failures.RpcFailure, remaining_s: float | None) -> grpc.Status:
    """What gRPC sends; a call whose deadline, in `remaining_s` seconds, comes before the retry fails at once."""
    status = rpc_status.to_status(failure.status)
    delay_s = failure.retry_after_s
    if delay_s is None:
        return status
    fits = remaining_s is None or delay_s < remaining_s
    pushback = (PUSHBACK, str(math.ceil(delay_s * 1000) if fits else -1))
    return status._replace(trailing_metadata=(*status.trailing_metadata, pushback))
