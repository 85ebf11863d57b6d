"""`RecordedWork`: what a device computes of batches of one shape, recorded once and then started with a single launch.

A small network is dozens of kernels of microseconds each, and starting them one by one takes the processor longer than
the device needs to compute them; a CUDA graph starts them together. Shapes must be few: `padded` makes them so. Knows
nothing of networks.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

LEAST_ROWS = 64
"""The smallest padded batch; below it the number of rows hardly matters to a GPU."""
WARM_UP_CALLS = 3
"""Before a recording, so that libraries have chosen their kernels and have their workspaces."""


def padded(rows: int) -> int:
    """The next of the batch sizes that are used: four for every doubling, so that at most a fifth is padding (but for
    the smallest, `LEAST_ROWS`)."""
    step = max(LEAST_ROWS, 1 << max(0, rows.bit_length() - 3))
    return -(-rows // step) * step


class RecordedWork:
    """`work` on batches of up to `shape[0]` rows. One thread at a time."""

    def __init__(
        self, work: Callable[[Tensor], Tensor], shape: tuple[int, ...], *, dtype: torch.dtype, device: torch.device
    ) -> None:
        """`work` must be all on `device`, the same for every content, and treat each row by itself.

        Raises `torch.OutOfMemoryError` where there is no room for it.
        """
        self._work = work
        self._input = torch.zeros(shape, dtype=dtype, device=device)
        self._output: Tensor | None = None
        self._graph: torch.cuda.CUDAGraph | None = None
        if device.type == "cuda":
            self._record()

    def __call__(self, batch: Tensor) -> Tensor:
        """The results for the rows of `batch`, on the device; valid until the next call. Does not wait for the device:
        page-locked memory of `batch` must stay as it is until then."""
        rows = len(batch)
        self._input[:rows].copy_(batch, non_blocking=True)
        if self._graph is None or self._output is None:
            return self._work(self._input)[:rows]
        self._graph.replay()
        return self._output[:rows]

    def _record(self) -> None:
        """Records `work`; where that fails, says so, and the kernels are started one by one."""
        try:
            with torch.cuda.device(self._input.device):
                aside = torch.cuda.Stream()
                aside.wait_stream(torch.cuda.current_stream())
                with torch.cuda.stream(aside):
                    for _ in range(WARM_UP_CALLS):
                        self._work(self._input)
                torch.cuda.current_stream().wait_stream(aside)
                graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                    self._output = self._work(self._input)
                self._graph = graph
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            warnings.warn(f"no CUDA graph of a batch {list(self._input.shape)}: {error}", RuntimeWarning, stacklevel=2)
