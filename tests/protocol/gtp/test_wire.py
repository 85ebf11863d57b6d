"""Bytes to GTP commands and responses and back."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.gtp.wire import (
    LINE_TOO_LONG,
    MAX_ID,
    MAX_LINE_BYTES,
    SYNTAX_ERROR,
    Command,
    CommandReader,
    Event,
    Garbage,
    Malformed,
    Response,
    ResponseReader,
    ResponseTooLong,
    Silent,
    encode_command,
    failure,
    parse_line,
    success,
)

LINES: list[tuple[bytes, Event]] = [
    (b"name", Command(id=None, name="name")),
    (b"7 name", Command(id=7, name="name")),
    (b"007 name", Command(id=7, name="name")),
    (b"0 name", Command(id=0, name="name")),
    (b"2147483647 name", Command(id=MAX_ID, name="name")),
    (b"2147483648 name", Malformed(id=None, reason=SYNTAX_ERROR)),
    (b"99999999999 name", Malformed(id=None, reason=SYNTAX_ERROR)),
    (b"9" * 5000 + b" name", Malformed(id=None, reason=SYNTAX_ERROR)),
    (b"-5 name", Malformed(id=None, reason=SYNTAX_ERROR)),
    (b"+5 name", Command(id=5, name="name")),
    (b"13", Malformed(id=13, reason=SYNTAX_ERROR)),
    (b"13 # why", Malformed(id=13, reason=SYNTAX_ERROR)),
    (b"  play\tb   D4\r", Command(id=None, name="play", arguments=("b", "D4"))),
    (b"12 lz-genmove_analyze b 100", Command(id=12, name="lz-genmove_analyze", arguments=("b", "100"))),
    (b"12  name", Command(id=12, name="name")),
    (b"na\x00me\x7f\x1b", Command(id=None, name="name")),
    (b"NAME", Command(id=None, name="NAME")),
    (b"play b D4 # a comment", Command(id=None, name="play", arguments=("b", "D4"))),
    (b"play b D4#comment", Command(id=None, name="play", arguments=("b", "D4"))),
    ("loadsgf größe.sgf".encode(), Command(id=None, name="loadsgf", arguments=("größe.sgf",))),
    (b"1.5 name", Command(id=None, name="1.5", arguments=("name",))),
    ("７ name".encode(), Command(id=None, name="７", arguments=("name",))),
    (b"", Silent(comment="")),
    (b"\r", Silent(comment="")),
    (b" \t \x01", Silent(comment="")),
    (b"# interrupt", Silent(comment="interrupt")),
    (b"  #", Silent(comment="")),
]


@pytest.mark.parametrize(("line", "event"), LINES, ids=[repr(line[:20]) for line, _ in LINES])
def test_one_line(line: bytes, event: Event) -> None:
    assert parse_line(line) == event


def test_undecodable_bytes_survive_as_a_file_name() -> None:
    event = parse_line(b"loadsgf \xff\xfe.sgf")
    assert isinstance(event, Command)
    assert event.arguments[0].encode(errors="surrogateescape") == b"\xff\xfe.sgf"


@given(st.lists(st.sampled_from([line for line, _ in LINES]), max_size=8), st.data())
def test_any_slicing_gives_the_same_events(lines: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    reader = CommandReader()
    events = []
    for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        events += reader.feed(stream[start:stop])
    assert events + reader.end() == [parse_line(line) for line in lines]


def test_byte_by_byte_and_a_last_line_without_newline() -> None:
    reader = CommandReader()
    events = [event for byte in b"1 boardsize 9\r\nplay b D4" for event in reader.feed(bytes([byte]))]
    assert events == [Command(id=1, name="boardsize", arguments=("9",))]
    assert reader.end() == [Command(id=None, name="play", arguments=("b", "D4"))]
    assert reader.end() == []


@pytest.mark.parametrize("length", [MAX_LINE_BYTES + 1, 64 * 1024, 1024 * 1024])
def test_a_line_too_long_is_answered_once_and_the_next_one_is_read(length: int) -> None:
    reader = CommandReader()
    events = reader.feed(b"42 " + b"x" * (length - 3) + b"\n2 name\n")
    assert events == [Malformed(id=42, reason=LINE_TOO_LONG), Command(id=2, name="name")]


def test_the_longest_line_is_read() -> None:
    (event,) = CommandReader().feed(b"x" * MAX_LINE_BYTES + b"\n")
    assert event == Command(id=None, name="x" * MAX_LINE_BYTES)


def test_a_long_comment_stays_silent_and_a_long_blank_line_does_not_hide_what_follows() -> None:
    assert isinstance(CommandReader().feed(b"#" + b"x" * MAX_LINE_BYTES + b"\n")[0], Silent)
    assert CommandReader().feed(b" " * MAX_LINE_BYTES + b"quit\n") == [Malformed(id=None, reason=LINE_TOO_LONG)]


def test_an_endless_line_takes_no_memory() -> None:
    reader = CommandReader()
    chunk = b"x" * 65536
    tracemalloc.start()
    for _ in range(2000):
        assert reader.feed(chunk) == []
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1024 * 1024
    assert reader.end() == [Malformed(id=None, reason=LINE_TOO_LONG)]


RESPONSES = [
    (success(Command(id=None, name="name"), "Tengen"), b"= Tengen\n\n"),
    (success(Command(id=12, name="name"), "Tengen"), b"=12 Tengen\n\n"),
    (success(Command(id=None, name="quit")), b"= \n\n"),
    (failure(Command(id=3, name="quit"), "unknown command"), b"?3 unknown command\n\n"),
    (failure(Malformed(id=None, reason=""), "syntax error"), b"? syntax error\n\n"),
    (Response(id=None, is_success=True, text="a\tb\r\n\nc\n\n"), b"= a b\n.\nc\n\n"),
    (Response(id=None, is_success=True, text="\n A B\n  \n2 . ."), b"= \n A B\n.\n2 . .\n\n"),
    (Response(id=None, is_success=True, text="bell\x07 and \x85end"), b"= bell and end\n\n"),
    (Response(id=None, is_success=True, text="\udcff"), b"= ?\n\n"),
]


@pytest.mark.parametrize(("response", "data"), RESPONSES)
def test_response_bytes(response: Response, data: bytes) -> None:
    assert response.to_bytes() == data


@given(st.text(), st.booleans(), st.none() | st.integers(0, MAX_ID))
def test_no_text_can_break_the_framing(text: str, is_success: bool, identifier: int | None) -> None:
    data = Response(id=identifier, is_success=is_success, text=text).to_bytes()
    assert data.endswith(b"\n\n")
    assert data.count(b"\n\n") == 1
    reader = ResponseReader()
    (response,) = [event for byte in data for event in reader.feed(bytes([byte]))]
    assert isinstance(response, Response)
    assert (response.id, response.is_success) == (identifier, is_success)
    assert response.to_bytes() == data


@pytest.mark.parametrize(
    ("data", "responses"),
    [
        (b"= GNU Go\n\n", [Response(id=None, is_success=True, text="GNU Go")]),
        (b"=5 D4\r\n\r\n", [Response(id=5, is_success=True, text="D4")]),
        (b"=D4\n\n", [Response(id=None, is_success=True, text="D4")]),
        (b"=\n\n\n\n?7\n\n", [Response(id=None, is_success=True), Response(id=7, is_success=False)]),
        (b"= a\n  b\n\n", [Response(id=None, is_success=True, text="a\n  b")]),
        (b"=\na\nb\n\n", [Response(id=None, is_success=True, text="\na\nb")]),
        (b"hello\n= x\n\n", [Garbage(text="hello"), Response(id=None, is_success=True, text="x")]),
        (b"= x\n", []),
    ],
)
def test_reading_responses(data: bytes, responses: list[Response | Garbage]) -> None:
    assert ResponseReader().feed(data) == responses


@pytest.mark.parametrize("flood", [b"= x", b"garbage\n", b"= x\ny\n"])
def test_a_flood_is_refused(flood: bytes) -> None:
    reader = ResponseReader(max_bytes=1000)
    with pytest.raises(ResponseTooLong):
        [reader.feed(flood) for _ in range(1001)]


def test_many_responses_are_no_flood() -> None:
    reader = ResponseReader(max_bytes=1000)
    assert len(reader.feed(b"= x\n\n" * 1000)) == 1000


def test_encoding_commands() -> None:
    assert encode_command("play", "b", "D4") == b"play b D4\n"
    assert encode_command("komi", 7.5, id=3) == b"3 komi 7.5\n"
    for word in ["", "a\nb", "a#b", "\x00", "tab\there"]:
        with pytest.raises(ValueError, match="not a word"):
            encode_command("play", word)
