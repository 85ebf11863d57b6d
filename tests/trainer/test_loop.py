"""Whole runs in miniature: resume, presets, and what a run leaves on disk."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.errors import EvaluationError, InvalidConfig, ModelInvalid, ModelNotFound, TengenError
from tests.support.go_games import random_games
from trainer import checkpoint, loop
from trainer.checkpoint import (
    CHECKPOINTS,
    Checkpoint,
    list_checkpoints,
    load_checkpoint,
    save_checkpoint,
    write_checkpoint_files,
)
from trainer.config import PRESETS, TrainConfig, load_config
from trainer.deadline import Deadline
from trainer.export import ExportSettings, export_model
from trainer.loop import Origin, train
from trainer.onnx_graph import ModelBytes
from trainer.progress import Reporter
from trainer.reanalyze import Reanalyzer
from trainer.run import Run, run_figures
from trainer.run_facts import training_facts

pytestmark = pytest.mark.usefixtures("traced_once")

MINIATURE = [
    "selfplay.num_games=8",
    "search.num_simulations=4",
    "search.num_considered=2",
    "network.channels=8",
    "network.representation_blocks=1",
    "network.dynamics_blocks=1",
    "replay.warmup_positions=100",
    "learner.batch_size=32",
    "learner.unroll_steps=2",
    "learner.total_steps=1000",
    "loop.plies_per_iteration=128",
]

TINY_BOARD = ["env.size=3", "env.smaller=[]", "env.stages=[]", "env.komi_low=0.5", "env.komi_high=2.5"]


def miniature(preset: str, *more: str) -> TrainConfig:
    go = [*TINY_BOARD, "network.head_channels=8"] if preset.startswith("go") else []
    return load_config(preset, MINIATURE + go + list(more))


def stop_after(iterations: int):
    """A `should_stop` that ends a run after so many iterations."""
    count = iter(range(1, 1000))
    return lambda: next(count) >= iterations


def run_in(
    folder: Path, config: TrainConfig, iterations: int, *, resume: bool = False, overrides: Sequence[str] = ()
) -> Run:
    with Reporter(folder, title="test") as reporter:
        return train(
            config,
            folder,
            reporter=reporter,
            overrides=overrides,
            resume=resume,
            should_stop=stop_after(iterations),
        )


def test_a_probe_chooses_the_games_of_a_new_run_and_not_of_one_with_games_in_progress(tmp_path: Path) -> None:
    asked = []

    def probe(config: TrainConfig) -> TrainConfig:
        asked.append(config.selfplay.num_games)
        return dataclasses.replace(config, selfplay=dataclasses.replace(config.selfplay, num_games=16))

    config = miniature("go5")
    for resume in (False, True):
        with Reporter(tmp_path, title="test") as reporter:
            run = train(config, tmp_path, reporter=reporter, resume=resume, probe=probe, should_stop=stop_after(1))
        assert run.config.selfplay.num_games == 16
    assert asked == [8]
    assert run.iteration == 2


@pytest.fixture(scope="module")
def go_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one round of 3x3 Go."""
    folder = tmp_path_factory.mktemp("run")
    run_in(folder, miniature("go5"), 1)
    return folder


@pytest.mark.parametrize(
    ("preset", "settings"),
    [
        ("go5", ["replay.reanalyze_share=0.5", "selfplay.reground_every=0", "learner.unrolled_share=1"]),
        ("go5", ["selfplay.precision=int8", "selfplay.reground_every=1"]),
        ("tictactoe", ["selfplay.first_simulations=2"]),
        ("tictactoe", ["search.algorithm=puct", "search.dirichlet_fraction=0.25"]),
    ],
)
def test_a_resumed_run_equals_one_that_never_stopped(tmp_path: Path, preset: str, settings: list[str]) -> None:
    """2 + 2 iterations and 4 iterations end with the same weights, moments, games and generators, bit for bit."""
    config = miniature(preset, "loop.rate_every=3", "loop.rating_pairs=4", *settings)
    whole = run_in(tmp_path / "whole", config, 4)
    run_in(tmp_path / "halves", config, 2)
    halves = run_in(tmp_path / "halves", config, 2, resume=True)
    assert whole.learner.step_count == halves.learner.step_count > 4
    a, b = whole.checkpoint(), halves.checkpoint()
    for name, tensor in a.learner.items():  # the last rating's network among them
        assert torch.equal(tensor, b.learner[name]), name
    for part in ("replay", "selfplay"):
        for name, array in getattr(a, part).items():
            assert np.array_equal(array, getattr(b, part)[name]), name
    assert {k: v for k, v in a.progress.items() if k != "ledger"} == {
        k: v for k, v in b.progress.items() if k != "ledger"
    }


