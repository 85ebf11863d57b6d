from __future__ import annotations

import pytest

from trainer import deadline as module
from trainer.deadline import Deadline


class Clock:
    """A clock that stands still until it is told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(module, "MARGIN", 1.0)
    return Clock()


def play(deadline: Deadline, clock: Clock, seconds: float, *, rating_s: float = 0.0) -> None:
    deadline.begin_round()
    clock.now += seconds + rating_s
    deadline.end_round(rating_s=rating_s)


def test_without_a_limit_there_is_no_end(clock: Clock) -> None:
    deadline = Deadline(clock=clock)
    clock.now = 1e9
    assert deadline.allows_another(ratings=9)


def test_the_time_before_it_was_made_counts(clock: Clock) -> None:
    clock.now = 100.0
    assert Deadline(50.0, clock=clock).allows_another(ratings=0)
    assert not Deadline(50.0, start=20.0, clock=clock).allows_another(ratings=0)


def test_another_round_must_fit_with_its_rating_and_the_last_checkpoint(clock: Clock) -> None:
    deadline = Deadline(100.0, clock=clock)
    play(deadline, clock, 20.0)
    with deadline.saving():
        clock.now += 8.0
    for now, ratings, is_allowed in ((72.0, 0, True), (72.1, 0, False), (52.0, 1, True), (52.1, 1, False)):
        clock.now = now
        assert deadline.allows_another(ratings=ratings) == is_allowed, now
    clock.now = 30.0
    play(deadline, clock, 20.0, rating_s=5.0)  # now it is known: less than a round
    for now, is_allowed in ((67.0, True), (67.1, False)):
        clock.now = now
        assert deadline.allows_another(ratings=1) == is_allowed, now


def test_in_the_midst_of_a_round_its_rest_counts_too(clock: Clock) -> None:
    deadline = Deadline(100.0, clock=clock)
    deadline.begin_round()
    for now, is_allowed in ((47.5, True), (47.6, False)):  # the next may take as long as this one did until now
        clock.now = now
        assert deadline.allows_another(ratings=0) == is_allowed, now
    clock.now = 20.0
    deadline.end_round(rating_s=0.0)
    clock.now = 50.0
    deadline.begin_round()
    for now, is_allowed in ((55.0, True), (75.1, False)):  # until 70 and until 90, or later if this one takes longer
        clock.now = now
        assert deadline.allows_another(ratings=0) == is_allowed, now


def test_what_comes_next_may_take_a_little_longer(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MARGIN", 1.5)
    deadline = Deadline(100.0, clock=clock)
    play(deadline, clock, 45.0)
    assert not deadline.allows_another(ratings=0)
