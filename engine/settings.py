"""How the engine plays, as one frozen value: strength, threads, memory, resignation.

Knows nothing of games, networks or protocols.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from engine.errors import InvalidConfig
from engine.search.config import SearchConfig, most_considered

Algorithm = Literal["auto", "puct", "gumbel"]

ALGORITHMS: Final = ("auto", "puct", "gumbel")
DEFAULT_TIME_S: Final = 1.0
DEFAULT_MEMORY_MIB: Final = 1024
"""Allowed on every machine."""
_MAX_DEFAULT_THREADS: Final = 16
"""One tree gains nothing from more threads: they wait for each other and for the interpreter."""


MOST_PLIES_IMAGINED: Final = 255
"""The rarest look at real positions that can be asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayerSettings:
    """Settings of a `Player`; every field has a default that suits a desktop."""

    model: str | None = None
    """Name or folder of the model; None: the catalog's choice for the board size."""
    threads: int = 0
    """Search threads of one search; 0: the cores that this process may use."""
    leaves: int = 0
    """Leaves that a thread has evaluated together; 0: as many as pay for the network and the board."""
    algorithm: Algorithm = "auto"
    """"puct", "gumbel", or "auto": Gumbel where at most `gumbel_visits` visits are asked for, else PUCT."""
    gumbel_visits: int = 64
    """Most visits for which "auto" takes the Gumbel search."""
    time_s: float | None = None
    """Seconds a move when the controller sets no time; None: 1 s, or no limit of its own where simulations are."""
    visits: int | None = None
    """Visits a move, whatever the clock says, those kept of the search before included; None: no limit."""
    playouts: int | None = None
    """New simulations a move, not counting what is kept of the search before; None: no limit."""
    max_time_s: float = 60.0
    """Never think longer about a move, whatever the clock allows."""
    lag_buffer_s: float = 0.2
    """Time kept back for the way between controller and engine; see `engine.search.clock`."""
    search: SearchConfig = field(default_factory=lambda: SearchConfig(choice="lcb"))
    """The formulas' constants; its algorithm and its numbers of simulations and considered actions are not read."""
    temperature: float = 0.0
    """Of the first moves, for varied openings: an action is drawn by the search's policy to the power of
    1 / temperature, which halves every `size` plies; 0: always the best."""
    ponder: bool = False
    """Whether to think in the opponent's time; with `reuse_tree` and PUCT."""
    rules_depth: float = math.inf
    """Down to how many plies below the root the search learns from the rules what is legal and how two passes end,
    instead of imagining it; 0: at the root only, as in MuZero; infinity: everywhere. Fixed when the network is
    loaded."""
    reground_every: int = 1
    """At every so many plies below the root the search looks at the real position instead of imagining it: 1, always,
    is AlphaZero, and much stronger with the models of today; 0, never, is MuZero. At most MOST_PLIES_IMAGINED. Fixed
    when the network is loaded."""
    symmetries: bool = True
    """Whether real positions below the root are looked at as one of their sixteen images, another one for each, where
    nothing is imagined and the model was trained on them: what it gets wrong of one it may get right of another. Fixed
    when the network is loaded."""
    device: str = "cpu"
    """Where networks run: a name of `engine.model.runtime.PROVIDERS`, for some with a number: "cuda:1"."""
    reuse_tree: bool = True
    """Whether a move's search goes on from what the one before found; PUCT only."""
    resign: bool = True
    """Whether the engine may resign."""
    resign_winrate: float = 0.05
    """Resign below this winrate ..."""
    resign_turns: int = 3
    """... for so many own turns in a row."""
    seed: int | None = None
    """Of every random choice; None: from the system. Repeats exactly only with one thread and a visit limit."""
    max_memory_mib: int = DEFAULT_MEMORY_MIB
    """Memory of all search trees together, with boards, hidden states and what `cache_share` says, MiB; no more than
    the machine has."""
    cache_share: float = 1 / 8
    """Of that memory, for what a network has said of positions, so that it need not say it again; 0: none. Only where
    nothing is imagined: an imagined position has no name."""
    concurrent_searches: int = 1
    """How many searches share that memory."""

    def __post_init__(self) -> None:
        """Raises `InvalidConfig` when a value is out of range."""
        if self.algorithm not in ALGORITHMS:
            raise InvalidConfig(f"algorithm {self.algorithm!r} is not one of {', '.join(ALGORITHMS)}")
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise InvalidConfig(f"temperature must be a number >= 0, not {self.temperature!r}")
        for name in ("max_time_s", "time_s"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise InvalidConfig(f"{name} must be a positive number of seconds, not {value!r}")
        if not (math.isfinite(self.lag_buffer_s) and self.lag_buffer_s >= 0):
            raise InvalidConfig(f"lag_buffer_s must be a number of seconds >= 0, not {self.lag_buffer_s!r}")
        if not self.rules_depth >= 0:
            raise InvalidConfig(f"rules_depth must be a number >= 0, not {self.rules_depth!r}")
        if self.reground_every > MOST_PLIES_IMAGINED:
            raise InvalidConfig(f"reground_every must be at most {MOST_PLIES_IMAGINED}, not {self.reground_every!r}")
        if not 0 <= self.cache_share < 1:
            raise InvalidConfig(f"cache_share must be in [0, 1), not {self.cache_share!r}")
        if not 0 <= self.resign_winrate < 0.5:
            raise InvalidConfig(f"resign_winrate must be in [0, 0.5), not {self.resign_winrate!r}")
        for name, least in (
            ("seed", 0),
            ("threads", 0),
            ("leaves", 0),
            ("gumbel_visits", 0),
            ("reground_every", 0),
            ("visits", 1),
            ("playouts", 1),
            ("resign_turns", 1),
            ("max_memory_mib", 16),
            ("concurrent_searches", 1),
        ):
            value = getattr(self, name)
            if value is not None and value < least:
                raise InvalidConfig(f"{name} must be at least {least}, not {value!r}")
        most_mib = max(DEFAULT_MEMORY_MIB, machine_memory_mib())
        if self.max_memory_mib > most_mib:
            raise InvalidConfig(
                f"max_memory_mib must be at most {most_mib} on this machine, not {self.max_memory_mib!r}"
            )

    @property
    def ponders(self) -> bool:
        """Whether thinking in the opponent's time is wanted and of use: a Gumbel search keeps nothing of it."""
        counts = [count for count in (self.visits, self.playouts) if count is not None]
        return self.ponder and self.reuse_tree and self.resolve_algorithm(min(counts, default=None)) == "puct"

    @property
    def keeps_boards(self) -> bool:
        """Whether the nodes of a search have real boards."""
        return self.rules_depth > 0 or self.reground_every > 0

    @property
    def num_threads(self) -> int:
        """Search threads of one search, resolved."""
        return self.threads or min(available_cores(), _MAX_DEFAULT_THREADS)

    @property
    def default_time_s(self) -> float:
        """Seconds a move when the controller sets no time, resolved."""
        if self.time_s is not None:
            return min(self.time_s, self.max_time_s)
        counts = self.visits is not None or self.playouts is not None
        return self.max_time_s if counts else min(DEFAULT_TIME_S, self.max_time_s)

    def search_config(self, visits: int | None) -> SearchConfig:
        """`search` for a search of at most `visits` visits (None: unlimited)."""
        return replace(self.search, algorithm=self.resolve_algorithm(visits), num_considered=considered_actions(visits))

    def resolve_algorithm(self, visits: int | None) -> Literal["puct", "gumbel"]:
        """The search algorithm for a search of at most `visits` visits (None: unlimited)."""
        if self.algorithm != "auto":
            return self.algorithm
        return "gumbel" if visits is not None and visits <= self.gumbel_visits else "puct"


def considered_actions(visits: int | None) -> int:
    """How many root actions the Gumbel search considers: half of the visits, so that it looks deeper than one ply."""
    return 16 if visits is None else min(16, int(most_considered(visits)))


def available_cores() -> int:
    """Cores that this process may use, at least 1."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS or Windows
        return os.cpu_count() or 1


def machine_memory_mib() -> float:
    """Memory of this machine, MiB; infinity where the system does not say."""
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no such call, and some systems do not know these names
        return math.inf
    return size // 2**20 if size > 0 else math.inf
