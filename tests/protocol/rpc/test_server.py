"""The whole server over a real connection, scripted suggester: answers, statuses, deadlines, cancelling, drain."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status

import engine
from engine.errors import EvaluationError, InvalidConfig, ModelInvalid, ModelNotFound
from engine.search.limits import Limits
from engine.search.search import StopReason
from protocol.rpc.budget import ServerLimits
from protocol.rpc.query import Query
from protocol.rpc.report import to_response
from protocol.rpc.search_task import Outcome
from protocol.rpc.settings import ServerSettings
from protocol.v1 import engine_pb2, engine_pb2_grpc
from tests.support.rpc_server import LISTEN, PATIENCE_S, ServerInThread, channel_to, running_server
from tests.support.scripted_suggester import MODEL, ScriptedSuggester

SUGGEST = "/tengen.v1.AnalysisService/SuggestMove"
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
Code = grpc.StatusCode


class Bench:
    """One server, its script, and stubs to call it with."""

    def __init__(self, suggester: ScriptedSuggester, server: ServerInThread, channel: grpc.Channel) -> None:
        self.suggester = suggester
        self.server = server
        self.channel = channel
        self.analysis = engine_pb2_grpc.AnalysisServiceStub(channel)
        self.models = engine_pb2_grpc.ModelServiceStub(channel)
        self.health = health_pb2_grpc.HealthStub(channel)

    def suggest(self, request: engine_pb2.SuggestMoveRequest | None = None, *, timeout: float | None = PATIENCE_S):
        return self.analysis.SuggestMove(request or position(), timeout=timeout)

    def suggest_later(
        self, request: engine_pb2.SuggestMoveRequest | None = None, *, timeout: float | None = PATIENCE_S
    ):
        return self.analysis.SuggestMove.future(request or position(), timeout=timeout)

    def status_of(self, service: str = "") -> int:
        return self.health.Check(health_pb2.HealthCheckRequest(service=service), timeout=PATIENCE_S).status


@pytest.fixture
def start() -> Iterator:
    """Starts servers that end with the test."""
    with ExitStack() as stack:

        def start_one(
            suggester: ScriptedSuggester | None = None, settings: ServerSettings | None = None, *, load: bool = True
        ) -> Bench:
            suggester = suggester or ScriptedSuggester()
            server = stack.enter_context(running_server(suggester, settings, load=load))
            return Bench(suggester, server, stack.enter_context(channel_to(server)))

        yield start_one


def settings(**limits: float) -> ServerSettings:
    return ServerSettings(listen=LISTEN, limits=ServerLimits(**limits))


def position(*vertices: str, size: int = 9, **fields: object) -> engine_pb2.SuggestMoveRequest:
    """A request for the position after these moves."""
    moves = [engine_pb2.Move(action=engine_pb2.Action(vertex=vertex)) for vertex in vertices]
    message = engine_pb2.Position(moves=engine_pb2.MoveList(board_size=size, moves=moves))
    return engine_pb2.SuggestMoveRequest(position=message, **fields)


def details(error: grpc.RpcError) -> tuple[error_details_pb2.ErrorInfo, dict[str, str], float | None]:
    """ErrorInfo, field violations by path, and the retry delay of a failure."""
    information, bad_request, retry = (
        error_details_pb2.ErrorInfo(),
        error_details_pb2.BadRequest(),
        error_details_pb2.RetryInfo(),
    )
    status = rpc_status.from_call(error)
    assert status is not None
    found = [sum(detail.Unpack(message) for detail in status.details) for message in (information, bad_request, retry)]
    assert found[0] == 1
    assert information.domain == "tengen"
    violations = {violation.field: violation.description for violation in bad_request.field_violations}
    return information, violations, retry.retry_delay.ToTimedelta().total_seconds() if found[2] else None


class TestSuggestMove:
    def test_answer_for_black(self, start) -> None:
        request = position("E5", "C3", request_id="abc-1")
        request.options.include_policy = request.options.include_ownership = True
        response = start().suggest(request)
        assert response.request_id == "abc-1"
        assert (response.action.point.column, response.action.point.row, response.action.gtp_vertex) == (1, 8, "B9")
        analysis = response.analysis
        assert (analysis.board_size, analysis.side_to_move) == (9, engine_pb2.COLOR_BLACK)
        assert (analysis.visits, analysis.network_evaluations) == (11, 11)
        assert (analysis.root_win_rate, analysis.root_score_lead) == (0.75, 3.0)
        assert analysis.stop_reason == engine_pb2.STOP_REASON_VISITS
        assert analysis.model == f"models/{MODEL.name}@{MODEL.digest}"
        assert analysis.seed == 4711
        assert 0 < analysis.search_time.ToNanoseconds() < PATIENCE_S * 1e9

    def test_candidates_come_best_first_then_by_visits(self, start) -> None:
        candidates = start().suggest().analysis.candidates
        found = [(one.order, one.action.point.column, one.visits, one.win_rate, one.prior) for one in candidates]
        assert found == [(0, 1, 5, 0.625, 0.25), (1, 2, 3, 0.75, 0.625), (2, 0, 2, 0.25, 0.125)]
        assert [one.principal_variation[0] for one in candidates] == [one.action for one in candidates]

    def test_variations_end_where_the_network_imagines_illegal_moves(self, start) -> None:
        best, *others = start().suggest().analysis.candidates
        assert [action.WhichOneof("kind") for action in best.principal_variation] == ["point", "pass_turn"]
        assert [len(other.principal_variation) for other in others] == [1, 1]

    def test_white_sees_itself(self, start) -> None:
        request = position("E5")
        request.options.include_ownership = True
        analysis = start().suggest(request).analysis
        assert analysis.side_to_move == engine_pb2.COLOR_WHITE
        assert (analysis.root_win_rate, analysis.root_score_lead) == (0.25, -3.0)
        assert analysis.candidates[0].win_rate == 0.625
        assert list(analysis.ownership) == [1.0] * 9 + [0.0] * 63 + [-1.0] * 9

    def test_policy_counts_from_a1_and_ends_with_the_pass(self, start) -> None:
        request = position(size=5)
        request.options.include_policy = True
        policy = list(start().suggest(request).analysis.policy)
        assert policy == [0.0] * 20 + [0.125, 0.25, 0.625, 0.0, 0.0] + [0.0]

    def test_the_answer_is_built_while_the_loop_serves_others(self, start, monkeypatch: pytest.MonkeyPatch) -> None:
        threads: list[str] = []

        def build(query: Query, outcome: Outcome) -> engine_pb2.SuggestMoveResponse:
            threads.append(threading.current_thread().name)
            return to_response(query, outcome)

        monkeypatch.setattr("protocol.rpc.service.to_response", build)
        start().suggest()
        assert len(threads) == 1
        assert threads != ["server"]

    def test_nothing_is_reported_unasked(self, start) -> None:
        analysis = start().suggest().analysis
        assert (list(analysis.policy), list(analysis.ownership)) == ([], [])

    def test_options_and_limits_reach_the_search(self, start) -> None:
        bench = start()
        request = position("E5", limits=engine_pb2.SearchLimits(max_visits=77, early_stop=True))
        request.limits.max_time.FromMilliseconds(1500)
        request.options.model, request.options.seed = f"models/{MODEL.name}", 5
        request.options.max_candidates = 1
        analysis = bench.suggest(request).analysis
        search = bench.suggester.next_search()
        assert search.limits == Limits(visits=77, time_s=1.5, early_stop=True)
        assert (search.asked_model, search.seed, analysis.seed) == (MODEL.name, 5, 5)
        assert len(search.position.moves) == 1
        assert len(analysis.candidates) == 1

    def test_without_limit_and_deadline_the_default_time_holds(self, start) -> None:
        bench = start(settings=settings(default_time_s=7.0))
        bench.suggest(timeout=None)
        assert bench.suggester.next_search().limits.time_s == 7.0


class TestDeadline:
    def test_search_ends_before_the_deadline(self, start) -> None:
        bench = start(ScriptedSuggester(reason=StopReason.TIME))
        analysis = bench.suggest(timeout=5).analysis
        assert analysis.stop_reason == engine_pb2.STOP_REASON_DEADLINE
        assert 0 < bench.suggester.next_search().limits.time_s <= 5.01 - 0.04

    def test_own_limit_below_the_deadline_is_no_deadline(self, start) -> None:
        bench = start(ScriptedSuggester(reason=StopReason.TIME))
        request = position(limits=engine_pb2.SearchLimits(max_time=duration_pb2.Duration(nanos=10_000_000)))
        assert bench.suggest(request).analysis.stop_reason == engine_pb2.STOP_REASON_TIME
        assert bench.suggester.next_search().limits.time_s == 0.01

    def test_too_late_for_a_search_gives_the_policy_move(self, start) -> None:
        bench = start(settings=settings(deadline_slack_s=30.0))
        analysis = bench.suggest().analysis
        assert bench.suggester.next_search().limits.visits == 1
        assert analysis.stop_reason == engine_pb2.STOP_REASON_DEADLINE

    def test_too_late_for_any_move(self, start) -> None:
        bench = start(settings=settings(policy_move_s=30.0, deadline_slack_s=30.0))
        with pytest.raises(grpc.RpcError) as error:
            bench.suggest()
        assert error.value.code() == Code.DEADLINE_EXCEEDED
        assert details(error.value)[0].reason == "DEADLINE_TOO_SHORT"
        assert bench.suggester.started.empty()


class TestQueue:
    def test_cancelling_stops_the_search_and_frees_the_worker(self, start) -> None:
        bench = start(ScriptedSuggester(is_held=True))
        call = bench.suggest_later()
        search = bench.suggester.next_search()
        call.cancel()
        assert search.has_ended.wait(PATIENCE_S)
        assert search.stops == 1
        bench.suggester.is_held = False
        assert bench.suggest().analysis.visits == 11

    def test_passing_the_deadline_stops_the_search(self, start) -> None:
        """Only a search that does not keep its own limit gets so far: the script's keep none."""
        bench = start(ScriptedSuggester(is_held=True))
        with pytest.raises(grpc.RpcError) as error:
            bench.suggest(timeout=0.5)
        assert error.value.code() == Code.DEADLINE_EXCEEDED
        assert bench.suggester.next_search().has_ended.wait(PATIENCE_S)

    def test_one_search_at_a_time_then_the_queue_is_full(self, start) -> None:
        bench = start(ScriptedSuggester(is_held=True), settings(max_queue_length=1))
        first = bench.suggest_later(timeout=None)
        running = bench.suggester.next_search()
        second = bench.suggest_later(timeout=None)
        bench.server.wait_until_queued(1)
        with pytest.raises(grpc.RpcError) as error:
            bench.suggest()
        assert error.value.code() == Code.RESOURCE_EXHAUSTED
        information, _, retry_s = details(error.value)
        assert information.reason == "QUEUE_FULL"
        assert retry_s is not None
        assert 5 < retry_s <= 20
        running.release()
        assert first.result(PATIENCE_S).analysis.visits == 11
        bench.suggester.next_search().release()
        waited = second.result(PATIENCE_S).analysis
        assert waited.queue_time.ToNanoseconds() > 0

    def test_ten_clients_at_a_time_wait_for_their_turn(self, start) -> None:
        bench = start(ScriptedSuggester(is_held=True))
        request = position(limits=engine_pb2.SearchLimits(max_visits=800))
        calls = [bench.suggest_later(request) for _ in range(10)]
        bench.server.wait_until_queued(9)
        for _ in calls:
            bench.suggester.next_search().release()
        assert [call.result(PATIENCE_S).analysis.visits for call in calls] == [11] * 10

    def test_a_wait_that_does_not_fit_the_deadline_is_refused_at_once(self, start) -> None:
        bench = start(ScriptedSuggester(is_held=True))
        first = bench.suggest_later(timeout=None)
        running = bench.suggester.next_search()
        with pytest.raises(grpc.RpcError) as error:
            bench.suggest(timeout=5)
        assert error.value.code() == Code.RESOURCE_EXHAUSTED
        assert details(error.value)[0].reason == "QUEUE_FULL"
        running.release()
        first.result(PATIENCE_S)


