"""The mean over the symmetries: inverse to each other, equal for a network that knows them, and invariant for any."""

from __future__ import annotations

import numpy as np
import pytest

from engine.errors import InvalidInput
from engine.go.position import Position
from engine.go.rules import BLACK
from engine.model.onnx_evaluator import OnnxEvaluator
from engine.player import Player
from engine.root_symmetries import NUM_SYMMETRIES, SymmetricRoots, turned, turned_back
from engine.settings import PlayerSettings
from tests.support.scripted_models import Opinion, ScriptedModels
from tests.support.tiny_models import tiny_go_model

SIZE = 5
SLOT = np.zeros(1, np.int32)


def make_evaluators() -> tuple[OnnxEvaluator, SymmetricRoots]:
    plain = OnnxEvaluator.from_bytes(*tiny_go_model(seed=4).files, board_size=SIZE, num_slots=12)
    return plain, SymmetricRoots(plain, size=SIZE)


def observation() -> np.ndarray:
    position = Position(SIZE)
    for ply, point in enumerate((3, 12, 7, 16)):
        position.play(BLACK if ply % 2 == 0 else -BLACK, point)
    return position.observation()[None]


def test_symmetries_are_eight_and_undone() -> None:
    board = np.arange(25, dtype=np.float32).reshape(SIZE, SIZE)
    images = {turned(board, symmetry).tobytes() for symmetry in range(NUM_SYMMETRIES)}
    assert len(images) == 8
    for symmetry in range(NUM_SYMMETRIES):
        np.testing.assert_array_equal(turned_back(turned(board, symmetry), symmetry), board)


@pytest.mark.parametrize("symmetry", range(NUM_SYMMETRIES))
def test_a_turned_board_is_judged_alike(symmetry: int) -> None:
    _, mean = make_evaluators()
    board = observation()
    expected = mean.initial(board, SLOT)
    found = mean.initial(np.ascontiguousarray(turned(board, symmetry)), SLOT)
    policy = turned_back(found.policy_logits[0, :-1].reshape(SIZE, SIZE), symmetry).reshape(-1)
    np.testing.assert_allclose(policy, expected.policy_logits[0, :-1], atol=1e-5)
    np.testing.assert_allclose(found.policy_logits[0, -1], expected.policy_logits[0, -1], atol=1e-5)
    np.testing.assert_allclose(found.value, expected.value, atol=1e-6)
    assert found.ownership is not None
    assert expected.ownership is not None
    np.testing.assert_allclose(turned_back(found.ownership[0], symmetry), expected.ownership[0], atol=1e-6)


def test_the_mean_is_no_single_judgement_and_the_state_is_the_board_s_own() -> None:
    plain, mean = make_evaluators()
    board = observation()
    single = plain.initial(board, SLOT)
    step = plain.recurrent(SLOT, np.array([4], np.int32), np.ones(1, np.int8), SLOT + 1)
    averaged = mean.initial(board, SLOT)
    assert averaged.policy_logits.shape == single.policy_logits.shape
    assert averaged.value.shape == averaged.score_mean.shape == (1,)  # type: ignore[union-attr]
    assert abs(averaged.value - single.value) > 1e-5
    assert np.exp(averaged.policy_logits).sum() == pytest.approx(1.0, abs=1e-5)
    again = mean.recurrent(SLOT, np.array([4], np.int32), np.ones(1, np.int8), SLOT + 1)
    np.testing.assert_allclose(again.policy_logits, step.policy_logits, atol=1e-5)


def test_slots_are_kept_back_and_one_root_at_a_time() -> None:
    plain, mean = make_evaluators()
    assert mean.num_slots == 5
    with pytest.raises(InvalidInput, match="2 positions"):
        mean.initial(np.repeat(observation(), 2, axis=0), np.arange(2, dtype=np.int32))
    plain.num_slots = 7
    with pytest.raises(InvalidInput, match="7 slots"):
        SymmetricRoots(plain, size=SIZE)


def test_player_averages_its_roots() -> None:
    models = ScriptedModels(SIZE, opinion=Opinion(logits={7: 3.0}))
    settings = PlayerSettings(visits=40, threads=1, seed=1, max_memory_mib=16, root_symmetries=True, reground_every=0)
    player = Player(models=models, settings=settings, board_size=SIZE)
    decision = player.generate(BLACK)
    prior = decision.result.prior
    np.testing.assert_allclose(prior[[7, 11, 13, 17]], prior[7], rtol=1e-5)  # the scripted network knows one of them
    assert prior[7] > 3 * prior[0]
    assert models.opened[0].observations[-1].shape[0] == NUM_SYMMETRIES
    player.close()
