"""The torch evaluator against the ONNX one: one contract, the same numbers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from engine.errors import EvaluationError, InvalidInput
from engine.go.batch import GoBatch
from engine.go.features import encode_actions
from engine.model.onnx_evaluator import OnnxEvaluator
from trainer import torch_evaluator
from trainer.network import NetworkConfig, make_network
from trainer.onnx_graph import OnnxExporter
from trainer.support import Support
from trainer.torch_evaluator import TorchEvaluator

GO = NetworkConfig(channels=8, head_channels=8, representation_blocks=1, dynamics_blocks=1)
CARTPOLE = NetworkConfig(
    kind="vector", observation_size=4, num_actions=2, channels=16, reward=Support(low=-1, high=1, bins=5)
)
SIZE = 5


def slots(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.int32)


@pytest.mark.parametrize("config", [GO, CARTPOLE], ids=["go", "cartpole"])
def test_same_results_as_onnx_over_a_walk(config: NetworkConfig) -> None:
    torch.manual_seed(0)
    network, rng = make_network(config), np.random.default_rng(0)
    size = SIZE if config.kind == "go" else None
    actions_count = SIZE * SIZE + 1 if size else config.num_actions
    onnx = OnnxEvaluator(*OnnxExporter(network).export(), board_size=size, num_slots=9, halves=False)
    torch_ = TorchEvaluator(network, num_slots=9)
    observations = GoBatch(num_games=3, size=SIZE).observe() if size else rng.random((3, 4), dtype=np.float32)
    roots = [e.initial(observations, slots(0, 1, 2)) for e in (onnx, torch_)]
    for name in ("policy_logits", "value", "ownership", "score_mean", "score_stdev"):
        one, other = (getattr(root, name) for root in roots)
        assert (one is None) == (other is None)
        if one is not None:
            assert one.shape == other.shape
            np.testing.assert_allclose(one, other, atol=1e-5)
    for i in range(5):
        parents, children = slots(0, 1, 2) + 3 * (i % 2), slots(0, 1, 2) + 3 * ((i + 1) % 2)
        actions = rng.integers(0, actions_count, 3).astype(np.int32)
        to_play = rng.choice([-1, 1], 3).astype(np.int8)
        one, other = (e.recurrent(parents, actions, to_play, children) for e in (onnx, torch_))
        for name in ("policy_logits", "value", "reward"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-5)
            assert getattr(other, name).dtype == np.float32


def some_positions(config: NetworkConfig, count: int) -> np.ndarray:
    """Different ones."""
    if config.kind == "vector":
        return np.random.default_rng(0).random((count, config.observation_size), dtype=np.float32)
    games, rng = GoBatch(num_games=count, size=SIZE), np.random.default_rng(0)
    for _ in range(4):
        games.play((rng.random((count, SIZE * SIZE + 1)) * games.legal_mask()).argmax(1).astype(np.int32))
    return games.observe()


@pytest.mark.parametrize("config", [GO, CARTPOLE], ids=["go", "cartpole"])
@pytest.mark.parametrize(("precision", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 1e-3)])
def test_a_look_says_what_the_first_inference_says(
    config: NetworkConfig, precision: torch.dtype, tolerance: float
) -> None:
    """Whatever stood in the padding before, and whatever the number of rows."""
    torch.manual_seed(0)
    evaluator = TorchEvaluator(make_network(config), num_slots=70, precision=precision)
    positions = some_positions(config, 70)
    root = evaluator.initial(positions, np.arange(70, dtype=np.int32))
    assert np.ptp(root.value) > 5 * tolerance
    for rows in (slice(0, 70), slice(3, 4), slice(5, 69), slice(1, 70), slice(60, 70)):
        policy_logits, value = evaluator.look(positions[rows])
        assert policy_logits.dtype == value.dtype == np.float32
        np.testing.assert_allclose(policy_logits, root.policy_logits[rows], atol=tolerance)
        np.testing.assert_allclose(value, root.value[rows], atol=tolerance)


def test_a_look_keeps_no_state_and_its_answer_is_the_caller_s() -> None:
    evaluator, positions = TorchEvaluator(make_network(GO), num_slots=1), some_positions(GO, 2)
    first = evaluator.look(positions[:1])
    kept = [answer[0].copy() for answer in first]
    evaluator.look(positions[1:])
    for before, now in zip(kept, first, strict=True):
        np.testing.assert_array_equal(before, now[0])
    with pytest.raises(InvalidInput, match="before any initial"):
        evaluator.recurrent(slots(0), slots(0), np.ones(1, np.int8), slots(0))


def test_threads_look_at_once() -> None:
    evaluator, positions = TorchEvaluator(make_network(GO), num_slots=1), some_positions(GO, 60)
    wanted, _ = evaluator.look(positions)
    parts = [slice(i % 50, i % 50 + 10) for i in range(200)]
    with ThreadPoolExecutor(4) as pool:
        for part, (found, _) in zip(parts, pool.map(lambda part: evaluator.look(positions[part]), parts), strict=True):
            np.testing.assert_allclose(found, wanted[part], atol=1e-6)


def test_action_planes_are_the_engines() -> None:
    actions = np.arange(SIZE * SIZE + 1, dtype=np.int32).repeat(2)
    to_play = np.tile(np.array([1, -1], np.int8), SIZE * SIZE + 1)
    planes = torch_evaluator.encode_actions(
        torch.from_numpy(actions).long(), torch.from_numpy(to_play).long(), size=SIZE
    )
    np.testing.assert_array_equal(planes.numpy(), encode_actions(actions, to_play, size=SIZE))


def test_copy_of_the_network_changes_only_by_load() -> None:
    network = make_network(GO)
    evaluator, observations = TorchEvaluator(network, num_slots=1), GoBatch(num_games=1, size=SIZE).observe()
    before, seen = evaluator.initial(observations, slots(0)).policy_logits, evaluator.look(observations)[0]
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1.5)
    np.testing.assert_array_equal(evaluator.initial(observations, slots(0)).policy_logits, before)
    np.testing.assert_array_equal(evaluator.look(observations)[0], seen)
    evaluator.load(network.state_dict())
    assert not np.array_equal(evaluator.look(observations)[0], seen)
    assert not np.array_equal(evaluator.initial(observations, slots(0)).policy_logits, before)


def test_no_number_is_an_error() -> None:
    network = make_network(GO)
    with torch.no_grad():
        network.state_dict()["representation_in.weight"][0, 0, 0, 0] = torch.nan
    with pytest.raises(EvaluationError, match="NaN or infinity"):
        TorchEvaluator(network, num_slots=1).initial(GoBatch(num_games=1, size=SIZE).observe(), slots(0))
    with pytest.raises(EvaluationError, match="NaN or infinity"):
        TorchEvaluator(network, num_slots=1).look(GoBatch(num_games=1, size=SIZE).observe())


def test_recurrent_before_initial_and_another_board_size() -> None:
    evaluator = TorchEvaluator(make_network(GO), num_slots=2)
    with pytest.raises(InvalidInput, match="before any initial"):
        evaluator.recurrent(slots(0), slots(0), np.ones(1, np.int8), slots(1))
    evaluator.initial(GoBatch(num_games=1, size=SIZE).observe(), slots(0))
    with pytest.raises(InvalidInput, match=r"\[8, 7, 7\], the pool has \[8, 5, 5\]"):
        evaluator.initial(GoBatch(num_games=1, size=7).observe(), slots(0))


@pytest.mark.parametrize("config", [GO, CARTPOLE], ids=["go", "cartpole"])
def test_bfloat16_says_nearly_the_same(config: NetworkConfig) -> None:
    torch.manual_seed(0)
    network = make_network(config)
    observations = (
        GoBatch(num_games=2, size=SIZE).observe() if config.kind == "go" else np.ones((2, 4), dtype=np.float32)
    )
    exact = TorchEvaluator(network, num_slots=4)
    coarse = TorchEvaluator(network, num_slots=4, precision=torch.bfloat16)
    walks = []
    for evaluator in (exact, coarse):
        root = evaluator.initial(observations, slots(0, 1))
        step = evaluator.recurrent(slots(0, 1), slots(1, 0), np.array([1, -1], np.int8), slots(2, 3))
        walks.append([root.policy_logits, root.value, step.policy_logits, step.value, step.reward])
    for one, other in zip(*walks, strict=True):
        assert other.dtype == np.float32
        np.testing.assert_allclose(one, other, atol=0.05)
    assert not np.array_equal(walks[0][2], walks[1][2])
