"""A real GTP engine process around a `ScriptedPlayer`: `python -m tests.support.scripted_engine`. Its libraries print.

With the word `thinks` its moves take forever, until somebody cuts them short; with `loads` its model is never loaded.
"""

from __future__ import annotations

import os
import sys

from protocol.gtp import cli
from protocol.gtp.stdout import STDOUT, claim_stdout


def main(words: list[str]) -> None:
    """Plays, then ends the process as `tengen gtp` does."""
    output_descriptor = claim_stdout()
    print("a library prints")
    os.write(STDOUT, b"a native library prints\n")
    os.system("echo a child prints")

    from protocol.gtp.notices import Notices
    from tests.support.scripted_player import ScriptedPlayer

    player = ScriptedPlayer(thinks="thinks" in words, is_loading="loads" in words)
    player.position.legal_mask()  # compiles what would else be compiled at the first move
    notices = Notices()
    status = cli.converse(player, cli.make_parser().parse_args([]), output_descriptor, notices)
    notices.say("has ended in good order")
    os._exit(status)


if __name__ == "__main__":
    main(sys.argv[1:])
