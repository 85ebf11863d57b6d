"""`tengen gtp` as a user starts it, with a tiny model."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.go.position import Position
from engine.go.vertex import from_gtp
from protocol.gtp.client import EngineProcess, EngineRefused
from protocol.gtp.notices import PREFIX, READY
from tests.support.tiny_models import write_tiny_model

ROOT = Path(__file__).parents[3]
COMMAND = [sys.executable, str(ROOT / "tengen.py"), "gtp"]
QUICK_S = 10.0
"""Long enough for a loaded machine, shorter than any thought or load here."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    write_tiny_model(root, "tiny")
    write_tiny_model(root, "broken")
    (root / "broken" / "recurrent.onnx").write_bytes(b"damaged")
    return root


def run_script(script: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *options], input=script, capture_output=True, text=True, timeout=120)


def test_a_game_within_its_rules_and_its_time(models: Path) -> None:
    command = [*COMMAND, "--model", str(models / "tiny"), "--size", "5", "--time", "0.2", "--no-resign"]
    position = Position(5)
    with EngineProcess(command) as engine:
        assert engine.list_commands() >= {"genmove", "undo", "final_score"}
        for ply in range(8):
            color = 1 if ply % 2 == 0 else -1
            reply = engine.send("genmove", "b" if color == 1 else "w")
            position.play(color, from_gtp(reply.text, 5))
            assert ply == 0 or reply.elapsed_s < 0.2 + QUICK_S
        assert engine.send("last_move").text.split()[1].lower() == reply.text.lower()
        with pytest.raises(EngineRefused, match="unacceptable size"):
            engine.send("boardsize", 13)
        assert engine.send("showboard").text.count("\n") == 8
        assert engine.close() == 0
    assert READY in engine.stderr_lines
    assert all(line.startswith(PREFIX) or line == READY for line in engine.stderr_lines), engine.stderr_lines
    assert any("13" in line for line in engine.stderr_lines)


def test_quit_in_the_middle_of_a_search(models: Path) -> None:
    command = [*COMMAND, "--model", str(models / "tiny"), "--size", "5", "--time", "50"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(b"reg_genmove b\n")
        process.stdin.flush()
        while process.stderr.readline().strip() != READY.encode():
            pass
        time.sleep(0.3)
        started_s = time.monotonic()
        process.stdin.write(b"quit\n")
        process.stdin.close()
        assert process.wait(QUICK_S) == 0
        assert time.monotonic() - started_s < 2.0
        answers = process.stdout.read().decode().split("\n\n")
        assert from_gtp(answers[0].removeprefix("= "), 5) >= 0
        assert answers[1:] == ["= ", ""]


def test_a_script_is_repeated_exactly(models: Path) -> None:
    options = ["--model", str(models / "tiny"), "--size", "5", "--visits", "30", "--threads", "1", "--seed", "7"]
    script = "genmove b\ngenmove w\ngenmove b\nprintsgf\nquit\n"
    first, second = run_script(script, *options), run_script(script, *options)
    assert first.returncode == 0
    assert first.stdout.count("\n\n") == 5
    assert first.stdout == second.stdout


def test_the_conversation_is_added_to_a_file(models: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    for _ in range(2):
        run_script("1 name\nfoo\nquit\n", "--model", str(models / "tiny"), "--size", "5", "--log", str(log))
    assert run_script("quit\n", "--model", "./caf\udce9", "--log", str(tmp_path / "other")).returncode == 0
    lines = [line.split(" ", maxsplit=2)[2] for line in log.read_text().splitlines()]
    spoken = [line for line in lines if not line.startswith("#")]
    assert spoken == ["< 1 name", "< foo", "< quit", "> =1 Tengen", "> ? unknown command", "> = "] * 2
    assert any("loading model" in line for line in lines if line.startswith("#"))


@pytest.mark.parametrize(("model", "reason"), [("broken", "recurrent.onnx"), ("missing", "missing")])
def test_a_model_that_cannot_be_used(models: Path, model: str, reason: str) -> None:
    run = run_script("1 genmove b\n2 boardsize 9\n3 play b D4\n4 name\n", "--model", str(models / model))
    assert run.returncode == 0
    answers = run.stdout.split("\n\n")
    assert answers[0].startswith("?1 ")
    assert reason in answers[0]
    assert answers[1:] == ["=2 ", "=3 ", "=4 Tengen", ""]
    assert reason in run.stderr
    assert READY in run.stderr.splitlines()
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--visits", "0"], "visits"),
        (["--rules", "chess"], "chess"),
        (["--size", "99"], "99"),
        (["--komi", "nan"], "nan"),
        (["--resign-below", "0.7"], "resign_winrate"),
        (["--log", "no/such/folder/log"], "no/such/folder/log"),
    ],
)
def test_options_that_cannot_be(options: list[str], complaint: str) -> None:
    run = run_script("name\n", *options)
    assert run.returncode == 2
    assert run.stdout == ""
    assert complaint in run.stderr
    assert len(run.stderr.splitlines()) == 1
