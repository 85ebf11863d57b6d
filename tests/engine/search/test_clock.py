"""Shares of the time left against KataGo's formulas worked out by hand, and the books of the clocks."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InvalidInput
from engine.go.rules import BLACK, WHITE
from engine.search.clock import FLOOR_S, GameClock, TurnsLeft, allot, without_lag
from engine.search.time_settings import TimeLeft, TimeSettings

EMPTY_9X9 = TurnsLeft.estimate(size=9, num_stones=0)
LATE_9X9 = TurnsLeft.estimate(size=9, num_stones=70)


class Watch:
    """A clock that only moves when told."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s

    def forward(self, seconds: float) -> None:
        self.now_s += seconds


def make_clock(settings: TimeSettings, **options: float) -> tuple[GameClock, Watch]:
    watch = Watch()
    clock = GameClock(settings, now=watch)
    for name, seconds in options.items():
        setattr(clock, name, seconds)
    return clock, watch


def think(clock: GameClock, watch: Watch, seconds: float, color: int = BLACK) -> None:
    with clock.thinking(color):
        watch.forward(seconds)


# --- how many turns are left


@pytest.mark.parametrize(
    ("size", "num_stones", "absolute", "increment", "overtime"),
    [
        (9, 0, (76.95 + 20) / 2, (60.75 + 15) / 2, (40.5 + 10) / 2),
        (9, 40, (96.95 - 40) / 2, (75.75 - 40) / 2, (50.5 - 40) / 2),
        (9, 80, (12.15 + 30) / 2, (8.1 + 20) / 2, (1.62 + 4) / 2),
        (19, 0, (342.95 + 20) / 2, (270.75 + 15) / 2, (180.5 + 10) / 2),
    ],
)
def test_turns_left(size: int, num_stones: int, absolute: float, increment: float, overtime: float) -> None:
    turns = TurnsLeft.estimate(size=size, num_stones=num_stones)
    assert (turns.absolute, turns.increment, turns.overtime) == pytest.approx((absolute, increment, overtime))


def test_lag_takes_at_most_half() -> None:
    assert without_lag(10.0, 1.0) == 9.0
    assert without_lag(1.0, 1.0) == 0.5
    assert without_lag(2.0, 1.0) == 1.0


# --- golden shares, 9x9


