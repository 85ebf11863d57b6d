"""`tengen train` and `tengen evaluate` as a user meets them."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import tengen
from trainer.checkpoint import find_checkpoint, load_checkpoint
from trainer.cli import make_parser, make_probe, parse_device, parse_duration

ROOT = Path(__file__).parents[2]
SMALL = [
    "selfplay.num_games=8",
    "search.num_simulations=4",
    "network.channels=8",
    "replay.warmup_positions=100",
    "learner.batch_size=32",
    "loop.plies_per_iteration=128",
]


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("9m", 540), ("2.5h", 9000), ("0.5s", 0.5)])
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "nine", "-5m", "0", "nan", "inf", "1e99h", "9 minutes"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="write 90s, 9m"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["abacus", "cuda:99", "meta", ""])
def test_devices_that_are_not_there_are_refused(text: str) -> None:
    assert parse_device("cpu") == "cpu"
    with pytest.raises(argparse.ArgumentTypeError, match="cannot be used here"):
        parse_device(text)


@pytest.mark.parametrize(
    ("device", "asked", "settings", "seconds"),
    [
        ("cpu", None, [], None),
        ("cpu", 5.0, [], 5.0),
        ("cuda", None, ["loop.seed=2"], 60.0),
        ("cuda:1", 5.0, [], 5.0),
        ("cuda", None, ["selfplay.num_games=64"], None),
        ("cuda", 5.0, ["selfplay.num_games=64"], 5.0),
    ],
)
def test_a_gpu_is_measured_unless_the_games_in_step_are_given(
    device: str, asked: float | None, settings: list[str], seconds: float | None
) -> None:
    arguments = argparse.Namespace(device=device, probe=asked, set=settings)
    measurement = make_probe(arguments, note=lambda line: None)
    assert (measurement and measurement.keywords["budget_s"]) == seconds


@pytest.mark.parametrize(
    ("arguments", "resume"),
    [
        ([], False),
        (["--resume"], True),
        (["--resume", "--out", "b"], True),
        (["--device", "cpu", "--time-limit", "9m", "--resume", "a", "--out", "b"], Path("a")),
    ],
)
def test_resume_with_and_without_a_folder(arguments: list[str], resume: bool | Path) -> None:
    parsed = make_parser().parse_args(["go5", *arguments])
    assert (parsed.preset, parsed.resume) == ("go5", resume)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nosuch"], "tengen: no preset 'nosuch'; presets are: cartpole, "),
        (
            ["go5", "--set", "learner.batchsize=1"],
            "tengen: unknown setting 'learner.batchsize'; known here: batch_size",
        ),
        (["go5", "--set", "env.id=CartPole-v1"], "tengen: network.kind 'go' does not fit env.id 'CartPole-v1'"),
        (["cartpole", "--set", "env.id=NoSuch-v0"], "tengen: environment 'NoSuch-v0' is not known"),
        (["cartpole", "--set", "search.two_player=true"], "tengen: search.two_player must be false for CartPole-v1"),
        (["cartpole", "--set", "network.observation_size=5"], "tengen: network.observation_size = 5, but CartPole-v1"),
        (["tictactoe", "--set", "network.num_actions=8"], "tengen: network.num_actions = 8, but tengen/TicTacToe-v0"),
    ],
)
def test_wrong_use_is_one_line_and_leaves_no_figures(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tengen.main(["train", *arguments, "--out", str(tmp_path)]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(message)
    assert not list(tmp_path.rglob("*.jsonl"))


def test_what_is_refused_leaves_no_folder(tmp_path: Path) -> None:
    assert tengen.main(["train", "tictactoe", "--out", str(tmp_path / "run"), "--set", "learner.batch=1"]) == 2
    assert tengen.main(["train", "tictactoe", "--out", str(tmp_path / "run"), "--resume"]) == 2
    assert not (tmp_path / "run").exists()


def test_a_device_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        tengen.main(["train", "go5", "--device", "abacus"])
    assert stop.value.code == 2
    assert "--device: 'abacus' cannot be used here" in capsys.readouterr().err


def test_an_interrupted_run_is_saved_and_can_be_played_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = [part for setting in SMALL for part in ("--set", setting)]
    command = [sys.executable, "tengen.py", "train", "tictactoe", "--out", str(tmp_path), *settings]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line)
            if "step" in line and len(lines) < 100:  # a round has ended
                process.send_signal(signal.SIGINT)
                break
        lines += process.stderr.read().splitlines(keepends=True)
    assert process.returncode == 0
    assert "stopping and saving after this round" in "".join(lines)
    assert "saved" in lines[-1]
    saved = load_checkpoint(find_checkpoint(tmp_path))
    assert saved.config.learner.batch_size == 32
    assert saved.progress["iteration"] >= 1
    assert tengen.main(["evaluate", str(tmp_path), "--games", "6", "--simulations", "3"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].endswith("tengen/TicTacToe-v0, 3 simulations")
    assert [line.partition(":")[0] for line in out[1:]] == ["as first player", "as second player"]
    assert tengen.main(["evaluate", str(tmp_path), "--games", "0"]) == 2
    assert tengen.main(["evaluate", str(tmp_path / "checkpoints" / "nothing")]) == 2
    assert "holds no checkpoint" in capsys.readouterr().err
