"""Commands to responses: looks up the handler, writes what it says, maps its errors. One command at a time."""

from __future__ import annotations

from collections.abc import Callable

from engine.errors import TengenError
from protocol.gtp.arguments import Arguments
from protocol.gtp.commands import ENDED_BY_ANY_LINE, HANDLERS
from protocol.gtp.context import GtpContext, Stream
from protocol.gtp.errors import INTERNAL_ERROR, INTERRUPTED, UNKNOWN_COMMAND, CommandFailed, to_failure
from protocol.gtp.stdout import OutputClosed
from protocol.gtp.wire import Command, Malformed, failure, stream_end, stream_head, stream_line, success

Write = Callable[[bytes], None]


class Interpreter:
    """Answers every command exactly once and survives whatever a handler raises."""

    def __init__(self, context: GtpContext) -> None:
        self.context = context
        context.command_names = tuple(HANDLERS)

    @property
    def is_finished(self) -> bool:
        """Whether `quit` has been answered."""
        return self.context.is_finished

    def gives_way(self, event: Command | Malformed) -> bool:
        """Whether the command ends as soon as anything follows it, be it a blank line."""
        return isinstance(event, Command) and event.name in ENDED_BY_ANY_LINE

    def answer(self, event: Command | Malformed, write: Write) -> None:
        """Executes the command; blocks while it thinks. `write` gets the response at once, or piece by piece where
        the handler streams. A failed command has changed nothing."""
        if isinstance(event, Malformed):
            write(failure(event, event.reason).to_bytes())
            return
        try:
            outcome = self._execute(event)
        except Exception as error:
            write(failure(event, self._explain(event, error)).to_bytes())
            return
        if isinstance(outcome, str):
            write(success(event, outcome).to_bytes())
            return
        write(stream_head(event))
        write(stream_end(self._stream(event, outcome, write)))

    def after_answer(self) -> None:
        """What waits until the answer is out: the player may think in the opponent's time."""
        try:
            self.context.player.ponder()
        except Exception as error:
            self.context.notices.report(error)

    def abort(self) -> None:
        """Makes a move that is being thought about come soon; from any thread."""
        self.context.player.abort()

    def _execute(self, command: Command) -> str | Stream:
        handler = HANDLERS.get(command.name)
        if handler is None:
            raise CommandFailed(UNKNOWN_COMMAND)
        return handler(self.context, Arguments(command.arguments))

    def _stream(self, command: Command, stream: Stream, write: Write) -> str:
        """Sends all lines but the last one, which is returned; there is none after an error."""
        try:
            return stream(lambda line: write(stream_line(line)))
        except OutputClosed:
            raise
        except Exception as error:
            self._explain(command, error, answer_tells=False)
            return ""

    def _explain(self, command: Command, error: Exception, *, answer_tells: bool = True) -> str:
        """The text of the failure; tells the human what it leaves out, or all where no answer can tell any more."""
        if not isinstance(error, TengenError):
            self.context.notices.report(error)
            return INTERNAL_ERROR
        failed = to_failure(error)
        reason = failed.reason or ("" if answer_tells else str(failed))
        if reason and reason != INTERRUPTED:
            self.context.notices.say(f"{command.name}: {reason}")
        return str(failed)