@pytest.mark.parametrize(
    ("label", "settings", "left", "turns", "lag_s", "recommended_s"),
    [
        # 600 / 48.475 turns
        ("absolute", TimeSettings.absolute(600), None, EMPTY_9X9, 0.0, 12.377514),
        # lag off the main time, then off the share: (600 - 1) / 48.475 - 1
        ("absolute with lag", TimeSettings.absolute(600), None, EMPTY_9X9, 1.0, 11.356885),
        # 30 left, at least 21.075 turns
        ("absolute, late", TimeSettings.absolute(600), TimeLeft(main_s=30), LATE_9X9, 0.0, 1.423488),
        # 0.1 + min(9.9 / 37.875, 9.9 / 48.475 + 0.2)
        ("10 s + 0.1 s", TimeSettings.fischer(10, 0.1), None, EMPTY_9X9, 0.0, 0.361386),
        # a small increment is not worth more than 2 increments above absolute time
        ("600 s + 0.1 s", TimeSettings.fischer(600, 0.1), None, EMPTY_9X9, 0.0, 0.1 + 599.9 / 48.475 + 0.2),
        # the increment is all there is: half of a lag of 1 s twice
        ("less than the increment", TimeSettings.fischer(10, 5), TimeLeft(main_s=1), EMPTY_9X9, 1.0, 0.25),
        # T = 100, b = 10: 100 / 10 / e = 3.68 turns, stretched by 1.75 to 6.44
        ("byo-yomi, main time", TimeSettings.byo_yomi(100, 10, 5), None, EMPTY_9X9, 0.0, 100 / (10 / math.e * 1.75)),
        # T = 1000: 36.8 turns are more than 25.25 anyway, so no stretching, and at most 1000 / 48.475 + 30
        ("byo-yomi, long main time", TimeSettings.byo_yomi(1000, 10, 5), None, EMPTY_9X9, 0.0, math.e * 10),
        # the last 8 s of main time and the whole first period, which would be lost anyway
        (
            "byo-yomi, main time ends",
            TimeSettings.byo_yomi(100, 10, 5),
            TimeLeft(main_s=8, periods=5),
            EMPTY_9X9,
            0,
            18,
        ),
        # a period of one stone: all of it
        (
            "byo-yomi, in a period",
            TimeSettings.byo_yomi(0, 10, 3),
            TimeLeft(main_s=0, periods=3, period_s=10, stones=1),
            EMPTY_9X9,
            0.5,
            9.5,
        ),
        # the last period kills: twice the lag
        (
            "byo-yomi, last period",
            TimeSettings.byo_yomi(0, 10, 3),
            TimeLeft(main_s=0, periods=1, period_s=10, stones=1),
            EMPTY_9X9,
            0.5,
            9.0,
        ),
        # 20 periods of 10 s: 15 of them count as main time, 10 + 14 * 10 = 150 s over 9.66 turns = 15.5 s, to 20 s
        (
            "byo-yomi, many periods",
            TimeSettings.byo_yomi(0, 10, 20),
            TimeLeft(main_s=0, periods=20, period_s=10, stones=1),
            EMPTY_9X9,
            0.0,
            20.0,
        ),
        # 25 stones in 300 s
        (
            "Canadian, in the period",
            TimeSettings.canadian(0, 300, 25),
            TimeLeft(main_s=0, periods=1, period_s=300, stones=25),
            EMPTY_9X9,
            0.0,
            12.0,
        ),
        # T = 600, b = 12: 600 / 12 / e = 18.4 turns, stretched to 25.25
        ("Canadian, main time", TimeSettings.canadian(600, 300, 25), None, EMPTY_9X9, 0.0, 600 / 25.25),
        ("capped move", TimeSettings.fischer(600, 30, max_move_s=5), None, EMPTY_9X9, 1.0, 4.0),
    ],
)
def test_golden_shares(
    label: str, settings: TimeSettings, left: TimeLeft | None, turns: TurnsLeft, lag_s: float, recommended_s: float
) -> None:
    share = allot(settings, left or settings.full(), turns=turns, lag_s=lag_s)
    assert share.recommended_s == pytest.approx(recommended_s, abs=1e-5), label


def test_most_time_of_a_share() -> None:
    full = TimeSettings.absolute(600)
    assert allot(full, full.full(), turns=EMPTY_9X9, lag_s=0).most_s == pytest.approx(120)
    canadian = TimeSettings.canadian(0, 300, 25)
    left = TimeLeft(main_s=0, periods=1, period_s=300, stones=25)
    assert allot(canadian, left, turns=EMPTY_9X9, lag_s=0).most_s == pytest.approx(300 / 19.0)


# --- the property


seconds = st.floats(min_value=0.0, max_value=5000.0, allow_nan=False)
settings_of_all_kinds = st.one_of(
    st.builds(TimeSettings.absolute, seconds),
    st.builds(TimeSettings.fischer, seconds, st.floats(min_value=0.01, max_value=60)),
    st.builds(TimeSettings.byo_yomi, seconds, st.floats(min_value=0.1, max_value=60), st.integers(1, 30)),
    st.builds(TimeSettings.canadian, seconds, st.floats(min_value=0.1, max_value=600), st.integers(1, 30)),
)


