"""The front door: `tengen COMMAND ...`. A command's module is imported only when that command is called."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Sequence

from engine import __version__
from engine.errors import TengenError

COMMANDS = {
    # name: (where it lives, the extra that it needs, its line in the help)
    "gtp": ("protocol.gtp.cli:main", "", "play through GTP on stdin and stdout, as Go GUIs expect"),
    "serve": ("protocol.rpc.cli:main", "serve", "answer gRPC calls: move suggestions and models"),
    "models": ("engine.model.catalog:main", "", "list the models that this installation finds"),
    "bench": ("engine.bench:main", "", "measure how fast this machine searches"),
    "train": ("trainer.cli:main", "train", "learn a game from self-play"),
    "evaluate": ("trainer.evaluate:main", "train", "play with a run: mean return, or games against a random mover"),
    "diagnose": ("trainer.diagnose:main", "train", "measure how far a model's imagination can be trusted"),
    "export": ("trainer.export:main", "train", "turn a checkpoint into a model folder"),
}
OURS = ("engine", "protocol", "tournament", "trainer")


def usage() -> str:
    """The text of `tengen --help`."""
    commands = "\n".join(f"  {name:<10}{summary}" for name, (_, _, summary) in COMMANDS.items())
    return (
        f"usage: tengen COMMAND [options]\n\nA MuZero Go bot.\n\ncommands:\n{commands}\n\n"
        "`tengen COMMAND --help` lists a command's options; `tengen --version` prints the version."
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit status: 0 done, 1 failed, 2 wrong use or input, 130 interrupted."""
    name, *rest = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if name in ("-h", "--help", "help"):
        print(usage())
        return 0
    if name in ("-V", "--version", "version"):
        print(f"tengen {__version__}")
        return 0
    if name not in COMMANDS:
        return _complain(f"unknown command {name!r}; `tengen --help` lists them")
    try:
        return _call(name, rest)
    except TengenError as error:
        return _complain(str(error))
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:  # the reader has gone; keep the interpreter from flushing into the closed pipe at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE


def _call(name: str, arguments: list[str]) -> int:
    target, extra, _ = COMMANDS[name]
    module, function = target.split(":")
    try:
        return int(getattr(importlib.import_module(module), function)(arguments) or 0)
    except ModuleNotFoundError as error:
        if not extra or (error.name or "").partition(".")[0] in OURS:
            raise  # ours to mend, not the user's to install
        return _complain(
            f"{error}: `tengen {name}` needs more packages; in its source folder: "
            f".venv/bin/pip install -c constraints.txt -e '.[{extra}]'"
        )


def _complain(message: str) -> int:
    print(f"tengen: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    raise SystemExit(main())
