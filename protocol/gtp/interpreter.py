"""Commands to responses: looks up the handler, maps its errors. No I/O, one command at a time."""

from __future__ import annotations

from engine.errors import TengenError
from protocol.gtp.arguments import Arguments
from protocol.gtp.commands import HANDLERS
from protocol.gtp.context import GtpContext
from protocol.gtp.errors import INTERNAL_ERROR, UNKNOWN_COMMAND, to_failure
from protocol.gtp.wire import Command, Malformed, Response, failure, success


class Interpreter:
    """Answers every command exactly once and survives whatever a handler raises."""

    def __init__(self, context: GtpContext) -> None:
        self.context = context
        context.command_names = tuple(HANDLERS)

    @property
    def is_finished(self) -> bool:
        """Whether `quit` has been answered."""
        return self.context.is_finished

    def answer(self, event: Command | Malformed) -> Response:
        """Executes the command; blocks while it thinks. A failed command has changed nothing."""
        if isinstance(event, Malformed):
            return failure(event, event.reason)
        handler = HANDLERS.get(event.name)
        if handler is None:
            return failure(event, UNKNOWN_COMMAND)
        try:
            return success(event, handler(self.context, Arguments(event.arguments)))
        except TengenError as error:
            failed = to_failure(error)
            if failed.reason:
                self.context.notices.say(f"{event.name}: {failed.reason}")
            return failure(event, str(failed))
        except Exception as error:
            self.context.notices.report(error)
            return failure(event, INTERNAL_ERROR)

    def after_answer(self) -> None:
        """What waits until the answer is out: the player may think in the opponent's time."""
        try:
            self.context.player.ponder()
        except Exception as error:
            self.context.notices.report(error)

    def abort(self) -> None:
        """Makes a move that is being thought about come soon; from any thread."""
        self.context.player.abort()
