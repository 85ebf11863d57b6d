"""The long analysis, made short."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import soak
from tests.support.tiny_models import write_tiny_model


@pytest.mark.slow
@pytest.mark.parametrize(("minutes", "status", "last"), [(0.1, 0, "growth of a full tree"), (0.001, 1, "never filled")])
def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], minutes: float, status: int, last: str) -> None:
    model = str(write_tiny_model(tmp_path, "tiny", trained=(19,), playable=(19, 19)))
    arguments = ["--model", model, "--size", "19", "--minutes", str(minutes), "--memory", "16", "--threads", "1"]
    assert soak.main(arguments) == status
    assert last in capsys.readouterr().out.splitlines()[-1]
