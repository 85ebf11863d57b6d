"""What a run writes for people, and what it does where that cannot be written."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.support.go_games import random_games
from trainer import progress
from trainer.config import load_config
from trainer.progress import PACE_ROUNDS, Pace, Reporter
from trainer.run import Run


def figures(iteration: int) -> dict[str, float]:
    return {"iteration": iteration, "step": 10 * iteration, "games": 5, "progress": 0.25, "loss/policy": 1.23456789}


def iterations(folder: Path) -> list[int]:
    return [json.loads(line)["iteration"] for line in (folder / "training.jsonl").read_text().splitlines()]


def test_figures_go_to_the_log_and_to_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Reporter(tmp_path, title="test") as reporter:
        reporter.report(figures(1))
    line = json.loads((tmp_path / "training.jsonl").read_text())
    assert line["loss/policy"] == 1.234568
    assert "25.0% step 10 games 5 policy 1.23" in capsys.readouterr().err


def test_a_run_that_goes_on_from_earlier_takes_back_what_it_will_do_again(tmp_path: Path) -> None:
    with Reporter(tmp_path, title="test") as reporter:
        for i in range(1, 6):
            reporter.report(figures(i))
    with (tmp_path / "training.jsonl").open("a") as log:
        log.write('{"iteration": 6, "st')  # killed while it wrote
    with Reporter(tmp_path, title="test") as reporter:
        (tmp_path / "training.tmp").write_text("cut")
        reporter.rewind(3, 30)
        assert not (tmp_path / "training.tmp").exists()
        reporter.report(figures(4))
    assert iterations(tmp_path) == [1, 2, 3, 4]


def test_the_time_left_follows_whole_rounds() -> None:
    now = [100.0]
    pace = Pace(lambda: now[0])
    assert pace.left_s() is None
    pace.mark(0.5)  # a run that goes on: how long its first half took is not known
    assert pace.left_s() is None
    now[0] = 110.0
    pace.mark(0.5)  # only play
    assert pace.left_s() is None
    now[0] = 120.0
    pace.mark(0.6)
    assert pace.left_s() == pytest.approx(0.4 * 20 / 0.1)
    for _ in range(PACE_ROUNDS):  # from now on faster
        now[0] += 1.0
        pace.mark(pace._marks[-1][1] + 0.01)
    assert pace.left_s() == pytest.approx((0.4 - 0.01 * PACE_ROUNDS) * 100)


def test_the_time_left_is_in_the_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = iter([0.0, 600.0])
    monkeypatch.setattr(progress, "Pace", lambda: Pace(lambda: next(now)))
    with Reporter(tmp_path, title="test") as reporter:
        reporter.report(figures(1) | {"progress": 0.2})
        reporter.report(figures(2) | {"progress": 0.3})
    assert "30.0% 1:10:00 left step 20 games 5" in " ".join(capsys.readouterr().err.split())


def test_a_status_stands_where_the_time_left_is_not_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Reporter(tmp_path, title="test") as reporter:
        reporter.report(figures(1), status="filling")
        reporter.report(figures(2) | {"progress": 0.3}, status="filling")
    first, second = capsys.readouterr().err.splitlines()
    assert "25.0% filling step 10 games 5" in first
    assert "filling" not in second


def test_a_warning_is_given_once_by_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Reporter(tmp_path, title="test") as reporter:
        reporter.warn({"high": "reaches 5"})
        reporter.warn({"high": "reaches 6", "low": "falls to 0"})
    assert [line.partition(" ")[2] for line in capsys.readouterr().err.splitlines()] == [
        "warning: reaches 5",
        "warning: falls to 0",
    ]


def test_nothing_is_written_before_the_first_figures(tmp_path: Path) -> None:
    with Reporter(tmp_path / "run", title="test") as reporter:
        reporter.note("hello")
    assert not (tmp_path / "run").exists()


def test_figures_that_cannot_be_written_are_reported_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "training.jsonl").mkdir()
    with Reporter(tmp_path, title="test") as reporter:
        reporter.report(figures(1))
        reporter.report(figures(2))
    err = capsys.readouterr().err
    assert err.count("figures could not be written") == 1
    assert "step 20" in err


@pytest.mark.parametrize(("every", "sampled"), [(0, []), (1, [1, 2, 3, 4]), (3, [1, 4])])
def test_games_are_sampled_from_the_first_round_on(tmp_path: Path, every: int, sampled: list[int]) -> None:
    game = random_games(1, size=5, seed=0)[0]
    config = load_config("go5", [f"loop.sample_sgf_every={every}"])
    with Reporter(tmp_path, title="test") as reporter:
        for i in range(1, 5):
            replay: Any = SimpleNamespace(games=[game], total_games=i)
            run = SimpleNamespace(config=config, iteration=i, replay=replay)
            reporter.sample(cast(Run, run))
    assert [int(path.stem[5:]) for path in sorted((tmp_path / "games").glob("*.sgf"))] == sampled
