"""The Python client against a real server with a scripted suggester."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import pytest

import engine
from engine.errors import InvalidInput
from engine.go import vertex
from engine.go.rules import BLACK, WHITE, rules_by_name
from engine.search.search import StopReason
from protocol.rpc import failures
from protocol.rpc.budget import ServerLimits
from protocol.rpc.client import CallFailed, EngineClient
from protocol.rpc.settings import ServerSettings
from protocol.v1 import engine_pb2, engine_pb2_grpc
from tests.support.rpc_server import LISTEN, PATIENCE_S, channel_to, running_server
from tests.support.scripted_suggester import MODEL, ScriptedSuggester


@contextmanager
def connected(suggester: ScriptedSuggester | None = None, **limits: float) -> Iterator[EngineClient]:
    settings = ServerSettings(listen=LISTEN, limits=ServerLimits(**limits))
    with running_server(suggester or ScriptedSuggester(), settings) as server, EngineClient(server.target) as client:
        yield client


def test_suggestion_as_plain_values() -> None:
    with connected() as client:
        suggestion = client.suggest_move(board_size=9, moves=["E5", "C3"], komi=7, max_time_s=1, request_id="r")
    assert (suggestion.move, suggestion.side_to_move) == ("B9", "B")
    assert (suggestion.win_rate, suggestion.score_lead, suggestion.visits) == (0.75, 3.0, 11)
    assert [(one.move, one.visits, one.win_rate) for one in suggestion.candidates] == [
        ("B9", 5, 0.625),
        ("C9", 3, 0.75),
        ("A9", 2, 0.25),
    ]
    assert suggestion.candidates[0].principal_variation[0] == "B9"
    assert suggestion.stop_reason == "VISITS"
    assert suggestion.model == f"{MODEL.name}@{MODEL.digest}"
    assert (suggestion.policy, suggestion.ownership) == (None, None)
    assert suggestion.request_id == "r"
    assert 0 < suggestion.search_time_s < PATIENCE_S
    assert suggestion.queue_time_s >= 0


def test_policy_and_ownership_are_by_vertex() -> None:
    with connected() as client:
        suggestion = client.suggest_move(board_size=5, include_policy=True, include_ownership=True)
    assert suggestion.policy is not None
    assert suggestion.ownership is not None
    assert (suggestion.policy["B5"], suggestion.policy["pass"], len(suggestion.policy)) == (0.25, 0.0, 26)
    assert (suggestion.ownership["E5"], suggestion.ownership["A1"], len(suggestion.ownership)) == (1.0, -1.0, 25)


def test_position_arrives_as_described() -> None:
    suggester = ScriptedSuggester()
    with connected(suggester) as client:
        client.suggest_move(
            board_size=9,
            setup=[("B", "C3"), ("b", "G7")],
            first_player="W",
            moves=["E5", ("W", "D5"), "pass"],
            rules=rules_by_name("new-zealand"),
            komi=0.5,
            max_visits=3,
            seed=12,
            model=MODEL.name,
        )
    search = suggester.next_search()
    position = search.position
    played = [(move.color, vertex.to_gtp(move.action, 9)) for move in position.moves]
    assert played == [(WHITE, "E5"), (WHITE, "D5"), (BLACK, "pass")]
    assert int((position.stones == BLACK).sum()) == 2
    assert (position.rules, position.komi) == (rules_by_name("new-zealand"), 0.5)
    assert (search.limits.visits, search.seed, search.asked_model) == (3, 12, MODEL.name)


def test_sgf() -> None:
    suggester = ScriptedSuggester()
    with connected(suggester) as client:
        suggestion = client.suggest_move(sgf=b"(;SZ[5]KM[3];B[cc];W[dd])", move_number=1)
    assert suggestion.side_to_move == "W"
    assert suggester.next_search().position.komi == 3.0


@pytest.mark.parametrize(
    ("arguments", "least", "most"),
    [
        ({"max_time_s": 2.0}, 2.0, 2.0),
        ({"timeout_s": 5.0}, 0.0, 5.0),
        ({"max_visits": 5}, 60.0, 60.0),
        ({}, 7.0, 7.0),
    ],
)
def test_time_of_the_search(arguments: dict[str, float], least: float, most: float) -> None:
    suggester = ScriptedSuggester(reason=StopReason.TIME)
    with connected(suggester, default_time_s=7.0) as client:
        client.suggest_move(**arguments)
    time_s = suggester.next_search().limits.time_s
    assert time_s is not None
    assert least <= time_s <= most


def test_models_and_server() -> None:
    with connected(max_visits=123) as client:
        models = client.models()
        assert [model.name for model in models] == ["scripted-9", "other"]
        assert client.model("other") == models[1]
        assert (models[0].board_sizes, models[0].komi_range) == ((5, 9), (5.5, 7.5))
        assert models[1].komi_range is None
        server = client.server_info()
    assert (server.version, server.max_visits) == (engine.__version__, 123)


def test_failure_says_which_field() -> None:
    with connected() as client, pytest.raises(CallFailed) as failure:
        client.suggest_move(moves=["E5", "E5"])
    assert failure.value.code == grpc.StatusCode.INVALID_ARGUMENT
    assert failure.value.reason == "ILLEGAL_MOVE"
    assert failure.value.violations == {"position.moves.moves[1].action": "E5 is occupied"}
    assert failure.value.retry_after_s is None


def test_failure_says_when_to_retry() -> None:
    suggester = ScriptedSuggester(is_held=True)
    settings = ServerSettings(listen=LISTEN, limits=ServerLimits(max_queue_length=0))
    position = engine_pb2.Position(moves=engine_pb2.MoveList(board_size=9))
    with (
        running_server(suggester, settings) as server,
        EngineClient(server.target) as client,
        channel_to(server) as channel,
    ):
        stub = engine_pb2_grpc.AnalysisServiceStub(channel)
        call = stub.SuggestMove.future(engine_pb2.SuggestMoveRequest(position=position))
        suggester.next_search()
        with pytest.raises(CallFailed) as failure:
            client.suggest_move(timeout_s=5)  # no time to try again
        pushbacks = [_pushback_ms(stub, position, timeout) for timeout in (5, 60)]
        call.cancel()
    assert pushbacks[0] == -1
    assert 0 < pushbacks[1] <= 10_000
    assert failure.value.code == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert failure.value.retry_after_s is not None
    assert 0 < failure.value.retry_after_s <= 10


def _pushback_ms(stub: engine_pb2_grpc.AnalysisServiceStub, position: engine_pb2.Position, timeout_s: float) -> int:
    """What a refused call tells the client's gRPC."""
    with pytest.raises(grpc.RpcError) as refusal:
        stub.SuggestMove(engine_pb2.SuggestMoveRequest(position=position), timeout=timeout_s)
    return int(dict(refusal.value.trailing_metadata())["grpc-retry-pushback-ms"])