def test_the_gpu_s_preset_rehearsed_with_torch_on_a_cpu(tmp_path: Path) -> None:
    """ "cpu:0" is not "cpu": torch plays, in parts by threads and in bfloat16, as on CUDA; and resumes bit for bit."""
    smaller = ["env.smaller=[{size=2, komi_low=-1.0, komi_high=1.0}]", "env.stages=[{shares={3=0.75, 2=0.25}}]"]
    config = miniature("go9-gpu", *smaller, "selfplay.search_threads=2", "loop.rate_every=2", "loop.rating_pairs=4")
    runs = []
    for name, rounds in (("whole", [3]), ("halves", [1, 2])):
        for index, count in enumerate(rounds):
            with Reporter(tmp_path / name, title="test") as reporter:
                run = train(
                    config,
                    tmp_path / name,
                    reporter=reporter,
                    resume=index > 0,
                    device="cpu:0",
                    should_stop=stop_after(count),
                )
        runs.append(load_checkpoint(list_checkpoints(tmp_path / name / CHECKPOINTS)[0]))
    assert run.iteration == 3
    assert runs[0].progress["step"] == runs[1].progress["step"] > 0
    for part in ("learner", "replay", "selfplay"):
        for name, array in getattr(runs[0], part).items():
            assert np.array_equal(array, getattr(runs[1], part)[name]), name


def test_a_network_that_sees_few_planes_learns_and_becomes_a_model(tmp_path: Path) -> None:
    settings = ["network.observation_size=6", "selfplay.reground_every=1", "selfplay.precision=int8"]
    run = run_in(tmp_path / "run", miniature("go5", "replay.reanalyze_share=0.5", *settings), 2)
    assert run.learner.step_count > 0
    exact, quantised = export_model(tmp_path / "run", tmp_path / "model", ExportSettings(int8=True))
    assert exact.feature_variant == quantised.feature_variant == "basic"
    with pytest.raises(InvalidConfig, match="no feature variant has 7 planes"):
        miniature("go5", "network.observation_size=7")


def test_actors_in_processes_play_ahead_and_resume_bit_for_bit(tmp_path: Path) -> None:
    """The same with two processes, whose round in progress goes into the checkpoint as well."""
    config = miniature("go5", "loop.actors=2", "replay.warmup_positions=0")
    run_in(tmp_path / "whole", config, 4)
    run_in(tmp_path / "halves", config, 2)
    run_in(tmp_path / "halves", config, 2, resume=True)
    a, b = (load_checkpoint(list_checkpoints(tmp_path / name / CHECKPOINTS)[0]) for name in ("whole", "halves"))
    assert {k: v for k, v in a.progress.items() if k != "ledger"} == {
        k: v for k, v in b.progress.items() if k != "ledger"
    }
    assert a.progress["step"] > 4
    assert a.progress["is_ahead"]
    assert a.progress["ledger"]["core_s"] > 0
    assert a.replay is not None
    assert any(name.startswith("ahead.") for name in a.replay)
    for part in ("learner", "replay", "selfplay"):
        wanted, found = getattr(a, part), getattr(b, part)
        assert wanted.keys() == found.keys()
        for name, array in wanted.items():
            assert np.array_equal(array, found[name]), name


@pytest.mark.parametrize(
    ("first", "then"), [("loop.actors=1", "loop.actors=0"), ("loop.actors=0", "selfplay.num_games=4")]
)
def test_another_number_of_actors_or_games_goes_on_with_new_games(tmp_path: Path, first: str, then: str) -> None:
    run_in(tmp_path, miniature("go5", first), 2)
    before = load_checkpoint(list_checkpoints(tmp_path / CHECKPOINTS)[0])
    run = run_in(tmp_path, miniature("go5"), 1, resume=True, overrides=[then])
    assert run.iteration == 3
    assert run.replay.total_games >= before.progress["games"]


def test_what_was_learned_is_saved_when_an_actor_dies(tmp_path: Path) -> None:
    """After a round, or only when it is asked for its games at the end."""
    config = miniature("tictactoe", "loop.actors=1", "replay.warmup_positions=0")
    for rounds in (1, 2):
        count = iter(range(1, 9))

        def kill(last: bool = rounds == 1, count: Iterator[int] = count) -> bool:
            if next(count) == 2:
                [process] = multiprocessing.active_children()
                process.kill()
                return last
            return False

        out = tmp_path / str(rounds)
        with Reporter(out, title="test") as reporter, pytest.raises(TengenError, match="actor-0 ended with exit code"):
            train(config, out, reporter=reporter, should_stop=kill)
        [path] = list_checkpoints(out / CHECKPOINTS)
        saved = load_checkpoint(path)
        assert not multiprocessing.active_children()
        assert saved.progress["iteration"] >= 2  # a round may have come through before
        assert saved.progress["step"] > 0
        assert saved.replay is not None
        assert not saved.lost
        assert run_in(out, config, 1, resume=True).iteration == saved.progress["iteration"] + 1


