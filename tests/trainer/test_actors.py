"""Processes that play beside a run: what reaches them, and what they leave."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import signal

import pytest

from tests.trainer.test_loop import miniature, run_in
from trainer import actors
from trainer.actor import ActorState
from trainer.checkpoint import CHECKPOINTS, Checkpoint, list_checkpoints, load_checkpoint, unpack_games
from trainer.run import Run

pytestmark = pytest.mark.usefixtures("traced_once")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_group_is_the_learner_s_alone(number: signal.Signals) -> None:
    """Even one that comes while the actors start."""
    run = Run(miniature("tictactoe", "loop.actors=2"))
    try:
        for process in multiprocessing.active_children():
            os.kill(process.pid or 0, number)
        assert run.iterate()["moves_per_s"] > 0
        for process in multiprocessing.active_children():
            os.kill(process.pid or 0, number)
        run.checkpoint()
    finally:
        run.close()
    assert not multiprocessing.active_children()


def test_actors_that_cannot_all_start_leave_none_behind() -> None:
    """It would wait for orders, deaf to the signal with which multiprocessing ends what is left at the exit."""
    config = miniature("tictactoe", "loop.actors=2")
    [good, _], weights = actors.fresh_states(config, entropy=(1,)), Run(miniature("tictactoe"))._publish()
    bad = ActorState(rng={"cannot be sent": lambda: 0})
    with pytest.raises(Exception, match="pickle") as error:
        actors.make_actors(config, weights, [good, bad], device="cpu")
    assert not multiprocessing.active_children()
    assert error.traceback  # which holds on to everything


@pytest.mark.parametrize("has_gone", [False, True])
def test_only_a_learner_that_has_gone_ends_an_actor_without_a_word(
    monkeypatch: pytest.MonkeyPatch, has_gone: bool
) -> None:
    class FullDisk:
        positions = 0

        def __init__(self, *_: object, **__: object) -> None:
            pass

        def play(self, order: object) -> list[object]:
            raise OSError("no space left on device")

    monkeypatch.setattr(actors, "Actor", FullDisk)
    ours, theirs = multiprocessing.Pipe()
    ours.send("an order")
    if has_gone:
        theirs.recv()
        ours.close()
    with pytest.raises(SystemExit if has_gone else OSError, match="0" if has_gone else "no space left"):
        actors._serve(theirs, miniature("tictactoe"), b"", ActorState(rng={}), "cpu")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def ahead(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """A run whose actor has played a round ahead of the learner."""
    folder = tmp_path_factory.mktemp("run")
    run_in(folder, miniature("tictactoe", "loop.actors=1", "replay.warmup_positions=0"), 1)
    return load_checkpoint(list_checkpoints(folder / CHECKPOINTS)[0])


@pytest.mark.parametrize(("count", "is_lost"), [(0, False), (0, True), (1, True), (2, False)])
def test_a_round_that_was_played_ahead_is_the_next_one_whoever_goes_on(
    ahead: Checkpoint, count: int, is_lost: bool
) -> None:
    """Also where the games in progress were damaged, or are of an environment that cannot be stored."""
    saved = dataclasses.replace(ahead, selfplay=None) if is_lost else ahead
    wanted = [game.actions.tolist() for game in unpack_games(ahead.replay or {}, prefix="ahead.")]
    assert wanted
    run = Run(miniature("tictactoe", f"loop.actors={count}"), saved=saved)
    try:
        assert run.actors.has_begun
        assert [game.actions.tolist() for game in run.actors.collect().games] == wanted
    finally:
        run.close()