def test_a_refused_call_is_tried_again() -> None:
    refusals = [failures.unavailable("DRAINING", "soon back"), failures.queue_full("busy", retry_after_s=0.1)]

    def refuse_at_first() -> None:
        if refusals:
            raise refusals.pop()

    with connected(ScriptedSuggester(on_suggest=refuse_at_first)) as client:
        assert client.suggest_move(timeout_s=PATIENCE_S).visits == 11
    assert refusals == []


def test_nobody_there() -> None:
    channel = grpc.insecure_channel("127.0.0.1:1")  # one that does not try again
    with EngineClient(channel=channel) as client, pytest.raises(CallFailed) as failure:
        client.suggest_move(timeout_s=PATIENCE_S)
    assert failure.value.code == grpc.StatusCode.UNAVAILABLE
    assert failure.value.violations == {}


@pytest.mark.parametrize(
    "wrong",
    [
        {"moves": [("G", "E5")]},
        {"first_player": ""},
        {"setup": [("B", "Z1")]},
        {"max_time_s": float("nan")},
        {"max_visits": 2**31},
        {"seed": -1},
        {"move_number": 3},
    ],
)
def test_what_cannot_be_sent(wrong: dict[str, object]) -> None:
    with EngineClient("127.0.0.1:1") as client, pytest.raises(InvalidInput):
        client.suggest_move(**wrong)


@pytest.mark.parametrize("beside", [{"moves": ["E5"]}, {"komi": 0}, {"board_size": 9}, {"setup": [("B", "E5")]}])
def test_a_game_record_is_a_whole_position(beside: dict[str, object]) -> None:
    with EngineClient("127.0.0.1:1") as client, pytest.raises(InvalidInput, match=f"{next(iter(beside))} beside sgf"):
        client.suggest_move(sgf=b"(;SZ[9])", **beside)
