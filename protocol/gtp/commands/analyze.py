"""Live analysis: a report every so often, of a search that changes nothing, or of one for a move.

`*-analyze` goes on until anything follows it on the input, be it a blank line or the input's end; the tree that it has
grown serves the next search. `*-genmove_analyze` is `genmove` with reports, ended by what ends `genmove`; the last
report is that of the whole search, and there is always one. All are refused where the words are wrong, no move is left
to consider, or the model is known to be broken; else the response begins at once, be the model loaded or not.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from engine.analysis import Analysis
from engine.turn import Turn
from protocol.gtp.analysis_options import AnalysisOptions, read_options
from protocol.gtp.arguments import Arguments
from protocol.gtp.commands.play import generate
from protocol.gtp.context import GtpContext, Handler, Send, Stream
from protocol.gtp.info_line import KATA, LZ, Dialect, info_line


def analyze(context: GtpContext, arguments: Arguments, *, dialect: Dialect) -> Stream:
    """What the search knows of the current position, every so often."""
    options = _read(context, arguments, dialect)

    def stream(send: Send) -> str:
        context.wait_for_model()
        if not context.is_hurried.is_set():
            with context.player.analyze(options.color, allow=options.allow, avoid=options.avoid) as analysis:
                while not context.is_hurried.wait(options.interval_s):
                    send(info_line(analysis, analysis.wait(0.0), options, dialect))
        return ""

    return stream


def genmove_analyze(context: GtpContext, arguments: Arguments, *, dialect: Dialect, play: bool = True) -> Stream:
    """Our move for a colour, played or not, with reports while it is sought."""
    options = _read(context, arguments, dialect)

    def stream(send: Send) -> str:
        def report(analysis: Analysis) -> None:
            has_ended = False
            while not has_ended:
                result = analysis.wait(options.interval_s)
                has_ended = result.stop_reason is not None
                send(info_line(analysis, result, options, dialect))

        allow, avoid = options.allow, options.avoid
        move = generate(context, options.color, play=play, allow=allow, avoid=avoid, on_search=report)
        return f"play {move}"

    return stream


def _read(context: GtpContext, arguments: Arguments, dialect: Dialect) -> AnalysisOptions:
    position = context.player.position
    options = read_options(arguments, position, flags=dialect.flags)
    if options.allow is not None or options.avoid:
        # Raises where no move is left, now that the answer can still be a failure. Not for nothing, because the first
        # question for legal moves may have to wait for kernels to be compiled.
        Turn.of(position.copy(), options.color, allow=options.allow, avoid=options.avoid)
    context.check_model()
    return options


COMMANDS: Final[dict[str, Handler]] = {
    "lz-analyze": partial(analyze, dialect=LZ),
    "kata-analyze": partial(analyze, dialect=KATA),
    "lz-genmove_analyze": partial(genmove_analyze, dialect=LZ),
    "kata-genmove_analyze": partial(genmove_analyze, dialect=KATA),
    "kata-search_analyze": partial(genmove_analyze, dialect=KATA, play=False),
}

ENDED_BY_ANY_LINE: Final = frozenset({"lz-analyze", "kata-analyze"})
"""Those that go on until something follows them."""
