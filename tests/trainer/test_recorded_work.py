"""Work on batches of one shape: padding, and the handling of CUDA graphs against a stand-in for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from trainer.recorded_work import LEAST_ROWS, RecordedWork, padded


def double(batch: Tensor) -> Tensor:
    return 2 * batch


def work_of(shape: tuple[int, ...]) -> RecordedWork:
    return RecordedWork(double, shape, dtype=torch.float32, device=torch.device("cpu"))


def test_batches_are_of_few_sizes_and_hardly_larger_than_asked_for() -> None:
    sizes = [padded(rows) for rows in range(1, 8193)]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) < 30
    assert all(padded(size) == size for size in sizes)
    for rows, size in enumerate(sizes, 1):
        assert rows <= size <= max(LEAST_ROWS, 1.25 * rows, rows + LEAST_ROWS - 1)
    assert [padded(rows) for rows in (1, 64, 512, 513, 4000, 4096)] == [64, 64, 512, 640, 4096, 4096]


def test_every_call_answers_its_own_rows() -> None:
    work = work_of((4, 2))
    for rows in (4, 1, 3):
        batch = torch.rand(rows, 2)
        assert torch.equal(work(batch), 2 * batch)


class FakeCuda:
    """As much of `torch.cuda` as a recording needs; a replay repeats the work on the recorded input."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.replays = 0
        self.device = self.stream = lambda _: nullcontext()
        self.Stream = self.current_stream = lambda: SimpleNamespace(wait_stream=lambda _: None)

    def CUDAGraph(self) -> Any:  # noqa: N802
        return SimpleNamespace(replay=None)

    @contextmanager
    def graph(self, graph: Any, *, capture_error_mode: str) -> Iterator[None]:
        assert capture_error_mode == "thread_local"
        yield
        if self.error is not None:
            raise self.error
        graph.replay = self.replay

    def replay(self) -> None:
        self.replays += 1
        self.work._output.copy_(double(self.work._input))

    work: RecordedWork


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Callable[[FakeCuda], RecordedWork]:
    def record(fake: FakeCuda) -> RecordedWork:
        for name in ("device", "stream", "Stream", "current_stream", "CUDAGraph", "graph"):
            monkeypatch.setattr(torch.cuda, name, getattr(fake, name))
        fake.work = work_of((4, 2))
        fake.work._record()
        return fake.work

    return record


def test_a_recording_is_replayed_with_new_rows(recorded: Callable[[FakeCuda], RecordedWork]) -> None:
    work = recorded(fake := FakeCuda())
    for count, rows in enumerate((4, 1, 3), 1):
        batch = torch.rand(rows, 2)
        assert torch.equal(work(batch), 2 * batch)
        assert fake.replays == count


def test_work_that_cannot_be_recorded_is_done_all_the_same(recorded: Callable[[FakeCuda], RecordedWork]) -> None:
    with pytest.warns(RuntimeWarning, match=r"no CUDA graph of a batch \[4, 2\]: not permitted"):
        work = recorded(fake := FakeCuda(RuntimeError("not permitted")))
    batch = torch.rand(3, 2)
    assert torch.equal(work(batch), 2 * batch)
    assert fake.replays == 0


def test_a_full_device_is_not_hidden(recorded: Callable[[FakeCuda], RecordedWork]) -> None:
    with pytest.raises(torch.OutOfMemoryError):
        recorded(FakeCuda(torch.OutOfMemoryError("full")))
