"""What the gRPC server adds to a search: CPU a call, deadlines kept, and how soon a cancelled search frees its worker.

Starts `tengen serve` on a free port with one search thread. Each figure stands beside its limit: the server's CPU time
a call of one visit beside that of the same searches made without a server in this process; answers in time beside the
calls made; the wait behind a cancelled search beside the wait behind none. Other programs may slow it down.

Run: python benchmarks/rpc.py [--model NAME] [--size 9] [--calls 300]
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import numpy as np
import psutil

from engine.go.position import Position
from engine.search.limits import Limits
from engine.settings import PlayerSettings
from protocol.rpc.client import CallFailed, EngineClient
from protocol.rpc.player_suggester import PlayerSuggester
from protocol.v1 import engine_pb2, engine_pb2_grpc

DEADLINES_S = (0.1, 0.25, 1.0)
CONCURRENCY = 4


@contextmanager
def serving(*options: str) -> Iterator[tuple[psutil.Process, str]]:
    """A server process that is ready, and its address."""
    command = [sys.executable, "-m", "tengen", "serve", "--listen", "127.0.0.1:0", "--log-level", "error", *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        lines: list[str] = []
        assert process.stderr is not None
        while "tengen: ready\n" not in lines:
            lines.append(process.stderr.readline())
            if not lines[-1]:
                raise SystemExit("".join(lines))
        [target] = [line.split()[-1] for line in lines if "listening on" in line]
        yield psutil.Process(process.pid), target
    finally:
        process.terminate()
        process.wait()


def cpu_s(process: psutil.Process) -> float:
    """CPU seconds of the process so far, all threads."""
    times = process.cpu_times()
    return float(times.user + times.system)


def overhead(process: psutil.Process, client: EngineClient, options: argparse.Namespace) -> None:
    def call() -> None:
        client.suggest_move(board_size=options.size, max_visits=1)

    settings = PlayerSettings(model=options.model, threads=1)
    engine = PlayerSuggester(settings)
    engine.load()

    def search() -> None:
        engine.suggest(Position(options.size), Limits(visits=1), model=None, seed=0).wait()

    served = per_call(call, process, options.calls)
    alone = per_call(search, psutil.Process(), options.calls)
    engine.close()
    print(f"CPU a call of one visit: {served:.2f} ms served, {alone:.2f} ms the search alone: +{served - alone:.2f} ms")


def per_call(call: Callable[[], None], process: psutil.Process, calls: int) -> float:
    """CPU milliseconds of `process` for each `call`."""
    call()
    before = cpu_s(process)
    for _ in range(calls):
        call()
    return (cpu_s(process) - before) / calls * 1000


def deadlines(client: EngineClient, options: argparse.Namespace) -> None:
    for deadline_s in DEADLINES_S:
        calls = max(CONCURRENCY, round(options.calls * 0.1 / deadline_s))

        def call(_: int, deadline_s: float = deadline_s) -> tuple[str, float]:
            started = time.monotonic()
            try:
                client.suggest_move(board_size=options.size, timeout_s=deadline_s)
            except CallFailed as failure:
                return failure.code.name, time.monotonic() - started
            return "OK", time.monotonic() - started

        with ThreadPoolExecutor(CONCURRENCY) as threads:
            answers = list(threads.map(call, range(calls)))
        late = [elapsed_s for code, elapsed_s in answers if code == "OK" and elapsed_s > deadline_s]
        codes = {code: sum(answer[0] == code for answer in answers) for code in sorted({code for code, _ in answers})}
        worst_ms = max(elapsed_s for _, elapsed_s in answers) * 1000
        name = f"deadline {deadline_s * 1000:.0f} ms, {CONCURRENCY} at a time"
        print(f"{name}: {codes}, {len(late)} late, worst {worst_ms:.0f} ms")


def cancels(client: EngineClient, target: str, options: argparse.Namespace) -> None:
    position = engine_pb2.Position(moves=engine_pb2.MoveList(board_size=options.size))
    request = engine_pb2.SuggestMoveRequest(position=position)

    def wait_ms() -> float:
        started = time.monotonic()
        client.suggest_move(board_size=options.size, max_visits=1)
        return (time.monotonic() - started) * 1000

    idle = [wait_ms() for _ in range(options.calls)]
    behind = []
    with grpc.insecure_channel(target) as channel:
        stub = engine_pb2_grpc.AnalysisServiceStub(channel)
        for _ in range(options.calls):
            call = stub.SuggestMove.future(request)
            time.sleep(0.02)
            call.cancel()
            behind.append(wait_ms())
    for name, times in (("an idle worker", idle), ("a cancelled search", behind)):
        median, late = np.percentile(times, [50, 99])
        print(f"call of one visit behind {name}: p50 {median:.1f} ms, p99 {late:.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model")
    parser.add_argument("--size", type=int, default=9)
    parser.add_argument("--calls", type=int, default=300)
    options = parser.parse_args()
    common = ["--threads", "1", *(["--model", options.model] if options.model else [])]
    with serving(*common) as (process, target), EngineClient(target) as client:
        overhead(process, client, options)
        cancels(client, target, options)
    with serving(*common, "--concurrent-searches", str(CONCURRENCY)) as (_, target), EngineClient(target) as client:
        deadlines(client, options)


if __name__ == "__main__":
    main()
