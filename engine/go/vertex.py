"""Every coordinate system of the project in one place, and the conversions between them.

| system                   | D4 on 9x9 | a pass | counts from                                                |
|--------------------------|-----------|--------|------------------------------------------------------------|
| point                    | 48        |        | row * size + column; row 0 on top, column 0 on the left    |
| row, column              | (5, 3)    |        | as point                                                   |
| action                   | 48        | 81     | point, and size * size for the pass                        |
| GTP vertex               | "D4"      | "pass" | columns A to Z without I, rows from 1 at the bottom        |
| SGF                      | "df"      | ""     | column, row from "a" at the top left; "tt" is read as pass |
| column, row of gRPC      | (3, 3)    |        | from 0 at A1, the lower left                               |

`to_x` and `from_x` undo each other; every `from_x` raises `InvalidVertex` for what is not on the board. Sizes are
trusted to be in 2..25.
"""

from __future__ import annotations

from typing import Final

from engine.errors import InvalidVertex

COLUMN_LETTERS: Final = "ABCDEFGHJKLMNOPQRSTUVWXYZ"
"""GTP's column names, left to right."""
PASS_VERTEX: Final = "pass"

_SGF_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"


def pass_action(size: int) -> int:
    """The action number of a pass."""
    return size * size


def to_row_column(point: int, size: int) -> tuple[int, int]:
    """(row from the top, column from the left) of `point`."""
    _check_point(point, size)
    return divmod(point, size)


def from_row_column(row: int, column: int, size: int) -> int:
    """The point in `row` from the top and `column` from the left."""
    if not (0 <= row < size and 0 <= column < size):
        raise InvalidVertex(f"row {row}, column {column} is not on the {size}x{size} board")
    return row * size + column


def to_gtp(action: int, size: int) -> str:
    """The GTP vertex of `action`: upper case, or "pass"."""
    if action == pass_action(size):
        return PASS_VERTEX
    row, column = to_row_column(action, size)
    return f"{COLUMN_LETTERS[column]}{size - row}"


def from_gtp(text: str, size: int) -> int:
    """The action of a GTP vertex; case does not matter, "resign" is no vertex."""
    name = text.upper()
    if name == PASS_VERTEX.upper():
        return pass_action(size)
    letter, digits = name[:1], name[1:]
    if letter and letter in COLUMN_LETTERS[:size] and digits.isascii() and digits.isdigit() and len(digits) <= 2:
        number = int(digits)
        if 1 <= number <= size:
            return from_row_column(size - number, COLUMN_LETTERS.index(letter), size)
    raise InvalidVertex(f"{text!r} is not a vertex of the {size}x{size} board")


def to_sgf(action: int, size: int) -> str:
    """The value of an SGF move property: two letters, or "" for a pass."""
    if action == pass_action(size):
        return ""
    row, column = to_row_column(action, size)
    return _SGF_LETTERS[column] + _SGF_LETTERS[row]


def from_sgf(text: str, size: int) -> int:
    """The action of an SGF move property; "tt" is a pass up to 19x19."""
    if text == "" or (text == "tt" and size <= 19):
        return pass_action(size)
    if len(text) == 2 and text[0] in _SGF_LETTERS and text[1] in _SGF_LETTERS:
        return from_row_column(_SGF_LETTERS.index(text[1]), _SGF_LETTERS.index(text[0]), size)
    raise InvalidVertex(f"{text!r} is not an SGF point of the {size}x{size} board")


def to_column_row(point: int, size: int) -> tuple[int, int]:
    """(column, row) of `point`, both from 0 at the lower left."""
    row, column = to_row_column(point, size)
    return column, size - 1 - row


def from_column_row(column: int, row: int, size: int) -> int:
    """The point in `column` and `row`, both from 0 at the lower left."""
    if not (0 <= row < size and 0 <= column < size):
        raise InvalidVertex(f"column {column}, row {row} is not on the {size}x{size} board")
    return from_row_column(size - 1 - row, column, size)


def _check_point(point: int, size: int) -> None:
    if not 0 <= point < size * size:
        raise InvalidVertex(f"point {point} is not on the {size}x{size} board")
