"""Diagnosis: its figures on hand-made cases whose answers are known, and the whole command on tiny models."""

from __future__ import annotations

import dataclasses
import json
import math
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from engine.errors import InvalidConfig, ModelNotFound
from engine.go.batch import GoBatch
from engine.go.diagram import from_rows
from engine.go.features import FULL_PLANES, NUM_PLANES, encode_actions
from engine.go.rules import BLACK
from engine.model.catalog import Catalog
from engine.model.contract import RecurrentOutput, RootOutput
from engine.search.config import SearchConfig
from tests.support.go_games import random_games
from tests.support.tiny_models import tiny_manifest, write_tiny_model
from trainer import diagnose, export
from trainer.checkpoint import Checkpoint, pack_games, save_checkpoint
from trainer.config import BoardConfig, EnvConfig, TrainConfig
from trainer.diagnose import Diagnosis
from trainer.diagnosis import candidate
from trainer.diagnosis.candidate import open_candidate, with_size
from trainer.diagnosis.certificate import check_identity, read_certificate, weights_digest, write_certificate
from trainer.diagnosis.drift import Measurements, Truth, judge, measure, measure_windows, summarise
from trainer.diagnosis.komi_sweep import crossings, sweep_komi
from trainer.diagnosis.match import equal_time, play_match
from trainer.diagnosis.plots import write_plots
from trainer.diagnosis.positions import at_komi, leave_games, play_opponent
from trainer.diagnosis.slices import find_kos, is_snapback
from trainer.diagnosis.subject import EvaluatorSubject, NetworkSubject, Prediction, decode_actions
from trainer.diagnosis.tables import make_tables, print_tables, to_markdown, to_text
from trainer.diagnosis.tree_audit import audit_trees
from trainer.evaluate import RandomAgent
from trainer.model_card import model_card
from trainer.network import GoNetwork, NetworkConfig, make_network
from trainer.onnx_graph import OnnxExporter
from trainer.positions import draw_positions, play_games, replay_to
from trainer.record import GameRecord
from trainer.stages import StageConfig
from trainer.torch_evaluator import TorchEvaluator
from trainer.windows import WindowBuilder, Windows

SIZE, STEPS = 4, 3
BLACK_NOW, WHITE_NOW, BANNED, LEGAL, KOMI = (
    FULL_PLANES.index(name) for name in ("black_t0", "white_t0", "superko_banned", "legal", "komi")
)
NETWORK = NetworkConfig(channels=8, head_channels=8, representation_blocks=1, dynamics_blocks=1)


def config(size: int = SIZE, steps: int = STEPS) -> TrainConfig:
    plain = TrainConfig(env=EnvConfig(size=size, komi_low=0.5, komi_high=0.5), network=NETWORK)
    learner = dataclasses.replace(
        plain.learner, unroll_steps=steps, consistency_steps=steps, branch_share=0.0, symmetries=False
    )
    return dataclasses.replace(plain, learner=learner)


def game_of(actions: list[int], *, size: int) -> GameRecord:
    """A game with these moves, scored as it stands."""
    model = random_games(1, size=size, seed=0)[0]
    length = len(actions)
    rest = {
        name: np.zeros((length, *getattr(model, name).shape[1:]), getattr(model, name).dtype)
        for name in ("rewards", "policy_actions", "policy_probabilities", "root_values", "surprise")
    }
    batch = GoBatch(num_games=1, size=size, komi=0.5)
    batch.play_sequences(np.array([actions], np.int32))
    colours = np.where(np.arange(length) % 2 == 0, 1, -1).astype(np.int8)
    return dataclasses.replace(
        model,
        actions=np.array(actions, np.int16),
        to_play=colours,
        komi=0.5,
        score=float(batch.area_scores()[0]),
        ownership=batch.area_ownership()[0],
        **rest,
    )


def play_from(stones: str, *moves: int) -> np.ndarray:
    """The observation [1, 24, S, S] after `moves` by turns, Black first."""
    boards = GoBatch(num_games=1, size=math.isqrt(len(from_rows(stones))))
    boards.set_stones(0, from_rows(stones), BLACK)
    for move in moves:
        assert boards.legal_mask()[0, move]
        boards.play([move])
    return boards.observe()


def windows_of(positions: list[tuple[GameRecord, int]], *, size: int = SIZE, steps: int = STEPS) -> Windows:
    builder = WindowBuilder(config(size, steps), num_actions=size * size + 1)
    return builder.build(positions, np.random.default_rng(0))


