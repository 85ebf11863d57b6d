"""`tengen gtp` under a referee's clock: no time system is overstepped, whether the controller tells the time or not."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from protocol.gtp.client import EngineProcess
from tests.support.tiny_models import write_tiny_model

ROOT = Path(__file__).parents[3]
READY_S = 120.0
PLIES = 14


@dataclass
class Referee:
    """One player's clock by the rules of its system, written without a look at the engine's own."""

    main_s: float
    increment_s: float = 0.0
    longest_s: float = 1e9
    period_s: float = 0.0
    periods: int = 0
    stones: int = 0
    rest_s: float = 0.0
    stones_left: int = 0

    def charge(self, seconds: float) -> None:
        """One move; fails where it came too late."""
        assert seconds <= self.longest_s
        if self.main_s > 0.0 or not self.periods:
            self.main_s -= seconds
            if self.main_s > 0.0:
                self.main_s += self.increment_s
                return
            assert self.periods, "main time is over"
            seconds, self.main_s = -self.main_s, 0.0
            self.rest_s, self.stones_left = self.period_s, self.stones
        while seconds > self.rest_s:
            seconds, self.rest_s, self.periods = seconds - self.rest_s, self.period_s, self.periods - 1
            assert self.periods, "overtime is over"
        self.rest_s -= seconds
        self.stones_left -= 1
        if not self.stones_left:
            self.rest_s, self.stones_left = self.period_s, self.stones

    @property
    def time_left(self) -> tuple[str, int]:
        """Seconds and stones as `time_left` has them; periods left in byo-yomi."""
        if self.main_s > 0.0 or not self.periods:
            return f"{self.main_s:.2f}", 0
        return f"{self.rest_s:.2f}", self.periods if self.stones == 1 else self.stones_left


SYSTEMS: dict[str, Callable[[], Referee]] = {
    "time_settings 3 0 0": lambda: Referee(3.0),
    "time_settings 1 2 5": lambda: Referee(1.0, period_s=2.0, periods=1, stones=5),
    "kgs-time_settings absolute 3": lambda: Referee(3.0),
    "kgs-time_settings byoyomi 1 0.8 3": lambda: Referee(1.0, period_s=0.8, periods=3, stones=1),
    "kgs-time_settings canadian 1 2 5": lambda: Referee(1.0, period_s=2.0, periods=1, stones=5),
    "kata-time_settings fischer 2 0.2": lambda: Referee(2.0, increment_s=0.2),
    "kata-time_settings fischer-capped 2 0.2 3 0.8": lambda: Referee(2.0, increment_s=0.2, longest_s=0.8),
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    model = str(write_tiny_model(tmp_path_factory.mktemp("models"), "tiny"))
    command = [sys.executable, str(ROOT / "tengen.py"), "gtp", "--model", model, "--size", "5", "--no-resign"]
    with EngineProcess(command) as engine:
        engine.send("reg_genmove", "b", timeout_s=READY_S)
        yield engine


@pytest.mark.slow
@pytest.mark.parametrize("is_told", [False, True], ids=["own books", "time_left"])
@pytest.mark.parametrize("system", SYSTEMS)
def test_never_late(engine: EngineProcess, system: str, is_told: bool) -> None:
    for line in ("boardsize 5", "clear_board", system):
        engine.send(*line.split())
    referees = {"b": SYSTEMS[system](), "w": SYSTEMS[system]()}
    spent_s = []
    for ply in range(PLIES):
        color = "bw"[ply % 2]
        if is_told:
            engine.send("time_left", color, *referees[color].time_left)
        spent_s.append(engine.send("genmove", color).elapsed_s)
        referees[color].charge(spent_s[-1])
    assert sum(spent_s) > 0.5  # it does think