def test_actors_get_eight_bits_once_there_are_games(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(miniature("go5", "selfplay.precision=int8"))
    sent: list[ModelBytes] = []
    begin = run.actors.begin
    monkeypatch.setattr(run.actors, "begin", lambda order: sent.append(order.weights) or begin(order))
    run.iterate()
    run.iterate()
    assert [b"QuantizeLinear" in graph for weights in sent for graph in weights] == [False, False, True, True]


def test_a_rating_is_logged_and_its_network_is_the_next_reference(tmp_path: Path) -> None:
    config = miniature("tictactoe", "loop.rate_every=2", "loop.rating_pairs=8")
    run = run_in(tmp_path, config, 3)
    lines = [json.loads(line) for line in (tmp_path / "training.jsonl").read_text().splitlines()]
    assert ["elo" in line for line in lines] == [False, True, False]
    assert lines[1]["elo"] == round(lines[1]["elo_gain"], 6)
    assert lines[1]["elo_error"] > 0
    averaged, reference = run.learner.averaged.state_dict(), run.reference.state_dict()
    assert any(not torch.equal(tensor, averaged[name]) for name, tensor in reference.items())


def test_a_window_that_fills_tells_how_far_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = miniature("tictactoe", "replay.warmup_positions=1500", "loop.plies_per_iteration=1024")
    run = run_in(tmp_path, config, 1)
    there = run.replay.total_positions
    assert f"0.0% filling the window: {there:,} of 1,500 positions step 0 games " in capsys.readouterr().err
    run_in(tmp_path, config, 2, resume=True)
    assert "filling the window" not in capsys.readouterr().err
    (list_checkpoints(tmp_path / CHECKPOINTS)[0] / "replay.safetensors").unlink()
    shutil.rmtree(list_checkpoints(tmp_path / CHECKPOINTS)[1])
    again = run_in(tmp_path, config, 1, resume=True)
    assert f"filling the window: {again.replay.positions:,} of 1,500 positions" in capsys.readouterr().err


def test_returns_beyond_the_support_are_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = miniature("cartpole")
    run_in(tmp_path, config, 2)
    assert "warning" not in capsys.readouterr().err
    run_in(tmp_path / "narrow", config, 2, overrides=["network.value.compress=false", "network.value.high=5"])
    [line] = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    figures = json.loads((tmp_path / "narrow" / "training.jsonl").read_text().splitlines()[0])
    assert figures["value_high"] > 5
    assert f"returns reach {figures['value_high']:.4g}, but network.value.high is 5: " in line


def test_cartpole_resumes_and_learns_rewards(tmp_path: Path) -> None:
    config = miniature("cartpole")
    run_in(tmp_path, config, 2)
    run = run_in(tmp_path, config, 1, resume=True)
    assert run.iteration == 3
    lines = [json.loads(line) for line in (tmp_path / "training.jsonl").read_text().splitlines()]
    assert lines[-1]["loss/reward"] > 0
    assert lines[-1]["mean_score"] > 5  # a pole stands some steps even at random


@pytest.mark.parametrize("preset", sorted(p.stem for p in PRESETS.glob("*.toml")))
def test_every_preset_trains_a_few_steps(tmp_path: Path, preset: str) -> None:
    """The preset's own network and losses, on few games."""
    board = TINY_BOARD if preset.startswith("go") else []
    config = load_config(preset, [s for s in MINIATURE if not s.startswith("network")] + board)
    before = Run(config).learner.state()
    run = run_in(tmp_path, config, 2)
    assert run.learner.step_count >= 2
    assert all(torch.isfinite(t).all() for t in run.learner.state().values())
    assert not torch.equal(
        before["averaged." + _some_weight(run)], run.learner.state()["averaged." + _some_weight(run)]
    )


def _some_weight(run: Run) -> str:
    return next(name for name, p in run.learner.network.named_parameters() if p.dim() > 1)


def test_a_run_leaves_what_a_person_looks_at(tmp_path: Path) -> None:
    run_in(tmp_path, miniature("go5"), 3)
    lines = [json.loads(line) for line in (tmp_path / "training.jsonl").read_text().splitlines()]
    assert [line["iteration"] for line in lines] == [1, 2, 3]
    assert lines[-1]["core_hours"] > 0
    assert list((tmp_path / "tensorboard").iterdir())
    games = list((tmp_path / "games").glob("*.sgf"))
    assert games
    assert b"value" in games[0].read_bytes()


def test_weights_alone_are_enough_to_go_on(tmp_path: Path) -> None:
    config = miniature("go5")
    first = run_in(tmp_path, config, 3)
    newest = list_checkpoints(tmp_path / CHECKPOINTS)[0]
    for part in ("replay", "selfplay", "optimizer"):
        (newest / f"{part}.safetensors").unlink()
    again = run_in(tmp_path, config, 1, resume=True)
    assert again.replay.total_games >= first.replay.total_games
    assert again.replay.positions < config.replay.warmup_positions
    assert again.learner.step_count == first.learner.step_count  # the window refills before anything is learned
    assert run_in(tmp_path, config, 3, resume=True).learner.step_count > first.learner.step_count


def test_a_damaged_newest_checkpoint_is_passed_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = miniature("go5")
    run_in(tmp_path, config, 1)
    run_in(tmp_path, config, 1, resume=True)
    newest, older = list_checkpoints(tmp_path / CHECKPOINTS)[:2]
    (newest / "weights.safetensors").write_bytes(b"nonsense")
    run = run_in(tmp_path, config, 1, resume=True)
    assert run.iteration == load_checkpoint(older).progress["iteration"] + 1
    assert "is damaged" in capsys.readouterr().err


@pytest.mark.parametrize("is_only", [False, True])
def test_a_damaged_replay_buffer_costs_a_round_at_most(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], is_only: bool
) -> None:
    """An older checkpoint that is whole is better; where there is none, the weights and counters go on."""
    config = miniature("go5")
    run_in(tmp_path, config, 1)
    before = run_in(tmp_path, config, 1, resume=True)
    newest, older = list_checkpoints(tmp_path / CHECKPOINTS)[:2]
    (newest / "replay.safetensors").write_bytes(b"nonsense")
    if is_only:
        shutil.rmtree(older)
    run = run_in(tmp_path, config, 1, resume=True)
    assert run.iteration == (before.iteration + 1 if is_only else before.iteration)
    assert run.replay.total_games >= before.replay.total_games
    assert ("going on without what begins anew: replay" in capsys.readouterr().err) == is_only