class TestStatuses:
    @pytest.mark.parametrize(
        ("request_message", "path", "reason"),
        [
            (engine_pb2.SuggestMoveRequest(), "position", "INVALID_ARGUMENT"),
            (position(size=1), "position.moves.board_size", "UNSUPPORTED_BOARD_SIZE"),
            (position(size=13), "position.moves.board_size", "UNSUPPORTED_BOARD_SIZE"),
            (position("E5", "E5"), "position.moves.moves[1].action", "ILLEGAL_MOVE"),
            (position("E5", "Z9"), "position.moves.moves[1].action.vertex", "INVALID_VERTEX"),
            (position(request_id="ä"), "request_id", "INVALID_ARGUMENT"),
            (position(options=engine_pb2.SearchOptions(model="x")), "options.model", "INVALID_ARGUMENT"),
        ],
    )
    def test_invalid_argument(self, start, request_message, path: str, reason: str) -> None:
        bench = start()
        with pytest.raises(grpc.RpcError) as error:
            bench.suggest(request_message)
        assert error.value.code() == Code.INVALID_ARGUMENT
        information, violations, _ = details(error.value)
        assert information.reason == reason
        assert list(violations) == [path]
        assert error.value.details() == f"{path}: {violations[path]}"
        assert bench.suggester.started.empty()

    @pytest.mark.parametrize("raw", [b"\xff", b"\x0a\x05ab", b"\x22\x01\xff"], ids=["tag", "truncated", "utf-8"])
    def test_undecodable_bytes(self, start, raw: bytes) -> None:
        with pytest.raises(grpc.RpcError) as error:
            start().channel.unary_unary(SUGGEST)(raw, timeout=PATIENCE_S)
        assert error.value.code() == Code.INVALID_ARGUMENT
        information, violations, _ = details(error.value)
        assert information.reason == "UNDECODABLE_REQUEST"
        assert list(violations) == ["(request)"]

    def test_finished_game(self, start) -> None:
        with pytest.raises(grpc.RpcError) as error:
            start().suggest(position("E5", "pass", "pass"))
        assert error.value.code() == Code.FAILED_PRECONDITION
        assert details(error.value)[0].reason == "GAME_FINISHED"

    def test_unknown_model(self, start) -> None:
        with pytest.raises(grpc.RpcError) as error:
            start().suggest(position(options=engine_pb2.SearchOptions(model="models/nobody")))
        assert error.value.code() == Code.NOT_FOUND
        assert details(error.value)[0].reason == "MODEL_NOT_FOUND"

    @pytest.mark.parametrize(
        ("raised", "code", "reason"),
        [
            (ModelNotFound("gone"), Code.NOT_FOUND, "MODEL_NOT_FOUND"),
            (ModelInvalid("no value head"), Code.FAILED_PRECONDITION, "MODEL_INVALID"),
        ],
    )
    def test_engine_errors(self, start, raised: Exception, code: Code, reason: str) -> None:
        with pytest.raises(grpc.RpcError) as error:
            start(ScriptedSuggester(error=raised)).suggest()
        assert (error.value.code(), error.value.details()) == (code, str(raised))
        assert details(error.value)[0].reason == reason

    def test_a_bug_is_internal_and_only_the_log_knows_more(self, start, caplog: pytest.LogCaptureFixture) -> None:
        bench = start(ScriptedSuggester(error=ZeroDivisionError("/secret/path")))
        with pytest.raises(grpc.RpcError) as error:
            bench.suggest()
        assert error.value.code() == Code.INTERNAL
        assert "secret" not in error.value.details()
        correlation_id = error.value.details().rpartition(" ")[2]
        records = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert len(records) == 1
        assert correlation_id in records[0].getMessage()
        assert records[0].exc_info is not None
        assert isinstance(records[0].exc_info[1], ZeroDivisionError)
        bench.suggester.error = None
        assert bench.suggest().analysis.visits == 11

    def test_a_network_that_returns_nan_is_internal_and_no_longer_serving(self, start) -> None:
        bench = start(ScriptedSuggester(error=EvaluationError("NaN")))
        assert bench.status_of("tengen.v1.AnalysisService") == SERVING
        with pytest.raises(grpc.RpcError) as error:
            bench.suggest()
        assert error.value.code() == Code.INTERNAL
        assert bench.status_of("tengen.v1.AnalysisService") == NOT_SERVING

    def test_too_large_a_request(self, start) -> None:
        bench = start(settings=settings(max_message_bytes=1000))
        with pytest.raises(grpc.RpcError) as error:
            bench.suggest(position(request_id="x" * 1000))
        assert error.value.code() == Code.RESOURCE_EXHAUSTED

    def test_a_quoted_value_does_not_swell_the_status(self, start) -> None:
        with pytest.raises(grpc.RpcError) as error:
            start().suggest(position("日本\n" * 30_000))
        assert error.value.code() == Code.INVALID_ARGUMENT
        assert len(error.value.details()) <= 400
        assert "\n" not in error.value.details()

    @pytest.mark.parametrize(("vertex", "outcome"), [("E5", "OK"), ("Z9", "INVALID_ARGUMENT")])
    def test_the_log_has_one_line_a_call(
        self, start, caplog: pytest.LogCaptureFixture, vertex: str, outcome: str
    ) -> None:
        bench = start()
        with caplog.at_level(logging.INFO, logger="protocol.rpc"):
            bench.suggest_later(position(vertex, request_id="r-17")).code()
            bench.server.close()
        [line] = [record.getMessage() for record in caplog.records if SUGGEST in record.getMessage()]
        assert line.startswith(f"{SUGGEST} {outcome} in ")
        assert line.endswith("request 'r-17'")

    def test_unknown_method(self, start) -> None:
        with pytest.raises(grpc.RpcError) as error:
            start().channel.unary_unary("/tengen.v1.AnalysisService/StreamAnalysis")(b"", timeout=PATIENCE_S)
        assert error.value.code() == Code.UNIMPLEMENTED


