"""GTP version 2 on the wire: bytes to commands and responses and back. No I/O, no threads, no knowledge of Go.

Engine side: feed a `CommandReader` the bytes of stdin in any slices, answer its events with `Response.to_bytes`, or
line by line: `stream_head`, any number of `stream_line`, `stream_end`.
Controller side: send `encode_command`, feed a `ResponseReader` the bytes of the engine's stdout.

Both readers hold at most one line (or response) of bounded length, whatever is thrown at them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_LINE_BYTES = 32 * 1024
"""Longest command line that is read; a longer one is answered with "line too long" at its end."""
MAX_RESPONSE_BYTES = 8 * 1024 * 1024
"""Longest response, and longest run of garbage, that a controller takes from an engine."""
MAX_ID = 2**31 - 1
"""Largest command id of the specification."""
SYNTAX_ERROR = "syntax error"
LINE_TOO_LONG = "line too long"

_CONTROL = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)]) | {ord("\t"): " "}
_TEXT_CONTROL = {**_CONTROL, ord("\n"): "\n"}
_NUMBER = re.compile(r"[+-]?[0-9]+")
_FIRST_LINE = re.compile(r"[=?]([0-9]+)?(?: (.*))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One well-formed line: it must be answered exactly once."""

    id: int | None
    """0..2^31-1, echoed in the response; None where the line had none."""
    name: str
    """Case-sensitive, never empty."""
    arguments: tuple[str, ...] = ()
    """The words after the name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Malformed:
    """A non-blank line that is no command: it must be answered exactly once, by a failure."""

    id: int | None
    """The id, where one could be read."""
    reason: str
    """Text of the failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Silent:
    """A blank or comment-only line: no answer, but some clients mean something by it (`# interrupt`)."""

    comment: str
    """The comment without `#`, stripped; empty for a blank line."""


Event = Command | Malformed | Silent


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """The one answer to one command."""

    id: int | None
    """Id of the command."""
    is_success: bool
    """`=` or `?`."""
    text: str = ""
    """May have several lines; whatever would break the framing is replaced by `to_bytes`."""

    def to_bytes(self) -> bytes:
        """The whole response in one piece, ended by exactly one empty line.

        Tabs become spaces, other control characters vanish, an empty line inside the text becomes a dot. The space
        after `=` is always there: several clients split on it.
        """
        head = ("=" if self.is_success else "?") + ("" if self.id is None else str(self.id))
        return f"{head} {_framed(self.text)}\n\n".encode(errors="replace")


def success(command: Command, text: str = "") -> Response:
    """The `=` response to `command`."""
    return Response(id=command.id, is_success=True, text=text)


def failure(command: Command | Malformed, text: str) -> Response:
    """The `?` response to `command`."""
    return Response(id=command.id, is_success=False, text=text)


def stream_head(command: Command) -> bytes:
    """The beginning of a success that comes line by line: clients take it alone, and without a space."""
    return f"={'' if command.id is None else command.id}\n".encode()


def stream_line(text: str) -> bytes:
    """One line of it; `text` has no newline and is not empty."""
    return f"{_framed(text)}\n".encode(errors="replace")


def stream_end(text: str) -> bytes:
    """The last line, unless it is empty, and the empty line that ends every response."""
    return (stream_line(text) if text else b"") + b"\n"


def encode_command(name: str, *arguments: object, id: int | None = None) -> bytes:
    """One command line. Raises ValueError if a word would break the line, or change its meaning."""
    words = [name, *map(str, arguments)]
    for word in words:
        if not word or "#" in word or word.translate(_CONTROL) != word:
            raise ValueError(f"not a word of a GTP command: {word!r}")
    line = " ".join(words if id is None else [str(id), *words])
    return line.encode() + b"\n"


def parse_line(line: bytes) -> Event:
    """The event of one line (without its newline), after the preprocessing of the specification."""
    text, hash_sign, comment = line.decode(errors="surrogateescape").translate(_CONTROL).partition("#")
    words = [word for word in text.split(" ") if word]
    if not words:
        return Silent(comment=comment.strip() if hash_sign else "")
    if not _NUMBER.fullmatch(words[0]):
        return Command(id=None, name=words[0], arguments=tuple(words[1:]))
    number = _id_of(words[0])
    if number is None or len(words) == 1:
        return Malformed(id=number, reason=SYNTAX_ERROR)
    return Command(id=number, name=words[1], arguments=tuple(words[2:]))


