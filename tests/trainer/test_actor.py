"""Self-play's evaluator says what the network says, before and after new weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.model.onnx_evaluator import OnnxEvaluator
from trainer.actor import Publisher, load_weights, make_evaluator
from trainer.config import load_config
from trainer.network import make_network
from trainer.torch_evaluator import TorchEvaluator

SETTINGS = ["network.channels=8", "network.representation_blocks=1", "network.dynamics_blocks=1", "env.size=5"]


@pytest.mark.parametrize("preset", ["go5", "cartpole"])
@pytest.mark.parametrize(("device", "kind"), [("cpu", OnnxEvaluator), ("cpu:0", TorchEvaluator)])
def test_new_weights_reach_the_evaluator(preset: str, device: str, kind: type) -> None:
    config = load_config(preset, [*SETTINGS, "selfplay.num_games=2", "search.num_simulations=3"])
    torch.manual_seed(0)
    networks = [make_network(config.network).eval() for _ in range(2)]
    publisher = Publisher(networks[0], device=device)
    evaluator = make_evaluator(publisher.publish(networks[0]), config, device=device)
    assert isinstance(evaluator, kind)
    assert evaluator.num_slots == 2 * 4
    shape = (24, 5, 5) if config.is_go else (4,)
    observations = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    values = []
    for network in networks:
        load_weights(evaluator, publisher.publish(network))
        with torch.inference_mode():
            output = network.initial(torch.from_numpy(observations))
        answer = evaluator.initial(observations, np.arange(2, dtype=np.int32))
        assert answer.policy_logits == pytest.approx(output.policy_logits.numpy(), abs=1e-4)
        assert answer.value == pytest.approx(config.network.value.decode(output.value_logits).numpy(), abs=1e-3)
        values.append(answer.value)
    assert not np.allclose(*values)