class Oracle:
    """A model that knows what comes: every prediction is read off the real observation of its step."""

    def __init__(self, windows: Windows) -> None:
        assert windows.go is not None
        self._real = [windows.observation.numpy(), *windows.future_observations.numpy()]
        self._over = windows.go.terminal.numpy().T > 0

    def look(self, observations: np.ndarray) -> Prediction:
        step = next(i for i, real in enumerate(self._real) if np.array_equal(real, observations))
        return self.predict(step)

    def imagine(self, state: int, action_planes: np.ndarray) -> Prediction:
        return self.predict(state + 1)

    def predict(self, step: int) -> Prediction:
        planes = self._real[step].reshape(len(self._real[step]), len(FULL_PLANES), -1)
        stones = planes[:, BLACK_NOW] - planes[:, WHITE_NOW]
        return Prediction(
            state=step,
            policy_logits=np.pad(np.where(planes[:, LEGAL] > 0, stones.cumsum(1), -40), ((0, 0), (0, 1))),
            value=stones.mean(1),
            ownership=stones,
            score=stones.sum(1),
            board=np.where(stones < 0, 2, stones).astype(np.int64),
            legal=planes[:, LEGAL] > 0,
            terminal=self._over[step],
            hidden=planes.reshape(len(planes), -1),
        )


class Sleeper(Oracle):
    """Its imagination never moves a stone and never sees an end."""

    def imagine(self, state: int, action_planes: np.ndarray) -> Prediction:
        first = self.predict(0)
        return dataclasses.replace(first, state=state + 1, terminal=np.zeros_like(first.terminal))


def imagined(found: Measurements, name: str = "all") -> dict[str, list[float | None]]:
    return summarise(found, name)["imagined"]


