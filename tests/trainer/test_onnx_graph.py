"""The exporter: graphs that agree with torch, and weights that are swapped without a trace."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from engine.errors import ModelInvalid
from engine.go.batch import GoBatch
from engine.go.features import encode_actions
from engine.model.graph_check import check_graph
from engine.model.onnx_evaluator import OnnxEvaluator
from trainer.network import GoNetwork, Network, NetworkConfig, make_network
from trainer.onnx_graph import OnnxExporter
from trainer.support import Support

GO = NetworkConfig(channels=8, head_channels=8, representation_blocks=2, dynamics_blocks=2)
CONFIGS = {
    "go": GO,
    "tictactoe": NetworkConfig(kind="vector", observation_size=27, num_actions=9, channels=16, representation_blocks=1),
    "cartpole": NetworkConfig(
        kind="vector",
        observation_size=4,
        num_actions=2,
        channels=16,
        representation_blocks=1,
        value=Support(low=0, high=20, bins=21, compress=True),
        reward=Support(low=-1, high=1, bins=5, compress=True),
    ),
}


def random_network(config: NetworkConfig, seed: int) -> Network:
    """A network in which nothing is zero."""
    network = make_network(config).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return network


@pytest.fixture(scope="module")
def exporters() -> dict[str, OnnxExporter]:
    """One exporter a configuration; they trace networks whose weights no test uses."""
    return {name: OnnxExporter(make_network(config)) for name, config in CONFIGS.items()}


def played_batch(*, size: int, games: int = 4, plies: int = 12, seed: int = 0) -> GoBatch:
    """Games after some random legal moves."""
    rng, batch = np.random.default_rng(seed), GoBatch(num_games=games, size=size)
    for _ in range(plies):
        legal = batch.legal_mask()
        batch.play((legal[:, :-1] * rng.random((games, size * size))).argmax(1).astype(np.int32))
    return batch


SLOTS = np.arange(4, dtype=np.int32)


@pytest.mark.parametrize("size", [2, 5, 9, 13, 19])
def test_go_graphs_agree_with_torch_on_any_board(exporters: dict[str, OnnxExporter], size: int) -> None:
    network = random_network(GO, seed=1)
    evaluator = OnnxEvaluator(*exporters["go"].export(network.state_dict()), board_size=size, num_slots=8, halves=False)
    batch = played_batch(size=size, plies=min(12, size))
    observations = batch.observe()
    root = evaluator.initial(observations, SLOTS)
    actions = np.array([0, size, size * size - 1, size * size], np.int32)
    step = evaluator.recurrent(SLOTS, actions, batch.to_play, SLOTS + 4)
    with torch.no_grad():
        assert isinstance(network, GoNetwork)
        expected = network.initial(torch.from_numpy(observations), auxiliary=True)
        planes = torch.from_numpy(encode_actions(actions, batch.to_play, size=size))
        expected_step = network.recurrent(expected.hidden, planes)
    assert expected.score is not None
    decode = network.config.value.decode
    for found, wanted in (
        (root.policy_logits, expected.policy_logits),
        (root.value, decode(expected.value_logits)),
        (root.ownership, expected.ownership),
        (step.policy_logits, expected_step.policy_logits),
        (step.value, decode(expected_step.value_logits)),
    ):
        np.testing.assert_allclose(found, wanted, atol=1e-5)
    np.testing.assert_allclose(root.score_mean, expected.score[:, 0], atol=1e-4)
    np.testing.assert_allclose(root.score_stdev, expected.score[:, 1], atol=1e-4)


@pytest.mark.parametrize("name", ["tictactoe", "cartpole"])
def test_vector_graphs_agree_with_torch(exporters: dict[str, OnnxExporter], name: str) -> None:
    config, network = CONFIGS[name], random_network(CONFIGS[name], seed=1)
    evaluator = OnnxEvaluator(*exporters[name].export(network.state_dict()), num_slots=8, halves=False)
    observations = np.random.default_rng(0).standard_normal((4, config.observation_size)).astype(np.float32)
    root = evaluator.initial(observations, SLOTS)
    actions = (SLOTS % config.num_actions).astype(np.int32)
    step = evaluator.recurrent(SLOTS, actions, np.ones(4, np.int8), SLOTS + 4)
    with torch.no_grad():
        expected = network.initial(torch.from_numpy(observations))
        expected_step = network.recurrent(expected.hidden, torch.eye(config.num_actions)[torch.from_numpy(actions)])
    np.testing.assert_allclose(root.policy_logits, expected.policy_logits, atol=1e-5)
    np.testing.assert_allclose(root.value, config.value.decode(expected.value_logits), rtol=1e-5)
    np.testing.assert_allclose(step.policy_logits, expected_step.policy_logits, atol=1e-5)
    if config.reward is None:
        assert not step.reward.any()
    else:
        assert expected_step.reward_logits is not None
        np.testing.assert_allclose(step.reward, config.reward.decode(expected_step.reward_logits), atol=1e-5)


@pytest.mark.parametrize("name", CONFIGS)
def test_every_weight_in_the_graph_is_the_networks_own(exporters: dict[str, OnnxExporter], name: str) -> None:
    """Each float tensor of two axes or more is a weight of the state dict, bit for bit: none is a folded copy."""
    weights = random_network(CONFIGS[name], seed=2).state_dict()
    for data in exporters[name].export(weights):
        tensors = onnx.load_from_string(data).graph.initializer
        named = [t for t in tensors if t.name.startswith("network.")]
        assert len(named) > 5
        for tensor in named:
            expected = weights[tensor.name.removeprefix("network.")].numpy()
            np.testing.assert_array_equal(numpy_helper.to_array(tensor), expected)
        assert all(len(t.dims) < 2 for t in tensors if t not in named)


def test_swapped_weights_equal_a_fresh_export(exporters: dict[str, OnnxExporter]) -> None:
    network = random_network(GO, seed=3)
    state = torch.get_rng_state()
    fresh = OnnxExporter(network)
    assert torch.equal(torch.get_rng_state(), state), "tracing draws from torch's global generator"
    before = fresh.export()
    assert exporters["go"].export(network.state_dict()) == before
    with torch.no_grad():
        next(network.parameters()).mul_(2)
    assert fresh.export() != before, "the default is the network's weights as they are now"


def test_graphs_pass_the_engines_check_and_tell_no_source_paths(exporters: dict[str, OnnxExporter]) -> None:
    for exporter in exporters.values():
        for data in exporter.export():
            check_graph(data, "model")
            model = onnx.load_from_string(data)
            for part in (model, model.graph, *model.graph.node, *model.graph.initializer):
                assert not part.metadata_props
                assert not part.doc_string


class TestRefusals:
    def test_missing_weight(self, exporters: dict[str, OnnxExporter]) -> None:
        weights = make_network(GO).state_dict()
        del weights["heads.value_out.bias"]
        with pytest.raises(ModelInvalid, match=r"'heads\.value_out\.bias' is missing"):
            exporters["go"].export(weights)

    def test_other_shape(self, exporters: dict[str, OnnxExporter]) -> None:
        weights = make_network(GO).state_dict()
        weights["heads.value_out.bias"] = torch.zeros(4)
        with pytest.raises(ModelInvalid, match=r"has shape \[4\], expected \[3\]"):
            exporters["go"].export(weights)

    @pytest.mark.parametrize("value", [torch.nan, torch.inf])
    def test_no_number(self, exporters: dict[str, OnnxExporter], value: float) -> None:
        weights = make_network(GO).state_dict()
        weights["dynamics_hidden.weight"][0, 0, 0, 0] = value
        with pytest.raises(ModelInvalid, match=r"'dynamics_hidden\.weight' holds NaN or infinity"):
            exporters["go"].export(weights)
