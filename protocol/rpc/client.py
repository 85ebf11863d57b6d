"""A Python client of the server: vertices and plain values in, frozen dataclasses out.

    with EngineClient("127.0.0.1:50051") as engine:
        print(engine.suggest_move(board_size=9, moves=["E5", "C3"], komi=7, max_time_s=1).move)

Moves are GTP vertices ("D4", "pass"). Knows nothing of the server's inside.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import grpc

from engine.errors import InvalidInput
from engine.go.rules import RuleSet
from protocol.rpc import client_messages
from protocol.rpc.client_messages import CallFailed, ModelDescription, MoveSuggestion, ServerDescription
from protocol.rpc.settings import DEFAULT_LISTEN
from protocol.v1 import engine_pb2, engine_pb2_grpc

__all__ = ["CHANNEL_OPTIONS", "CallFailed", "EngineClient", "ModelDescription", "MoveSuggestion", "ServerDescription"]

QUEUE_PATIENCE_S = 60.0
"""Added to a search's own time for queue and network when the caller sets no timeout."""
SHORT_CALL_S = 10.0
"""The timeout of calls that search nothing."""

SERVICE_CONFIG: Final = {
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.2s",
                "maxBackoff": "5s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["RESOURCE_EXHAUSTED", "UNAVAILABLE"],
            },
        }
    ]
}
"""How gRPC itself tries a refused call again, within its deadline (gRFC A6); docs/guide-grpc.md says the same."""
CHANNEL_OPTIONS: Final = (("grpc.service_config", json.dumps(SERVICE_CONFIG)),)


class EngineClient:
    """A blocking client; several threads may use one. A context manager that closes the connection."""

    def __init__(self, address: str = DEFAULT_LISTEN, *, channel: grpc.Channel | None = None) -> None:
        """Connects when first used. `channel`: one of your own, for TLS and the like, instead of plaintext; it retries
        if made with `CHANNEL_OPTIONS`."""
        self._channel = grpc.insecure_channel(address, options=CHANNEL_OPTIONS) if channel is None else channel
        self._analysis = engine_pb2_grpc.AnalysisServiceStub(self._channel)
        self._models = engine_pb2_grpc.ModelServiceStub(self._channel)

    def suggest_move(
        self,
        *,
        board_size: int | None = None,
        moves: Sequence[str | tuple[str, str]] = (),
        komi: float | None = None,
        setup: Sequence[tuple[str, str]] = (),
        first_player: str | None = None,
        rules: RuleSet | None = None,
        sgf: bytes | None = None,
        move_number: int | None = None,
        max_time_s: float | None = None,
        max_visits: int | None = None,
        early_stop: bool = False,
        model: str | None = None,
        seed: int | None = None,
        max_candidates: int | None = None,
        max_pv_length: int | None = None,
        include_policy: bool = False,
        include_ownership: bool = False,
        request_id: str = "",
        timeout_s: float | None = None,
    ) -> MoveSuggestion:
        """Asks for the best move and blocks until it is there.

        The position is either `board_size` (None: 9), `moves` and the like, or `sgf` with `move_number`. `moves`:
        vertices, the colours alternating, or pairs of colour and vertex ("W", "D4"); `setup`: such pairs. Colours are
        "B" and "W". `max_time_s` is the search's; `early_stop` ends it once no other move can become the best one.
        `timeout_s` is the whole call's deadline, before which the server answers with what it has found; without it the
        deadline is `max_time_s` and a minute more, or there is none; with neither limit nor deadline the server's
        default time holds. Raises `CallFailed`, and `InvalidInput` for what cannot be sent.
        """
        with _what_cannot_be_sent():
            position = client_messages.position(
                sgf=sgf,
                move_number=move_number,
                board_size=board_size,
                moves=moves,
                komi=komi,
                setup=setup,
                first_player=first_player,
                rules=rules,
            )
            options = engine_pb2.SearchOptions(
                model=None if model is None else client_messages.model_resource(model),
                seed=seed,
                max_candidates=max_candidates,
                max_pv_length=max_pv_length,
                include_policy=include_policy,
                include_ownership=include_ownership,
            )
            limits = client_messages.search_limits(max_time_s, max_visits=max_visits, early_stop=early_stop)
            request = engine_pb2.SuggestMoveRequest(
                position=position, limits=limits, options=options, request_id=request_id
            )
        if timeout_s is None and max_time_s is not None:
            timeout_s = max_time_s + QUEUE_PATIENCE_S
        return client_messages.read_suggestion(_call(self._analysis.SuggestMove, request, timeout_s))

    def models(self) -> tuple[ModelDescription, ...]:
        """The models of the server. Raises `CallFailed`."""
        models: list[ModelDescription] = []
        token = ""
        while True:
            request = engine_pb2.ListModelsRequest(page_token=token)
            page = _call(self._models.ListModels, request, SHORT_CALL_S)
            models += [client_messages.read_model(model) for model in page.models]
            token = page.next_page_token
            if not token:
                return tuple(models)

    def model(self, name: str) -> ModelDescription:
        """One model by its name. Raises `CallFailed`."""
        request = engine_pb2.GetModelRequest(name=client_messages.model_resource(name))
        return client_messages.read_model(_call(self._models.GetModel, request, SHORT_CALL_S).model)

    def server_info(self) -> ServerDescription:
        """Version and limits of the server. Raises `CallFailed`."""
        request = engine_pb2.GetServerInfoRequest()
        return client_messages.read_server(_call(self._models.GetServerInfo, request, SHORT_CALL_S))

    def close(self) -> None:
        """Closes the connection; calls in progress are cancelled."""
        self._channel.close()

    def __enter__(self) -> EngineClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def _what_cannot_be_sent() -> Iterator[None]:
    """Turns protobuf's complaint about a value, such as a negative seed, into `InvalidInput`."""
    try:
        yield
    except InvalidInput:
        raise
    except (TypeError, ValueError) as error:
        raise InvalidInput(str(error)) from None


def _call(method: Callable[..., Any], request: Any, timeout_s: float | None) -> Any:
    try:
        return method(request, timeout=timeout_s)
    except grpc.RpcError as error:
        raise client_messages.read_failure(error) from error