class TestDrift:
    def test_a_model_that_copies_the_truth_does_not_drift(self) -> None:
        windows = windows_of([(game, len(game) - 5) for game in random_games(20, size=SIZE, seed=1)])
        figures = imagined(measure_windows(Oracle(windows), windows))
        for name in ("policy_kl", "illegal_mass", "value_error"):
            assert figures[name] == pytest.approx([0.0] * (STEPS + 1), abs=1e-5)
        for name in ("best_move", "ownership_same", "board", "board_whole", "legal", "cosine"):
            assert figures[name] == pytest.approx([1.0] * (STEPS + 1), abs=1e-5)
        assert figures["board_changed"] == [None, 1.0, 1.0, 1.0]
        assert summarise(measure_windows(Oracle(windows), windows))["still"]["board_changed"][1] < 0.5

    def test_a_model_that_never_moves_stones(self) -> None:
        """Black takes the corner: of two changed points both are wrong, and the one that was emptied too."""
        corner = game_of([1, 0, SIZE, 10, 11, 12, 13], size=SIZE)
        windows = windows_of([(corner, 2)])
        found = measure_windows(Sleeper(windows), windows)
        figures = imagined(found)
        assert figures["board"] == pytest.approx([1, 14 / 16, 13 / 16, 12 / 16], abs=1e-5)
        assert figures["board_changed"] == [None, 0.0, 0.0, 0.0]
        assert figures["board_removed"] == [None, 0.0, 0.0, 0.0]
        assert figures["board_whole"] == [1.0, 0.0, 0.0, 0.0]
        assert summarise(found)["fresh"]["board_changed"] == [None, 1.0, 1.0, 1.0]

    def test_a_point_that_changed_and_changed_back_counts_as_changed(self) -> None:
        corner = game_of([1, 0, SIZE, 10, 11, 12], size=SIZE)
        windows = windows_of([(corner, 1)], steps=2)
        figures = imagined(measure_windows(Sleeper(windows), windows))
        assert figures["board_changed"] == [None, 0.0, 0.5]
        assert figures["board_removed"] == [None, None, 1.0]

    def test_shares_of_points_are_taken_over_all_windows(self) -> None:
        """Two changed points in one window and one in the other: one right of three, not the mean of the shares."""
        capture, quiet = game_of([1, 0, SIZE, 10, 11], size=SIZE), game_of([5, 6, 9, 10, 11], size=SIZE)
        windows = windows_of([(capture, 2), (quiet, 2)], steps=1)
        oracle = Oracle(windows)
        after = oracle.predict(1)
        assert after.board is not None
        wrong = after.board.copy()
        wrong[0] = oracle.predict(0).board[0]  # type: ignore[index]
        oracle.imagine = lambda state, planes: dataclasses.replace(after, board=wrong)  # type: ignore[method-assign]
        assert imagined(measure_windows(oracle, windows))["board_changed"][1] == pytest.approx(1 / 3, abs=1e-5)

    def test_slices(self) -> None:
        take = game_of([1, 0, SIZE, 10, 11, 12], size=SIZE)
        rest = game_of([5, 16, 6, 9, 10, 11], size=SIZE)
        windows = windows_of([(take, 1), (rest, 0), (rest, 2)])
        slices = measure_windows(Oracle(windows), windows).slices
        assert slices["captures"].astype(int).T.tolist() == [[0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]]
        assert slices["pass"].astype(int).T.tolist() == [[0, 0, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0]]
        assert slices["quiet"].astype(int).T.tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1]]
        assert slices["open"].all()
        assert imagined(measure_windows(Oracle(windows), windows), "captures")["states"] == [0, 0, 1, 1]

    def test_ko_slices_are_where_the_rules_ban_a_point(self) -> None:
        positions = [(game, len(game) - 6) for game in random_games(200, size=SIZE, seed=3)]
        windows = windows_of(positions)
        slices = measure_windows(Oracle(windows), windows).slices
        found = slices["ko"] | slices["superko"]
        expected = np.zeros_like(found)
        for step in range(STEPS + 1):
            boards = replay_to([(game, min(ply + step, len(game))) for game, ply in positions], SIZE)
            expected[step] = boards.banned_mask().any(1) & ~boards.finished
        assert expected.any()
        assert np.array_equal(found, np.logical_or.accumulate(expected))

    def test_a_ko_is_simple_if_it_would_bring_back_the_last_board(self) -> None:
        ko = play_from(". . . . . \n . X O . . \n X O . O . \n . X O . . \n . . . . .", 12)
        assert find_kos(ko).tolist() == [[True], [False]]
        send_two_return_one = play_from(". X . X \n O O X . \n . O X . \n . O X .", 0, 2)
        assert find_kos(send_two_return_one).tolist() == [[False], [True]]
        assert not find_kos(play_from(". X . X \n O O X . \n . O X . \n . O X .", 0)).any()

    def test_snapback(self) -> None:
        shape = "X O . . X \n X O O O X \n . X X X . \n . . . . . \n . . . . ."
        thrown_in, taken, snapped = (is_snapback(play_from(shape, *[2, 3, 2][:n])).item() for n in (1, 2, 3))
        assert (thrown_in, taken, snapped) == (False, False, True)
        assert not is_snapback(play_from(shape, 2, 3, 24)).item()
        send_two = ". X . X \n O O X . \n . O X . \n . O X ."
        assert not is_snapback(play_from(send_two, 0, 2, 0)).item()
        late = play_from("X O . . X \n X O O O X \n . X X X . \n . . . . . \n . . . . .", 2, 3, 24, 23, 2)
        assert not is_snapback(late).item()

    def test_slices_of_what_happens_on_the_way(self) -> None:
        """Of one game, by the step since which they count: stones taken, a ko ban, the ban's end."""
        take = game_of([1, 2, 4, 7, 9, 10, 6, 5, 16, 16], size=SIZE)
        windows = windows_of([(take, 6)])
        slices = measure_windows(Oracle(windows), windows).slices
        assert {
            name: slices[name][:, 0].astype(int).tolist() for name in ("captures", "ko", "superko", "snapback")
        } == {
            "captures": [0, 0, 1, 1],
            "ko": [0, 0, 1, 1],
            "superko": [0, 0, 0, 0],
            "snapback": [0, 0, 0, 0],
        }
        snap = game_of([0, 1, 5, 6, 11, 7, 12, 8, 13, 24, 9, 23, 4, 22, 2, 3, 2, 21, 10], size=5)
        windows = windows_of([(snap, 14), (snap, 16), (snap, 2)], size=5)
        slices = measure_windows(Oracle(windows), windows).slices
        assert slices["snapback"].astype(int).T.tolist() == [[0, 0, 0, 1], [0, 1, 1, 1], [0, 0, 0, 0]]

    def test_the_end_of_the_game(self) -> None:
        """Of three windows one ends: an oracle sees it, a sleeper does not, and nothing else of it is counted."""
        ends, goes_on = game_of([5, 6, 16, 16], size=SIZE), game_of([5, 6, 9, 10, 11, 12], size=SIZE)
        windows = windows_of([(ends, 2), (goes_on, 2), (goes_on, 1)], steps=2)
        for subject, f1 in ((Oracle(windows), 1.0), (Sleeper(windows), 0.0)):
            figures = imagined(measure_windows(subject, windows))
            assert figures["terminal_f1"] == [None, None, f1]
            assert figures["states"] == [3, 3, 2]
        nervous = Oracle(windows)
        nervous._over = np.ones_like(nervous._over)
        assert imagined(measure_windows(nervous, windows))["terminal_f1"][2] == pytest.approx(2 / (2 + 2), abs=1e-5)

    def test_figures_of_one_prediction(self) -> None:
        truth = Truth(
            alive=np.array([True]),
            legal=np.array([[1, 0, 1, 1]], np.float32),
            board=np.zeros((1, 4), np.int64),
            changed=np.zeros((1, 4), bool),
            removed=np.zeros((1, 4), bool),
            ownership=np.array([[1, 1, -1, 0]], np.float32),
            outcome=np.array([1.0], np.float32),
        )
        real = self._prediction([0.5, 0.0, 0.5, 0.0, 0.0], value=0.4, ownership=[0.9, 0.1, -0.2, 0.1])
        other = self._prediction([0.25, 0.25, 0.5, 0.0, 0.0], value=-0.1, ownership=[0.9, -0.1, -0.2, 0.3])
        found = {name: float(value[0]) for name, (value, _) in judge(other, truth, real).items()}
        assert found["policy_kl"] == pytest.approx(0.5 * np.log(2), abs=1e-5)
        assert found["illegal_mass"] == pytest.approx(0.25)
        assert found["best_move"] == 0.0
        assert found["value_error"] == pytest.approx(0.5)
        assert found["winner"] == 0.0
        assert found["ownership_same"] == 0.75
        assert found["ownership_right"] == pytest.approx(2 / 3)

    @staticmethod
    def _prediction(policy: list[float], *, value: float, ownership: list[float]) -> Prediction:
        return Prediction(
            state=None,
            policy_logits=np.log(np.array([policy], np.float32) + 1e-9),
            value=np.array([value], np.float32),
            ownership=np.array([ownership], np.float32),
        )

    def test_batches_are_joined(self, monkeypatch: pytest.MonkeyPatch) -> None:
        positions = draw_positions(random_games(6, size=SIZE, seed=4), 30, np.random.default_rng(0))
        subject = NetworkSubject(tiny_network())
        whole = measure(subject, positions, config(), steps=2, rng=np.random.default_rng(1))
        monkeypatch.setattr("trainer.diagnosis.drift.WINDOWS_AT_ONCE", 7)
        parts = measure(subject, positions, config(), steps=2, rng=np.random.default_rng(1))
        for one, other in zip(flat(summarise(whole)), flat(summarise(parts)), strict=True):
            assert one == pytest.approx(other, abs=2e-5)


