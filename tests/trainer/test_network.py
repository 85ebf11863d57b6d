from __future__ import annotations

import pytest
import torch

from trainer.network import GoNetwork, NetworkConfig, VectorNetwork, make_network, scale_hidden
from trainer.support import Support


@pytest.fixture
def network() -> GoNetwork:
    torch.manual_seed(0)
    network = make_network(NetworkConfig(channels=16, head_channels=8))
    assert isinstance(network, GoNetwork)
    return network.eval()


@pytest.mark.parametrize("size", [5, 9, 13])
def test_one_network_plays_every_size(network: GoNetwork, size: int) -> None:
    output = network.initial(torch.rand(2, 24, size, size), auxiliary=True)
    output = network.recurrent(output.hidden, torch.rand(2, 4, size, size), auxiliary=True)
    assert output.hidden.shape == (2, 16, size, size)
    assert output.policy_logits.shape == (2, size * size + 1)
    assert output.value_logits.shape == (2, 3)
    assert output.ownership is not None
    assert output.ownership.shape == (2, size, size)
    assert output.board_logits is not None
    assert output.board_logits.shape == (2, 3, size, size)


def test_padding_changes_nothing(network: GoNetwork) -> None:
    """A 9x9 board in the corner of a 19x19 frame, with its mask, through both inferences."""
    observation, action = torch.rand(3, 24, 9, 9), torch.rand(3, 4, 9, 9)
    mask = torch.zeros(3, 1, 19, 19)
    mask[:, :, :9, :9] = 1
    framed, framed_action = torch.zeros(3, 24, 19, 19), torch.zeros(3, 4, 19, 19)
    framed[:, :, :9, :9], framed_action[:, :, :9, :9] = observation, action
    plain = network.recurrent(network.initial(observation).hidden, action, auxiliary=True)
    start = network.initial(framed, mask=mask).hidden
    padded = network.recurrent(start, framed_action, mask=mask, auxiliary=True)
    assert (padded.hidden[:, :, :9, :9] - plain.hidden).abs().max() < 1e-6
    assert padded.hidden[:, :, 9:].abs().max() == 0
    assert (padded.value_logits - plain.value_logits).abs().max() < 1e-6
    points = padded.policy_logits[:, :-1].view(3, 19, 19)
    assert (points[:, :9, :9].flatten(1) - plain.policy_logits[:, :-1]).abs().max() < 1e-6
    assert points[:, 9:].max() < -1e8
    assert padded.score is not None
    assert plain.score is not None
    assert (padded.score - plain.score).abs().max() < 1e-5


def test_a_sample_does_not_depend_on_its_batch(network: GoNetwork) -> None:
    observation = torch.rand(4, 24, 5, 5)
    together = network.initial(observation).value_logits
    alone = torch.cat([network.initial(o[None]).value_logits for o in observation])
    assert torch.allclose(together, alone, atol=1e-6)


def test_hidden_states_span_zero_to_one() -> None:
    scaled = scale_hidden(torch.randn(3, 4, 5, 5) * 7)
    assert scaled.amin((1, 2, 3)).tolist() == [0, 0, 0]
    assert torch.allclose(scaled.amax((1, 2, 3)), torch.ones(3), atol=1e-4)


def test_vector_network_predicts_rewards() -> None:
    config = NetworkConfig(kind="vector", observation_size=4, num_actions=2, reward=Support(low=0, high=1, bins=2))
    network = make_network(config)
    assert isinstance(network, VectorNetwork)
    output = network.recurrent(network.initial(torch.rand(3, 4)).hidden, torch.eye(2)[[0, 1, 0]])
    assert output.policy_logits.shape == (3, 2)
    assert output.reward_logits is not None
    assert output.reward_logits.shape == (3, 2)
