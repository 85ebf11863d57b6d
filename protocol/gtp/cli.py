"""`tengen gtp`: options, then an engine on standard input and output until `quit`.

Only the standard library is imported before standard output belongs to GTP.
"""

from __future__ import annotations

import argparse
import math
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from engine.settings import PlayerSettings
    from protocol.gtp.context import GtpPlayer
    from protocol.gtp.notices import Notices

NAME: Final = "Tengen"
CLOSE_TIMEOUT_S: Final = 0.2
"""The longest that the end of the process waits for searches and networks."""
WRONG_USE: Final = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Plays until `quit`, the end of the input or a signal, then ends the process. Returns only to complain."""
    options = make_parser().parse_args(arguments)
    from protocol.gtp.stdout import claim_stdout

    output_descriptor = claim_stdout()
    from engine.errors import TengenError
    from protocol.gtp.notices import Notices
    from protocol.gtp.transcript import Transcript

    notices = Notices()
    try:
        notices.transcript = Transcript(options.log)
        status = play(options, output_descriptor, notices)
    except TengenError as error:
        notices.say(str(error))
        return WRONG_USE
    # Threads that still load a model or compile a kernel must not delay the end, and need no orderly one.
    os._exit(status)


def play(options: argparse.Namespace, output_descriptor: int, notices: Notices) -> int:
    """One session between standard input and `output_descriptor`; returns the exit status. Call it in the main thread.

    Raises `InvalidConfig` and `InvalidInput` for options that cannot be.
    """
    from engine.go.rules import rules_by_name
    from engine.player import Player

    player = Player(
        settings=_player_settings(options),
        board_size=options.size,
        komi=options.komi,
        rules=rules_by_name(options.rules),
        notify=notices.say,
    )
    threading.Thread(target=_tell_when_ready, args=(player, notices), name="gtp ready", daemon=True).start()
    try:
        return converse(player, options, output_descriptor, notices)
    finally:
        closing = threading.Thread(target=player.close, name="gtp close", daemon=True)
        closing.start()
        closing.join(CLOSE_TIMEOUT_S)


def converse(player: GtpPlayer, options: argparse.Namespace, output_descriptor: int, notices: Notices) -> int:
    """The session itself, with any player."""
    from engine import __version__
    from protocol.gtp.context import GtpContext
    from protocol.gtp.interpreter import Interpreter
    from protocol.gtp.session import Session
    from protocol.gtp.signals import SignalWatch
    from protocol.gtp.stdout import Output

    context = GtpContext(
        player=player, name=options.name, version=__version__, notices=notices, sgf_folder=options.sgf_dir
    )
    session = Session(Interpreter(context), output=Output(output_descriptor), notices=notices)
    with SignalWatch(session.end):
        return session.run()


def _tell_when_ready(player: GtpPlayer, notices: Notices) -> None:
    """A player whose model is broken is ready too: it answers everything but moves."""
    if not player.ensure_ready() and player.ready_error is not None:
        notices.say(f"no moves without a model: {player.ready_error}")
    notices.say_ready()


def _player_settings(options: argparse.Namespace) -> PlayerSettings:
    from engine.search.config import SearchConfig
    from engine.settings import PlayerSettings

    return PlayerSettings(
        model=options.model,
        threads=options.threads,
        algorithm=options.algorithm,
        search=SearchConfig(choice=options.choice),
        temperature=options.temperature,
        ponder=options.ponder,
        rules_depth=options.rules_depth,
        reground_every=options.reground_every,
        device=options.device,
        time_s=options.time,
        visits=options.visits,
        playouts=options.playouts,
        max_time_s=options.max_time,
        lag_buffer_s=options.lag_buffer,
        resign=options.resign,
        resign_winrate=options.resign_below,
        seed=options.seed,
        max_memory_mib=options.max_memory,
    )


def make_parser() -> argparse.ArgumentParser:
    """The options of `tengen gtp`."""
    parser = argparse.ArgumentParser(
        prog="tengen gtp",
        description="Play through the Go Text Protocol, version 2, on standard input and output.",
        epilog="Time settings of the controller take the place of --time; --visits and --max-time limit every move.",
    )
    game = parser.add_argument_group("game, until the controller says otherwise")
    game.add_argument("--size", metavar="N", type=int, default=9, help="board size; %(default)s")
    game.add_argument("--komi", metavar="POINTS", type=float, default=7.0, help="%(default)s")
    game.add_argument(
        "--rules",
        metavar="NAME",
        default="cgos",
        help="chinese, japanese, aga, ...: see docs/guide-gui.md; %(default)s",
    )
    strength = parser.add_argument_group("strength")
    strength.add_argument("--model", metavar="NAME", help="model name or folder; by default chosen for the board size")
    strength.add_argument(
        "--time", metavar="S", type=float, help="seconds a move; 1 where neither --visits nor --playouts is given"
    )
    strength.add_argument("--visits", metavar="N", type=int, help="most visits of a move's search; no limit")
    strength.add_argument(
        "--playouts", metavar="N", type=int, help="the same, without what the search before found already; no limit"
    )
    strength.add_argument("--max-time", metavar="S", type=float, default=60.0, help="longest move; %(default)s s")
    strength.add_argument("--threads", metavar="N", type=int, default=0, help="search threads; all cores")
    strength.add_argument(
        "--algorithm", choices=("auto", "puct", "gumbel"), default="auto", help="of the search; %(default)s"
    )
    strength.add_argument(
        "--choice",
        choices=("visits", "lcb"),
        default="lcb",
        help="play the most visited move, or the one whose value is least likely to be bad; %(default)s",
    )
    strength.add_argument(
        "--rules-depth",
        metavar="PLIES",
        type=float,
        default=math.inf,
        help="so far ahead the rules say what is legal, then the network does: 0 is MuZero; %(default)s: everywhere",
    )
    strength.add_argument(
        "--reground-every",
        metavar="PLIES",
        type=int,
        default=1,
        help="look at the real board every so many plies ahead: %(default)s is AlphaZero; 0: never, as in MuZero",
    )
    strength.add_argument("--ponder", action="store_true", help="think in the opponent's time, a minute at most")
    strength.add_argument(
        "--temperature", metavar="T", type=float, default=0.0, help="varied openings, 0.5 for example; %(default)s"
    )
    strength.add_argument("--device", default="cpu", help="where networks run: cpu, cuda, openvino, ...; %(default)s")
    strength.add_argument("--seed", metavar="N", type=int, help="repeats a game, with --threads 1 and --visits")
    strength.add_argument(
        "--max-memory", "--memory", metavar="MIB", type=int, default=1024, help="of the search tree; %(default)s MiB"
    )
    manners = parser.add_argument_group("manners")
    manners.add_argument("--no-resign", dest="resign", action="store_false", help="play every game to its end")
    manners.add_argument(
        "--resign-below",
        metavar="P",
        type=float,
        default=0.05,
        help="resign when the winrate was below this at three moves in a row; %(default)s",
    )
    manners.add_argument(
        "--lag-buffer", metavar="S", type=float, default=0.2, help="time kept back for the controller; %(default)s s"
    )
    manners.add_argument("--log", metavar="FILE", type=Path, help="add the conversation to this file, with times")
    manners.add_argument("--name", default=NAME, help="what to answer to `name`; %(default)s")
    manners.add_argument(
        "--sgf-dir", metavar="DIR", type=Path, help="loadsgf and printsgf only in this folder; any .sgf of the user"
    )
    return parser
