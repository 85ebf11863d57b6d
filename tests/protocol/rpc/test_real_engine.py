"""The server over the real player with a tiny random network: legal moves, limits, deadlines, cancelling, models."""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from engine.errors import ModelInvalid, ModelNotFound
from engine.go import vertex
from engine.go.position import Position
from engine.model.catalog import Catalog
from engine.model.manifest import manifest_to_json
from engine.search.limits import Limits
from engine.settings import PlayerSettings
from protocol.rpc.budget import ServerLimits
from protocol.rpc.client import CallFailed, EngineClient
from protocol.rpc.player_suggester import PlayerSuggester
from protocol.rpc.settings import ServerSettings
from protocol.v1 import engine_pb2, engine_pb2_grpc
from tests.support.rpc_server import LISTEN, PATIENCE_S, ServerInThread, channel_to, running_server
from tests.support.tiny_models import tiny_go_model, tiny_manifest, write_tiny_model

SETTINGS = PlayerSettings(threads=1, seed=1, max_memory_mib=64)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two models."""
    root = tmp_path_factory.mktemp("models")
    write_tiny_model(root, "tiny-9", trained=(9,), playable=(5, 9))
    write_tiny_model(root, "tiny-13", trained=(13,), playable=(9, 13))
    return root


@pytest.fixture(scope="module")
def server(models: Path) -> Iterator[ServerInThread]:
    settings = ServerSettings(listen=LISTEN, limits=ServerLimits(max_queue_length=100))
    with running_server(PlayerSuggester(SETTINGS, catalog=Catalog([models])), settings) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: ServerInThread) -> Iterator[EngineClient]:
    with EngineClient(server.target) as client:
        yield client


def test_every_move_of_a_game_is_legal(client: EngineClient) -> None:
    position, moves = Position(5, komi=7.0), list[str]()
    while not position.is_over and len(moves) < 60:
        suggestion = client.suggest_move(board_size=5, moves=moves, komi=7, max_visits=8)
        position.play(position.to_play, vertex.from_gtp(suggestion.move, 5))
        moves.append(suggestion.move)
    assert len(moves) > 5


def test_visits_are_kept(client: EngineClient) -> None:
    suggestion = client.suggest_move(max_visits=40, include_policy=True, include_ownership=True, max_pv_length=4)
    assert (suggestion.visits, suggestion.stop_reason) == (40, "VISITS")
    assert sum(candidate.visits for candidate in suggestion.candidates) <= 39
    assert suggestion.candidates[0].move == suggestion.move
    assert suggestion.policy is not None
    assert sum(suggestion.policy.values()) == pytest.approx(1.0, abs=1e-4)
    assert suggestion.ownership is not None
    assert len(suggestion.ownership) == 81
    assert suggestion.model.startswith("tiny-9@")


def test_time_is_kept(client: EngineClient) -> None:
    suggestion = client.suggest_move(max_time_s=0.05)
    assert suggestion.stop_reason == "TIME"
    assert 0.05 <= suggestion.search_time_s < PATIENCE_S


def test_the_deadline_ends_a_search_without_limits(client: EngineClient) -> None:
    suggestion = client.suggest_move(timeout_s=1.0)
    assert suggestion.stop_reason == "DEADLINE"
    assert suggestion.visits > 1


def test_the_same_seed_gives_the_same_answer(client: EngineClient) -> None:
    first, second = (client.suggest_move(max_visits=30, seed=7) for _ in range(2))
    assert (first.move, first.candidates, first.seed) == (second.move, second.candidates, 7)


def test_an_only_move_ends_early(client: EngineClient) -> None:
    """Black fills the board but for two eyes: White can only pass."""
    points = [f"{column}{row}" for column in "ABCDE" for row in range(1, 6)]
    setup = [("B", point) for point in points if point not in ("A1", "E5")]
    suggestion = client.suggest_move(
        board_size=5, setup=setup, first_player="W", early_stop=True, max_time_s=PATIENCE_S
    )
    assert (suggestion.move, suggestion.stop_reason) == ("pass", "ONLY_MOVE")
    assert suggestion.search_time_s < PATIENCE_S


def test_models_by_size_and_by_name(client: EngineClient) -> None:
    assert sorted(model.name for model in client.models()) == ["tiny-13", "tiny-9"]
    model = client.model("tiny-13")
    assert (model.board_sizes, model.trained_board_sizes) == ((9, 10, 11, 12, 13), (13,))
    assert (model.komi_range, model.properties["games"]) == ((7.0, 7.0), "12")
    by_size = client.suggest_move(board_size=13, max_visits=2)
    by_name = client.suggest_move(board_size=9, model="tiny-13", max_visits=2)
    assert by_size.model == by_name.model == f"tiny-13@{model.digest}"
    assert client.suggest_move(board_size=9, model="tiny-9", max_visits=2).model.startswith("tiny-9@")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"board_size": 19}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"board_size": 13, "model": "tiny-9"}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"model": "../tiny-9"}, grpc.StatusCode.NOT_FOUND),
        ({"moves": ["pass", "pass"]}, grpc.StatusCode.FAILED_PRECONDITION),
    ],
)
def test_refused(client: EngineClient, arguments: dict[str, object], code: grpc.StatusCode) -> None:
    with pytest.raises(CallFailed) as failure:
        client.suggest_move(**arguments)
    assert failure.value.code == code


def test_cancelled_searches_leave_the_worker_to_the_next(server: ServerInThread, client: EngineClient) -> None:
    request = engine_pb2.SuggestMoveRequest(position=engine_pb2.Position(moves=engine_pb2.MoveList(board_size=9)))
    rng = random.Random(1)
    with channel_to(server) as channel:
        stub = engine_pb2_grpc.AnalysisServiceStub(channel)
        for _ in range(30):
            calls = [stub.SuggestMove.future(request) for _ in range(rng.randint(1, 3))]
            for call in rng.sample(calls, len(calls)):
                call.cancel()
    assert client.suggest_move(max_visits=4).visits == 4
    server.call(server.server.queue.wait_idle())
    assert (server.server.queue.running, server.server.queue.waiting) == (0, 0)


def test_threads_of_searches_end(client: EngineClient) -> None:
    client.suggest_move(max_visits=4)
    before = threading.active_count()
    for _ in range(5):
        client.suggest_move(max_visits=4)
    assert threading.active_count() <= before + 1


def test_a_chosen_model_is_the_only_one(models: Path) -> None:
    """A folder's path is the user's to give, and its name then the client's."""
    chosen = replace(SETTINGS, model=str(models / "tiny-13"))
    suggester = PlayerSuggester(chosen, catalog=Catalog([]))
    with running_server(suggester) as server, EngineClient(server.target) as client:
        assert [model.name for model in client.models()] == ["tiny-13"]
        assert client.suggest_move(model="tiny-13", max_visits=2).model.startswith("tiny-13@")
        with pytest.raises(CallFailed) as failure:
            client.suggest_move(board_size=5)
    assert failure.value.violations == {
        "position.moves.board_size": "5x5 is none of the board sizes of tiny-13: 9, 10, 11, 12, 13"
    }


