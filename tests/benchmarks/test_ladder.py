"""A ladder of a tiny model: rungs are played once, and all of them are in the table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.ladder import main, untrained
from engine.model.folder import read_folder
from tests.support.tiny_models import write_tiny_model

SIZE = 3


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = str(write_tiny_model(tmp_path, "tiny", trained=(SIZE,)))
    figures = tmp_path / "ladder.jsonl"
    arguments = [model, "--size", str(SIZE), "--games", "2", "--time", "0.01", "--json", str(figures), "--only"]
    assert main([*arguments, "without a search"]) == 0
    assert main([*arguments, "16 visits", "without a search", "before"]) == 0
    lines = [json.loads(line) for line in figures.read_text().splitlines()]
    assert [line["rung"] for line in lines] == ["its policy without a search", "itself with 16 visits"]
    assert [line["b"] for line in lines] == [["visits=1"], ["visits=16"]]
    assert all(line["wins"] + line["draws"] + line["losses"] == 2 for line in lines)
    assert all(line["visits_mean"][0] > line["visits_mean"][1] for line in lines[:1])
    table = capsys.readouterr().out.splitlines()[-3:]
    assert table[0].startswith("|---")
    assert [row.split("|")[1].strip() for row in table[1:]] == [line["rung"] for line in lines]


@pytest.mark.slow
def test_the_untrained_network_is_of_the_same_kind(tmp_path: Path) -> None:
    shipped, fresh = read_folder(Path("models/go5")).manifest, read_folder(untrained("go5", tmp_path)).manifest
    assert fresh.shape == shipped.shape
    assert fresh.training["step"] == 0
    assert fresh.recurrent.sha256 != shipped.recurrent.sha256
