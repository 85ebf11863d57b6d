from __future__ import annotations

import numpy as np
import pytest

from trainer.augment import NUM_SYMMETRIES, inverse_table, symmetry_table


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
