"""A larger network that computes exactly what a smaller one does, to go on learning from there (Chen, Goodfellow and
Shlens 2016, "Net2Net").

A wider layer repeats its channels; what reads them shares each weight out among the copies, in unequal random parts, so
that the copies learn different things. A block that is added adds nothing yet. Knows nothing of checkpoints.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from engine.errors import InvalidConfig
from trainer.network import NetworkConfig, make_network

SIZES = frozenset({"channels", "head_channels", "representation_blocks", "dynamics_blocks"})
"""The settings of a network that may grow."""
LEAST_PART = 0.5
"""Parts of a weight are drawn from here to 1, before they are scaled to make the whole."""
POOLED_LAYERS = frozenset({"pooled", "policy_pooled", "policy_pass", "value_hidden"})
"""Layers that read what `trainer.network.pool` makes of the channels ..."""
POOLED_SEGMENTS = 3
"""... which names each of them so many times."""


def grow(weights: dict[str, Tensor], before: NetworkConfig, after: NetworkConfig) -> dict[str, Tensor]:
    """Weights of a network `after` that computes what `weights` of a network `before` do.

    Random parts and what new blocks begin with come from torch's global generator. Raises `InvalidConfig` where `after`
    is smaller or another network, or where a network without planes differs in size.
    """
    _check_growth(before, after)
    if before == after:
        return weights
    grown = make_network(after).state_dict()
    for name, fresh in grown.items():
        if name in weights:
            segments = POOLED_SEGMENTS if name.split(".")[-2] in POOLED_LAYERS else 1
            grown[name] = _widen(weights[name], fresh.shape, segments=segments)
        elif ".conv2." in name:
            grown[name] = torch.zeros_like(fresh)
    return grown


def _widen(weight: Tensor, shape: torch.Size, *, segments: int) -> Tensor:
    """`weight` [out, ...] or [out, in, ...] with outputs repeated and inputs shared out; inputs come in `segments` that
    repeat alike."""
    weight = weight[torch.arange(shape[0]) % len(weight)]
    if weight.dim() == 1 or weight.shape[1] == shape[1]:
        return weight
    old, new = weight.shape[1] // segments, shape[1] // segments
    source = torch.arange(new) % old
    parts = torch.empty(shape[0], segments, new).uniform_(LEAST_PART, 1.0)
    whole = torch.zeros(shape[0], segments, old).index_add_(2, source, parts)
    parts = (parts / whole[:, :, source]).reshape(shape[0], shape[1], *[1] * (weight.dim() - 2))
    columns = torch.cat([segment * old + source for segment in range(segments)])
    return weight[:, columns] * parts


def _check_growth(before: NetworkConfig, after: NetworkConfig) -> None:
    problems = []
    for field in dataclasses.fields(NetworkConfig):
        old, new = getattr(before, field.name), getattr(after, field.name)
        can_grow = field.name in SIZES and before.kind == "go"
        if old != new and not (can_grow and old < new):
            wish = "it may only grow" if can_grow else "it must be the same"
            problems.append(f"network.{field.name} = {old!r}, this run {new!r}: {wish}")
    if problems:
        raise InvalidConfig(f"the checkpoint has {'; '.join(problems)}")
