"""Who we are, what we can do, and the end. Everything here answers at once, whatever is being loaded."""

from __future__ import annotations

import time
from typing import Final

from protocol.gtp.arguments import Arguments
from protocol.gtp.context import GtpContext, Handler

PROTOCOL_VERSION: Final = "2"


def protocol_version(context: GtpContext, arguments: Arguments) -> str:
    """The version of GTP."""
    arguments.end()
    return PROTOCOL_VERSION


def name(context: GtpContext, arguments: Arguments) -> str:
    """The engine's name."""
    arguments.end()
    return context.name


def version(context: GtpContext, arguments: Arguments) -> str:
    """The engine's version."""
    arguments.end()
    return context.version


def known_command(context: GtpContext, arguments: Arguments) -> str:
    """Whether a command exists; no command: no."""
    is_known = arguments.has_more and arguments.word() in context.command_names
    arguments.end()
    return "true" if is_known else "false"


def list_commands(context: GtpContext, arguments: Arguments) -> str:
    """All commands, one a line."""
    arguments.end()
    return "\n".join(context.command_names)


def quit_(context: GtpContext, arguments: Arguments) -> str:
    """The last command, whatever follows it."""
    context.is_finished = True
    return ""


def stop(context: GtpContext, arguments: Arguments) -> str:
    """Ends pondering; no other search runs between two commands."""
    arguments.end()
    context.player.end_pondering()
    return ""


def clear_cache(context: GtpContext, arguments: Arguments) -> str:
    """Forgets what searches have found, so that the next one begins from nothing."""
    arguments.end()
    context.player.forget()
    return ""


def gogui_interrupt(context: GtpContext, arguments: Arguments) -> str:
    """Nothing: that it is listed promises that the comment `# interrupt` ends a search, see `session`."""
    arguments.end()
    return ""


def cputime(context: GtpContext, arguments: Arguments) -> str:
    """Processor seconds of this process so far, all threads together."""
    arguments.end()
    return f"{time.process_time():.3f}"


COMMANDS: Final[dict[str, Handler]] = {
    "protocol_version": protocol_version,
    "name": name,
    "version": version,
    "known_command": known_command,
    "list_commands": list_commands,
    "quit": quit_,
    "stop": stop,
    "clear_cache": clear_cache,
    "gogui-interrupt": gogui_interrupt,
    "cputime": cputime,
    "gomill-cpu_time": cputime,
}