class TestModelService:
    def test_list_and_get(self, start) -> None:
        bench = start()
        response = bench.models.ListModels(engine_pb2.ListModelsRequest())
        assert [model.name for model in response.models] == ["models/scripted-9", "models/other"]
        assert response.next_page_token == ""
        model = bench.models.GetModel(engine_pb2.GetModelRequest(name="models/scripted-9")).model
        assert model == response.models[0]
        assert (model.digest, model.min_komi, model.max_komi) == (MODEL.digest, 5.5, 7.5)
        assert (list(model.board_sizes), list(model.trained_board_sizes)) == ([5, 9], [9])
        assert dict(model.properties) == {"blocks": "0"}

    def test_pages(self, start) -> None:
        bench = start()
        first = bench.models.ListModels(engine_pb2.ListModelsRequest(page_size=1))
        assert [model.name for model in first.models] == ["models/scripted-9"]
        request = engine_pb2.ListModelsRequest(page_size=1, page_token=first.next_page_token)
        second = bench.models.ListModels(request)
        assert [model.name for model in second.models] == ["models/other"]
        assert second.next_page_token == ""

    @pytest.mark.parametrize(
        ("method", "message", "code"),
        [
            ("ListModels", engine_pb2.ListModelsRequest(page_size=-1), Code.INVALID_ARGUMENT),
            ("ListModels", engine_pb2.ListModelsRequest(page_token="x"), Code.INVALID_ARGUMENT),
            ("GetModel", engine_pb2.GetModelRequest(name="scripted-9"), Code.INVALID_ARGUMENT),
            ("GetModel", engine_pb2.GetModelRequest(name="models/../etc/passwd"), Code.NOT_FOUND),
        ],
    )
    def test_refused(self, start, method: str, message, code: Code) -> None:
        with pytest.raises(grpc.RpcError) as error:
            getattr(start().models, method)(message)
        assert error.value.code() == code

    def test_server_info(self, start) -> None:
        bench = start(settings=settings(max_concurrent_searches=2, max_queue_length=5, max_time_s=20.5))
        info = bench.models.GetServerInfo(engine_pb2.GetServerInfoRequest())
        assert info.version == engine.__version__
        assert (info.max_concurrent_searches, info.max_queue_length) == (2, 5)
        assert info.max_time.ToMilliseconds() == 20_500