@given(
    settings=settings_of_all_kinds,
    thoughts=st.lists(st.floats(min_value=0.0, max_value=400.0), max_size=8),
    lag_s=st.floats(min_value=0.0, max_value=3.0),
    size=st.sampled_from([5, 9, 19]),
)
def test_never_allots_more_than_is_left(settings: TimeSettings, thoughts: list[float], lag_s: float, size: int) -> None:
    clock, watch = make_clock(settings, lag_s=lag_s, max_s=1e9)
    for ply, thought in enumerate(thoughts):
        think(clock, watch, thought)
        left = clock.time_left(BLACK)
        assert left is not None
        total_s = left.total_s(settings)
        budget_s = clock.budget(BLACK, size=size, num_stones=2 * ply).time_s
        assert math.isfinite(budget_s)
        assert FLOOR_S <= budget_s <= max(FLOOR_S, without_lag(total_s, lag_s)) + 1e-9


@given(settings=settings_of_all_kinds, size=st.sampled_from([5, 9, 13, 19]))
def test_a_game_on_its_own_budgets_never_loses_on_time(settings: TimeSettings, size: int) -> None:
    if settings.full().total_s(settings) < 1.0:
        return
    lag_s = 0.2
    clock, watch = make_clock(settings, lag_s=lag_s, max_s=1e9)
    for ply in range(0, 2 * size * size, 2):
        left = clock.time_left(BLACK)
        assert left is not None
        budget_s = clock.budget(BLACK, size=size, num_stones=min(ply, size * size)).time_s
        if not settings.periods and budget_s <= FLOOR_S:
            return  # some absolute times are too short for the moves that are left, whatever one does
        assert budget_s < left.total_s(settings)
        think(clock, watch, budget_s)


# --- bookkeeping


def test_both_colours_keep_their_own_time() -> None:
    clock, watch = make_clock(TimeSettings.absolute(60))
    think(clock, watch, 5, BLACK)
    think(clock, watch, 7, WHITE)
    think(clock, watch, 1, BLACK)
    assert clock.time_left(BLACK) == TimeLeft(main_s=54)
    assert clock.time_left(WHITE) == TimeLeft(main_s=53)


def test_time_runs_during_the_turn() -> None:
    clock, watch = make_clock(TimeSettings.absolute(60))
    clock.start(WHITE)
    watch.forward(50)
    assert clock.elapsed_s(WHITE) == 50
    assert clock.time_left(WHITE) == TimeLeft(main_s=10)
    assert clock.stop(WHITE) == 50
    assert clock.stop(WHITE) == 0
    watch.forward(50)
    assert clock.time_left(WHITE) == TimeLeft(main_s=10)


@pytest.mark.parametrize(
    ("settings", "left"),
    [
        (TimeSettings.fischer(20, 5), TimeLeft(main_s=14)),
        (TimeSettings.byo_yomi(0, 10, 3), TimeLeft(main_s=0, periods=3, period_s=4, stones=1)),
        (TimeSettings.canadian(0, 60, 5), TimeLeft(main_s=0, periods=1, period_s=54, stones=5)),
    ],
)
def test_a_move_that_fails_costs_time_and_counts_for_nothing(settings: TimeSettings, left: TimeLeft) -> None:
    clock, watch = make_clock(settings)

    def fail() -> None:
        with clock.thinking(BLACK):
            watch.forward(6)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    watch.forward(100)
    assert clock.time_left(BLACK) == left


def test_fischer_adds_after_the_move_and_is_capped() -> None:
    clock, watch = make_clock(TimeSettings.fischer(20, 5, max_main_s=21))
    think(clock, watch, 6)
    assert clock.time_left(BLACK) == TimeLeft(main_s=19)
    think(clock, watch, 1)
    assert clock.time_left(BLACK) == TimeLeft(main_s=21)


def test_byo_yomi_periods_are_lost_one_by_one() -> None:
    clock, watch = make_clock(TimeSettings.byo_yomi(10, 30, 3))
    think(clock, watch, 12)
    assert clock.time_left(BLACK) == TimeLeft(main_s=0, periods=3, period_s=30, stones=1)
    think(clock, watch, 29)
    assert clock.time_left(BLACK) == TimeLeft(main_s=0, periods=3, period_s=30, stones=1)
    think(clock, watch, 65)
    assert clock.time_left(BLACK) == TimeLeft(main_s=0, periods=1, period_s=30, stones=1)
    clock.start(BLACK)
    watch.forward(31)
    left = clock.time_left(BLACK)
    assert left is not None
    assert left.total_s(clock.settings) == -1


