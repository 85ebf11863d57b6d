"""Whatever comes in: every non-empty line is answered once, with its id, and a failure changes nothing."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.gtp.commands import HANDLERS
from protocol.gtp.wire import MAX_ID, CommandReader, Malformed, Silent
from tests.support.gtp_conversation import Conversation
from tests.support.scripted_player import ScriptedPlayer, state_of

WORDS = [
    *["b", "w", "B", "WHITE", "pass", "PASS", "resign", "D4", "a1", "J9", "T19", "Z25", "I5", "A0", "A99", "d4d"],
    *["0", "1", "2", "4", "5", "9", "-1", "25", "26", "3.5", "-0", "1e400", "nan", "inf", "1e9", "9" * 30, "7_000"],
    *["byoyomi", "canadian", "none", "fischer", "alive", "dead", "seki", "x.sgf", "../x.sgf", "/dev/zero", "-", "name"],
    *["interval", "minmoves", "maxmoves", "avoid", "allow", "ownership", "rootInfo", "true", "false", "A1,B2", "A1:C3"],
]
RESPONSE = re.compile(rb"(?:=|\?(?=\d* ))(\d*)( [^\n]*)?(\n[^\n]+)*\n\n")
NAMES = [name for name in HANDLERS if name != "quit"]
words = st.sampled_from(WORDS) | st.text(max_size=5)
commands = st.builds(lambda name, rest: " ".join([name, *rest]), st.sampled_from(NAMES), st.lists(words, max_size=4))
numbered = st.builds(lambda number, line: f"{number} {line}", st.integers(-9, MAX_ID + 9), commands)
lines = (commands | numbered | st.text(max_size=12)).map(str.encode) | st.binary(max_size=20)


def answer_all(conversation: Conversation, data: bytes) -> None:
    """Feeds `data` and checks every answer."""
    position = conversation.context.player.position
    for event in CommandReader().feed(data):
        if isinstance(event, Silent):
            continue
        position, clock = conversation.context.player.position, conversation.context.player.clock
        before = (state_of(position), clock.settings)
        response = conversation.answer(event)
        answered = RESPONSE.fullmatch(response)
        assert answered, response
        assert answered[1] == (b"" if event.id is None else str(event.id).encode())
        is_success = response.startswith(b"=")
        if not is_success:
            assert (state_of(conversation.context.player.position), clock.settings) == before
        assert not (isinstance(event, Malformed) and is_success)
        assert not response.endswith(b" internal error\n\n"), conversation.stderr.getvalue()
    assert "Traceback" not in conversation.stderr.getvalue()


@settings(max_examples=150, deadline=None)
@given(st.lists(lines, max_size=12))
def test_any_lines(tmp_path_factory: pytest.TempPathFactory, sent: list[bytes]) -> None:
    folder = tmp_path_factory.getbasetemp()
    conversation = Conversation(ScriptedPlayer(size=5, max_size=9), sgf_folder=folder)
    answer_all(conversation, b"".join(line + b"\n" for line in sent))


@pytest.mark.slow
def test_a_hundred_thousand_lines(tmp_path: Path) -> None:
    rng = random.Random(20)
    conversation = Conversation(ScriptedPlayer(size=5, max_size=9), sgf_folder=tmp_path)
    for _ in range(1000):
        pieces = []
        for _ in range(100):
            name = rng.choice([*NAMES, "play", "play", "genmove", "undo"])
            line = " ".join([name, *rng.choices(WORDS, k=rng.choice([0, 1, 1, 2, 2, 2, 3]))]).encode()
            if rng.random() < 0.1:
                line = rng.randbytes(rng.randrange(20)) + line
            pieces.append(line.replace(b"quit", b""))
        answer_all(conversation, b"\n".join(pieces) + b"\n")
        assert conversation.ask("7 name") == "=7 Tengen"
        conversation.stderr.seek(0)
        conversation.stderr.truncate()
