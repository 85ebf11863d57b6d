"""Limits and options of a request, and what does not fit the model or the server."""

from __future__ import annotations

import pytest
from google.protobuf import duration_pb2

from engine.go.rules import WHITE
from protocol.rpc.budget import RequestedLimits, ServerLimits
from protocol.rpc.failures import RpcFailure
from protocol.rpc.query import Query, read_query
from protocol.v1 import engine_pb2 as pb
from tests.support.scripted_suggester import MODEL, OTHER_MODEL

LIMITS = ServerLimits(max_time_s=60.0, max_visits=1000)


def request(size: int = 9, **fields: object) -> pb.SuggestMoveRequest:
    move = pb.Move(action=pb.Action(vertex="A1"))
    position = pb.Position(moves=pb.MoveList(board_size=size, moves=[move]))
    return pb.SuggestMoveRequest(position=position, **fields)


def read(message: pb.SuggestMoveRequest) -> Query:
    return read_query(message, models=(MODEL, OTHER_MODEL), limits=LIMITS)


def test_defaults() -> None:
    query = read(request())
    assert query.limits == RequestedLimits(time_s=None, visits=None)
    assert query.model is None
    assert query.seed is None
    assert (query.max_candidates, query.max_pv_length) == (10, 15)
    assert (query.size, query.to_play) == (9, WHITE)


def test_everything_set() -> None:
    limits = pb.SearchLimits(max_time=duration_pb2.Duration(seconds=60), max_visits=1000, early_stop=True)
    options = pb.SearchOptions(
        model="models/other", seed=2**64 - 1, max_candidates=626, max_pv_length=15, include_policy=True
    )
    query = read(request(19, limits=limits, options=options, request_id="~" * 128))
    assert query.limits == RequestedLimits(time_s=60.0, visits=1000, early_stop=True)
    assert query.model == OTHER_MODEL.name
    assert query.seed == 2**64 - 1
    assert (query.max_candidates, query.max_pv_length) == (626, 15)
    assert (query.include_policy, query.include_ownership) == (True, False)
    assert query.request_id == "~" * 128


def test_a_seed_of_zero_is_a_seed() -> None:
    assert read(request(options=pb.SearchOptions(seed=0))).seed == 0


@pytest.mark.parametrize(
    ("message", "path"),
    [
        (request(limits=pb.SearchLimits(max_visits=-1)), "limits.max_visits"),
        (request(limits=pb.SearchLimits(max_visits=1001)), "limits.max_visits"),
        (request(limits=pb.SearchLimits(max_time=duration_pb2.Duration())), "limits.max_time"),
        (request(limits=pb.SearchLimits(max_time=duration_pb2.Duration(seconds=61))), "limits.max_time"),
        (request(options=pb.SearchOptions(max_candidates=-1)), "options.max_candidates"),
        (request(options=pb.SearchOptions(max_candidates=627)), "options.max_candidates"),
        (request(options=pb.SearchOptions(max_pv_length=16)), "options.max_pv_length"),
        (request(options=pb.SearchOptions(model="other")), "options.model"),
        (request(request_id="x" * 129), "request_id"),
        (request(request_id="two\nlines"), "request_id"),
        (request(13), "position.moves.board_size"),
        (request(19, options=pb.SearchOptions(model="models/scripted-9")), "position.moves.board_size"),
        (pb.SuggestMoveRequest(position=pb.Position(sgf=pb.SgfPosition(sgf=b"(;SZ[13])"))), "position.sgf.sgf"),
    ],
)
def test_refused(message: pb.SuggestMoveRequest, path: str) -> None:
    with pytest.raises(RpcFailure) as failure:
        read(message)
    assert failure.value.code.name == "INVALID_ARGUMENT"
    assert str(failure.value).startswith(f"{path}: ")
