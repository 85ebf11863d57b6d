from __future__ import annotations

import numpy as np
import pytest

from engine.go.position import Position
from engine.go.rules import BLACK, WHITE
from engine.go.symmetry import (
    NUM_IMAGES,
    NUM_SYMMETRIES,
    Images,
    inverse_table,
    restore,
    see_image,
    symmetry_table,
)


@pytest.mark.parametrize("size", [2, 5, 9])
def test_symmetries_are_eight_different_permutations_that_keep_neighbours_and_pass(size: int) -> None:
    table = symmetry_table(size)
    assert len({tuple(row) for row in table}) == NUM_SYMMETRIES
    row, col = np.divmod(np.arange(size * size), size)
    near = np.abs(row[:, None] - row) + np.abs(col[:, None] - col) == 1
    for permutation in table:
        assert sorted(permutation) == list(range(size * size + 1))
        assert permutation[-1] == size * size
        points = permutation[:-1]
        assert (near[np.ix_(points, points)] == near).all()


def test_inverse_undoes() -> None:
    for permutation, inverse in zip(symmetry_table(5), inverse_table(5), strict=True):
        assert (permutation[inverse] == np.arange(26)).all()


@pytest.mark.parametrize("image", range(NUM_IMAGES))
def test_image_is_what_the_changed_game_looks_like(image: int) -> None:
    """A game with captures, ko and passes, played as it is and as its image."""
    size, changes = 5, image >= NUM_SYMMETRIES
    moved = symmetry_table(size)[image % NUM_SYMMETRIES]
    rng = np.random.default_rng(image)
    original = Position(size, komi=6.5)
    other = Position(size, komi=-6.5 if changes else 6.5)
    room = np.empty((24, size * size), np.float32)
    for ply in range(60):
        color = original.to_play
        points = np.flatnonzero(original.legal_mask()[:-1])
        action = int(rng.choice(points)) if len(points) and ply != 30 else size * size
        original.play(color, action)
        other.play(-color if changes else color, int(moved[action]))
        see_image(original.observation().reshape(24, -1), image, Images.of(size), room)
        np.testing.assert_array_equal(room.reshape(24, size, size), other.observation())
    assert original.captures(BLACK)
    assert original.captures(WHITE)


def test_answers_are_those_of_the_position_itself() -> None:
    size, rng = 3, np.random.default_rng(0)
    table = symmetry_table(size)
    wanted = rng.random((NUM_IMAGES, size * size + 1), np.float32)
    value = rng.random(NUM_IMAGES, np.float32)
    seen_as = np.arange(NUM_IMAGES)
    policy_logits = np.empty_like(wanted)
    for image in seen_as:
        policy_logits[image, table[image % NUM_SYMMETRIES]] = wanted[image]
    answered = np.where(seen_as < NUM_SYMMETRIES, value, -value)
    restore(policy_logits, answered, seen_as, Images.of(size))
    np.testing.assert_array_equal(policy_logits, wanted)
    np.testing.assert_array_equal(answered, value)
