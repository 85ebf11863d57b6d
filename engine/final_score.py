"""Who owns what at the end: `FinalScore` by the rules, or estimated from the network's ownership.

Knows boards and arrays of ownership, not where the latter come from.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from engine.go import tables
from engine.go.position import Position
from engine.go.rules import EMPTY, Scoring

OWNED: Final = 0.3
"""Ownership beyond which an empty point counts as owned, and a chain as dead."""

Source = Literal["rules", "network", "board"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalScore:
    """A score of a position."""

    points: float
    """Black - White - komi - handicap compensation; > 0: Black wins."""
    source: Source
    """"rules": the game is over, this is its score. "network": estimated from the network's ownership. "board": the
    board as it stands, where the network does not judge ownership."""
    ownership: tuple[int, ...]
    """[size * size] who is taken to own each point: BLACK, WHITE or EMPTY (0)."""
    dead: frozenset[int]
    """Points of the stones that are counted as dead; by the rules for area what stands is alive."""


def has_exact_score(position: Position) -> bool:
    """Whether the rules alone give the score: two passes, and area counts."""
    return position.is_over and position.rules.scoring == Scoring.AREA


def exact_score(position: Position) -> FinalScore:
    """The score of a game that is over, by area."""
    return _by_area(position, "rules", position.area_ownership(), frozenset())


def estimated_score(position: Position, judged: NDArray[np.float32] | None) -> FinalScore:
    """The score that `judged` [A], the network's ownership in Black's view, implies; None: the board as it stands."""
    if judged is None:
        return _by_area(position, "board", position.area_ownership(), frozenset())
    dead = dead_stones(position, judged)
    if position.is_over and position.rules.scoring == Scoring.TERRITORY:
        ownership = tuple(position.area_ownership(dead).tolist())
        return FinalScore(points=position.territory_score(dead), source="network", ownership=ownership, dead=dead)
    return _by_area(position, "network", owners(position, judged, dead), dead)


def dead_stones(position: Position, judged: NDArray[np.float32]) -> frozenset[int]:
    """The points of the chains that `judged` [A], Black's view, gives to the opponent, on average over the chain."""
    dead: set[int] = set()
    for chain in chains(position):
        if float(judged[chain].mean()) * int(position.stones[chain[0]]) < -OWNED:
            dead.update(chain)
    return frozenset(dead)


def chains(position: Position) -> list[list[int]]:
    """The points of each chain, ascending, in the order of their first points."""
    stones, neighbors = position.stones, tables.point_neighbors(position.size)
    found: list[list[int]] = []
    seen = np.zeros(position.area, dtype=bool)
    for start in np.flatnonzero(stones).tolist():
        if seen[start]:
            continue
        chain = [start]
        seen[start] = True
        for point in chain:  # grows while it is read
            for near in neighbors[point].tolist():
                if near >= 0 and not seen[near] and stones[near] == stones[start]:
                    seen[near] = True
                    chain.append(near)
        found.append(sorted(chain))
    return found


def owners(position: Position, judged: NDArray[np.float32], dead: Collection[int]) -> NDArray[np.int8]:
    """[A] int8 who owns each point: living stones their own, dead ones the opponent's, empty ones as `judged` says."""
    stones = position.stones
    empty = np.where(np.abs(judged) > OWNED, np.sign(judged), 0).astype(np.int8)
    owner = np.where(stones != EMPTY, stones, empty)
    owner[list(dead)] *= -1
    return owner


def _by_area(position: Position, source: Source, ownership: NDArray[np.int8], dead: frozenset[int]) -> FinalScore:
    points = float(ownership.sum(dtype=np.int32)) - position.effective_komi
    return FinalScore(points=points, source=source, ownership=tuple(ownership.tolist()), dead=dead)
