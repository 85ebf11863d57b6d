"""The learned model: representation, dynamics and prediction networks.

`GoNetwork` is fully convolutional with global pooling, so that one set of weights plays every board size.
`VectorNetwork` is the same three functions as multilayer perceptrons, for vector observations.
Values, scores and ownership are from the first player's (Black's) view. No batch norm: a sample's output never
depends on its batch. Knows nothing of targets, losses or files.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.go.features import NUM_ACTION_PLANES
from trainer.ranges import Count, Positive
from trainer.support import Support

SCORE_UNIT = 10.0
"""Points per unit of the raw score outputs, so that the heads work near 1."""
BOARD_CLASSES = 3
"""Empty, Black, White."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """Shape of a network; stored in checkpoints and manifests."""

    kind: Literal["go", "vector"] = "go"
    """"go" (convolutional, planes in) or "vector" (multilayer perceptron, vector in)."""
    observation_size: Positive = 24
    """Planes of a Go observation, or length of a vector observation."""
    num_actions: Count = 0
    """Actions of a vector environment; 0 for Go, where the board decides."""
    channels: Positive = 32
    """Channels (Go) or width (vector) of the hidden state; multiples of 8 run fastest."""
    representation_blocks: Count = 3
    """Residual blocks of the representation network."""
    dynamics_blocks: Count = 2
    """Residual blocks of the dynamics network, which runs once a simulation."""
    head_channels: Positive = 16
    """Channels of the heads."""
    value: Support = field(default_factory=Support)
    """Support of the value; the default is loss / draw / win."""
    reward: Support | None = None
    """Support of the reward; None for games that only pay at the end."""


class NetworkOutput(NamedTuple):
    """What one inference returns; Go-only and optional heads are None where they do not apply or were not asked."""

    hidden: Tensor
    """[B, C, H, W] in [0, 1], or [B, C] in [-1, 1]."""
    policy_logits: Tensor
    """[B, A]; for Go A = H * W + 1, pass last."""
    value_logits: Tensor
    """[B, value bins]."""
    reward_logits: Tensor | None = None
    """[B, reward bins], of the step that led to this state."""
    score: Tensor | None = None
    """[B, 2]: the final score to expect, in points, Black's view, komi included, and how far off that will be: the mean
    absolute error, not the standard deviation after which model files call it `score_stdev`; see `trainer.losses`."""
    ownership: Tensor | None = None
    """[B, H, W] in [-1, 1]."""
    board_logits: Tensor | None = None
    """[B, 3, H, W]: empty, Black, White."""
    legal_logits: Tensor | None = None
    """[B, H * W]: legality of each point for the player to move."""
    terminal_logit: Tensor | None = None
    """[B]: is the game over?"""


def scale_hidden(hidden: Tensor, mask: Tensor | None = None) -> Tensor:
    """Min-max scales each sample to [0, 1] (MuZero, appendix G); off-board points become 0.

    `hidden` [B, C, H, W] or [B, C]; `mask` [B, 1, H, W] with 1 on the board, or None for all ones.
    """
    dims = tuple(range(1, hidden.dim()))
    if mask is None:
        low, high = torch.amin(hidden, dims, keepdim=True), torch.amax(hidden, dims, keepdim=True)
        return (hidden - low) / (high - low + 1e-5)
    off_board = (1 - mask) * 1e9
    low, high = torch.amin(hidden + off_board, dims, keepdim=True), torch.amax(hidden - off_board, dims, keepdim=True)
    return (hidden - low) / (high - low + 1e-5) * mask


def pool(x: Tensor, mask: Tensor | None = None) -> Tensor:
    """Global pooling [B, C, H, W] -> [B, 3C]: mean, mean scaled by board width, max (Wu 2019, section 3.3).

    `x` is non-negative and 0 off the board, so that only the mean needs the mask.
    """
    if mask is None:
        mean, width = x.mean((2, 3)), torch.full((), 1.0, device=x.device) * x.shape[3]
    else:
        area = mask.sum((2, 3))
        mean, width = x.sum((2, 3)) / area, torch.sqrt(area)
    return torch.cat([mean, mean * ((width - 9.0) * 0.1), torch.amax(x, (2, 3))], dim=1)


def in_fast_layout(observation: Tensor) -> Tensor:
    """`observation`; on CUDA with the channels of boards last, as tensor cores read them and all that follows keeps."""
    is_board = observation.is_cuda and observation.dim() == 4
    return observation.contiguous(memory_format=torch.channels_last) if is_board else observation


def masked(x: Tensor, mask: Tensor | None) -> Tensor:
    """`x` with its off-board points set to 0."""
    return x if mask is None else x * mask


def fixed_variance_(layer: nn.Conv2d | nn.Linear, *, gain: float = 1.0) -> None:
    """He initialisation times `gain`; biases 0."""
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    with torch.no_grad():
        layer.weight.mul_(gain)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(relu(x)) [+ bias from the pooled board])); the second convolution starts small."""

    def __init__(self, channels: int, *, pooled: bool, gain: float) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.pooled = nn.Linear(3 * channels, channels) if pooled else None
        fixed_variance_(self.conv1)
        fixed_variance_(self.conv2, gain=gain)
        if self.pooled is not None:
            fixed_variance_(self.pooled, gain=0.5)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        active = torch.relu(x)
        inner = self.conv1(active)
        if self.pooled is not None:
            inner = inner + self.pooled(pool(active, mask))[:, :, None, None]
        return x + masked(self.conv2(masked(torch.relu(inner), mask)), mask)


