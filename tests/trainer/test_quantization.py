"""The int8 form of a model: what is quantised, how near it stays, and what comes of a checkpoint."""

from __future__ import annotations

import dataclasses
import logging

import numpy as np
import onnx
import pytest
import torch

from engine.errors import InvalidConfig
from engine.model.graph_check import check_graph
from engine.model.onnx_evaluator import OnnxEvaluator
from tests.support.go_games import random_games
from trainer import quantization
from trainer.checkpoint import Checkpoint, pack_games
from trainer.config import TrainConfig, load_config
from trainer.network import GoNetwork, make_network
from trainer.onnx_graph import ModelBytes, OnnxExporter
from trainer.positions import play_games
from trainer.quantization import STEPS, Walk, draw_walk, measure_loss, quantize, quantize_checkpoint
from trainer.record import GameRecord

SIZE = 5
CONFIG = load_config(
    "go5",
    [
        *("network.channels=8", "network.head_channels=8", "network.representation_blocks=1"),
        *("network.dynamics_blocks=2", "search.num_simulations=2", "search.num_considered=2"),
    ],
)


@pytest.fixture(scope="module")
def network() -> GoNetwork:
    torch.manual_seed(3)
    network = make_network(CONFIG.network).eval()
    assert isinstance(network, GoNetwork)
    with torch.no_grad():  # as new, its last layers say nearly nothing
        network.heads.policy_point.weight.mul_(10)
        network.heads.value_out.weight.mul_(10)
    return network


@pytest.fixture(scope="module")
def exporter(network: GoNetwork) -> OnnxExporter:
    return OnnxExporter(network)


@pytest.fixture(scope="module")
def files(exporter: OnnxExporter) -> ModelBytes:
    return exporter.export()


@pytest.fixture(scope="module")
def games(files: ModelBytes) -> list[GameRecord]:
    evaluator = OnnxEvaluator(*files, board_size=SIZE, num_slots=30)
    return play_games(CONFIG, evaluator, count=10, rng=np.random.default_rng(0))


@pytest.fixture(scope="module")
def walk(games: list[GameRecord]) -> Walk:
    return draw_walk(games, 100, size=SIZE, rng=np.random.default_rng(1))


@pytest.fixture(scope="module")
def quantised(files: ModelBytes, network: GoNetwork, walk: Walk) -> ModelBytes:
    return quantize(files, network, [walk])


def test_a_walk_follows_its_games(games: list[GameRecord]) -> None:
    walk = draw_walk(games[:1], 1000, size=SIZE, rng=np.random.default_rng(1))
    game = games[0]
    assert len(walk.to_play) == len(game)
    rows = {tuple(walk.actions[:, row]) for row in range(len(game))}
    for ply in range(len(game) - STEPS):
        assert tuple(game.actions[ply : ply + STEPS]) in rows
    assert sorted(walk.to_play) == sorted(game.to_play)
    planes = walk.planes(1)
    assert planes.shape == (len(game), 4, SIZE, SIZE)
    assert (planes[:, 3, 0, 0] == -walk.to_play).all()


def test_no_games() -> None:
    with pytest.raises(InvalidConfig, match="no games"):
        draw_walk([], 10, size=SIZE, rng=np.random.default_rng(0))


@pytest.mark.parametrize(
    ("name", "exact_ones", "quantised_ones"),
    # Value, policy, points, ownership and the observation; hidden and action, and two of each block.
    [("initial", 5, 2), ("recurrent", 3, 6)],
)
def test_towers_are_quantised_and_nothing_else(
    name: str, exact_ones: int, quantised_ones: int, quantised: ModelBytes
) -> None:
    data = getattr(quantised, name)
    check_graph(data, f"{name}.onnx")
    graph = onnx.load_from_string(data).graph
    makers = {output: node for node in graph.node for output in node.output}
    weights = {tensor.name: tensor.data_type for tensor in graph.initializer}
    of_convolutions: dict[bool, set[str]] = {True: set(), False: set()}
    for node in graph.node:
        if node.op_type == "Conv":
            maker = makers.get(node.input[1])
            is_quantised = maker is not None and weights[maker.input[0]] == onnx.TensorProto.INT8
            of_convolutions[is_quantised].add(node.input[1])
    assert all("heads" in name or "representation_in" in name for name in of_convolutions[False])
    assert len(of_convolutions[False]) == exact_ones
    assert len(of_convolutions[True]) == quantised_ones


