"""`prefetched`: things are made in a thread, each while the one before is worked with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def prefetched(make: Callable[[], T], count: int) -> Iterator[T]:
    """What `count` calls of `make` return, in order; one thread makes them, one ahead. Raises what `make` raises."""
    with ThreadPoolExecutor(1, "prefetch") as thread:
        ahead = [thread.submit(make)] if count else []
        for left in reversed(range(count)):
            made = ahead.pop().result()
            if left:
                ahead.append(thread.submit(make))
            yield made