class Tower(nn.Module):
    """Residual blocks; every second one sees the whole board through global pooling."""

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        gain = 0.5 / math.sqrt(max(blocks, 1))
        self.blocks = nn.ModuleList(ResidualBlock(channels, pooled=i % 2 == 1, gain=gain) for i in range(blocks))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        for block in self.blocks:
            x = block(x, mask)
        return x


class GoHeads(nn.Module):
    """The prediction network, and the auxiliary heads that shape the hidden state in training."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        c, h = config.channels, config.head_channels
        self.policy_conv = nn.Conv2d(c, h, 1)
        self.policy_pooled = nn.Linear(3 * c, h)
        self.policy_point = nn.Conv2d(h, 1, 1)
        self.policy_pass = nn.Linear(3 * h, 1)
        self.value_conv = nn.Conv2d(c, 2 * h, 1)
        self.value_hidden = nn.Linear(6 * h, 4 * h)
        self.value_out = nn.Linear(4 * h, config.value.bins)
        self.score_out = nn.Linear(4 * h, 2)
        self.terminal_out = nn.Linear(4 * h, 1)
        self.ownership_out = nn.Conv2d(2 * h, 1, 1)
        self.board_conv = nn.Conv2d(c, h, 1)
        self.board_out = nn.Conv2d(h, BOARD_CLASSES, 1)
        self.legal_out = nn.Conv2d(h, 1, 1)
        for layer in self.children():
            assert isinstance(layer, nn.Conv2d | nn.Linear)
            fixed_variance_(layer)
        for layer in (self.policy_point, self.policy_pass, self.value_out, self.score_out, self.ownership_out):
            fixed_variance_(layer, gain=0.1)

    def policy(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """Policy logits [B, H * W + 1]; off-board points get -1e9."""
        bias = self.policy_pooled(pool(hidden, mask))[:, :, None, None]
        planes = masked(torch.relu(self.policy_conv(hidden) + bias), mask)
        points = self.policy_point(planes)
        if mask is not None:
            points = points - (1 - mask) * 1e9
        return torch.cat([points.flatten(1), self.policy_pass(pool(planes, mask))], dim=1)

    def value_features(self, hidden: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Point features [B, 2h, H, W] and pooled features [B, 4h] that value, score, ownership and end share."""
        planes = masked(torch.relu(self.value_conv(hidden)), mask)
        return planes, torch.relu(self.value_hidden(pool(planes, mask)))

    def forward(self, hidden: Tensor, mask: Tensor | None, *, auxiliary: bool) -> NetworkOutput:
        planes, pooled = self.value_features(hidden, mask)
        output = NetworkOutput(hidden, self.policy(hidden, mask), self.value_out(pooled))
        if not auxiliary:
            return output
        mean, spread = self.score_out(pooled).unbind(1)
        score = torch.stack([mean * SCORE_UNIT, F.softplus(spread) * SCORE_UNIT], dim=1)
        board = torch.relu(self.board_conv(hidden))
        return output._replace(
            score=score,
            ownership=torch.tanh(self.ownership_out(planes)).squeeze(1),
            board_logits=self.board_out(board),
            legal_logits=self.legal_out(board).flatten(1),
            terminal_logit=self.terminal_out(pooled).squeeze(1),
        )


