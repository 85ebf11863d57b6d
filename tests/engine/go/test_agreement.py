"""Random games: the batch kernels against sgfmill's board and plain sets of positions, every size from 2 to 19."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from engine.go.batch import GoBatch
from engine.go.rules import KoRule, RuleSet
from tests.support.go_referee import Referee

ALL_RULES = [RuleSet(ko=ko, suicide=suicide) for ko, suicide in itertools.product(KoRule, (False, True))]


def random_action(mask: np.ndarray, rng: np.random.Generator) -> int:
    """A legal action at random; a pass one time in twenty, or when there is nothing else."""
    points = np.flatnonzero(mask[:-1])
    if len(points) == 0 or rng.random() < 0.05:
        return len(mask) - 1
    return int(rng.choice(points))


def disagreement(size: int, referees: list[Referee], batch: GoBatch, game: int, mask: np.ndarray) -> str:
    """What game `game` of the batch and its referee see differently, with both boards; empty if nothing."""
    referee = referees[game]
    found = []
    if not np.array_equal(referee.stones(), batch.stones[game]):
        found.append("stones")
    if not np.array_equal(referee.legal_mask(), mask):
        found.append(f"legal: {np.flatnonzero(referee.legal_mask() != mask)}")
    if referee.area_score() != batch.area_ownership()[game].sum():
        found.append("area score")
    if not found:
        return ""
    boards = f"{referee.stones().reshape(size, size)}\n\n{batch.stones[game].reshape(size, size)}"
    return f"size {size}, {referee.ko.name}, suicide {referee.suicide}: {', '.join(found)}\n{boards}"


def check_games(size: int, *, rounds: int, plies: int, check_every: int, seed: int) -> int:
    """Plays one batch of a game per rule set `rounds` times, asserts agreement, returns the positions compared."""
    rng = np.random.default_rng(seed)
    compared = 0
    for _ in range(rounds):
        batch = GoBatch(num_games=len(ALL_RULES), size=size, max_plies=plies)
        referees = [Referee(size, ko=rules.ko, suicide=rules.suicide) for rules in ALL_RULES]
        for game, rules in enumerate(ALL_RULES):
            batch.set_rules(rules, np.array([game]))
        for ply in range(plies):
            masks = batch.legal_mask()
            actions = np.full(len(referees), size * size, dtype=np.int32)
            for game, referee in enumerate(referees):
                if batch.finished[game]:
                    continue
                if ply % check_every == 0:
                    problem = disagreement(size, referees, batch, game, masks[game])
                    assert not problem, f"ply {ply}, {problem}"
                    compared += 1
                actions[game] = random_action(masks[game], rng)
                referee.play(int(actions[game]))
            batch.play(actions)
    return compared


@pytest.mark.parametrize("size", [2, 3, 4, 5, 9])
def test_sample_of_random_games_agrees(size: int) -> None:
    compared = check_games(size, rounds=1, plies=60, check_every=1 if size < 9 else 6, seed=size)
    assert compared >= 20


SLOW_PLAN = {
    2: (60, 60, 1),
    3: (20, 80, 1),
    4: (10, 100, 1),
    5: (8, 100, 1),
    6: (4, 150, 1),
    7: (4, 200, 2),
    9: (4, 243, 2),
    13: (2, 507, 4),
}
"""By size: rounds, plies, every how many plies to compare; other sizes use the default below."""


@pytest.mark.slow
def test_twenty_thousand_positions_agree() -> None:
    compared = 0
    for size in range(2, 20):
        rounds, plies, check_every = SLOW_PLAN.get(size, (1, 3 * size * size, max(2, size // 2)))
        compared += check_games(size, rounds=rounds, plies=plies, check_every=check_every, seed=100 + size)
    assert compared >= 20_000
