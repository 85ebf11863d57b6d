from __future__ import annotations

import threading

import pytest

from trainer.prefetch import prefetched


def test_things_come_in_order_one_is_made_ahead_and_no_more_than_asked_for() -> None:
    made: list[int] = []
    threads = set()
    ahead = threading.Event()

    def make() -> int:
        made.append(len(made))
        threads.add(threading.get_ident())
        if len(made) == 2:
            ahead.set()
        return made[-1]

    found = []
    for thing in prefetched(make, 4):
        assert ahead.wait(5)  # the second is made while the first is worked with
        found.append(thing)
        assert len(made) <= len(found) + 1
    assert found == made == [0, 1, 2, 3]
    assert threading.get_ident() not in threads
    assert list(prefetched(make, 0)) == []


def test_what_goes_wrong_is_raised_in_its_turn() -> None:
    numbers = iter([1, 0])
    things = prefetched(lambda: 1 // next(numbers), 2)
    assert next(things) == 1
    with pytest.raises(ZeroDivisionError):
        next(things)
