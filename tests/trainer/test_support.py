from __future__ import annotations

import pytest
import torch

from trainer.support import Support, compress, expand


def test_compress_is_the_square_root_beyond_one() -> None:
    """h(x) = sign(x) (sqrt(|x| + 1) - 1) + 0.001 x: Pohlen et al. 2018, MuZero's appendix F."""
    x = torch.tensor([-8.0, 0.0, 3.0, 99.0], dtype=torch.float64)
    assert compress(x).tolist() == pytest.approx([-2.008, 0.0, 1.003, 9.099])


def test_compress_and_expand_are_inverse() -> None:
    x = torch.tensor([-300.0, -1.0, -0.01, 0.0, 0.3, 50.0, 200.0], dtype=torch.float64)
    assert torch.allclose(expand(compress(x)), x, atol=1e-9)


@pytest.mark.parametrize(
    ("support", "scalars"),
    [
        (Support(), [-1.0, -0.25, 0.0, 0.5, 1.0]),
        (Support(low=0.0, high=12.0, bins=25, compress=True), [0.0, 1.0, 37.5, 130.0]),
    ],
)
def test_a_scalar_survives_its_distribution(support: Support, scalars: list[float]) -> None:
    x = torch.tensor(scalars)
    distribution = support.encode(x)
    assert torch.allclose(distribution.sum(-1), torch.ones(len(scalars)))
    assert (distribution > 0).sum(-1).max() <= 2
    assert torch.allclose(support.decode(torch.log(distribution + 1e-12)), x, rtol=1e-3, atol=1e-4)


def test_outcomes_are_loss_draw_win() -> None:
    assert Support().encode(torch.tensor([-1.0, 0.0, 1.0])).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]


def test_scalars_outside_are_clamped() -> None:
    assert Support().encode(torch.tensor([7.0])).tolist() == [[0, 0, 1]]
