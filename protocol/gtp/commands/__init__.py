"""The commands by theme, and the one table of them all.

`list_commands` shows exactly this table in this order; `protocol_version` has to be first, because a client recognises
the answer by it.
"""

from __future__ import annotations

from typing import Final

from protocol.gtp.commands import admin, analyze, clock, handicap, play, score, setup, sgf
from protocol.gtp.commands.analyze import ENDED_BY_ANY_LINE
from protocol.gtp.context import Handler

__all__ = ["ENDED_BY_ANY_LINE", "HANDLERS"]

HANDLERS: Final[dict[str, Handler]] = {
    **admin.COMMANDS,
    **setup.COMMANDS,
    **play.COMMANDS,
    **analyze.COMMANDS,
    **handicap.COMMANDS,
    **clock.COMMANDS,
    **score.COMMANDS,
    **sgf.COMMANDS,
}
"""Every command by its name."""
