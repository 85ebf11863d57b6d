"""The two sides of a match: a GTP engine in a process of its own, and a random mover."""

from __future__ import annotations

import contextlib
import random
import re
import time
from pathlib import Path
from typing import Protocol

from engine.go.position import Position
from engine.go.rules import BLACK, WHITE
from engine.go.tables import point_neighbors
from engine.go.vertex import from_gtp, to_gtp
from protocol.gtp.client import EngineDead, EngineError, EngineProcess

ROOT = Path(__file__).resolve().parents[1]
START_TIMEOUT_S = 300.0
"""For the first answers: an engine may load a network and compile kernels."""
COMMAND_TIMEOUT_S = 30.0
LETTERS = {BLACK: "b", WHITE: "w"}
_SCORE = re.compile(r"([BW])\+(\d+(?:\.\d+)?)", re.IGNORECASE)


class Seat(Protocol):
    """One side of a match, for one game after the other."""

    name: str

    def begin(self, size: int, komi: float) -> None:
        """A new game."""

    def move(self, color: int) -> tuple[str, float]:
        """Its move, as GTP spells it, and the seconds that it took."""

    def tell(self, color: int, vertex: str) -> None:
        """The other side's move."""

    def final_score(self) -> str | None:
        """How it counts the game that is over, as GTP spells it; None: it does not say."""

    def clean_up(self, color: int) -> str:
        """Its move after the end: no pass while it sees dead stones of the other side. Raises `EngineError`."""

    def close(self) -> None:
        """No more games."""


class EngineSeat:
    """A GTP engine, started when a game begins without a living one."""

    def __init__(self, command: str, *, name: str, move_s: float | None, timeout_s: float) -> None:
        """`move_s`: sent as time settings before each game; None: none are. `timeout_s`: for a move."""
        self.name = name
        self._command = command
        self._move_s = move_s
        self._timeout_s = timeout_s
        self._engine: EngineProcess | None = None

    def begin(self, size: int, komi: float) -> None:
        """Starts the engine if need be, and lets it warm up outside the game."""
        if self._engine is not None and self._engine.is_alive:
            with contextlib.suppress(EngineDead):
                self._set_up(self._engine, size, komi, timeout_s=COMMAND_TIMEOUT_S)
                return
        self._engine = EngineProcess(self._command, name=self.name, cwd=ROOT)
        self._set_up(self._engine, size, komi, timeout_s=START_TIMEOUT_S)
        if "reg_genmove" in self._engine.list_commands():
            self._engine.send("reg_genmove", "b", timeout_s=START_TIMEOUT_S)

    def _set_up(self, engine: EngineProcess, size: int, komi: float, *, timeout_s: float) -> None:
        engine.send("boardsize", size, timeout_s=timeout_s)
        engine.send("clear_board", timeout_s=COMMAND_TIMEOUT_S)
        engine.send("komi", f"{komi:g}", timeout_s=COMMAND_TIMEOUT_S)
        if self._move_s is not None:
            engine.send("time_settings", 0, f"{self._move_s:g}", 1, timeout_s=COMMAND_TIMEOUT_S)

    def move(self, color: int) -> tuple[str, float]:
        """Asks for a move."""
        assert self._engine is not None
        reply = self._engine.send("genmove", LETTERS[color], timeout_s=self._timeout_s)
        return reply.text.strip(), reply.elapsed_s

    def tell(self, color: int, vertex: str) -> None:
        """Plays the other side's move."""
        assert self._engine is not None
        self._engine.send("play", LETTERS[color], vertex, timeout_s=COMMAND_TIMEOUT_S)

    def final_score(self) -> str | None:
        """Asks for the score."""
        assert self._engine is not None
        try:
            return self._engine.send("final_score", timeout_s=self._timeout_s).text.strip()
        except EngineError:
            return None

    def clean_up(self, color: int) -> str:
        """Asks for a move of the cleanup."""
        assert self._engine is not None
        return self._engine.send("kgs-genmove_cleanup", LETTERS[color], timeout_s=self._timeout_s).text.strip()

    def close(self) -> None:
        """Quits, or kills, the engine."""
        if self._engine is not None:
            self._engine.close()


class RandomSeat:
    """Plays any legal point that its own stones do not surround, and passes when there is no other."""

    name = "random"

    def __init__(self, seed: int) -> None:
        """`seed`: of all games together."""
        self._random = random.Random(seed)
        self._position = Position()

    def begin(self, size: int, komi: float) -> None:
        """An empty board."""
        self._position = Position(size, komi=komi)

    def move(self, color: int) -> tuple[str, float]:
        """A random move."""
        started_s = time.monotonic()
        stones, near = self._position.stones, point_neighbors(self._position.size)
        legal = self._position.legal_mask(color)[:-1].nonzero()[0]
        wanted = [point for point in legal if any(stones[n] != color for n in near[point] if n >= 0)]
        action = int(self._random.choice(wanted)) if wanted else self._position.pass_action
        self._position.play(color, action)
        return to_gtp(action, self._position.size), time.monotonic() - started_s

    def tell(self, color: int, vertex: str) -> None:
        """Follows the game."""
        self._position.play(color, from_gtp(vertex, self._position.size))

    def final_score(self) -> str | None:
        """It cannot count."""
        return None

    def clean_up(self, color: int) -> str:
        """It sees no dead stones."""
        return "pass"

    def close(self) -> None:
        """Nothing is left behind."""


def score_from_gtp(text: str) -> float | None:
    """Black's points ahead, of an answer such as `W+3.5`, `0` or `draw`; None: it names no score."""
    text = text.strip()
    if text.lower() in ("0", "draw", "jigo"):
        return 0.0
    found = _SCORE.fullmatch(text)
    if found is None:
        return None
    return float(found[2]) if found[1].upper() == "B" else -float(found[2])
