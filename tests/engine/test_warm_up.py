"""A player that is ready compiles nothing any more: on a new machine that would take seconds of its first moves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.tiny_models import write_tiny_model


def test_a_player_that_is_ready_compiles_nothing_more(tmp_path: Path) -> None:
    write_tiny_model(tmp_path, "tiny", trained=(5,), playable=(5, 5))
    probe = [sys.executable, "-m", "tests.support.warm_up_probe", str(tmp_path)]
    done = subprocess.run(probe, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n") == ["", ""]