def test_no_model_at_all() -> None:
    with pytest.raises(ModelNotFound, match="no model that plays Go"):
        PlayerSuggester(SETTINGS, catalog=Catalog([]))


def test_a_network_of_nan_is_not_served(tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path, "broken", trained=(9,))
    files = tiny_go_model(scale=float("nan")).files
    for name, data in zip(("initial.onnx", "recurrent.onnx"), files, strict=True):
        (folder / name).write_bytes(data)
    (folder / "manifest.json").write_text(manifest_to_json(tiny_manifest("broken", files, trained=(9,))))
    suggester = PlayerSuggester(SETTINGS, catalog=Catalog([tmp_path]))
    with pytest.raises(ModelInvalid, match="NaN"):
        suggester.load()


def test_loading_readies_as_many_networks_as_may_search_at_a_time(models: Path) -> None:
    told: list[str] = []
    suggester = PlayerSuggester(replace(SETTINGS, concurrent_searches=3), catalog=Catalog([models]), notify=told.append)
    suggester.load()
    assert len([line for line in told if line.startswith("loading model tiny-9")]) == 3
    suggester.close()


def test_limits_are_asked_for_when_the_network_is_there(models: Path) -> None:
    """And who then finds that it is too late leaves it to the next."""
    told: list[str] = []
    suggester = PlayerSuggester(SETTINGS, catalog=Catalog([models]), notify=told.append)

    def too_late() -> Limits:
        told.append("too late")
        raise TimeoutError

    suggester.load()
    told.clear()
    with pytest.raises(TimeoutError):
        suggester.suggest(Position(13), too_late, model=None, seed=0)
    assert suggester.suggest(Position(13), lambda: Limits(visits=2), model=None, seed=0).wait().total_visits == 2
    suggester.close()
    assert [line.split("@")[0] for line in told] == ["loading model tiny-13", "too late"]


@pytest.mark.parametrize("reground_every", [0, 1])
def test_variations_can_be_played(models: Path, reground_every: int) -> None:
    """Whether the search looks at real boards only or imagines all but the root."""
    settings = replace(SETTINGS, reground_every=reground_every, rules_depth=math.inf if reground_every else 0.0)
    suggester = PlayerSuggester(settings, catalog=Catalog([models]))
    assert suggester.imagines == (reground_every == 0)
    moves = ["B2", "C3", "B3", "C2", "B4", "C4", "B1", "C1", "A5", "E5", "B5", "D4"]
    with running_server(suggester) as server, EngineClient(server.target) as client:
        suggestion = client.suggest_move(board_size=5, moves=moves, max_visits=400, max_candidates=26)
    lines = [candidate.principal_variation for candidate in suggestion.candidates]
    assert max(map(len, lines)) > 1
    for line in lines:
        position = Position(5, komi=7.0)
        for move in (*moves, *line):
            position.play(position.to_play, vertex.from_gtp(move, 5))
