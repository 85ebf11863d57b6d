"""Termination signals as a callback in a thread of its own.

A Python signal handler runs in the main thread, between two bytecodes: too late while that thread compiles a kernel,
and too early while it holds a lock that the handler wants. The wake-up descriptor is written by the C handler at once.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name))


class SignalWatch:
    """While open, calls `on_signal` with the number of the first termination signal. Open it in the main thread."""

    def __init__(self, on_signal: Callable[[int], None]) -> None:
        self._on_signal = on_signal
        self._old_handlers: dict[int, Any] = {}

    def __enter__(self) -> SignalWatch:
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._write_end, False)
        self._old_wakeup = signal.set_wakeup_fd(self._write_end, warn_on_full_buffer=False)
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup and background jobs of a shell set it
                self._old_handlers[number] = signal.signal(number, _ignore)
        self._thread = threading.Thread(target=self._watch, name="gtp signals", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_wakeup)
        os.close(self._write_end)
        self._thread.join()
        os.close(self._read_end)

    def _watch(self) -> None:
        while data := os.read(self._read_end, 1):
            if data[0] in SIGNALS:
                self._on_signal(data[0])
                return


def _ignore(number: int, frame: FrameType | None) -> None:
    """The watch has been told already."""
