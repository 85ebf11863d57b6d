"""What is known of 5x5 Go, and how a network is asked for it."""

from __future__ import annotations

from pathlib import Path

from benchmarks.gate_5x5 import KOMI, known_positions, value_signs
from tests.support.tiny_models import write_tiny_model


def test_black_wins_wherever_he_has_the_centre_until_komi_takes_every_point() -> None:
    batch, winners = known_positions()
    assert batch.num_games == 27 * len(KOMI)
    after_two = batch.ply == 2
    assert after_two.sum() == 25 * len(KOMI)
    assert (batch.stones[batch.ply > 0, 12] == 1).all()
    assert len({tuple(stones) for stones in batch.stones[after_two]}) == 25  # every answer is another position
    assert (winners[batch.komi <= 24.5] == 1).all()
    assert (winners[batch.komi == 25.5] == -1).all()


def test_an_untrained_network_does_not_know_it(tmp_path: Path) -> None:
    share, by_komi = value_signs(write_tiny_model(tmp_path, "tiny", trained=(5,), playable=(5, 9)))
    assert set(by_komi) == set(KOMI)
    assert abs(share - sum(by_komi.values()) / len(KOMI)) < 1e-9
    assert share < 0.95