def flat(summary: dict[str, dict[str, list[float | None]]]) -> list[float | None]:
    return [value for figures in summary.values() for row in figures.values() for value in row]


def tiny_network(seed: int = 0) -> GoNetwork:
    torch.manual_seed(seed)
    network = make_network(NETWORK)
    assert isinstance(network, GoNetwork)
    return network.eval()


class TestSubjects:
    def test_both_kinds_say_the_same(self) -> None:
        """The engine's contract, with its slots and actions, against hidden states and planes in the open."""
        network = tiny_network()
        windows = windows_of([(game, 1) for game in random_games(5, size=SIZE, seed=5)])
        open_, closed = NetworkSubject(network), EvaluatorSubject(lambda _, n: TorchEvaluator(network, num_slots=n))
        a, b = (subject.look(windows.observation.numpy()) for subject in (open_, closed))
        for planes, real in zip(windows.action_planes, windows.future_observations, strict=True):
            a, b = open_.imagine(a.state, planes.numpy()), closed.imagine(b.state, planes.numpy())
            np.testing.assert_allclose(a.policy_logits, b.policy_logits, atol=1e-5)
            np.testing.assert_allclose(a.value, b.value, atol=1e-5)
            closed.look(real.numpy())  # must not disturb the imagined states
        assert b.board is None
        assert b.ownership is None

    def test_actions_are_read_back_from_their_planes(self) -> None:
        actions = np.array([0, 7, 16, 16, 15], np.int32)
        colours = np.array([1, -1, 1, -1, 1], np.int8)
        found = decode_actions(encode_actions(actions, colours, size=4))
        assert [array.tolist() for array in found] == [actions.tolist(), colours.tolist()]


class TestPositions:
    def test_drawn_positions_differ(self) -> None:
        games = random_games(3, size=SIZE, seed=6)
        drawn = draw_positions(games, 10_000, np.random.default_rng(0))
        assert len({(id(game), ply) for game, ply in drawn}) == len(drawn) == sum(map(len, games))

    def test_branches_leave_by_legal_moves_and_have_no_outcome(self) -> None:
        positions = draw_positions(random_games(4, size=SIZE, seed=7), 30, np.random.default_rng(0))
        left = leave_games(positions, steps=6, size=SIZE, rng=np.random.default_rng(1))
        differs = 0
        for (game, ply), (branch, start) in zip(positions, left, strict=True):
            assert start == ply
            assert branch.actions[:ply].tolist() == game.actions[:ply].tolist()
            assert branch.outcome == 0
            assert not np.any(branch.ownership)
            single = replay_to([(branch, ply)], SIZE)
            for action in branch.actions[ply:]:
                assert single.legal_mask()[0, action]
                single.play([action])
            assert len(branch) == ply + 6 or single.finished[0]
            differs += branch.actions[ply:].tolist() != game.actions[ply : ply + 6].tolist()
        assert differs > 20

    def test_games_are_whole_and_one_a_slot(self) -> None:
        settings = with_size(config(3), 3, num_simulations=2)
        evaluator = TorchEvaluator(tiny_network(), num_slots=5 * 3)
        games = play_games(settings, evaluator, count=5, rng=np.random.default_rng(0))
        assert len(games) == 5
        assert replay_to([(game, len(game)) for game in games], 3).finished.all()

    @pytest.mark.parametrize(("size", "komi"), [(5, (20.5, 28.5)), (7, (7.0, 7.0)), (3, (4.0, 4.0))])
    def test_komi_of_other_sizes(self, size: int, komi: tuple[float, float]) -> None:
        trained = TrainConfig(env=EnvConfig(size=5, komi_low=20.5, komi_high=28.5))
        env = with_size(trained, size).env
        assert (env.size, env.komi_low, env.komi_high) == (size, *komi)

    def test_another_komi_moves_the_score_alone(self) -> None:
        [game] = random_games(1, size=SIZE, seed=11)
        [moved] = at_komi([game], 3.0)
        assert (moved.komi, moved.score) == (3.0, game.score - 2.5)
        assert moved.actions is game.actions

    def test_games_against_an_opponent(self) -> None:
        """The player passes only if it must, the opponent whenever it may: colours, ends and scores are as played."""

        def passing(observations: np.ndarray, infos: dict[str, Any]) -> np.ndarray:
            return np.full(len(observations), SIZE * SIZE, np.int32)

        games = play_opponent(config(), RandomAgent(avoid_last=True), passing, pairs=3, seed=0)
        assert len(games) == 6
        for game, colour in zip(games, (1, 1, 1, -1, -1, -1), strict=True):
            boards = replay_to([(game, len(game))], SIZE)
            assert boards.finished.all()
            assert game.score == boards.area_scores()[0] == colour * SIZE * SIZE - 0.5
            assert (game.actions[game.to_play != colour] == SIZE * SIZE).all()
            assert (game.actions[game.to_play == colour][:-1] < SIZE * SIZE).all()


