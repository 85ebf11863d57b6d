from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from engine.errors import InvalidConfig
from trainer.growth import grow
from trainer.network import GoNetwork, NetworkConfig, make_network

SMALL = NetworkConfig(channels=16, representation_blocks=2, dynamics_blocks=1, head_channels=8)


def outputs(network: GoNetwork) -> list[Tensor]:
    """Of both inferences, all heads; the hidden state last."""
    generator = torch.Generator().manual_seed(5)
    observation = torch.rand(3, network.config.observation_size, 7, 7, generator=generator)
    action = torch.rand(3, 4, 7, 7, generator=generator)
    with torch.no_grad():
        first = network.initial(observation, auxiliary=True)
        second = network.recurrent(first.hidden, action, auxiliary=True)
    tensors = [tensor for output in (first, second) for tensor in output[1:] if tensor is not None]
    return [*tensors, first.hidden, second.hidden]


@pytest.fixture
def small() -> GoNetwork:
    torch.manual_seed(0)
    network = make_network(SMALL)
    assert isinstance(network, GoNetwork)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return network


@pytest.mark.parametrize(
    "sizes",
    [
        {"channels": 32},
        {"channels": 24},
        {"head_channels": 16},
        {"representation_blocks": 3, "dynamics_blocks": 3},
        {"channels": 40, "head_channels": 12, "representation_blocks": 4, "dynamics_blocks": 2},
    ],
)
def test_a_grown_network_computes_the_same(small: GoNetwork, sizes: dict[str, int]) -> None:
    after = dataclasses.replace(SMALL, **sizes)
    large = make_network(after)
    assert isinstance(large, GoNetwork)
    large.load_state_dict(grow(small.state_dict(), SMALL, after))
    *heads, first, second = outputs(small)
    *grown_heads, grown_first, grown_second = outputs(large)
    for old, new in zip(heads, grown_heads, strict=True):
        torch.testing.assert_close(new, old, rtol=1e-4, atol=1e-4)
    copies = torch.arange(after.channels) % SMALL.channels
    torch.testing.assert_close(grown_first, first[:, copies], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(grown_second, second[:, copies], rtol=1e-4, atol=1e-4)


def test_copies_of_a_channel_learn_different_things(small: GoNetwork) -> None:
    """Their gradients differ, so that the wider network uses its width."""
    after = dataclasses.replace(SMALL, channels=32)
    large = make_network(after)
    assert isinstance(large, GoNetwork)
    large.load_state_dict(grow(small.state_dict(), SMALL, after))
    output = large.initial(torch.rand(2, SMALL.observation_size, 7, 7))
    (output.policy_logits.square().mean() + output.value_logits.square().mean()).backward()
    for block in large.representation.blocks:
        gradient = block.conv1.weight.grad  # type: ignore[union-attr]
        assert isinstance(gradient, Tensor)
        ours, copies = gradient[:16], gradient[16:]
        assert ((ours - copies).abs().amax((1, 2, 3)) > 0.01 * ours.abs().mean()).float().mean() > 0.8


def test_a_new_block_learns(small: GoNetwork) -> None:
    """It adds nothing, but has a gradient that will make it."""
    after = dataclasses.replace(SMALL, representation_blocks=3)
    large = make_network(after)
    assert isinstance(large, GoNetwork)
    large.load_state_dict(grow(small.state_dict(), SMALL, after))
    large.initial(torch.rand(2, SMALL.observation_size, 7, 7)).value_logits.square().mean().backward()
    gradient = large.representation.blocks[2].conv2.weight.grad  # type: ignore[union-attr]
    assert isinstance(gradient, Tensor)
    assert gradient.abs().max() > 0


@pytest.mark.parametrize(
    ("before", "after", "name"),
    [
        (SMALL, dataclasses.replace(SMALL, channels=8), "channels"),
        (SMALL, dataclasses.replace(SMALL, dynamics_blocks=0), "dynamics_blocks"),
        (SMALL, dataclasses.replace(SMALL, observation_size=30), "observation_size"),
        (SMALL, dataclasses.replace(SMALL, channels=8, observation_size=30), r"observation_size = .*channels"),
        (NetworkConfig(kind="vector", channels=16), NetworkConfig(kind="vector", channels=32), "channels"),
    ],
)
def test_what_cannot_grow_is_named(before: NetworkConfig, after: NetworkConfig, name: str) -> None:
    with pytest.raises(InvalidConfig, match=rf"network\.{name} = "):
        grow({}, before, after)


def test_the_same_size_is_the_same_network(small: GoNetwork) -> None:
    grown = grow(small.state_dict(), SMALL, dataclasses.replace(SMALL))
    assert all(torch.equal(tensor, grown[name]) for name, tensor in small.state_dict().items())
