"""The history of the speed: each run adds its line, and the table has them all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from benchmarks import history
from tests.support.tiny_models import write_tiny_model


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_each_run_adds_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = str(write_tiny_model(tmp_path, "tiny", trained=(3,)))
    file = tmp_path / "history.jsonl"
    quick = ["--model", model, "--slices", "1", "--slice", "0.02", "--threads", "1", "--no-start"]
    for runs in (1, 2):
        assert history.main(["--history", str(file), *quick]) == 0
        assert len(file.read_text().splitlines()) == runs
    report = json.loads(file.read_text().splitlines()[0])
    assert report["commit"]
    assert [row["reground_every"] for row in report["search"]] == [1, 0]
    capsys.readouterr()
    assert history.main(["--history", str(file), "--show"]) == 0
    heading, *rows = capsys.readouterr().out.splitlines()
    assert heading.split()[:2] == ["commit", "date"]
    assert [row.split()[6] for row in rows] == ["looks", "imagines"] * 2
    assert len(file.read_text().splitlines()) == 2


def test_nothing_measured_yet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert history.main(["--history", str(tmp_path / "history.jsonl"), "--show"]) == 0
    assert capsys.readouterr().out.count("\n") == 1
