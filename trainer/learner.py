"""One optimiser: AdamW with warm-up and two drops, gradient clipping, averaged weights."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn

from engine.errors import EvaluationError
from trainer.config import LearnerConfig
from trainer.losses import compute_losses
from trainer.named_parts import part_of
from trainer.network import Network
from trainer.windows import Windows

DROPS = ((0.6, 0.3), (0.85, 0.1))
"""(share of the run, factor on the learning rate from there on)."""


def learning_rate(step: int, config: LearnerConfig) -> float:
    """Rate of step `step` (0-based): linear warm-up, then the drops."""
    rate = config.learning_rate * min(1.0, (step + 1) / max(config.warmup_steps, 1))
    progress = step / max(config.total_steps, 1)
    factor = 1.0
    for share, drop in DROPS:
        if progress >= share:
            factor = drop
    return rate * factor


class Learner:
    """A network, its averaged copy and their optimiser."""

    def __init__(self, network: Network, config: LearnerConfig, *, device: str = "cpu") -> None:
        self.network = network.to(device)
        self.averaged = copy.deepcopy(network).eval().requires_grad_(False)
        self.config = config
        self.step_count = 0
        """Optimiser steps taken."""
        self._device = device
        decayed = [p for p in network.parameters() if p.dim() > 1]
        plain = [p for p in network.parameters() if p.dim() <= 1]
        groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": plain, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=config.learning_rate)

    def step(self, *parts: Windows) -> dict[str, float]:
        """One optimiser step on a batch, given in parts of one board size each; returns the weighted loss terms, their
        sum and the gradient norm.

        Raises `EvaluationError` when the loss or its gradient is not finite; weights are then unchanged.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step_count, self.config)
        self.optimizer.zero_grad(set_to_none=True)
        batch = sum(len(part.observation) for part in parts)
        terms: dict[str, Tensor] = {}
        for part in parts:
            share = len(part.observation) / batch
            for name, value in self._add_gradient(part, share).items():
                terms[name] = terms[name] + value if name in terms else value
        terms["grad_norm"] = nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip_norm)
        # Read all at once: every number that is read waits for the device.
        figures: dict[str, float] = dict(zip(terms, torch.stack(list(terms.values())).tolist(), strict=True))
        for name, what in (("total", "loss"), ("grad_norm", "gradient")):
            if not math.isfinite(figures[name]):
                raise EvaluationError(
                    f"the {what} is not finite at step {self.step_count}: {figures}; "
                    "go on from the last checkpoint, and lower learner.learning_rate or learner.clip_norm"
                )
        self.optimizer.step()
        self.step_count += 1
        self._average()
        return figures

    def _add_gradient(self, windows: Windows, share: float) -> dict[str, Tensor]:
        """Adds the gradient of `share` times the losses of `windows`; returns these products and their sum."""
        precision = getattr(torch, self.config.precision)
        losses = compute_losses(self.network, windows.to(self._device), self.config, precision=precision)
        total: Tensor = share * torch.stack(list(losses.values())).sum()
        total.backward()
        return {name: share * loss.detach() for name, loss in losses.items()} | {"total": total.detach()}

    @torch.no_grad()
    def _average(self) -> None:
        """Moves the averaged weights; early on the average is short, so that it forgets the random start."""
        decay = min(self.config.ema_decay, self.step_count / (self.step_count + 9.0))
        averaged, current = list(self.averaged.parameters()), list(self.network.parameters())
        torch._foreach_lerp_(averaged, current, 1.0 - decay)

    def state(self) -> dict[str, Tensor]:
        """Weights, averaged weights and moments as named tensors, for a checkpoint."""
        tensors = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        tensors |= {f"averaged.{k}": v for k, v in self.averaged.state_dict().items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{k}": v for k, v in moments.items()}
        return tensors

    def load_state(self, tensors: dict[str, Tensor], *, step_count: int) -> None:
        """The inverse of `state`."""
        self.network.load_state_dict(part_of(tensors, "network."))
        self.averaged.load_state_dict(part_of(tensors, "averaged."))
        moments: dict[int, dict[str, Any]] = {}
        for key, value in part_of(tensors, "optimizer.").items():
            index, name = key.split(".", 1)
            moments.setdefault(int(index), {})[name] = value
        state = self.optimizer.state_dict()
        state["state"] = moments
        self.optimizer.load_state_dict(state)
        self.step_count = step_count
