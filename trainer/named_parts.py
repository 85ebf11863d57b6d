"""Named arrays and tensors kept together: the part of a name before a dot or slash says to whom they belong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")


def part_of(named: Mapping[str, T], prefix: str) -> dict[str, T]:
    """The entries whose names begin with `prefix`, without it."""
    return {name.removeprefix(prefix): value for name, value in named.items() if name.startswith(prefix)}