class CommandReader:
    """Splits a stream of bytes into lines and parses them; keeps at most `max_line_bytes` of an unfinished line."""

    def __init__(self, *, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self._max_line_bytes = max_line_bytes
        self._line = bytearray()
        self._is_too_long = False

    def feed(self, data: bytes) -> list[Event]:
        """Takes the next bytes of the stream, in any slicing, and returns the events that they complete."""
        *complete, rest = data.split(b"\n")
        events = []
        for piece in complete:
            self._append(piece)
            events.append(self._finish_line())
        self._append(rest)
        return events

    def end(self) -> list[Event]:
        """End of the stream: a last line without newline counts as a line."""
        return [self._finish_line()] if self._line else []

    def _append(self, piece: bytes) -> None:
        room = self._max_line_bytes - len(self._line)
        self._is_too_long = self._is_too_long or len(piece) > room
        self._line += piece[: max(room, 0)]

    def _finish_line(self) -> Event:
        line, is_too_long = bytes(self._line), self._is_too_long
        self._line.clear()
        self._is_too_long = False
        if not is_too_long:
            return parse_line(line)
        event = parse_line(line)
        if isinstance(event, Silent):
            return event if event.comment else Malformed(id=None, reason=LINE_TOO_LONG)
        return Malformed(id=event.id, reason=LINE_TOO_LONG)


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbage:
    """A line of an engine's stdout that belongs to no response."""

    text: str
    """The line, decoded."""


class ResponseTooLong(ValueError):
    """The engine's response, or its garbage, exceeds the bound; the stream cannot be trusted any more."""


class ResponseReader:
    """Splits an engine's stdout into responses; keeps at most `max_bytes` of an unfinished one."""

    def __init__(self, *, max_bytes: int = MAX_RESPONSE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._line = bytearray()
        self._lines: list[str] = []
        self._num_bytes = 0

    def feed(self, data: bytes) -> list[Response | Garbage]:
        """Takes the next bytes, in any slicing. Raises `ResponseTooLong`; the reader is of no use after that."""
        events: list[Response | Garbage] = []
        *complete, rest = data.split(b"\n")
        for piece in complete:
            self._grow(piece)
            text = self._line.decode(errors="replace").translate(_CONTROL)
            self._line.clear()
            event = self._take_line(text)
            if event is not None:
                events.append(event)
        self._grow(rest)
        return events

    def _grow(self, piece: bytes) -> None:
        self._line += piece
        self._num_bytes += len(piece)
        if self._num_bytes > self._max_bytes:
            raise ResponseTooLong(f"more than {self._max_bytes} bytes without the end of a response")

    def _take_line(self, text: str) -> Response | Garbage | None:
        if self._lines:
            if text:
                self._lines.append(text)
                return None
            response = _response_of("\n".join(self._lines))
            self._lines.clear()
            self._num_bytes = 0
            return response
        if text.startswith(("=", "?")):
            self._lines.append(text)
            return None
        return Garbage(text=text) if text.strip() else None


def _id_of(word: str) -> int | None:
    """The id that `word` (sign and digits) spells, None where it is out of range."""
    digits = word.lstrip("+").lstrip("0") or "0"
    if not digits.isdigit() or len(digits) > len(str(MAX_ID)):
        return None
    number = int(digits)
    return number if number <= MAX_ID else None


def _framed(text: str) -> str:
    """`text` without anything that would break the framing; it may start with a newline, but holds no empty line."""
    first, *others = text.translate(_TEXT_CONTROL).rstrip().split("\n")
    return "\n".join([first.strip(), *(line.rstrip() or "." for line in others)])


def _response_of(text: str) -> Response:
    """The response of all its lines; lenient towards engines that put no space after `=`."""
    first, newline, others = text.partition("\n")
    match = _FIRST_LINE.fullmatch(first)
    number, rest = match.groups() if match is not None else (None, first[1:])
    identifier = _id_of(number) if number else None
    return Response(id=identifier, is_success=text[0] == "=", text=(rest or "").strip() + newline + others)