class Looking:
    """`look` is what `initial` says, as of any evaluator."""

    def look(self, observations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        seen = self.initial(observations, np.arange(len(observations)))  # type: ignore[attr-defined]
        return seen.policy_logits, seen.value


class Dreamer(Looking):
    """It counts the stones that it sees, and dreams that to pass is all that a player needs."""

    def __init__(self, num_slots: int) -> None:
        self.num_slots = num_slots

    def initial(self, observations: np.ndarray, slots: np.ndarray) -> RootOutput:
        planes = observations.reshape(*observations.shape[:2], -1)
        stones = (planes[:, BLACK_NOW] - planes[:, WHITE_NOW]).mean(1)
        return RootOutput(policy_logits=np.zeros((len(slots), planes.shape[2] + 1), np.float32), value=stones)

    def recurrent(
        self, parent_slots: np.ndarray, actions: np.ndarray, to_play: np.ndarray, child_slots: np.ndarray
    ) -> RecurrentOutput:
        value = np.where(actions == 9, to_play, -to_play).astype(np.float32)
        policy = np.zeros((len(actions), 10), np.float32)
        return RecurrentOutput(policy_logits=policy, value=value, reward=np.zeros(len(actions), np.float32))


class TestMatches:
    def test_bad_dreams_lose_to_the_boards(self) -> None:
        settings = with_size(config(3), 3)
        match = play_match(settings, Dreamer, (8, 8), pairs=8, seed=0)
        assert (match["games"], match["simulations"]) == (16, [8, 8])
        assert match["elo_gain"] < -100
        assert 0 < match["elo_error"] < 700
        assert play_match(settings, Dreamer, (8, 8), pairs=8, seed=0) == match

    def test_equal_time_gives_the_faster_side_more(self) -> None:
        """A clock by which the first three searches take 1, 2 and 4 seconds, the other three 6, 3 and 5."""
        ticks = iter(np.cumsum([0, 1, 0, 2, 0, 4, 0, 6, 0, 3, 0, 5]).tolist())
        positions = draw_positions(random_games(2, size=SIZE, seed=12), 4, np.random.default_rng(0))
        found = equal_time(
            with_size(config(), SIZE, num_simulations=5),
            lambda slots: Flat(slots, real=0.0, dreamt=0.0, again=0.0),
            positions,
            clock=lambda: next(ticks),
        )
        assert found == (15, 5)


class KomiModel:
    """Value and score of the empty board as functions of komi."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def look(self, observations: np.ndarray) -> Prediction:
        komi = -20 * observations[:, KOMI, 0, 0]
        policy = np.zeros((len(komi), observations.shape[-1] ** 2 + 1), np.float32)
        return Prediction(state=None, policy_logits=policy, value=self._value(komi), score=9 - komi)

    def imagine(self, state: Any, action_planes: np.ndarray) -> Prediction:
        raise AssertionError("a sweep only looks")


class TestKomi:
    def test_monotone(self) -> None:
        sweep = sweep_komi(KomiModel(lambda k: np.tanh((7.25 - k) / 4)), size=7, low=4, high=12)
        assert (sweep["rises"], sweep["largest_rise"]) == (0, 0.0)
        assert sweep["value_turns_at"] == [pytest.approx(7.25, abs=0.02)]
        assert sweep["score_turns_at"] == [9.0]
        assert sweep["score_at_turn"] == [pytest.approx(1.75, abs=0.02)]
        assert sweep["komi"][:3] == [4.0, 4.5, 5.0]

    def test_rises_are_counted(self) -> None:
        sweep = sweep_komi(KomiModel(lambda k: np.where(k == 6, 0.9, 0.5)), size=7, low=4, high=8)
        assert sweep["rises"] == 1
        assert sweep["largest_rise"] == pytest.approx(0.4, abs=1e-4)
        assert sweep["value_turns_at"] == []

    def test_a_zero_is_one_crossing(self) -> None:
        assert crossings(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1, 0, -1, 1], np.float32)) == [2.0, 3.5]


class Flat(Looking):
    """One value for real positions, another for imagined ones; equal priors but for the move just made."""

    def __init__(self, num_slots: int, *, real: float, dreamt: float, again: float) -> None:
        self.num_slots, self._real, self._dreamt, self._again = num_slots, real, dreamt, again

    def initial(self, observations: np.ndarray, slots: np.ndarray) -> RootOutput:
        policy = np.zeros((len(slots), SIZE * SIZE + 1), np.float32)
        return RootOutput(policy_logits=policy, value=np.full(len(slots), self._real, np.float32))

    def recurrent(
        self, parent_slots: np.ndarray, actions: np.ndarray, to_play: np.ndarray, child_slots: np.ndarray
    ) -> RecurrentOutput:
        policy = np.zeros((len(actions), SIZE * SIZE + 1), np.float32)
        policy[np.arange(len(actions)), actions] = self._again
        value = np.full(len(actions), self._dreamt, np.float32)
        return RecurrentOutput(policy_logits=policy, value=value, reward=np.zeros(len(actions), np.float32))


class TestTrees:
    def test_value_error_and_illegal_visits(self) -> None:
        positions = draw_positions(random_games(8, size=SIZE, seed=8), 6, np.random.default_rng(0))
        positions = [(game, min(ply, 6)) for game, ply in positions]
        audit = audit_trees(
            Flat(6 * 31, real=0.25, dreamt=0.5, again=4.0),
            positions,
            SearchConfig(num_considered=4),
            size=SIZE,
            num_simulations=30,
            rng=np.random.default_rng(0),
        )
        root, first, second = audit["depths"][:3]
        assert (root["nodes"], root["visits"], root["illegal_visits"], root["value_error"]) == (6, 6 * 31, 0.0, 0.0)
        assert (first["visits"], first["illegal_visits"]) == (6 * 30, 0.0)
        assert first["value_error"] == pytest.approx(0.25)
        assert second["illegal_visits"] > 0.3
        assert sum(row["nodes"] for row in audit["depths"]) <= 6 * 31

    def test_a_game_that_ends_at_the_cap_goes_on_in_the_tree(self) -> None:
        """The search does not count plies: what it imagines beyond the last one is told apart from illegal moves."""
        game = next(game for game in random_games(200, size=SIZE, seed=9) if len(game) == 2 * SIZE * SIZE)
        audit = audit_trees(
            Flat(61, real=0.0, dreamt=0.0, again=-4.0),
            [(game, len(game) - 2)],
            SearchConfig(num_considered=2),
            size=SIZE,
            num_simulations=60,
            rng=np.random.default_rng(0),
        )
        assert max(row["after_the_end"] for row in audit["depths"]) > 0
        assert all(row["after_the_end"] == 0 for row in audit["depths"][:3])


@pytest.fixture(scope="module", autouse=True)
def _traced_once() -> Iterator[None]:
    """Checkpoints are traced once a shape of network; weights are their own as ever."""
    traced = cache(lambda shape: OnnxExporter(make_network(shape)))

    def exporter(network: GoNetwork) -> SimpleNamespace:
        return SimpleNamespace(export=lambda: traced(network.config).export(network.state_dict()))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidate, "OnnxExporter", exporter)
        patch.setattr(export, "OnnxExporter", exporter)
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with held-out games whose network has learned nothing."""
    folder = tmp_path_factory.mktemp("run")
    weights = {f"averaged.{name}": tensor for name, tensor in tiny_network().state_dict().items()}
    replay = pack_games(random_games(6, size=SIZE, seed=10), prefix="holdout.")
    checkpoint = Checkpoint(config=config(), learner=weights, progress={"step": 7}, replay=replay)
    save_checkpoint(folder / "checkpoints", checkpoint, name="step-7")
    return folder


SMALL = ["--windows", "40", "--steps", "4", "--simulations", "4", "--trees", "3", "--pairs", "2", "--sizes", "3"]


@pytest.fixture(scope="module")
def certificate(run: Path) -> dict[str, Any]:
    assert diagnose.main([str(run), *SMALL]) == 0
    return read_certificate(run / "diagnosis" / "certificate.json")


def small_boards() -> tuple[TrainConfig, GoNetwork]:
    """A run on 4x4 and 3x3 whose network sees six planes."""
    plain = config()
    shape = dataclasses.replace(NETWORK, observation_size=NUM_PLANES["basic"])
    env = dataclasses.replace(
        plain.env,
        smaller=(BoardConfig(size=3, komi_low=1.5, komi_high=1.5),),
        stages=(StageConfig(shares={plain.env.size: 0.5, 3: 0.5}),),
    )
    network = make_network(shape).eval()
    assert isinstance(network, GoNetwork)
    return dataclasses.replace(plain, network=shape, env=env), network


class TestCommand:
    def test_files_of_a_run(self, run: Path, certificate: dict[str, Any]) -> None:
        names = sorted(path.name for path in (run / "diagnosis").iterdir())
        assert names == ["certificate.json", *(f"{n}.png" for n in ("conditions", "drift", "komi", "matches", "trees"))]
        assert certificate["model"]["weights_sha256"] == weights_digest(tiny_network())
        assert (certificate["model"]["step"], certificate["seed"], certificate["not_measured"]) == (7, 0, [])
        assert certificate["games"] == {"source": "held out of training", "count": 6, "windows": 40, "size": SIZE}
        assert certificate["command"] == shlex.join(["tengen", "diagnose", run.name, *SMALL])
        assert set(certificate["sizes"]) == {"3"}
        assert set(certificate["komis"]) == {"-3.5", "4.5"}
        assert set(certificate["opponents"]) == {"random mover"}

    def test_the_same_seed_gives_the_same_figures(self, run: Path, certificate: dict[str, Any], tmp_path: Path) -> None:
        assert diagnose.main([str(run), *SMALL, "--out", str(tmp_path)]) == 0
        again = json.loads((tmp_path / "certificate.json").read_text())
        for one in (again, certificate):
            assert [match["equal"] for match in one["matches"]] == ["simulations", "time"]
        timed = {"command": None, "matches": None}  # how long a search takes is no figure of the model
        assert {**again, **timed} == {**certificate, **timed}
        assert again["matches"][0] == certificate["matches"][0]

    def test_every_board_of_the_training(self, tmp_path: Path) -> None:
        """A run on 4x4 and 3x3 that sees six planes: the smaller board has tables, plots and games of its own."""
        settings, network = small_boards()
        weights = {f"averaged.{name}": tensor for name, tensor in network.state_dict().items()}
        games = [*random_games(3, size=3, seed=1), *random_games(2, size=SIZE, seed=2)]
        checkpoint = Checkpoint(
            config=settings, learner=weights, progress={"step": 7}, replay=pack_games(games, prefix="holdout.")
        )
        save_checkpoint(tmp_path / "checkpoints", checkpoint, name="step-7")
        words = [str(tmp_path), *SMALL[:-1], "", "--out", str(tmp_path / "out")]
        assert diagnose.main(words) == 0
        found = read_certificate(tmp_path / "out" / "certificate.json")
        assert (found["games"]["size"], found["games"]["count"]) == (4, 2)
        assert list(found["boards"]) == ["3"]
        smaller = found["boards"]["3"]
        assert (smaller["games"]["size"], smaller["games"]["count"]) == (3, 3)
        assert (smaller["komi"]["komi"][0], smaller["komi"]["komi"][-1]) == (-2.5, 5.5)
        assert len(smaller["matches"]) == 2
        titles = [table.title for table in make_tables(found)]
        assert sum("3x3" in title for title in titles) == sum("4x4" in title for title in titles) == 5
        assert {"drift-3.png", "komi-3.png", "trees-3.png"} < {path.name for path in (tmp_path / "out").iterdir()}

    def test_all_planes_are_drawn_for_a_network_that_sees_few(self, tmp_path: Path) -> None:
        settings, network = small_boards()
        weights = {f"averaged.{name}": tensor for name, tensor in network.state_dict().items()}
        save_checkpoint(
            tmp_path / "checkpoints", Checkpoint(config=settings, learner=weights, progress={}), name="step-0"
        )
        found = open_candidate(str(tmp_path))
        boards = replay_to([(game, 3) for game in random_games(4, size=SIZE, seed=3)], SIZE)
        expected = TorchEvaluator(network, num_slots=4).initial(
            boards.observe(variant="basic"), np.arange(4, dtype="i4")
        )
        looks = [
            found.make_evaluator(SIZE, 4).initial(boards.observe(), np.arange(4, dtype="i4")),
            found.subject.look(boards.observe()),
        ]
        for look in looks:
            np.testing.assert_allclose(look.value, expected.value, atol=1e-4)
            np.testing.assert_allclose(look.policy_logits, expected.policy_logits, atol=1e-4)

    def test_another_model_as_opponent(self, run: Path, tmp_path: Path) -> None:
        other = write_tiny_model(tmp_path, "tiny", trained=(4,))
        words = [str(run), *SMALL[:-1], "", "--simulations", "", "--pairs", "0", "--opponent", str(other)]
        assert diagnose.main([*words, "--out", str(tmp_path / "out")]) == 0
        found = read_certificate(tmp_path / "out" / "certificate.json")
        assert list(found["opponents"]) == ["random mover", "tiny"]
        assert (found["trees"], found["matches"]) == ([], [])
        assert "matches.png" not in {path.name for path in (tmp_path / "out").iterdir()}

    def test_large_trees_are_fewer(self, run: Path) -> None:
        settings = diagnose.DiagnoseSettings(
            windows=4, steps=2, sizes=(), pairs=0, simulations=(2, 8), trees=6, tree_nodes=16, unmet_plies=64
        )
        found = Diagnosis(open_candidate(str(run)), settings, Console(quiet=True)).run()
        assert [audit["positions"] for audit in found["trees"]] == [6, 2]

    def test_tables(self, certificate: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
        tables = make_tables(certificate)
        print_tables(tables, Console(no_color=True))
        text = capsys.readouterr().out
        assert text == "".join(to_text(table) + "\n" for table in tables)
        assert "\nchanged points right, %" in text
        assert {len(row) for table in tables for row in table.rows} <= {len(table.header) for table in tables}
        print_tables(tables, Console(force_terminal=True, width=100))
        assert "changed points right" in capsys.readouterr().out
        assert to_markdown(tables[0]).splitlines()[1] == "| --- | ---: | ---: | ---: | ---: |"

    def test_an_exported_model_shows_less(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        folder = write_tiny_model(tmp_path, "tiny", trained=(4,))
        words = [str(folder), "--games", "3", *SMALL[:-1], "", "--out", str(tmp_path / "out")]
        assert diagnose.main(words) == 0
        captured = capsys.readouterr()
        found = read_certificate(tmp_path / "out" / "certificate.json")
        assert "diagnose a checkpoint for it" in captured.err
        assert "changed points" not in captured.out
        assert {"board_changed", "terminal_f1", "cosine"} <= set(found["not_measured"])
        assert found["games"]["source"] == "self-play"
        assert found["model"]["digest"]

    def test_refusals(self, run: Path, tmp_path: Path) -> None:
        with pytest.raises(ModelNotFound):
            open_candidate("no-such-model")
        with pytest.raises(ModelNotFound, match="no checkpoint"):
            open_candidate(str(tmp_path))
        with pytest.raises(InvalidConfig, match="board size 99"):
            diagnose.main([str(run), "--sizes", "99"])
        with pytest.raises(SystemExit):
            diagnose.main([str(run), "--steps", "0"])


class TestCertificate:
    def test_identity(self, certificate: dict[str, Any]) -> None:
        weights = certificate["model"]["weights_sha256"]
        check_identity(certificate, weights_sha256=weights, digest="0")
        check_identity({"model": {"digest": "abc"}}, weights_sha256="0", digest="abc")
        for model in (
            {},
            {"weights_sha256": None, "digest": None},
            {"weights_sha256": weights_digest(tiny_network(1))},
        ):
            with pytest.raises(InvalidConfig, match="another model"):
                check_identity({"model": model}, weights_sha256=weights, digest="0")

    @pytest.mark.parametrize("model", ["go5", "go9"])
    def test_older_ones_are_still_read(self, model: str, tmp_path: Path) -> None:
        """They lack smaller boards, matches, untrained komi and opponents."""
        found = read_certificate(Path(__file__).parents[2] / "models" / model / "certificate.json")
        older = {name: part for name, part in found.items() if name not in ("boards", "matches", "komis", "opponents")}
        titles = [table.title for table in make_tables(older)]
        assert any(title.startswith("Where it was not trained") for title in titles)
        assert [path.name for path in write_plots(older, tmp_path)] == [
            *("drift.png", "komi.png", "trees.png", "conditions.png")
        ]
        assert "changed points right" in model_card(tiny_manifest("tiny", (b"", b"")), certificate=older)

    def test_card(self, certificate: dict[str, Any]) -> None:
        manifest = tiny_manifest("tiny", (b"", b""))
        heading = "## How far its imagination can be trusted"
        card = model_card(manifest, certificate=certificate).split(heading)[1].split("## ")[0]
        assert "40 positions of 6 games (held out of training) on 4x4" in card
        assert "| changed points right, % | - |" in card
        assert certificate["command"] in card
        own = config().search.num_simulations
        assert f"| 4x4, equal simulations | {own} | {own} | 4 |" in card
        assert heading not in model_card(manifest)

    def test_goes_with_the_model(self, run: Path, certificate: dict[str, Any], tmp_path: Path) -> None:
        file, model = run / "diagnosis" / "certificate.json", tmp_path / "models" / "tiny"
        assert export.main([str(run), "--out", str(model), "--certificate", str(file)]) == 0
        assert (model / "certificate.json").read_bytes() == file.read_bytes()
        assert "## How far its imagination can be trusted" in (model / "README.md").read_text()
        assert Catalog([model.parent]).load("tiny").manifest.name == "tiny"
        other = tmp_path / "other.json"
        other.write_text(json.dumps({**certificate, "model": {"weights_sha256": "0" * 64, "step": 3}}))
        with pytest.raises(InvalidConfig, match=r"another model \(000000000000, step 3\)"):
            export.main([str(run), "--out", str(tmp_path / "models" / "second"), "--certificate", str(other)])
        assert [path.name for path in model.parent.iterdir()] == ["tiny"]

    def test_file_round_trips_with_one_list_a_line(self, tmp_path: Path) -> None:
        figures = {"model": {"name": "[\n 1,\n 2]"}, "drift": {"a": [1.5, None, 2], "b": [{"c": []}, {"c": [3]}]}}
        write_certificate(tmp_path / "c.json", figures)
        assert read_certificate(tmp_path / "c.json") == {"format": 1, **figures}
        assert '"a": [1.5, null, 2]' in (tmp_path / "c.json").read_text()

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "model": {}}', "\x00"])
    def test_files_that_are_none(self, text: str, tmp_path: Path) -> None:
        (tmp_path / "c.json").write_text(text)
        with pytest.raises(InvalidConfig, match=r"certificate .*c\.json"):
            read_certificate(tmp_path / "c.json")
        with pytest.raises(InvalidConfig):
            read_certificate(tmp_path / "missing.json")