@pytest.mark.parametrize("is_missing", [False, True])
def test_a_damaged_window_does_not_cost_the_weights(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], is_missing: bool
) -> None:
    config = miniature("tictactoe", "replay.warmup_positions=300")
    first = run_in(tmp_path, config, 3)
    replay = list_checkpoints(tmp_path / CHECKPOINTS)[0] / "replay.safetensors"
    replay.unlink() if is_missing else replay.write_bytes(b"nonsense")
    again = run_in(tmp_path, config, 1, resume=True)
    assert again.iteration == 4
    assert again.replay.total_games > first.replay.total_games
    assert again.replay.positions < first.replay.positions
    for name, tensor in first.learner.state().items():  # the window fills again before it is learned from
        assert torch.equal(tensor, again.learner.state()[name]), name
    assert capsys.readouterr().err.count("going on without what begins anew: replay: ") == 1
    assert run_in(tmp_path, config, 3, resume=True).learner.step_count > first.learner.step_count


def test_settings_that_changed_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_in(tmp_path, miniature("tictactoe"), 1)
    assert "changed since" not in capsys.readouterr().err
    changes = ["selfplay.temperature=0.5", "learner.batch_size=16", "loop.seed=2"]
    run_in(tmp_path, miniature("tictactoe"), 1, resume=True, overrides=changes)
    err = capsys.readouterr().err
    for change in ("selfplay.temperature: 1.0 -> 0.5", "learner.batch_size: 32 -> 16", "loop.seed: 1 -> 2"):
        assert f"changed since the checkpoint: {change}" in err
    assert "as in the preset" not in err
    monkeypatch.setattr(loop, "CHANGES_SHOWN", 1)
    changes = ["selfplay.temperature=1.0", "learner.batch_size=32", "loop.seed=1"]
    run_in(tmp_path, miniature("tictactoe"), 1, resume=True, overrides=changes)
    assert "changed since the checkpoint: 2 more settings" in capsys.readouterr().err