def test_canadian_stones_are_counted() -> None:
    clock, watch = make_clock(TimeSettings.canadian(10, 60, 3))
    think(clock, watch, 15)
    assert clock.time_left(BLACK) == TimeLeft(main_s=0, periods=1, period_s=55, stones=2)
    think(clock, watch, 5)
    assert clock.time_left(BLACK) == TimeLeft(main_s=0, periods=1, period_s=50, stones=1)
    think(clock, watch, 5)
    assert clock.time_left(BLACK) == TimeLeft(main_s=0, periods=1, period_s=60, stones=3)


def test_new_settings_and_a_new_game_refill() -> None:
    clock, watch = make_clock(TimeSettings.absolute(60))
    think(clock, watch, 5)
    clock.reset()
    assert clock.time_left(BLACK) == TimeLeft(main_s=60)
    think(clock, watch, 5)
    clock.set_settings(TimeSettings.absolute(30))
    assert clock.time_left(BLACK) == TimeLeft(main_s=30)
    assert clock.settings == TimeSettings.absolute(30)


# --- what controllers say


@pytest.mark.parametrize(
    ("arguments", "settings"),
    [
        ((300, 0, 0), TimeSettings.absolute(300)),
        ((300, 0, 25), TimeSettings.absolute(300)),
        ((0, 60, 0), TimeSettings.none()),
        ((300, 60, 25), TimeSettings(main_s=300, period_s=60, periods=1, stones=25)),
        ((0, 0, 0), TimeSettings.absolute(0)),
    ],
)
def test_gtp_time_settings(arguments: tuple[float, float, int], settings: TimeSettings) -> None:
    assert TimeSettings.from_gtp(*arguments) == settings


@pytest.mark.parametrize(
    ("label", "settings", "seconds", "stones", "left"),
    [
        ("absolute", TimeSettings.absolute(300), 42.5, 0, TimeLeft(main_s=42.5)),
        ("negative", TimeSettings.absolute(300), -3, 0, TimeLeft(main_s=0)),
        ("Fischer", TimeSettings.fischer(300, 5), 42, 0, TimeLeft(main_s=42)),
        ("main time", TimeSettings.canadian(300, 60, 5), 42, 0, TimeLeft(main_s=42, periods=1)),
        ("Canadian", TimeSettings.canadian(300, 60, 5), 42, 4, TimeLeft(main_s=0, periods=1, period_s=42, stones=4)),
        (
            "KGS: main time over",
            TimeSettings.canadian(300, 60, 5),
            0,
            0,
            TimeLeft(main_s=0, periods=1, period_s=60, stones=5),
        ),
        ("byo-yomi, main", TimeSettings.byo_yomi(300, 30, 5), 42, 0, TimeLeft(main_s=42, periods=5)),
        (
            "byo-yomi: periods",
            TimeSettings.byo_yomi(300, 30, 5),
            17,
            3,
            TimeLeft(main_s=0, periods=3, period_s=17, stones=1),
        ),
        (
            "byo-yomi, over",
            TimeSettings.byo_yomi(300, 30, 5),
            0,
            0,
            TimeLeft(main_s=0, periods=5, period_s=30, stones=1),
        ),
    ],
)
def test_time_left_is_believed(label: str, settings: TimeSettings, seconds: float, stones: int, left: TimeLeft) -> None:
    clock, watch = make_clock(settings)
    think(clock, watch, 1)
    clock.set_time_left(BLACK, seconds, stones)
    assert clock.time_left(BLACK) == left, label
    assert clock.time_left(WHITE) == settings.full(), label


