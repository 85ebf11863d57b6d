"""Hidden states by slot: what is kept of them, in how much memory, and what is refused."""

from __future__ import annotations

import numpy as np
import psutil
import pytest

from engine.errors import EvaluationError, InvalidInput
from engine.model.pool import LARGEST_HALF, TOUCHED_BYTES, HiddenPool

SHAPE = (3, 5, 5)
PRECISIONS = pytest.mark.parametrize("halves", [False, True])


def slots(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int32)


def store(pool: HiddenPool, states: np.ndarray, *numbers: int, policy: float = 0.0, value: float = 0.0) -> None:
    count = len(numbers)
    pool.store(
        slots(*numbers), states, np.full((count, 2, 1), policy, np.float32)[..., 0], np.full(count, value, np.float32)
    )


@PRECISIONS
@pytest.mark.parametrize("rows", [(4,), (4, 0, 9)])
def test_states_come_back(halves: bool, rows: tuple[int, ...]) -> None:
    pool = HiddenPool(10, SHAPE, halves=halves)
    states = np.random.default_rng(0).random((len(rows), *SHAPE), dtype=np.float32)
    store(pool, states, *rows)
    found = pool.gather(slots(*rows))
    assert (found.shape, found.dtype) == (states.shape, np.float32)
    np.testing.assert_array_equal(found, states.astype(np.float16) if halves else states)


def test_every_half_float_comes_back_as_it_was() -> None:
    every = np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float32)
    finite = every[np.isfinite(every)]
    pool = HiddenPool(1, finite.shape)
    store(pool, finite[None], 0)
    np.testing.assert_array_equal(pool.gather(slots(0))[0].view(np.uint32), finite.view(np.uint32))


def test_numbers_are_rounded_as_numpy_rounds_them() -> None:
    """To the nearest half float, of two to the even one; the smallest ones lose places gradually."""
    rng = np.random.default_rng(1)
    numbers = (rng.standard_normal(20_000) * 10.0 ** rng.integers(-9, 4, 20_000)).astype(np.float32)
    between = np.arange(0x3C00, 0x3C80, dtype=np.uint16).view(np.float16).astype(np.float32) + np.float32(2.0**-11)
    numbers = np.concatenate([numbers, between, -between])
    pool = HiddenPool(1, numbers.shape)
    store(pool, numbers[None], 0)
    np.testing.assert_array_equal(pool.gather(slots(0))[0], numbers.astype(np.float16).astype(np.float32))


def test_halves_take_half_the_memory() -> None:
    sizes = [HiddenPool(1000, SHAPE, halves=halves).nbytes for halves in (False, True)]
    assert sizes == [1000 * 75 * 4, 1000 * 75 * 2]


def test_memory_beyond_the_first_part_is_only_reserved() -> None:
    """Slots that are never used cost nothing but addresses."""
    process = psutil.Process()
    before = process.memory_info().rss
    pool = HiddenPool(1000, (2**20,))
    assert pool.nbytes == 1000 * 2**21
    assert process.memory_info().rss - before < TOUCHED_BYTES + 64 * 2**20


@PRECISIONS
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["state", "policy", "value"])
def test_no_number_is_refused(halves: bool, bad: float, where: str) -> None:
    pool, state = HiddenPool(2, SHAPE, halves=halves), np.zeros((1, *SHAPE), np.float32)
    if where == "state":
        state[0, 2, 4, 4] = bad
    others = {} if where == "state" else {where: bad}
    with pytest.raises(EvaluationError, match="NaN or infinity"):
        store(pool, state, 1, **others)


def test_a_state_beyond_half_floats_is_refused_and_float32_holds_it() -> None:
    state = np.zeros((1, *SHAPE), np.float32)
    state[0, 0, 0, 0] = -LARGEST_HALF
    store(HiddenPool(1, SHAPE), state, 0)
    state[0, 0, 0, 0] = np.nextafter(np.float32(LARGEST_HALF), np.float32(np.inf))
    with pytest.raises(EvaluationError, match="beyond 65504"):
        store(HiddenPool(1, SHAPE), state, 0)
    store(HiddenPool(1, SHAPE, halves=False), state, 0)


@PRECISIONS
@pytest.mark.parametrize("slot", [-1, 2])
def test_slot_outside_the_pool(halves: bool, slot: int) -> None:
    with pytest.raises(InvalidInput, match=r"0\.\.1"):
        store(HiddenPool(2, SHAPE, halves=halves), np.zeros((1, *SHAPE), np.float32), slot)


def test_a_pool_of_nothing() -> None:
    with pytest.raises(InvalidInput, match="num_slots 0"):
        HiddenPool(0, SHAPE)
