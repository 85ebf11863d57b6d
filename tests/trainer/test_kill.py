"""A training process killed at any moment: nothing is lost but the round under way and what was not saved yet."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.trainer.test_loop import MINIATURE, TINY_BOARD
from trainer.checkpoint import CHECKPOINTS, TEMPORARY, find_checkpoint, list_checkpoints, load_checkpoint

ROOT = Path(__file__).resolve().parents[2]
KILLS = 50
SETTINGS = [
    *MINIATURE,
    *TINY_BOARD,
    "network.head_channels=8",
    "loop.actors=1",
    "loop.checkpoint_minutes=0",
    "learner.total_steps=1000000",
]


def start(out: Path) -> subprocess.Popen[bytes]:
    """The run in a process group of its own, its actor in it too."""
    command = [sys.executable, str(ROOT / "tengen.py"), "train", "go5", "--out", str(out)]
    command += ["--resume"] if list_checkpoints(out / CHECKPOINTS) else []
    for setting in SETTINGS:
        command += ["--set", setting]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)


def newest(out: Path) -> dict[str, int]:
    """Counters of the newest whole checkpoint; zeros before there is one."""
    if not list_checkpoints(out / CHECKPOINTS):
        return {"iteration": 0, "games": 0, "step": 0}
    progress = load_checkpoint(find_checkpoint(out)).progress
    return {name: progress[name] for name in ("iteration", "games", "step")}


def wait_for_more(out: Path, process: subprocess.Popen[bytes]) -> None:
    """Until the process has saved a checkpoint of its own."""
    before = {path.name for path in list_checkpoints(out / CHECKPOINTS)}
    while {path.name for path in list_checkpoints(out / CHECKPOINTS)} <= before:
        if process.poll() is not None:
            assert process.stderr is not None
            pytest.fail(f"the run ended by itself: {process.stderr.read().decode()}")
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.timeout(1800)  # 50 starts, on a busy machine too
def test_a_run_survives_kills_at_random_moments(tmp_path: Path) -> None:
    rng = random.Random(0)
    before = newest(tmp_path)
    for kill in range(KILLS):
        process = start(tmp_path)
        wait_for_more(tmp_path, process)
        time.sleep(rng.uniform(0.0, 0.5))  # some rounds of play, learning and saving take about as long
        # Every other time the learner alone, whose actor must then go by itself.
        os.kill(process.pid, signal.SIGKILL) if kill % 2 else os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
        after = newest(tmp_path)
        assert all(after[name] >= before[name] for name in before), (kill, before, after)
        assert after["iteration"] > before["iteration"]
        before = after
    last = start(tmp_path)
    wait_for_more(tmp_path, last)
    last.send_signal(signal.SIGINT)
    _, stderr = last.communicate(timeout=60)
    assert last.returncode == 0
    assert b"Traceback" not in stderr
    assert not list((tmp_path / CHECKPOINTS).glob(f"*{TEMPORARY}"))
    lines = [json.loads(line) for line in (tmp_path / "training.jsonl").read_text().splitlines()]
    assert [line["iteration"] for line in lines] == list(range(1, newest(tmp_path)["iteration"] + 1))


@pytest.mark.slow
def test_an_actor_ends_when_its_learner_is_killed(tmp_path: Path) -> None:
    process = start(tmp_path)
    wait_for_more(tmp_path, process)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        pytest.skip("needs Linux")
    actors = [int(pid) for pid in children.read_text().split()]
    assert actors
    process.kill()
    process.communicate(timeout=60)
    deadline = time.monotonic() + 30
    while any(_is_alive(pid) for pid in actors):
        assert time.monotonic() < deadline, "an actor outlived its learner"
        time.sleep(0.05)


def _is_alive(pid: int) -> bool:
    """Whether the process runs, or is no more than a zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"
