"""The engine as a process: nothing but GTP on stdout, and a prompt end whatever happens to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
COMMAND = [sys.executable, "-m", "tests.support.scripted_engine"]
PATIENCE_S = 120.0
QUIT_S = 0.5
"""A controller kills what has not ended by then."""
SCHEDULING_S = 1.0
"""What a loaded machine may add to that."""


@contextmanager
def engine(*words: str) -> Iterator[subprocess.Popen[bytes]]:
    pipe = subprocess.PIPE
    ours = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by a job in the background, and inherited
    process = subprocess.Popen([*COMMAND, *words], cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe)
    signal.signal(signal.SIGINT, ours)
    with process:
        try:
            yield process
        finally:
            process.kill()


def send(process: subprocess.Popen[bytes], text: str) -> None:
    assert process.stdin is not None
    process.stdin.write(text.encode())
    process.stdin.flush()


def read_answer(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    answer = process.stdout.readline()
    while (line := process.stdout.readline()) != b"\n":
        assert line
        answer += line
    return answer


def start_thinking(process: subprocess.Popen[bytes]) -> None:
    """Into the middle of a move; the last answer proves that it was taken up, the pause that a new burst begins."""
    send(process, "name\ngenmove b\n")
    assert read_answer(process) == b"= Tengen\n"
    time.sleep(0.15)


def wait_for_end(process: subprocess.Popen[bytes]) -> tuple[int, bytes]:
    """The exit status, in time, and stderr."""
    started_s = time.monotonic()
    status = process.wait(PATIENCE_S)
    assert time.monotonic() - started_s < QUIT_S + SCHEDULING_S
    assert process.stderr is not None
    stderr = process.stderr.read()
    assert b"Traceback" not in stderr
    return status, stderr


def test_stdout_holds_nothing_but_gtp() -> None:
    run = subprocess.run(
        COMMAND, cwd=ROOT, input=b"name\nfoo\n3 genmove b\nquit\nname\n", capture_output=True, timeout=PATIENCE_S
    )
    assert run.returncode == 0
    assert run.stdout == b"= Tengen\n\n? unknown command\n\n=3 A9\n\n= \n\n"
    for noise in (b"a library prints", b"a native library prints", b"a child prints"):
        assert noise in run.stderr


@pytest.mark.parametrize("state", ["thinks", "loads"])
def test_quit_during_a_move(state: str) -> None:
    with engine(state) as process:
        start_thinking(process)
        send(process, "quit\n")
        assert wait_for_end(process)[0] == 0
        assert read_answer(process) == (b"= A9\n" if state == "thinks" else b"? interrupted\n")
        assert read_answer(process) == b"= \n"


def test_the_end_of_the_input_during_a_move() -> None:
    with engine("thinks") as process:
        start_thinking(process)
        assert process.stdin is not None
        process.stdin.close()
        assert wait_for_end(process)[0] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_during_a_move(number: signal.Signals) -> None:
    if signal.getsignal(number) == signal.SIG_IGN:
        pytest.skip("this signal is ignored here, as after nohup, and so by every process that is started")
    with engine("thinks") as process:
        start_thinking(process)
        os.kill(process.pid, number)
        status, stderr = wait_for_end(process)
        assert status == 128 + number
        assert b"in good order" in stderr


def test_nobody_listens() -> None:
    with engine() as process:
        send(process, "name\n")
        assert read_answer(process) == b"= Tengen\n"
        assert process.stdout is not None
        process.stdout.close()
        send(process, "name\n")
        assert wait_for_end(process)[0] == 0
