"""What a command's handler may use: the player, as far as GTP needs it, and what a conversation remembers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from protocol.gtp.arguments import Arguments
from protocol.gtp.errors import INTERRUPTED, CommandFailed
from protocol.gtp.notices import Notices

if TYPE_CHECKING:
    from engine.analysis import Analysis
    from engine.go.position import Position
    from engine.go.rules import RuleSet
    from engine.player import Decision, FinalScore
    from engine.search.clock import GameClock

POLL_S: Final = 0.05
"""How often a wait looks whether anybody still waits for it."""


class GtpPlayer(Protocol):
    """The part of `engine.player.Player` that GTP drives; its documentation is there. Tests script their own."""

    @property
    def position(self) -> Position: ...
    @position.setter
    def position(self, position: Position) -> None: ...
    @property
    def clock(self) -> GameClock: ...
    @property
    def ready_error(self) -> Exception | None: ...
    @property
    def rules(self) -> RuleSet: ...

    def new_game(self, size: int | None = None) -> None: ...
    def play(self, color: int, action: int) -> None: ...
    def undo(self) -> None: ...
    def final_score(self) -> FinalScore: ...
    def dead_stones(self) -> frozenset[int]: ...
    def generate(
        self,
        color: int,
        *,
        play: bool = True,
        cleanup: bool = False,
        allow: Collection[int] | None = None,
        avoid: Collection[int] = (),
        on_search: Callable[[Analysis], None] | None = None,
        wait: Callable[[], None] | None = None,
    ) -> Decision: ...
    def analyze(
        self, color: int | None = None, *, allow: Collection[int] | None = None, avoid: Collection[int] = ()
    ) -> Analysis: ...
    def abort(self) -> None: ...
    def ponder(self) -> None: ...
    def end_pondering(self) -> None: ...
    def forget(self) -> None: ...
    def ensure_ready(self, timeout_s: float | None = None) -> bool: ...
    def close(self) -> None: ...


@dataclass(slots=True, kw_only=True)
class GtpContext:
    """One conversation's state beside the game itself."""

    player: GtpPlayer
    """Who plays; owned by the thread that executes commands, except for `abort`."""
    name: str
    """Answer to `name`."""
    version: str
    """Answer to `version`: digits and dots, which some clients parse."""
    notices: Notices
    """Where the human is told what an answer cannot say."""
    sgf_folder: Path | None = None
    """The only folder whose files may be read and written; None: any SGF file of the user."""
    command_names: tuple[str, ...] = ()
    """What `list_commands` lists, in this order."""
    is_finished: bool = False
    """Set by `quit`: nothing is executed any more."""
    is_hurried: threading.Event = field(default_factory=threading.Event)
    """Set from another thread when nobody wants to wait for the command under way."""

    def check_model(self) -> None:
        """Raises what is known to be wrong with the model, which is then tried once more; waits for nothing."""
        if not self.player.ensure_ready(0.0) and self.player.ready_error is not None:
            raise self.player.ready_error

    def wait_for_model(self) -> None:
        """Blocks until the model is loaded, or cannot be, which the player then says. Fails for a hurried command."""
        while not self.player.ensure_ready(POLL_S) and self.player.ready_error is None:
            if self.is_hurried.is_set():
                raise CommandFailed(INTERRUPTED)


Send = Callable[[str], None]
"""Sends one line of a response that comes line by line."""

Stream = Callable[[Send], str]
"""Sends lines of a success as they come, and returns the last one, which may be empty.

The `=` is out when it is called, so that what it raises ends the response and is told to the human only."""

Handler = Callable[[GtpContext, Arguments], str | Stream]
"""Executes one command and returns the text of its success, or what will send it line by line; raises `TengenError`,
with the state untouched."""
