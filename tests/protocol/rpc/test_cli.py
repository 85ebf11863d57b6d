"""`tengen serve` as a process: options, readiness, a call, and the two ways to end it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from engine.errors import InvalidConfig
from protocol.rpc import cli
from protocol.rpc.budget import ServerLimits
from protocol.rpc.client import EngineClient
from protocol.v1 import engine_pb2, engine_pb2_grpc
from tests.support.tiny_models import write_tiny_model

ROOT = Path(__file__).parents[3]
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("models"), "tiny", trained=(9,), playable=(5, 9))


@contextmanager
def serving(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server process that has become ready, and its address."""
    command = [sys.executable, "tengen.py", "serve", "--listen", "127.0.0.1:0", "--threads", "1", *options]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        target = read_until(process, "tengen: listening on ")
        read_until(process, "tengen: ready")
        yield process, target
    finally:
        process.kill()
        process.communicate()


def wait_for_search(channel: grpc.Channel) -> None:
    """Returns when the only worker is busy: a second search then does not fit into a short deadline."""
    request = engine_pb2.SuggestMoveRequest(
        position=engine_pb2.Position(moves=engine_pb2.MoveList(board_size=9)),
        limits=engine_pb2.SearchLimits(max_visits=1),
    )
    stub = engine_pb2_grpc.AnalysisServiceStub(channel)
    codes = {grpc.StatusCode.OK}
    while codes == {grpc.StatusCode.OK}:
        codes = {stub.SuggestMove.future(request, timeout=PATIENCE_S).code()}
    assert codes == {grpc.StatusCode.RESOURCE_EXHAUSTED}


def read_until(process: subprocess.Popen[str], start: str) -> str:
    """What follows `start` in the first line of stderr that begins so."""
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if line.startswith(start):
            return line.removeprefix(start).strip()
    raise AssertionError(f"the server ended without {start!r}:\n{''.join(lines)}")


def test_serves_until_sigterm_and_ends_well(model: Path) -> None:
    with serving("--model", str(model), "--max-time", "9.5") as (process, target):
        with EngineClient(target) as client:
            assert client.suggest_move(moves=["E5"], max_visits=3, timeout_s=PATIENCE_S).visits == 3
            server = client.server_info()
            assert (server.max_time_s, server.max_queue_length) == (9.5, ServerLimits().max_queue_length)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0
        assert out == ""
        assert "tengen: draining\n" in err
        assert "Traceback" not in err


def test_a_second_signal_does_not_wait(model: Path) -> None:
    options = ("--model", str(model), "--grace", "600", "--max-time", "500", "--default-time", "500")
    request = engine_pb2.SuggestMoveRequest(position=engine_pb2.Position(moves=engine_pb2.MoveList(board_size=9)))
    with serving(*options) as (process, target), grpc.insecure_channel(target) as channel:
        call = engine_pb2_grpc.AnalysisServiceStub(channel).SuggestMove.future(request)
        wait_for_search(channel)
        process.send_signal(signal.SIGTERM)
        read_until(process, "tengen: draining")
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 128 + signal.SIGINT
        assert call.exception(PATIENCE_S) is not None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--listen", "50051"], "cannot listen on '50051'"),
        (["--listen", "0.0.0.0:0"], "--insecure-allow-plaintext"),
        (["--concurrent-searches", "0"], "max_concurrent_searches must be positive"),
        (["--max-time", "nan"], "max_time_s must be positive"),
        (["--grace", "-1"], "drain_grace_s"),
        (["--memory", "1"], "max_memory_mib"),
        (["--memory", "999999999"], "max_memory_mib must be at most"),
    ],
)
def test_wrong_options(options: list[str], message: str) -> None:
    with pytest.raises(InvalidConfig, match=message):
        cli.main(options)


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["--help"])
    assert end.value.code == 0
    assert "--insecure-allow-plaintext" in capsys.readouterr().out