class TestLife:
    def test_loading_is_unavailable_then_serving(self, start) -> None:
        may_load = threading.Event()
        bench = start(ScriptedSuggester(on_load=lambda: may_load.wait(PATIENCE_S)), load=False)
        loading = bench.server.begin(bench.server.server.load())
        assert bench.status_of() == NOT_SERVING
        with pytest.raises(grpc.RpcError) as error:
            bench.suggest()
        assert error.value.code() == Code.UNAVAILABLE
        assert details(error.value)[0].reason == "MODEL_LOADING"
        may_load.set()
        loading.result(PATIENCE_S)
        for service in ("", "tengen.v1.AnalysisService", "tengen.v1.ModelService"):
            assert bench.status_of(service) == SERVING
        assert bench.suggest().analysis.visits == 11

    def test_health_of_an_unknown_service(self, start) -> None:
        with pytest.raises(grpc.RpcError) as error:
            start().status_of("nobody")
        assert error.value.code() == Code.NOT_FOUND

    def test_health_watch_sees_the_drain_and_the_call_in_progress_ends_well(self, start) -> None:
        bench = start(ScriptedSuggester(is_held=True))
        watch = bench.health.Watch(health_pb2.HealthCheckRequest(), timeout=PATIENCE_S)
        assert next(watch).status == SERVING
        call = bench.suggest_later()
        search = bench.suggester.next_search()
        draining = bench.server.begin(bench.server.server.drain(PATIENCE_S, answer_s=0.1))
        assert next(watch).status == NOT_SERVING
        with pytest.raises(grpc.RpcError) as error:
            bench.suggest()
        assert error.value.code() == Code.UNAVAILABLE
        assert details(error.value)[0].reason == "DRAINING"
        search.release()
        assert call.result(PATIENCE_S).analysis.stop_reason == engine_pb2.STOP_REASON_VISITS
        draining.result(PATIENCE_S / 2)
        assert watch.code() in (Code.UNAVAILABLE, Code.CANCELLED)

    def test_drain_ends_a_long_search_with_what_it_has(self, start) -> None:
        bench = start(ScriptedSuggester(is_held=True))
        call, queued = bench.suggest_later(timeout=None), bench.suggest_later(timeout=None)
        bench.suggester.next_search()
        bench.server.wait_until_queued(1)
        bench.server.call(bench.server.server.drain(0.0))
        answers = [call, queued]
        codes = sorted(answer.code().name for answer in answers)
        assert codes == ["OK", "UNAVAILABLE"]
        answered = next(answer for answer in answers if answer.code() == Code.OK)
        assert answered.result().analysis.stop_reason == engine_pb2.STOP_REASON_SERVER_DRAIN

    def test_reflection_lists_the_services(self, start) -> None:
        stub = reflection_pb2_grpc.ServerReflectionStub(start().channel)
        asked = reflection_pb2.ServerReflectionRequest(list_services="")
        [answer] = stub.ServerReflectionInfo(iter([asked]), timeout=PATIENCE_S)
        names = {service.name for service in answer.list_services_response.service}
        assert {"tengen.v1.AnalysisService", "tengen.v1.ModelService", "grpc.health.v1.Health"} <= names

    def test_reflection_can_be_turned_off(self, start) -> None:
        bench = start(settings=replace(settings(), reflection=False))
        asked = reflection_pb2.ServerReflectionRequest(list_services="")
        with pytest.raises(grpc.RpcError) as error:
            list(reflection_pb2_grpc.ServerReflectionStub(bench.channel).ServerReflectionInfo(iter([asked])))
        assert error.value.code() == Code.UNIMPLEMENTED

    def test_a_taken_port_is_refused(self, start) -> None:
        first = start()
        with pytest.raises(InvalidConfig, match="Address already in use; choose another"):
            start(settings=ServerSettings(listen=first.server.target))

    @pytest.mark.parametrize(
        ("path", "cause"),
        [("missing/socket", "No such file or directory"), (".", "Address already in use"), ("x" * 200, "too long")],
    )
    def test_a_path_that_cannot_be_a_socket_is_refused_with_the_cause(
        self, start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, cause: str
    ) -> None:
        monkeypatch.chdir(tmp_path)  # whose own path may be too long for a socket
        with pytest.raises(InvalidConfig, match=rf"{cause}; a socket needs .* a folder that exists"):
            start(settings=ServerSettings(listen=f"unix:{path}"))

    def test_plaintext_for_other_machines_is_refused_unless_asked_for(self, start) -> None:
        with pytest.raises(InvalidConfig, match="--insecure-allow-plaintext"):
            ServerSettings(listen="0.0.0.0:0")
        assert start(settings=ServerSettings(listen="0.0.0.0:0", allow_plaintext=True)).server.target
