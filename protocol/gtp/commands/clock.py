"""Time settings and the time left. Settings outlive a new game; the time left does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from engine.search.time_settings import NO_LIMIT_S, TimeSettings
from protocol.gtp.arguments import Arguments
from protocol.gtp.context import GtpContext, Handler
from protocol.gtp.errors import SYNTAX_ERROR, CommandFailed

LONGEST_S: Final = 1e9
"""No time that a controller sends is longer; what is, is no time."""


def time_settings(context: GtpContext, arguments: Arguments) -> str:
    """`main byo stones`: absolute, Canadian, or no limit (time without stones)."""
    main_s, period_s, stones = _seconds(arguments), _seconds(arguments), _count(arguments)
    arguments.end()
    context.player.clock.set_settings(TimeSettings.from_gtp(main_s, period_s, stones))
    return ""


def time_left(context: GtpContext, arguments: Arguments) -> str:
    """`colour seconds stones`; a time slightly below zero is none."""
    color = arguments.color()
    seconds, stones = arguments.number(), _count(arguments)
    arguments.end()
    if abs(seconds) > LONGEST_S:
        raise CommandFailed(SYNTAX_ERROR, reason=f"{seconds:g} s is no time")
    context.player.clock.set_time_left(color, seconds, stones)
    return ""


def kgs_time_settings(context: GtpContext, arguments: Arguments) -> str:
    """`none`, `absolute main`, `byoyomi main period periods`, `canadian main period stones`."""
    return _set_system(context, arguments, _KGS_SYSTEMS)


def kata_time_settings(context: GtpContext, arguments: Arguments) -> str:
    """KGS's systems, and `fischer main increment`, `fischer-capped main increment most_main most_for_a_move`."""
    return _set_system(context, arguments, _KATA_SYSTEMS)


def kata_list_time_settings(context: GtpContext, arguments: Arguments) -> str:
    """The systems of `kata-time_settings`."""
    arguments.end()
    return " ".join(_KATA_SYSTEMS)


def _set_system(
    context: GtpContext, arguments: Arguments, systems: Mapping[str, Callable[[Arguments], TimeSettings]]
) -> str:
    name = arguments.word()
    if name not in systems:
        raise CommandFailed(SYNTAX_ERROR, reason=f"time system {name[:40]!r} is none of {', '.join(systems)}")
    settings = systems[name](arguments)
    arguments.end()
    context.player.clock.set_settings(settings)
    return ""


def _none(arguments: Arguments) -> TimeSettings:
    return TimeSettings.none()


def _absolute(arguments: Arguments) -> TimeSettings:
    return TimeSettings.absolute(_seconds(arguments))


def _byo_yomi(arguments: Arguments) -> TimeSettings:
    return TimeSettings.byo_yomi(_seconds(arguments), _seconds(arguments), _count(arguments))


def _canadian(arguments: Arguments) -> TimeSettings:
    main_s, period_s, stones = _seconds(arguments), _seconds(arguments), _count(arguments)
    return TimeSettings.canadian(main_s, period_s, stones) if stones else TimeSettings.absolute(main_s)


def _fischer(arguments: Arguments) -> TimeSettings:
    return TimeSettings.fischer(_seconds(arguments), _seconds(arguments))


def _fischer_capped(arguments: Arguments) -> TimeSettings:
    main_s, increment_s = _seconds(arguments), _seconds(arguments)
    return TimeSettings.fischer(main_s, increment_s, max_main_s=_cap(arguments), max_move_s=_cap(arguments))


def _seconds(arguments: Arguments) -> float:
    seconds = arguments.number()
    if not 0 <= seconds <= LONGEST_S:
        raise CommandFailed(SYNTAX_ERROR, reason=f"{seconds:g} s is no time")
    return seconds


def _cap(arguments: Arguments) -> float:
    """Seconds, or a negative number for no cap."""
    seconds = arguments.number()
    return seconds if seconds >= 0 else NO_LIMIT_S


def _count(arguments: Arguments) -> int:
    """Stones or periods; some clients write them with a point."""
    count = arguments.number()
    if count < 0 or count != int(count):
        raise CommandFailed(SYNTAX_ERROR, reason=f"{count:g} is no number of stones or periods")
    return int(count)


_KGS_SYSTEMS: Final = {"none": _none, "absolute": _absolute, "byoyomi": _byo_yomi, "canadian": _canadian}
_KATA_SYSTEMS: Final = {**_KGS_SYSTEMS, "fischer": _fischer, "fischer-capped": _fischer_capped}

COMMANDS: Final[dict[str, Handler]] = {
    "time_settings": time_settings,
    "time_left": time_left,
    "kgs-time_settings": kgs_time_settings,
    "kata-time_settings": kata_time_settings,
    "kata-list_time_settings": kata_list_time_settings,
}
