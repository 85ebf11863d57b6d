"""A GTP session in a thread, at the other end of two pipes."""

from __future__ import annotations

import io
import os
import re
import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from protocol.gtp.context import GtpPlayer
from protocol.gtp.notices import Notices
from protocol.gtp.session import Session
from protocol.gtp.stdout import Output
from protocol.gtp.wire import Response, ResponseReader
from tests.support.gtp_conversation import Conversation
from tests.support.scripted_player import ScriptedPlayer

PATIENCE_S = 20.0
EACH_READ = 0.0
"""A gap that makes every read of the session a burst of its own."""


class Line:
    """The controller's ends of the two pipes of a session that runs in a thread."""

    def __init__(self, player: GtpPlayer, burst_gap_s: float) -> None:
        self.player = player
        self.stderr = io.StringIO()
        input_read, self._input_write = os.pipe()
        self._output_read, output_write = os.pipe()
        notices = Notices(self.stderr)
        self.conversation = Conversation(player)
        self.session = Session(
            self.conversation.interpreter,
            output=Output(output_write),
            notices=notices,
            input_descriptor=input_read,
            burst_gap_s=burst_gap_s,
        )
        self.status: int | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._responses: list[Response] = []
        self._reader = ResponseReader()
        self._descriptors = [input_read, output_write]
        self._thread.start()

    def _run(self) -> None:
        self.status = self.session.run()

    def send(self, text: str | bytes) -> None:
        os.write(self._input_write, text if isinstance(text, bytes) else text.encode())

    def answer(self) -> str:
        """The next answer's text, `?` in front of a failure's."""
        while not self._responses:
            data = os.read(self._output_read, 65536)
            assert data
            self._responses += [event for event in self._reader.feed(data) if isinstance(event, Response)]
        response = self._responses.pop(0)
        return response.text if response.is_success else f"? {response.text}"

    def receive(self, timeout_s: float = PATIENCE_S) -> str:
        """What has been answered since the last time, byte for byte; waits for something, and gets "" in vain."""
        is_there = select.select([self._output_read], [], [], timeout_s)[0]
        return os.read(self._output_read, 65536).decode() if is_there else ""

    def expect(self, pattern: str) -> str:
        """Receives until all of it matches `pattern`, a regular expression."""
        text = ""
        while not re.fullmatch(pattern, text):
            more = self.receive()
            assert more, f"{text!r} is not {pattern}"
            text += more
        return text

    def hang_up(self) -> None:
        os.close(self._input_write)
        self._input_write = -1

    def stop_listening(self) -> None:
        os.close(self._output_read)
        self._output_read = -1

    def end(self, *, within_s: float = PATIENCE_S, must: bool = True) -> int | None:
        self._thread.join(within_s)
        assert not (must and self._thread.is_alive())
        return self.status

    def close(self) -> None:
        if self._input_write >= 0:
            self.hang_up()
        self.player.abort()
        self._thread.join(PATIENCE_S)
        for thread in threading.enumerate():
            if thread.name == "gtp input":  # or it would read from the next test's pipe of the same number
                thread.join(PATIENCE_S)
        for descriptor in (*self._descriptors, self._output_read):
            if descriptor >= 0:
                os.close(descriptor)


@contextmanager
def line(player: GtpPlayer | None = None, *, burst_gap_s: float = EACH_READ) -> Iterator[Line]:
    connection = Line(player or ScriptedPlayer(), burst_gap_s)
    try:
        yield connection
    finally:
        connection.close()
