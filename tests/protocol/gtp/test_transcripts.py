"""Whole conversations, byte for byte: what real clients send when they start and play, and what they get.

A file in tests/golden/gtp has our moves in its first line, then each line of the client behind "> " and our answer
below it, where the space of an empty "= " is left out. `{commands}` stands for the answer to list_commands, `{seconds}`
for a number of seconds, `{decimals}` for decimal numbers. Every analysis ends after its first report.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from protocol.gtp.commands import HANDLERS
from protocol.gtp.wire import CommandReader, Silent
from tests.support.gtp_conversation import Conversation
from tests.support.scripted_player import ScriptedPlayer

GOLDEN = Path(__file__).parents[2] / "golden" / "gtp"
FILES = sorted(GOLDEN.glob("*.txt"))
MOVES = "# our moves:"


def read(path: Path) -> tuple[list[str], list[str], str]:
    """Our moves, the client's lines, and the answers joined."""
    first, *lines = path.read_text().splitlines()
    assert first.startswith(MOVES)
    sent = [line[2:] for line in lines if line.startswith("> ")]
    answers = "\n".join(line for line in lines if not line.startswith("> ")) + "\n"
    answers = re.sub(r"^([=?]\d*)\n\n", r"\1 \n\n", answers, flags=re.MULTILINE)
    return first.removeprefix(MOVES).split(), sent, answers


def pattern(answers: str) -> str:
    """The regular expression that the answers must match."""
    text = re.escape(answers).replace(re.escape("{commands}"), re.escape("\n".join(HANDLERS)))
    text = text.replace(re.escape("{decimals}"), r"-?\d+\.\d{6}( -?\d+\.\d{6})*")
    return text.replace(re.escape("{seconds}"), r"\d+\.\d+")


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
@pytest.mark.parametrize("slice_bytes", [1, 10_000])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_transcript(path: Path, slice_bytes: int, newline: str) -> None:
    moves, sent, answers = read(path)
    conversation = Conversation(ScriptedPlayer(moves))
    data = "".join(line + newline for line in sent).encode()
    reader = CommandReader()
    output = b""
    for start in range(0, len(data), slice_bytes):
        for event in reader.feed(data[start : start + slice_bytes]):
            if not isinstance(event, Silent) and not conversation.interpreter.is_finished:
                output += conversation.answer(event)
    assert re.fullmatch(pattern(answers), output.decode()), output.decode()


def test_there_are_transcripts() -> None:
    assert len(FILES) >= 10