def test_weights_use_seven_bits_and_activations_are_unsigned(quantised: ModelBytes) -> None:
    graph = onnx.load_from_string(quantised.recurrent).graph
    tensors = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    weights = [array for array in tensors.values() if array.dtype == np.int8 and array.ndim == 4]
    assert max(np.abs(array.astype(int)).max() for array in weights) == 64
    for node in graph.node:
        if node.op_type == "QuantizeLinear":
            assert tensors[node.input[2]].dtype == np.uint8
    scales = [tensors[node.input[1]] for node in graph.node if node.op_type == "DequantizeLinear"]
    assert any(scale.shape == (8,) for scale in scales)  # of each channel its own


def test_it_says_nearly_the_same(files: ModelBytes, quantised: ModelBytes, games: list[GameRecord]) -> None:
    others = draw_walk(games, 60, size=SIZE, rng=np.random.default_rng(2))
    nothing = measure_loss(files, files, others)
    assert (nothing.policy_kl, nothing.value_error, nothing.best_move) == (0.0, 0.0, 1.0)
    loss = measure_loss(files, quantised, others)
    assert (loss.positions, loss.imagined_steps) == (60, STEPS)
    for kl, error, best in (
        (loss.policy_kl, loss.value_error, loss.best_move),
        (loss.imagined_policy_kl, loss.imagined_value_error, loss.imagined_best_move),
    ):
        assert 0.0 < kl < 0.02
        assert 0.0 < error < 0.05 < 20 * loss.largest_value_error
        assert best > 0.8


def test_another_network_is_further_away(files: ModelBytes, exporter: OnnxExporter, walk: Walk) -> None:
    torch.manual_seed(4)
    other = exporter.export(make_network(CONFIG.network).state_dict())
    assert measure_loss(files, other, walk).best_move < 0.5


def test_ranges_come_from_the_walk(files: ModelBytes, network: GoNetwork, walk: Walk, quantised: ModelBytes) -> None:
    assert quantize(files, network, [walk]) == quantised
    part = dataclasses.replace(
        walk, observations=walk.observations[:3], actions=walk.actions[:, :3], to_play=walk.to_play[:3]
    )
    assert quantize(files, network, [part]) != quantised


def checkpoint_of(network: GoNetwork, *, config: TrainConfig = CONFIG, **fields: object) -> Checkpoint:
    weights = {f"averaged.{name}": tensor for name, tensor in network.state_dict().items()}
    return Checkpoint(config=config, learner=weights, progress={}, **fields)  # type: ignore[arg-type]


def test_a_checkpoint_with_games(network: GoNetwork, files: ModelBytes, games: list[GameRecord]) -> None:
    replay = pack_games(games[:6], prefix="games.") | pack_games(games[6:], prefix="holdout.")
    found, loss = quantize_checkpoint(checkpoint_of(network, replay=replay), files)
    assert found.initial != files.initial
    assert loss["games"] == "held out of training"
    assert loss["positions"] == sum(len(game) for game in games[6:])
    assert 0.0 < loss["policy_kl"] < 0.02


@pytest.mark.parametrize("has_smaller", [False, True])
def test_a_checkpoint_without_games_plays_some(
    network: GoNetwork, files: ModelBytes, monkeypatch: pytest.MonkeyPatch, has_smaller: bool
) -> None:
    """Also one of a run whose stages have not come to its largest board yet."""
    monkeypatch.setattr(quantization, "PLAYED_GAMES", 6)
    replay = None
    if has_smaller:
        few = random_games(2, size=3, seed=0)
        replay = pack_games(few, prefix="games.") | pack_games(few, prefix="holdout.")
    _, loss = quantize_checkpoint(checkpoint_of(network, replay=replay), files)
    assert loss["games"] == "self-play"
    assert loss["positions"] > 0


def test_only_go(files: ModelBytes) -> None:
    config = load_config("tictactoe", [])
    weights = {f"averaged.{name}": tensor for name, tensor in make_network(config.network).state_dict().items()}
    with pytest.raises(InvalidConfig, match="TicTacToe-v0: only models of Go"):
        quantize_checkpoint(Checkpoint(config=config, learner=weights, progress={}), files)


def test_nothing_is_logged(files: ModelBytes, network: GoNetwork, walk: Walk, caplog: pytest.LogCaptureFixture) -> None:
    level = logging.getLogger().level
    quantize(files, network, [walk])
    assert not caplog.records
    assert logging.getLogger().level == level
