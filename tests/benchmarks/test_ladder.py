"""A ladder of a tiny model: rungs are played once, and all of them are in the table."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from unittest.mock import Mock

import pytest

from benchmarks.ladder import main, plot, rungs, untrained
from engine.model.folder import read_folder
from engine.model.manifest import ModelManifest
from tests.support.tiny_models import write_tiny_model

SIZE = 3
COMMON = ["--size", str(SIZE), "--games", "2", "--time", "0.01", "--komi", "0.5", "2.5"]


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    model = str(write_tiny_model(tmp_path, "tiny", trained=(SIZE,)))
    figures = tmp_path / "new" / "ladder.jsonl"
    arguments = [model, *COMMON, "--json", str(figures), "--only"]
    assert main([*arguments, "without a search"]) == 0
    assert main([*arguments, "16 visits", "without a search", "before"]) == 0
    lines = [json.loads(line) for line in figures.read_text().splitlines()]
    assert [line["rung"] for line in lines] == ["its policy without a search", "itself with 16 visits"]
    assert [line["b"] for line in lines] == [["visits=1"], ["visits=16"]]
    assert all(line["wins"] + line["draws"] + line["losses"] == 2 for line in lines)
    assert lines[0]["visits_mean"][0] > lines[0]["visits_mean"][1]
    table = capsys.readouterr().out.splitlines()[-3:]
    assert table[0].startswith("|---")
    assert [row.split("|")[1].strip() for row in table[1:]] == [line["rung"] for line in lines]
    assert all(line["model"].startswith("tiny@") for line in lines)
    for count, other in enumerate((["--time", "0.02"], ["--decided", "0.5"], ["--komi", "0.5", "0.5"]), 3):
        assert main([*arguments, "16 visits", *other]) == 0  # other settings are another ladder
        assert len(figures.read_text().splitlines()) == count
    monkeypatch.setattr(ModelManifest, "digest", "of other weights")
    assert main([*arguments, "16 visits"]) == 0
    assert len(figures.read_text().splitlines()) == 6


def test_komi_reaches_other_programs_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = str(write_tiny_model(tmp_path, "tiny", trained=(SIZE,)))
    results = {"win_rate": 1.0, "interval_95": [0, 1], "games": 2, "wins": 2, "draws": 0, "losses": 0}
    monkeypatch.setattr("benchmarks.ladder.Match", match := Mock())
    match.return_value.run.return_value = results
    arguments = [model, *COMMON, "--json", str(tmp_path / "ladder.jsonl")]
    assert main([*arguments, "--only", "random"]) == 0
    assert match.call_args.args[0].komi == 1.5


def test_the_picture_has_every_rung_of_the_model_and_no_other(tmp_path: Path) -> None:
    model = str(write_tiny_model(tmp_path, "tiny", trained=(SIZE,)))
    figures, picture = tmp_path / "ladder.jsonl", tmp_path / "ladder.svg"
    identity = read_folder(Path(model)).manifest.identity
    won = {
        "model": identity,
        "size": SIZE,
        "rung": "all won",
        "time_s": 0.1,
        "win_rate": 1.0,
        "interval_95": [0.9, 1.0],
    }
    others = [won | {"model": "other@0", "rung": "another model's"}, won | {"size": 5, "rung": "another board's"}]
    lines = [won, won | {"time_s": 1.0}, *others]
    figures.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert main([model, *COMMON, "--json", str(figures), "--only", "16 visits", "--picture", str(picture)]) == 0
    assert "all won" in picture.read_text()
    assert "another" not in picture.read_text()
    ladder = [json.loads(line) for line in figures.read_text().splitlines()]
    drawn = plot([line for line in ladder if "another" not in line["rung"]], identity)
    assert [label.get_text() for label in drawn.axes[0].get_yticklabels()] == ["all won", "itself with 16 visits"]
    assert [text.get_text() for text in drawn.legends[0].get_texts()] == [f"{s:g} s a move" for s in (0.01, 0.1, 1)]
    markers = [line.get_marker() for line in drawn.axes[0].get_lines() if len(line.get_xdata()) == 1]
    assert markers.count(">") == 2


def test_a_picture_that_cannot_be_drawn_is_refused_before_any_game(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main(["nobody", "--json", str(tmp_path / "ladder.jsonl"), "--picture", "ladder.txt"])


def test_earlier_models_are_named_by_their_step(tmp_path: Path) -> None:
    options = Namespace(model="go9-int8", earlier=["go9"], levels=[])
    assert list(rungs(options, tmp_path))[-1].startswith("go9 of step ")


def test_what_was_interrupted_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = str(write_tiny_model(tmp_path, "tiny", trained=(SIZE,)))
    monkeypatch.setattr("benchmarks.dials.play_game", Mock(side_effect=KeyboardInterrupt))
    figures = tmp_path / "ladder.jsonl"
    arguments = [model, *COMMON, "--json", str(figures)]
    assert main([*arguments, "--only", "16 visits"]) == 130
    assert not figures.exists()


def test_a_model_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nobody", "--json", str(tmp_path / "ladder.jsonl"), "--only", "16 visits"]) == 1
    assert "nobody" in capsys.readouterr().err


@pytest.mark.slow
def test_the_untrained_network_is_of_the_same_kind(tmp_path: Path) -> None:
    shipped, fresh = read_folder(Path("models/go5")).manifest, read_folder(untrained("go5", tmp_path)).manifest
    assert fresh.shape == shipped.shape
    assert fresh.training["step"] == 0
    assert fresh.recurrent.sha256 != shipped.recurrent.sha256
