"""Scalars as categorical distributions over a fixed support (MuZero, appendix F).

Go's win/draw/loss head is the smallest case: three atoms at -1, 0, +1. Games with rewards use more atoms and the
compressing transform of Pohlen et al. 2018. Pure functions of tensors; knows nothing of networks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from msgspec import Meta
from torch import Tensor

from engine.errors import InvalidConfig

EPSILON = 0.001
"""Slope of the compressing transform far from zero, so that it has an inverse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Support:
    """An evenly spaced support for a scalar."""

    low: float = -1.0
    """Smallest atom, after the transform."""
    high: float = 1.0
    """Largest atom, after the transform."""
    bins: Annotated[int, Meta(ge=2)] = 3
    """Number of atoms, at least 2."""
    compress: bool = False
    """Whether scalars pass h(x) = sign(x) (sqrt(|x| + 1) - 1) + 0.001 x before they are binned."""

    def __post_init__(self) -> None:
        """Raises `InvalidConfig` for a support without extent."""
        if not self.low < self.high:
            raise InvalidConfig(f"support from {self.low} to {self.high}: low must be less than high")

    def atoms(self, *, device: torch.device | None = None) -> Tensor:
        """[bins] float32."""
        return torch.linspace(self.low, self.high, self.bins, device=device)

    def transform(self, scalar: Tensor) -> Tensor:
        """Scalars as the atoms have them."""
        return compress(scalar) if self.compress else scalar

    def encode(self, scalar: Tensor) -> Tensor:
        """Two-hot distribution [..., bins] of scalars [...]; values outside the support are clamped to its ends."""
        x = self.transform(scalar)
        position = (x.clamp(self.low, self.high) - self.low) * ((self.bins - 1) / (self.high - self.low))
        lower = position.floor().clamp(max=self.bins - 2)
        weight = position - lower
        distribution = torch.zeros(*scalar.shape, self.bins, dtype=x.dtype, device=x.device)
        index = lower.long().unsqueeze(-1)
        distribution.scatter_(-1, index, (1 - weight).unsqueeze(-1))
        distribution.scatter_(-1, index + 1, weight.unsqueeze(-1))
        return distribution

    def decode(self, logits: Tensor) -> Tensor:
        """Expected scalar [...] of logits [..., bins]."""
        expected = (torch.softmax(logits, dim=-1) * self.atoms(device=logits.device)).sum(-1)
        return expand(expected) if self.compress else expected


def compress(x: Tensor) -> Tensor:
    """h(x) of Pohlen et al. 2018, eq. 9."""
    return torch.sign(x) * (torch.sqrt(torch.abs(x) + 1) - 1) + EPSILON * x


def expand(y: Tensor) -> Tensor:
    """The exact inverse of `compress`, without the usual form's difference of near equals, which costs float32 four
    digits."""
    shifted = torch.abs(y) + 1 + EPSILON
    root = 2 * shifted / (1 + torch.sqrt(1 + 4 * EPSILON * shifted))
    return torch.sign(y) * (root * root - 1)