class GoNetwork(nn.Module):
    """MuZero's model of Go: observation planes in, hidden state [B, C, H, W] inside."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        c = config.channels
        self.representation_in = nn.Conv2d(config.observation_size, c, 3, padding=1)
        self.representation = Tower(c, config.representation_blocks)
        self.dynamics_hidden = nn.Conv2d(c, c, 3, padding=1)
        self.dynamics_action = nn.Conv2d(NUM_ACTION_PLANES, c, 3, padding=1, bias=False)
        self.dynamics = Tower(c, config.dynamics_blocks)
        self.heads = GoHeads(config)
        self.projection = nn.Sequential(nn.Conv2d(c, c, 1), nn.ReLU(), nn.Conv2d(c, c, 1))
        fixed_variance_(self.representation_in)
        fixed_variance_(self.dynamics_hidden, gain=0.5)
        fixed_variance_(self.dynamics_action)

    def represent(self, observation: Tensor, mask: Tensor | None = None) -> Tensor:
        """Hidden state of observations [B, planes, H, W]."""
        x = masked(self.representation_in(observation), mask)
        return scale_hidden(self.representation(x, mask), mask)

    def imagine(self, hidden: Tensor, action_planes: Tensor, mask: Tensor | None = None) -> Tensor:
        """Hidden state after the actions [B, 4, H, W]; identity skip: x = h + conv([h, a])."""
        x = hidden + masked(self.dynamics_hidden(hidden) + self.dynamics_action(action_planes), mask)
        return scale_hidden(self.dynamics(x, mask), mask)

    def predict(self, hidden: Tensor, *, mask: Tensor | None = None, auxiliary: bool = False) -> NetworkOutput:
        """The heads of hidden states: policy and value, and the `auxiliary` ones on demand."""
        output: NetworkOutput = self.heads(hidden, mask, auxiliary=auxiliary)
        return output

    def initial(self, observation: Tensor, *, mask: Tensor | None = None, auxiliary: bool = False) -> NetworkOutput:
        """`initial_inference`; `mask` [B, 1, H, W] is needed only where boards are padded to a common size."""
        return self.predict(self.represent(observation, mask), mask=mask, auxiliary=auxiliary)

    def recurrent(
        self, hidden: Tensor, action_planes: Tensor, *, mask: Tensor | None = None, auxiliary: bool = False
    ) -> NetworkOutput:
        """`recurrent_inference`: one imagined step."""
        return self.predict(self.imagine(hidden, action_planes, mask), mask=mask, auxiliary=auxiliary)


def perceptron(*widths: int, out_gain: float = 1.0) -> nn.Sequential:
    """Linear layers with ReLU between them."""
    layers: list[nn.Module] = []
    for i, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
        linear = nn.Linear(inputs, outputs)
        is_last = i == len(widths) - 2
        fixed_variance_(linear, gain=out_gain if is_last else 1.0)
        layers += [linear] if is_last else [linear, nn.ReLU()]
    return nn.Sequential(*layers)


class VectorNetwork(nn.Module):
    """MuZero's model for vector observations: hidden state [B, C] in [-1, 1].

    tanh instead of min-max scaling: on TicTacToe it learned to see a finished game in half the steps.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        c, inner = config.channels, 2 * config.channels
        self.representation = perceptron(config.observation_size, *[inner] * config.representation_blocks, c)
        self.dynamics = perceptron(c + config.num_actions, *[inner] * config.dynamics_blocks, c)
        self.policy = perceptron(c, inner, config.num_actions, out_gain=0.1)
        self.value = perceptron(c, inner, config.value.bins, out_gain=0.1)
        self.reward = (
            perceptron(c + config.num_actions, inner, config.reward.bins, out_gain=0.1) if config.reward else None
        )
        self.projection = perceptron(c, c, c)

    def represent(self, observation: Tensor, mask: Tensor | None = None) -> Tensor:
        """Hidden state of observations [B, D]; `mask` is not used."""
        return torch.tanh(self.representation(observation))

    def imagine(self, hidden: Tensor, action_planes: Tensor, mask: Tensor | None = None) -> Tensor:
        """Hidden state after one-hot actions [B, A]."""
        return torch.tanh(hidden + self.dynamics(torch.cat([hidden, action_planes], 1)))

    def predict(self, hidden: Tensor, *, mask: Tensor | None = None, auxiliary: bool = False) -> NetworkOutput:
        """Policy and value of hidden states; there are no auxiliary heads."""
        return NetworkOutput(hidden, self.policy(hidden), self.value(hidden))

    def initial(self, observation: Tensor, *, mask: Tensor | None = None, auxiliary: bool = False) -> NetworkOutput:
        """`initial_inference`; there are no auxiliary heads."""
        return self.predict(self.represent(observation))

    def recurrent(
        self, hidden: Tensor, action_planes: Tensor, *, mask: Tensor | None = None, auxiliary: bool = False
    ) -> NetworkOutput:
        """`recurrent_inference`: one imagined step and its reward."""
        output = self.predict(self.imagine(hidden, action_planes))
        if self.reward is None:
            return output
        return output._replace(reward_logits=self.reward(torch.cat([hidden, action_planes], 1)))


Network = GoNetwork | VectorNetwork


def make_network(config: NetworkConfig) -> Network:
    """The network that `config` describes, freshly initialised from torch's global generator."""
    return GoNetwork(config) if config.kind == "go" else VectorNetwork(config)
