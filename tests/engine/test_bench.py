"""`tengen bench`: every figure is there and in range, as text and as JSON. What they are depends on the machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine import bench, speed
from engine.errors import ModelNotFound, TengenError
from tests.support.tiny_models import write_tiny_model

QUICK = ["--slices", "1", "--slice", "0.02", "--threads", "1", "2", "--no-start"]


def test_json_is_one_line_with_every_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = write_tiny_model(tmp_path, "tiny", trained=(3, 5))
    assert bench.main(["--json", "--model", str(model), *QUICK]) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    report = json.loads(out)
    modes = [(row["size"], row["threads"], row["reground_every"], row["leaves"]) for row in report["search"]]
    assert modes == [(5, 1, 1, 4), (5, 1, 0, 4), (5, 2, 1, 4), (5, 2, 0, 4)]
    for row in report["search"]:
        assert row["model"].startswith("tiny@")
        assert row["raw_evals_per_s"] > 0
        assert row["search_evals_per_s"] > 0
        assert 0 < row["ratio"] < 10
        assert 0 < row["core_ratio"] < 10
    for row in report["overhead"]:
        assert row["kernel_us"] > 0
        assert row["search_us"] > 0
    assert all(row["moves_per_s"] > 1000 for row in report["rules"])
    assert "start" not in report


def test_text_names_model_and_sizes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = write_tiny_model(tmp_path, "tiny")
    assert bench.main(["--model", str(model), "--size", "3", "--size", "4", *QUICK]) == 0
    out = capsys.readouterr().out
    assert [line.split()[:3] for line in out.splitlines()][:8:4] == [
        ["search", "tiny", "3x3,"],
        ["search", "tiny", "4x4,"],
    ]


def test_no_model_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.model.catalog.default_roots", lambda: [tmp_path])
    with pytest.raises(ModelNotFound, match="--model FOLDER"):
        bench.main(QUICK)


def test_a_model_of_another_game_is_refused(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path, "tiny")
    manifest = json.loads((model / "manifest.json").read_text())
    manifest["shape"] |= {"kind": "vector", "has_ownership": False}
    manifest |= {"trained_sizes": [], "playable_sizes": [0, 0]}
    (model / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ModelNotFound, match="does not play Go"):
        bench.main(["--model", str(model), *QUICK])


def test_a_failed_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(TengenError, match="no model 'absent'"):
        speed._time_process("absent", size=5, cache=str(tmp_path))


@pytest.mark.slow
def test_start_is_faster_with_compiled_kernels(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path, "tiny")
    start = speed.measure_start(str(model), size=5)
    assert 0 < start.warm_s < start.first_s
