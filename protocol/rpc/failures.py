"""What a client is told when a call fails: google.rpc.Status with exactly one ErrorInfo and the details that fit.

The one place that knows which engine error becomes which status code. Knows nothing of the services.
Codes and details follow google.aip.dev/193.
"""

from __future__ import annotations

import math
import re

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from engine.errors import EvaluationError, InvalidInput, ModelNotFound, TengenError

DOMAIN = "tengen"
"""ErrorInfo.domain of every failure."""

MAX_TEXT = 400
"""Characters of a message. A status travels as HTTP/2 trailers, which clients cut off at 8 KiB in all."""

MIN_RETRY_S = 0.1
"""Nobody is told to try again sooner: a search may take longer than it was expected to."""


class RpcFailure(Exception):
    """A failure on its way to the client; `status` is what it will see. The text is one line fit for a user."""

    def __init__(
        self,
        code: grpc.StatusCode,
        reason: str,
        message: str,
        *details: Message,
        retry_after_s: float | None = None,
    ) -> None:
        """`reason` is ErrorInfo.reason in UPPER_SNAKE_CASE; `details` are further google.rpc detail messages.
        `retry_after_s`: when gRPC itself may try again, None: when it likes."""
        message = _short(message)
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.retry_after_s = retry_after_s
        information = error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN)
        self.status = status_pb2.Status(
            code=code.value[0], message=message, details=[_packed(detail) for detail in (information, *details)]
        )


def invalid_argument(path: str, description: str, *, reason: str = "INVALID_ARGUMENT") -> RpcFailure:
    """The field at `path` of the request, such as "position.moves.moves[17].color", is to blame."""
    violation = error_details_pb2.BadRequest.FieldViolation(field=path, description=_short(description))
    details = error_details_pb2.BadRequest(field_violations=[violation])
    return RpcFailure(grpc.StatusCode.INVALID_ARGUMENT, reason, f"{path}: {description}", details)


def failed_precondition(reason: str, message: str) -> RpcFailure:
    """The request is well formed, but the position or the model does not admit it."""
    return RpcFailure(grpc.StatusCode.FAILED_PRECONDITION, reason, message)


def not_found(reason: str, message: str) -> RpcFailure:
    """The request names something that does not exist."""
    return RpcFailure(grpc.StatusCode.NOT_FOUND, reason, message)


def queue_full(message: str, *, retry_after_s: float) -> RpcFailure:
    """No search can start in time; trying again makes sense after `retry_after_s` seconds."""
    retry_after_s = max(retry_after_s, MIN_RETRY_S)
    delay = duration_pb2.Duration()
    delay.FromMilliseconds(math.ceil(retry_after_s * 1000))
    retry = error_details_pb2.RetryInfo(retry_delay=delay)
    return RpcFailure(grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL", message, retry, retry_after_s=retry_after_s)


def deadline_exceeded(message: str) -> RpcFailure:
    """Too late even for the network's first choice."""
    return RpcFailure(grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_TOO_SHORT", message)


def unavailable(reason: str, message: str) -> RpcFailure:
    """The server cannot serve now, but another one, or this one later, can."""
    return RpcFailure(grpc.StatusCode.UNAVAILABLE, reason, message)


def internal(correlation_id: str) -> RpcFailure:
    """A bug or a broken model: the client gets a number to quote, the log gets the traceback."""
    return RpcFailure(grpc.StatusCode.INTERNAL, "INTERNAL", f"internal error, correlation id {correlation_id}")


def from_engine_error(error: TengenError, *, path: str) -> RpcFailure | None:
    """The failure for an expected engine error that the request field at `path` led to; None: an internal error."""
    reason = _snake_case(type(error).__name__)
    if isinstance(error, InvalidInput):
        return invalid_argument(path, str(error), reason=reason)
    if isinstance(error, ModelNotFound):
        return not_found(reason, str(error))
    if isinstance(error, EvaluationError):
        return None
    return failed_precondition(reason, str(error))


def _packed(detail: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed


def _short(text: str) -> str:
    """`text` in one line of at most MAX_TEXT printable ASCII characters: it may quote anything a client sent."""
    line = text.encode("unicode_escape").decode("ascii")
    return line if len(line) <= MAX_TEXT else line[: MAX_TEXT - 3] + "..."


def _snake_case(name: str) -> str:
    """ "IllegalMove" becomes "ILLEGAL_MOVE"."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()
