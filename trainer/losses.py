"""The loss of one batch of unrolled windows: MuZero's terms, and what a Go board has to teach besides.

A pure function of a network and `Windows`. State 0 counts 1, each of the K imagined states 1/K; the gradient is halved
at every dynamics step (MuZero, appendix G).
"""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor
from torch.nn import functional as F

from trainer.config import LearnerConfig
from trainer.network import SCORE_UNIT, Network, NetworkOutput, in_fast_layout
from trainer.windows import GoTargets, Windows


def unroll(network: Network, windows: Windows) -> tuple[list[Tensor], list[Tensor]]:
    """Imagines every window: the K + 1 hidden states, and the first K of them with the gradient of a step halved."""
    hidden = network.represent(in_fast_layout(windows.observation))
    states, halved = [hidden], []
    for planes in windows.action_planes:
        hidden = hidden.mul(0.5) + hidden.detach().mul(0.5)
        halved.append(hidden)
        hidden = network.imagine(hidden, planes)
        states.append(hidden)
    return states, halved


def compute_losses(
    network: Network, windows: Windows, config: LearnerConfig, *, precision: torch.dtype = torch.float32
) -> dict[str, Tensor]:
    """Weighted loss terms by name; their sum is what the learner minimises.

    Representation, dynamics and projection compute in `precision`, heads and losses always in float32.
    """
    is_coarse = precision != torch.float32
    with torch.autocast(windows.observation.device.type, precision) if is_coarse else nullcontext():
        states, halved = unroll(network, windows)
        consistency = _consistency(network, windows, states) if windows.future_steps else None
    output = network.predict(torch.cat(states).float().contiguous(), auxiliary=True)
    batch, steps = len(windows.observation), len(states) - 1
    step_weight = torch.full((steps + 1, 1), 1.0 / max(steps, 1))
    step_weight[0] = 1.0
    step_weight = step_weight.to(windows.value) / batch
    policy = _cross_entropy(output.policy_logits, windows.policy).view(steps + 1, batch)
    value = _cross_entropy(output.value_logits, network.config.value.encode(windows.value)).view(steps + 1, batch)
    outcome_weight = windows.value_weight.T * step_weight
    losses = {
        "policy": config.policy_weight * (policy * windows.policy_weight.T * step_weight).sum(),
        "value": config.value_weight * (value * outcome_weight).sum(),
    }
    if network.config.reward is not None and halved:
        steps_taken = torch.cat([torch.cat(halved).float(), windows.action_planes.flatten(0, 1)], 1)
        logits = network.reward(steps_taken)  # type: ignore[union-attr,operator]
        reward = _cross_entropy(logits, network.config.reward.encode(windows.reward)).view(steps, batch)
        losses["reward"] = config.reward_weight * (reward * windows.reward_weight.T * step_weight[1:]).sum()
    if windows.go is not None:
        losses |= _go_losses(output, windows.go, step_weight, outcome_weight, config)
    if consistency is not None:
        losses["consistency"] = config.consistency_weight * consistency
    return losses


def _cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """[S B] cross-entropy of state-major logits [S B, n] against targets [B, S, n]."""
    return -(target.transpose(0, 1).flatten(0, 1) * F.log_softmax(logits, -1)).sum(-1)


def _go_losses(
    output: NetworkOutput, go: GoTargets, step_weight: Tensor, outcome_weight: Tensor, config: LearnerConfig
) -> dict[str, Tensor]:
    """Score, ownership, board, legality and end of the game.

    `step_weight` [K + 1, 1] weighs what the rules teach, `outcome_weight` [K + 1, B] what only the game's end tells.

    The second number of the score learns the absolute error of the first: where scores vary normally it comes to four
    fifths of a standard deviation. Both are Huber losses: errors beyond `SCORE_UNIT` count less than in a mean.
    """
    states, batch = step_weight.shape[0], go.score.shape[0]
    assert output.score is not None
    assert output.ownership is not None
    assert output.board_logits is not None
    assert output.legal_logits is not None
    assert output.terminal_logit is not None
    mean, spread = output.score.view(states, batch, 2).unbind(-1)
    error = mean - go.score
    score = F.huber_loss(mean, go.score.expand_as(mean), delta=SCORE_UNIT, reduction="none") / SCORE_UNIT
    spread_loss = F.huber_loss(spread, error.detach().abs(), delta=SCORE_UNIT, reduction="none") / SCORE_UNIT
    ownership = (output.ownership.view(states, batch, -1) - go.ownership).square().mean(-1)
    board = F.cross_entropy(output.board_logits.flatten(2), go.board.transpose(0, 1).flatten(0, 1), reduction="none")
    legal_target = go.legal.transpose(0, 1).flatten(0, 1)
    legal = F.binary_cross_entropy_with_logits(output.legal_logits, legal_target, reduction="none").mean(-1)
    terminal_target = go.terminal.T
    terminal = F.binary_cross_entropy_with_logits(
        output.terminal_logit.view(states, batch), terminal_target, reduction="none"
    )
    return {
        "score": config.score_weight * ((score + 0.5 * spread_loss) * outcome_weight).sum(),
        "ownership": config.ownership_weight * (ownership * outcome_weight).sum(),
        "board": config.board_weight * (board.mean(-1).view(states, batch) * step_weight).sum(),
        "legal": config.legal_weight * (legal.view(states, batch) * (1 - terminal_target) * step_weight).sum(),
        "terminal": config.terminal_weight * (terminal * step_weight).sum(),
    }


def _consistency(network: Network, windows: Windows, states: list[Tensor]) -> Tensor:
    """Mean of 1 - cos(projection of the imagined state, representation of the real one), EfficientZero section 4.1."""
    with torch.no_grad():
        real = network.represent(in_fast_layout(windows.future_observations.flatten(0, 1))).flatten(1)
    imagined = network.projection(torch.cat([states[k] for k in windows.future_steps])).flatten(1)
    weight = windows.future_weight.flatten()
    return ((1 - F.cosine_similarity(imagined.float(), real.float(), dim=1)) * weight).sum() / weight.sum().clamp(
        min=1.0
    )