def test_time_left_without_settings_is_believed_until_the_next_game() -> None:
    clock, _ = make_clock(TimeSettings.none(), default_s=30, lag_s=0)
    clock.set_time_left(BLACK, 0, 0)
    assert clock.budget(BLACK, size=9, num_stones=0).time_s == 30
    clock.set_time_left(BLACK, 2, 0)
    assert clock.budget(BLACK, size=9, num_stones=0).time_s == pytest.approx(2 / 48.475)
    clock.set_time_left(BLACK, 20, 4)
    assert clock.budget(BLACK, size=9, num_stones=0).time_s == pytest.approx(5)
    clock.reset()
    assert clock.budget(BLACK, size=9, num_stones=0).time_s == 30


@pytest.mark.parametrize(("seconds", "stones"), [(math.nan, 0), (math.inf, 0), (5.0, -1)])
def test_nonsense_is_refused_and_changes_nothing(seconds: float, stones: int) -> None:
    clock, _ = make_clock(TimeSettings.absolute(60))
    with pytest.raises(InvalidInput, match="is no time"):
        clock.set_time_left(BLACK, seconds, stones)
    assert clock.time_left(BLACK) == TimeLeft(main_s=60)


@pytest.mark.parametrize(
    "fields",
    [
        {"main_s": math.nan},
        {"main_s": -1.0},
        {"main_s": 1.0, "period_s": 10.0, "periods": 1},
        {"main_s": 1.0, "period_s": 10.0, "periods": 1, "stones": 1, "increment_s": 1.0},
        {"main_s": 1.0, "increment_s": math.inf},
    ],
)
def test_impossible_settings(fields: dict[str, float]) -> None:
    with pytest.raises(InvalidInput):
        TimeSettings(**fields)  # type: ignore[arg-type]


def test_default_and_longest_time() -> None:
    clock, _ = make_clock(TimeSettings.none(), default_s=3, max_s=2)
    assert clock.budget(BLACK, size=9, num_stones=0).time_s == 2
    clock.set_settings(TimeSettings.absolute(1e6))
    assert clock.budget(BLACK, size=9, num_stones=0).time_s == 2
    assert clock.time_left(BLACK) == TimeLeft(main_s=1e6)


def test_a_lost_clock_still_gives_the_floor() -> None:
    clock, watch = make_clock(TimeSettings.absolute(1))
    think(clock, watch, 50)
    assert clock.budget(BLACK, size=9, num_stones=0).time_s == FLOOR_S


def test_extra_time_is_half_the_budget_and_harms_nothing() -> None:
    clock, _ = make_clock(TimeSettings.absolute(600))
    budget = clock.budget(BLACK, size=9, num_stones=0)
    assert budget.time_s == clock.budget(BLACK, size=9, num_stones=0).time_s
    assert budget.extra_s == pytest.approx(budget.time_s / 2)


@pytest.mark.parametrize(
    ("label", "settings", "limits"),
    [
        ("no time settings: every move may have the same", TimeSettings.none(), {"default_s": 3}),
        ("longest move", TimeSettings.absolute(1e5), {"max_s": 2}),
        ("last byo-yomi period", TimeSettings.byo_yomi(0.0, 10.0, 1), {}),
    ],
)
def test_no_extra_time(label: str, settings: TimeSettings, limits: dict[str, float]) -> None:
    clock, _ = make_clock(settings, **limits)
    clock.start(BLACK)
    assert clock.budget(BLACK, size=9, num_stones=0).extra_s == 0.0, label


@pytest.mark.parametrize("main_s", [0.01, 0.5, 5.0, 50.0])
@pytest.mark.parametrize("increment_s", [0.0, 0.1, 5.0])
def test_extra_time_never_loses_on_time(main_s: float, increment_s: float) -> None:
    clock, watch = make_clock(TimeSettings.fischer(main_s, increment_s), lag_s=0.0)
    for ply in range(200):
        budget = clock.budget(BLACK, size=9, num_stones=min(2 * ply, 60))
        think(clock, watch, budget.time_s + budget.extra_s)
        left = clock.time_left(BLACK)
        assert left is not None
        if budget.time_s > FLOOR_S:
            assert left.main_s > 0.0
