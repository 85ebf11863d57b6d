"""One GTP conversation: a thread that reads commands, the caller's thread that executes them, and how it ends.

`quit`, the end of the input, a closed output and a termination signal end the session, and cut the thought about a move
short. What arrives in one burst with the `quit` or the end of the input is spared: that is a script sent through a
pipe, which wants its answers, and not a controller that leaves in the middle of a move.

An analysis is cut by whatever follows it, in the same burst or not: a command, a comment, a blank line, the end of the
input. So lines are numbered, the blank ones and the end included, and the line under way is hurried when a later one is
there that cuts it.
"""

from __future__ import annotations

import contextlib
import math
import os
import queue
import threading
import time
from typing import Final

from protocol.gtp.interpreter import Interpreter
from protocol.gtp.notices import Notices
from protocol.gtp.stdout import Output, OutputClosed
from protocol.gtp.transcript import SENT
from protocol.gtp.wire import Command, CommandReader, Malformed, Silent

STDIN: Final = 0
BURST_GAP_S: Final = 0.05
"""Input that lets us wait longer than this begins a new burst."""
SIGNAL_GRACE_S: Final = 0.5
"""The longest that a signal waits for the command under way."""
INTERRUPT_COMMENT: Final = "interrupt"
"""GoGui's comment line that cuts the thought about a move short."""

_READ_BYTES: Final = 64 * 1024
_MAX_PENDING: Final = 4096
_ABORT_AGAIN_S: Final = 0.02
_NONE: Final = math.inf
"""In place of a command's number: none is under way, or all are meant."""


class Session:
    """Runs once. `run` blocks; `end` may be called from any thread."""

    def __init__(
        self,
        interpreter: Interpreter,
        *,
        output: Output,
        notices: Notices,
        input_descriptor: int = STDIN,
        burst_gap_s: float = BURST_GAP_S,
    ) -> None:
        """Nothing is read or written before `run`."""
        self._interpreter = interpreter
        self._output = output
        self._notices = notices
        self._input = input_descriptor
        self._burst_gap_s = burst_gap_s
        self._pending: queue.Queue[tuple[float, Command | Malformed] | None] = queue.Queue(_MAX_PENDING)
        self._lock = threading.Lock()
        self._num_read = 0
        self._burst_begin = 0
        self._under_way: float = _NONE
        self._gives_way = False
        self._cut_before: float = 0
        self._is_finished = threading.Event()
        self._is_ended = False
        self._status = 0

    def run(self) -> int:
        """Answers until the end; returns the exit status: 0, or 128 + n after signal n."""
        threading.Thread(target=self._read, name="gtp input", daemon=True).start()
        try:
            while not self._is_ended and (item := self._pending.get()) is not None:
                number, event = item
                self._mark_under_way(number, gives_way=self._interpreter.gives_way(event))
                self._interpreter.answer(event, self._write)
                self._mark_under_way(_NONE)
                if self._interpreter.is_finished:
                    break
                self._interpreter.after_answer()
        except OutputClosed as error:
            self._notices.say(f"nobody reads the answers any more: {error}")
        finally:
            self._is_finished.set()
        return self._status

    def end(self, signal_number: int) -> None:
        """Ends the session because of a signal; at most the command under way is still answered.

        Should that take longer than `SIGNAL_GRACE_S`, the process is ended from here.
        """
        self._status = 128 + signal_number
        self._is_ended = True
        with contextlib.suppress(queue.Full):  # then the loop looks at `_is_ended` before it waits
            self._pending.put_nowait(None)
        self._cut_short(before=_NONE)
        if not self._is_finished.wait(SIGNAL_GRACE_S):
            os._exit(self._status)

    def _write(self, data: bytes) -> None:
        self._notices.transcript.write(SENT, data)
        self._output.write(data)

    def _read(self) -> None:
        """Reads until `quit` or the end of the input."""
        reader = CommandReader()
        while True:
            data = self._read_some()
            lines = [*reader.feed(data)] if data else [*reader.end(), None]
            first = self._count(len(lines))
            for number, line in enumerate(lines, first):
                if isinstance(line, Silent):
                    if line.comment == INTERRUPT_COMMENT:
                        self._cut_short(before=number)
                    continue
                self._pending.put(None if line is None else (number, line))
                if line is None or (isinstance(line, Command) and line.name == "quit"):
                    self._cut_short(before=self._burst_begin)
                    return

    def _count(self, num_lines: int) -> int:
        """Takes note of lines before any of them is executed; returns the number of the first."""
        with self._lock:
            first = self._num_read
            self._num_read += num_lines
            self._refresh_hurry()
        return first

    def _read_some(self) -> bytes:
        """The next bytes of the input, b"" at its end; counts the bursts."""
        waiting_since = time.monotonic()
        try:
            data = os.read(self._input, _READ_BYTES)
        except OSError as error:
            self._notices.say(f"the input cannot be read: {error}")
            data = b""
        self._notices.transcript.receive(data)
        if time.monotonic() - waiting_since > self._burst_gap_s:
            self._burst_begin = self._num_read
        return data

    def _mark_under_way(self, number: float, *, gives_way: bool = False) -> None:
        with self._lock:
            self._under_way, self._gives_way = number, gives_way
            self._refresh_hurry()

    def _cut_short(self, *, before: float) -> None:
        """From now on, no command whose number is below `before` is thought about at leisure."""
        with self._lock:
            self._cut_before = max(self._cut_before, before)
            self._refresh_hurry()

    def _refresh_hurry(self) -> None:
        """Hurries the command under way, if that is due, until it is answered. Call it with the lock."""
        hurry = self._interpreter.context.is_hurried
        last_read = self._num_read - 1
        if self._under_way >= self._cut_before and not (self._gives_way and self._under_way < last_read):
            hurry.clear()
        elif not hurry.is_set():
            hurry.set()
            threading.Thread(target=self._abort_while_hurried, name="gtp abort", daemon=True).start()

    def _abort_while_hurried(self) -> None:
        """Again and again, because a search may begin just after it was told to end; never the next command's."""
        hurry = self._interpreter.context.is_hurried
        while not self._is_finished.is_set():
            with self._lock:
                if not hurry.is_set():
                    return
                self._interpreter.abort()
            self._is_finished.wait(_ABORT_AGAIN_S)