def test_a_resumed_run_keeps_its_settings_and_tells_where_the_preset_has_others(
    tmp_path: Path, go_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was set by hand, and a preset that was edited since; from here and from elsewhere."""
    first = ["network.channels=16", "learner.batch_size=16", "search.num_simulations=8", "selfplay.first_simulations=6"]
    run_in(tmp_path / "a", miniature("tictactoe"), 1, overrides=first)
    preset = miniature("tictactoe", "learner.td_steps=7")
    capsys.readouterr()
    run = run_in(tmp_path / "a", preset, 1, resume=True, overrides=["selfplay.first_simulations=5"])
    assert run.config == miniature("tictactoe", *first, "selfplay.first_simulations=5")
    [line] = [line for line in capsys.readouterr().err.splitlines() if "not as in the preset" in line]
    for difference in ("network.channels=16 (preset: 8)", "learner.batch_size=16 (preset: 32)", "learner.td_steps=10"):
        assert difference in line
    assert "first_simulations" not in line  # told as a change
    with Reporter(tmp_path, title="test") as reporter:
        run = train(preset, tmp_path / "b", reporter=reporter, resume=tmp_path / "a", should_stop=stop_after(1))
    assert run.config == miniature("tictactoe", *first, "selfplay.first_simulations=5")


def test_a_run_that_is_not_there_does_not_go_on(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match=r"holds no run to go on with: .* leave out --resume"):
        run_in(tmp_path, miniature("tictactoe"), 1, resume=True)


def test_the_ledger_keeps_play_learning_and_ratings_apart() -> None:
    run = Run(miniature("tictactoe", "loop.rate_every=1", "loop.rating_pairs=32", "replay.warmup_positions=0"))
    for _ in range(2):
        run.iterate()
    spent = dict(run.ledger)
    assert min(spent[name] for name in ("selfplay_s", "learner_s", "rating_s", "core_s")) > 0
    assert spent["selfplay_s"] + spent["learner_s"] + spent["rating_s"] <= spent["wall_s"]
    assert spent["gpu_s"] == run_figures(run)["gpu_hours"] == 0
    run._device = "cuda"
    run.config = dataclasses.replace(run.config, loop=dataclasses.replace(run.config.loop, rate_every=0))
    run.iterate()
    assert run.ledger["gpu_s"] == pytest.approx(run.ledger["wall_s"] - spent["wall_s"])
    assert run_figures(run)["gpu_hours"] == run.ledger["gpu_s"] / 3600


@pytest.mark.parametrize("actors", [0, 1])
def test_processor_time_is_that_of_the_whole_run(tmp_path: Path, actors: int) -> None:
    """Opening, probe and checkpoints among it, of both parts of a run that was resumed."""

    def probe(config: TrainConfig) -> TrainConfig:
        begin = time.process_time()
        while time.process_time() < begin + 0.5:
            pass
        return config

    config = miniature("tictactoe", f"loop.actors={actors}", "loop.checkpoint_minutes=0")
    spent = actors * 0.5  # at least, to start it
    for resume in (False, True):
        begin = time.process_time()
        with Reporter(tmp_path, title="test") as reporter:
            train(
                config, tmp_path, reporter=reporter, resume=resume, probe=None if resume else probe,
                should_stop=stop_after(2),
            )  # fmt: skip
        spent += time.process_time() - begin
    counted = load_checkpoint(list_checkpoints(tmp_path / CHECKPOINTS)[0]).progress["ledger"]["core_s"]
    assert counted > 0.9 * spent
    assert actors or counted < spent


def test_a_round_played_ahead_keeps_its_cost_when_it_is_saved(tmp_path: Path) -> None:
    config = miniature("tictactoe", "loop.actors=1")
    before = run_in(tmp_path, config, 1)
    saved = load_checkpoint(list_checkpoints(tmp_path / CHECKPOINTS)[0])
    ahead = saved.progress["ledger"]
    assert min(ahead["ahead_s"], ahead["ahead_core_s"]) > 0
    after = Run(config, saved=saved)
    try:
        after.iterate()
    finally:
        after.close()
    assert after.ledger["selfplay_s"] == pytest.approx(before.ledger["selfplay_s"] + ahead["ahead_s"])
    assert after.ledger["core_s"] > before.ledger["core_s"] + ahead["ahead_core_s"]
    assert after.ledger.keys() == before.ledger.keys()


def test_three_damaged_checkpoints_do_not_swallow_new_ones(tmp_path: Path) -> None:
    """They are newer by name than what a run that fell back will save next."""
    config = miniature("tictactoe")
    run_in(tmp_path, config, 1)
    [whole] = list_checkpoints(tmp_path / CHECKPOINTS)
    for i in range(3):
        damaged = tmp_path / CHECKPOINTS / f"step-9999999{i}-000009"
        shutil.copytree(whole, damaged)
        (damaged / "weights.safetensors").write_bytes(b"nonsense")
    run_in(tmp_path, config, 1, resume=True)
    assert load_checkpoint(list_checkpoints(tmp_path / CHECKPOINTS)[0]).progress["iteration"] == 2


def test_a_run_of_which_nothing_can_be_read_says_where_to_go(tmp_path: Path, go_run: Path) -> None:
    shutil.copytree(go_run, tmp_path / "run")
    for path in list_checkpoints(tmp_path / "run" / CHECKPOINTS):
        (path / "state.json").write_text("nonsense")
    with pytest.raises(ModelInvalid, match=r"can be read; begin with another --out, .* --resume FOLDER"):
        run_in(tmp_path / "run", miniature("go5"), 1, resume=True)


def test_a_folder_is_not_overwritten(tmp_path: Path) -> None:
    run_in(tmp_path, miniature("go5"), 1)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InvalidConfig, match="add --resume"):
        run_in(tmp_path, miniature("go5"), 1)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["network.channels=16"], r"needs --set network\.channels=8$"),
        (
            ["env.size=4", "network.head_channels=16", "loop.seed=9"],
            r"needs --set env\.size=3 --set network\.head_channels=8$",
        ),
    ],
)
def test_a_run_goes_on_only_with_what_its_games_and_weights_fit(
    tmp_path: Path, go_run: Path, change: list[str], message: str
) -> None:
    shutil.copytree(go_run, tmp_path / "run")
    with pytest.raises(InvalidConfig, match=message):
        run_in(tmp_path / "run", miniature("go5"), 1, resume=True, overrides=change)


def test_other_replay_settings_apply_to_new_positions_only(tmp_path: Path) -> None:
    config = miniature("tictactoe")
    before = run_in(tmp_path, config, 2)
    saved = load_checkpoint(list_checkpoints(tmp_path / CHECKPOINTS)[0])
    after = Run(miniature("tictactoe", "replay.windows_per_position=100", "replay.warmup_positions=0"), saved=saved)
    assert after.windows_owed == before.windows_owed < 32
    made = after.replay.total_positions
    after.remember(before.replay.games[:1])
    assert after.windows_owed == before.windows_owed + 100 * (after.replay.total_positions - made)


def test_positions_of_the_warm_up_pay_for_nothing() -> None:
    run = Run(miniature("tictactoe", "replay.warmup_positions=100", "replay.windows_per_position=2"))
    game = random_games(1, size=3, seed=0)[0]
    length = len(game)
    for i in range(1, 60):
        run.remember([game])
        held_out = i // 50
        assert run.windows_owed == 2 * max((i - held_out) * length - 100, 0)


def test_a_checkpoint_that_cannot_be_written_on_the_way_does_not_end_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[str] = []

    def full_disk_at_first(folder: Path, checkpoint: Checkpoint, *, name: str) -> Path:
        calls.append(name)
        if len(calls) < 3:
            raise OSError("no space left on device")
        return save_checkpoint(folder, checkpoint, name=name)

    monkeypatch.setattr(loop, "save_checkpoint", full_disk_at_first)
    run = run_in(tmp_path, miniature("tictactoe", "loop.checkpoint_minutes=0"), 3)
    assert run.iteration == 3
    assert len(calls) == 3  # the last round's is not written twice
    assert "no space left on device; training goes on" in capsys.readouterr().err


def test_a_last_checkpoint_that_cannot_be_written_ends_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = miniature("tictactoe")
    run_in(tmp_path, config, 1)
    [kept] = list_checkpoints(tmp_path / CHECKPOINTS)

    def full_disk(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(checkpoint, "sync", full_disk)
    with pytest.raises(TengenError, match=f"no space left on device; the newest checkpoint is {kept.name}$"):
        run_in(tmp_path, config, 1, resume=True)
    assert load_checkpoint(kept).progress["iteration"] == 1


def test_a_loss_that_is_not_finite_ends_the_run_and_leaves_the_checkpoint(tmp_path: Path) -> None:
    run_in(tmp_path, miniature("tictactoe"), 2)
    [kept] = list_checkpoints(tmp_path / CHECKPOINTS)
    with pytest.raises(
        EvaluationError, match=r"not finite at step .*lower learner\.learning_rate or learner\.clip_norm"
    ):
        run_in(
            tmp_path,
            miniature("tictactoe"),
            9,
            resume=True,
            overrides=["learner.learning_rate=1e9", "learner.warmup_steps=0"],
        )
    assert list_checkpoints(tmp_path / CHECKPOINTS) == [kept]
    assert all(torch.isfinite(tensor).all() for tensor in load_checkpoint(kept).learner.values())


def test_a_run_stops_before_the_round_that_would_overrun_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rounds of 10 s, ratings of 20 s with every second one, checkpoints of 3 s, and opening the run 7 s."""
    now = [0.0]
    iterate, write = Run.iterate, save_checkpoint

    def slowly(run: Run, advance: Any = None, *, is_last: Callable[[], bool]) -> dict[str, float]:
        now[0] += 10.0
        figures = iterate(run, advance, is_last=is_last)
        if run.iteration % 2 == 0:
            now[0] += 20.0
            run.ledger["rating_s"] = 20.0 * (run.iteration // 2)
        return figures

    def three_seconds(folder: Path, saved: Checkpoint, *, name: str) -> Path:
        now[0] += 3.0
        return write(folder, saved, name=name)

    monkeypatch.setattr(loop, "save_checkpoint", three_seconds)
    monkeypatch.setattr(Run, "iterate", slowly)
    monkeypatch.setattr(Run, "ratings_due", lambda run, rounds: (run.iteration + rounds) // 2 - run.iteration // 2)
    config = miniature("tictactoe", "loop.checkpoint_minutes=0.3")
    for limit_s, rounds in ((10.0, 0), (13.0, 1), (40.0, 1), (50.0, 2), (87.0, 3), (100.0, 4), (250.0, 11)):
        now[0] = 7.0
        deadline, out = Deadline(limit_s, start=0.0, clock=lambda: now[0]), tmp_path / str(limit_s)
        with Reporter(out, title="test") as reporter:
            run = train(config, out, reporter=reporter, deadline=deadline)
        assert run.iteration == rounds, limit_s
        assert now[0] <= limit_s or rounds < 2  # before the first round and the first rating nothing is known
        saved = [load_checkpoint(path).progress["iteration"] for path in list_checkpoints(out / CHECKPOINTS)]
        assert max(saved, default=0) == rounds
        told = "resume with --resume" if rounds else "the time is too short for a round, and nothing is saved"
        assert f"stopping early; {told}" in capsys.readouterr().err


def test_no_round_is_played_ahead_that_would_not_be_used(tmp_path: Path) -> None:
    config = miniature("tictactoe", "loop.actors=1", "replay.warmup_positions=0")
    run = Run(config)
    try:
        run.iterate()
        assert run.actors.has_begun
        run.iterate(is_last=lambda: True)
        assert not run.actors.has_begun
        run.iterate()  # it can go on all the same
        assert run.actors.has_begun
        run.learner.step_count = config.learner.total_steps - 1
        run.windows_owed = 32.0
        run.iterate()
        assert not run.actors.has_begun
    finally:
        run.close()


def test_a_probe_takes_from_the_time(tmp_path: Path) -> None:
    now = [0.0]

    def probe(config: TrainConfig) -> TrainConfig:
        now[0] += 50.0
        return config

    deadline = Deadline(52.0, clock=lambda: now[0])
    with Reporter(tmp_path, title="test") as reporter:
        run = train(miniature("tictactoe"), tmp_path, reporter=reporter, probe=probe, deadline=deadline)
    assert run.iteration == 0


def test_a_finished_run_is_left_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = miniature("tictactoe", "learner.total_steps=2")
    run_in(tmp_path, config, 9)
    [kept] = list_checkpoints(tmp_path / CHECKPOINTS)
    written = (kept / "state.json").stat().st_mtime_ns
    assert run_in(tmp_path, config, 9, resume=True).learner.step_count == 2
    err = capsys.readouterr().err
    assert "resumed at step 2 of 2, " in err
    assert "--set learner.total_steps=N makes the run longer" in err
    assert (kept / "state.json").stat().st_mtime_ns == written


def test_a_folder_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidConfig, match="cannot be written"):
        run_in(tmp_path / "file", miniature("tictactoe"), 1)


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    with Reporter(tmp_path, title="test") as reporter:
        refused: list[str] = []

        def meanwhile() -> bool:
            with pytest.raises(InvalidConfig, match="in use by another") as error:
                train(miniature("go5"), tmp_path, reporter=reporter)
            refused.append(str(error.value))
            return True

        train(miniature("go5"), tmp_path, reporter=reporter, should_stop=meanwhile)
    assert refused


def test_a_new_run_starts_from_the_state_of_a_model(tmp_path: Path) -> None:
    """What `tengen export --with-state` keeps, weights and optimiser, is enough to go on elsewhere."""
    config = miniature("go5")
    first = run_in(tmp_path / "first", config, 3)
    state = dataclasses.replace(first.checkpoint(), replay=None, selfplay=None)
    write_checkpoint_files(tmp_path / "state", state)
    with Reporter(tmp_path / "second", title="test") as reporter:
        second = train(
            config,
            tmp_path / "second",
            reporter=reporter,
            resume=tmp_path / "state",
            should_stop=stop_after(4),
        )
    assert second.iteration == first.iteration + 4
    assert second.learner.step_count > first.learner.step_count
    assert second.replay.total_games >= first.replay.total_games


def test_resume_from_elsewhere_goes_on_with_what_is_here(tmp_path: Path, go_run: Path) -> None:
    """The same command twice: the first call goes on from another folder, the second with its own run."""
    config, source = miniature("go5"), load_checkpoint(list_checkpoints(go_run / CHECKPOINTS)[0])
    for rounds in (1, 2):
        with Reporter(tmp_path, title="test") as reporter:
            run = train(config, tmp_path, reporter=reporter, resume=go_run, should_stop=stop_after(1))
        assert run.iteration == source.progress["iteration"] + rounds
    with Reporter(tmp_path, title="test") as reporter, pytest.raises(ModelNotFound, match="no checkpoint"):
        train(config, tmp_path / "new", reporter=reporter, resume=tmp_path / "nothing")
    with Reporter(tmp_path, title="test") as reporter, pytest.raises(InvalidConfig, match="leave out --weights"):
        train(config, tmp_path / "new", reporter=reporter, resume=go_run, origin=Origin(weights=go_run))


def test_resume_from_elsewhere_tells_of_damage_and_leaves_it_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = miniature("tictactoe")
    run_in(tmp_path / "a", config, 1)
    run_in(tmp_path / "a", config, 1, resume=True)
    found = list_checkpoints(tmp_path / "a" / CHECKPOINTS)
    (found[0] / "weights.safetensors").write_bytes(b"nonsense")
    with Reporter(tmp_path, title="test") as reporter:
        run = train(config, tmp_path / "b", reporter=reporter, resume=tmp_path / "a", should_stop=stop_after(1))
    assert run.iteration == 2
    assert f"{found[0]} is damaged" in capsys.readouterr().err
    assert list_checkpoints(tmp_path / "a" / CHECKPOINTS) == found


def test_a_new_run_takes_over_a_network_and_games(tmp_path: Path, go_run: Path) -> None:
    config = miniature("go5", "replay.adopted_windows=6", "learner.learning_rate=1e-9")
    origin = Origin(weights=go_run, games=go_run)
    saved = load_checkpoint(list_checkpoints(go_run / CHECKPOINTS)[0])
    with Reporter(tmp_path, title="test") as reporter:
        run = train(config, tmp_path, reporter=reporter, origin=origin, should_stop=stop_after(1))
    assert run.replay.total_games == saved.progress["games"]  # it learned first
    assert run.learner.step_count > 0
    for name, tensor in run.learner.averaged.state_dict().items():
        assert torch.allclose(tensor, saved.averaged_weights[name], atol=1e-4), name
    with Reporter(tmp_path, title="test") as reporter:
        run = train(config, tmp_path, reporter=reporter, resume=True, should_stop=stop_after(4))
    assert run.replay.total_games > saved.progress["games"]
    source = {key: saved.progress[key] for key in ("step", "games", "positions")}
    assert run.origin["weights"] == run.origin["games"]
    assert run.origin["weights"].items() >= {"name": "go5", **source}.items()
    third = Run(config)
    third.adopt(run.checkpoint(), None)
    assert set(third.origin) == {"weights"}
    assert third.origin["weights"]["core_hours"] == pytest.approx(
        run.origin["weights"]["core_hours"] + run.ledger["core_s"] / 3600, abs=2e-3
    )
    facts = training_facts(run.checkpoint(), run.learner.averaged)
    assert facts["command"].startswith("tengen train go5 --weights RUN --games RUN --set ")
    assert facts["origin"] == run.origin


def test_games_teach_another_network_and_weights_may_grow(tmp_path: Path, go_run: Path) -> None:
    wide = miniature("go5", "network.channels=16")
    narrow = miniature("go5", "network.channels=4")
    with Reporter(tmp_path, title="test") as reporter:
        run = train(wide, tmp_path / "a", reporter=reporter, origin=Origin(games=go_run), should_stop=stop_after(1))
        assert run.learner.step_count > 0
        run = train(wide, tmp_path / "b", reporter=reporter, origin=Origin(weights=go_run), should_stop=stop_after(1))
        assert run.learner.step_count == 0
        small = load_checkpoint(list_checkpoints(go_run / CHECKPOINTS)[0]).averaged_weights["representation_in.weight"]
        for network in (run.learner.network, run.learner.averaged, run.reference):
            assert torch.equal(network.state_dict()["representation_in.weight"], torch.cat([small, small]))
        with pytest.raises(InvalidConfig, match=r"network\.channels = 8, this run 4: it may only grow"):
            train(narrow, tmp_path / "e", reporter=reporter, origin=Origin(weights=go_run))
        other = miniature("go5", "env.size=4")
        with pytest.raises(InvalidConfig, match=r"needs --set env\.size=3$"):
            train(other, tmp_path / "c", reporter=reporter, origin=Origin(games=go_run))
        larger = train(
            other, tmp_path / "d", reporter=reporter, origin=Origin(weights=go_run), should_stop=stop_after(1)
        )
    assert larger.learner.step_count == 0
    saved = load_checkpoint(list_checkpoints(go_run / CHECKPOINTS)[0])
    assert all(torch.equal(v, saved.averaged_weights[k]) for k, v in larger.learner.network.state_dict().items())


def test_old_positions_are_searched_again_only_where_there_are_new_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(Reanalyzer, "refresh", lambda self, replay, weights, *, positions, rng: asked.append(positions))
    run = Run(miniature("go5", "replay.reanalyze_share=0.5", "replay.windows_per_position=1"))
    run.iterate()
    run.windows_owed = 128.0 * 3
    run.iterate()
    assert asked == [64]


def test_simulations_grow_with_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(miniature("tictactoe", "selfplay.first_simulations=2", "learner.total_steps=100"))
    asked: list[int] = []
    begin = run.actors.begin
    monkeypatch.setattr(run.actors, "begin", lambda order: (asked.append(order.simulations), begin(order)))
    for step in (0, 50, 100):
        run.learner.step_count = step
        run.windows_owed = 0.0
        run.iterate()
    assert asked == [2, 3, 4]


def test_a_learner_that_is_behind_catches_up_before_more_games_are_made() -> None:
    run = Run(miniature("tictactoe", "replay.windows_per_position=1"))
    run.iterate()
    made = run.replay.total_games
    run.windows_owed = 128.0 * 3
    run.iterate()
    assert run.replay.total_games == made
    assert run.windows_owed == 128.0  # two rounds' windows of three were drawn
    run.iterate()
    assert run.replay.total_games == made
    run.iterate()
    assert run.replay.total_games > made
