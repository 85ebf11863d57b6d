"""The controller's side against engines that behave and engines that do not."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import psutil
import pytest

from protocol.gtp.client import (
    EngineBabbled,
    EngineCrashed,
    EngineDead,
    EngineNotStarted,
    EngineProcess,
    EngineRefused,
    EngineTimeout,
)

ECHO = """
import sys
print("loading", file=sys.stderr, flush=True)
for line in sys.stdin:
    name, *words = line.split()
    if name == "echo": print("= " + " ".join(words) + "\\n", flush=True)
    elif name == "refuse": print("? no\\n", flush=True)
    elif name == "banner": print("hello\\n= x\\n", flush=True)
    elif name == "twice": print("= 1\\n\\n= 2\\n", flush=True)
    elif name == "crash": print("= par", end="", flush=True); sys.exit("on purpose")
    elif name == "hang": import time; time.sleep(60)
    elif name == "flood":
        while True: print("x" * 1000)
    elif name == "chatter":
        while True: print("= \\n")
    elif name == "list_commands": print("= echo\\nrefuse\\n", flush=True)
    elif name == "quit": print("=\\n", flush=True); break
"""
PYTHON = [sys.executable, "-S", "-E", "-c", ECHO]


def living_members(group: int) -> list[int]:
    """Processes of the group that still run; killed ones whose parent has not noticed do not count."""
    living = []
    for process in psutil.process_iter(["status"]):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getpgid(process.pid) == group and process.info["status"] != psutil.STATUS_ZOMBIE:
                living.append(process.pid)
    return living


def ask_thrice(engine: EngineProcess, command: str, *, timeout_s: float) -> None:
    for _ in range(3):
        engine.send(command, timeout_s=timeout_s)


def test_questions_and_answers() -> None:
    with EngineProcess(PYTHON, name="echo") as engine:
        reply = engine.send("echo", "a", 7)
        assert reply.text == "a 7"
        assert 0 <= reply.elapsed_s < 30
        with pytest.raises(EngineRefused, match="refused: no") as refused:
            engine.send("refuse")
        assert refused.value.text == "no"
        assert engine.is_alive
        assert engine.list_commands() == {"echo", "refuse"}
        with pytest.raises(ValueError, match="not a word"):
            engine.send("echo", "two\nlines")
        assert engine.send("banner").text == "x"
        assert engine.garbage == ["hello"]
        assert engine.close() == 0
    assert engine.stderr_lines == ["loading"]
    with pytest.raises(EngineDead):
        engine.send("echo")


@pytest.mark.parametrize(
    ("command", "death", "message"),
    [
        ("hang", EngineTimeout, "no answer to 'hang'"),
        ("crash", EngineCrashed, "on purpose"),
        ("flood", EngineBabbled, "bytes"),
        ("chatter", EngineBabbled, "not asked for"),
    ],
)
def test_an_engine_that_misbehaves_is_killed(command: str, death: type[EngineDead], message: str) -> None:
    with EngineProcess(PYTHON, max_response_bytes=100_000) as engine:
        engine.send("echo")
        with pytest.raises(death, match=message):
            ask_thrice(engine, command, timeout_s=0.5 if command == "hang" else 20.0)
        assert not engine.is_alive
        assert living_members(engine.process_id) == []


def test_an_answer_too_many_is_never_taken_for_the_next_one() -> None:
    with EngineProcess(PYTHON) as engine:
        assert engine.send("twice").text == "1"
        with pytest.raises(EngineBabbled, match="not asked for"):
            ask_thrice(engine, "echo", timeout_s=20.0)


def test_a_program_that_does_not_exist() -> None:
    with pytest.raises(EngineNotStarted, match="cannot be started"):
        EngineProcess("/nowhere/engine --mode gtp")
    with pytest.raises(EngineNotStarted, match="empty"):
        EngineProcess("")


def test_a_program_that_ends_at_once() -> None:
    with EngineProcess("true") as engine, pytest.raises(EngineCrashed):
        engine.send("name")


def test_an_engine_that_ignores_quit_is_killed_with_its_children() -> None:
    with EngineProcess(["sh", "-c", "trap '' TERM; sleep 60 & sleep 60"]) as engine:
        assert living_members(engine.process_id)
        assert engine.close(timeout_s=0.1) is None
    assert living_members(engine.process_id) == []


def test_stderr_and_environment_and_folder(tmp_path: Path) -> None:
    lines: list[str] = []
    script = 'echo "$WORD $(pwd)" >&2; read line; echo "= "; echo'
    with EngineProcess(
        ["sh", "-c", script], cwd=tmp_path, environment={"WORD": "hi"}, on_stderr=lines.append
    ) as engine:
        engine.send("name")
    assert lines == [f"hi {tmp_path}"]
