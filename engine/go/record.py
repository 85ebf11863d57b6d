"""SGF in and out through sgfmill: `GameRecord` keeps the whole file, `Position`s come from its main line.

Reading trusts nobody: size and length are bounded, the moves must be legal, and every complaint is an `InvalidSgf`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

import numpy as np
from sgfmill.sgf import Node, Sgf_game

from engine.errors import InvalidRules, InvalidSgf
from engine.go import vertex
from engine.go.position import Position
from engine.go.rules import BLACK, DEFAULT_RULES, RULE_PRESETS, WHITE, KoRule, RuleSet, Scoring, rules_by_name

MAX_SGF_BYTES: Final = 4 * 1024 * 1024
"""Larger files are refused unread."""
MAX_NODES: Final = 10_000
"""Longer main lines are refused."""

_COLORS: Final = {"b": BLACK, "w": WHITE}
_LETTERS: Final = {BLACK: "b", WHITE: "w"}
_RULE_SYNONYMS: Final = {
    "cn": "chinese",
    "goe": "chinese",
    "ing": "chinese",
    "jp": "japanese",
    "kr": "korean",
    "nz": "new-zealand",
    "french": "bga",
    "tt": "tromp-taylor",
}
_SGF_RULES: Final = {"chinese": "Chinese", "japanese": "Japanese", "aga": "AGA", "new-zealand": "NZ"}
"""SGF's own spelling of the presets that it names."""
_SPELT_OUT: Final = re.compile(
    r"ko(SIMPLE|POSITIONAL|SITUATIONAL)score(AREA|TERRITORY)taxNONEsui([01])whb(0|N-1|N)", re.IGNORECASE
)


class GameRecord:
    """One game of an SGF file with all its variations, comments and unknown properties."""

    def __init__(self, sgf: Sgf_game) -> None:
        """Wraps sgfmill's game tree; use `from_sgf` or `from_position`."""
        self._sgf = sgf

    @classmethod
    def from_sgf(cls, data: bytes | str) -> GameRecord:
        """Parses the first game of a file. Raises `InvalidSgf` for what is no Go game or too large."""
        if len(data) > MAX_SGF_BYTES:
            raise InvalidSgf(f"the SGF is longer than {MAX_SGF_BYTES} bytes")
        try:
            sgf = Sgf_game.from_string(data) if isinstance(data, str) else Sgf_game.from_bytes(data)
        except (ValueError, LookupError, RecursionError) as error:
            raise InvalidSgf(f"not an SGF game: {error}") from error
        record = cls(sgf)
        if record._text("GM", "1") != "1":
            raise InvalidSgf(f"game type GM[{record._text('GM')}] is not Go")
        return record

    @classmethod
    def from_position(
        cls,
        position: Position,
        *,
        black_name: str = "",
        white_name: str = "",
        result: str = "",
        comments: Sequence[str] = (),
        game_name: str = "",
        date: str = "",
    ) -> GameRecord:
        """The setup and moves of `position`. Empty texts are left out; `comments[i]` goes to move i + 1; `date` is
        YYYY-MM-DD."""
        sgf = Sgf_game(position.size, encoding="UTF-8")
        root = sgf.get_root()
        root.set("AP", ("Tengen", ""))
        root.set("KM", position.komi)
        root.set("RU", rules_to_sgf(position.rules))
        texts = {"PB": black_name, "PW": white_name, "RE": result, "GN": game_name, "DT": date}
        for identifier, text in texts.items():
            if text:
                root.set(identifier, text)
        _write_setup(root, position)
        for index, move in enumerate(position.moves):
            node = sgf.extend_main_sequence()
            value = vertex.to_sgf(move.action, position.size)
            node.set_raw(_LETTERS[move.color].upper(), value.encode("ascii"))
            if index < len(comments) and comments[index]:
                node.set("C", comments[index])
        return cls(sgf)

    def to_sgf(self) -> bytes:
        """The file, UTF-8 unless it was read in another encoding."""
        return bytes(self._sgf.serialise())

    @property
    def size(self) -> int:
        """Points along a side, as the file says; perhaps a size that the rules do not have."""
        return int(self._sgf.get_size())

    @property
    def black_name(self) -> str:
        """PB, or ""."""
        return self._text("PB")

    @property
    def white_name(self) -> str:
        """PW, or ""."""
        return self._text("PW")

    @property
    def result(self) -> str:
        """RE as written, such as "B+3.5", "W+Resign" or "0"; "" if there is none."""
        return self._text("RE")

    @property
    def komi(self) -> float | None:
        """KM in points, None if the file has none. Raises `InvalidSgf` if it is no finite number."""
        if not self._sgf.get_root().has_property("KM"):
            return None
        try:
            return float(self._sgf.get_root().get("KM"))
        except ValueError as error:
            raise InvalidSgf(f"komi KM[{self._text('KM')}] is not a finite number") from error

    @property
    def rules(self) -> RuleSet | None:
        """The rules that RU names, None if the file has none or they are unknown."""
        return rules_from_sgf(self._text("RU"))

    def position(
        self, move_number: int | None = None, *, rules: RuleSet = DEFAULT_RULES, komi: float = 7.0
    ) -> Position:
        """The position of the main line before move `move_number` (from 1), or at its end if None or larger.

        `rules` and `komi` are for files that do not say. Setup stones after the first move start a new position without
        moves. Raises `InvalidSgf` for illegal moves or setup, and `UnsupportedBoardSize`.
        """
        if move_number is not None and move_number < 1:
            raise InvalidSgf(f"move number {move_number}: moves count from 1")
        own_komi = self.komi
        position = Position(self.size, self.rules or rules, komi if own_komi is None else own_komi)
        moves = 0
        for index, node in enumerate(islice(self._sgf.main_sequence_iter(), MAX_NODES + 1)):
            if index == MAX_NODES:
                raise InvalidSgf(f"the main line has more than {MAX_NODES} nodes")
            try:
                self._apply_setup(node, position)
                color, action = _move_of(node, position.size)
                if color:
                    moves += 1
                    if moves == move_number:
                        position.to_play = color
                        break
                    position.play(color, action)
            except (ValueError, LookupError) as error:
                reason = str(error) or "a property value that cannot be read"
                raise InvalidSgf(f"node {index} after move {moves}: {reason}") from error
        return position

    def _apply_setup(self, node: Node, position: Position) -> None:
        """AB, AW, AE and PL of `node`; the root's HA turns its Black stones into handicap stones."""
        if node.has_setup_stones():
            black, white, empty = (_points(stones, position.size) for stones in node.get_setup_stones())
            if self._is_handicap(len(black)) and not (white or empty or position.moves or position.stones.any()):
                position.place_handicap(black)
            else:
                stones = position.stones
                for points, value in ((empty, 0), (black, BLACK), (white, WHITE)):
                    stones[points] = value
                to_play = position.to_play
                position.set_stones(np.flatnonzero(stones > 0).tolist(), np.flatnonzero(stones < 0).tolist(), to_play)
        if node.has_property("PL"):
            position.to_play = _COLORS[node.get("PL")]

    def _is_handicap(self, num_black: int) -> bool:
        text = self._text("HA")
        return num_black >= 2 and text.isdigit() and int(text) == num_black

    def _text(self, identifier: str, default: str = "") -> str:
        """A root property as plain text, whatever its type; `default` if absent."""
        root = self._sgf.get_root()
        if not root.has_property(identifier):
            return default
        raw: bytes = root.get_raw(identifier)
        return raw.decode(root.get_encoding(), errors="replace").strip()


def load_sgf(
    data: bytes | str,
    move_number: int | None = None,
    *,
    rules: RuleSet = DEFAULT_RULES,
    komi: float = 7.0,
) -> Position:
    """The main line of an SGF file up to before move `move_number`, or to its end: see `GameRecord.position`."""
    return GameRecord.from_sgf(data).position(move_number, rules=rules, komi=komi)


def to_sgf(
    position: Position,
    *,
    black_name: str = "",
    white_name: str = "",
    result: str = "",
    comments: Sequence[str] = (),
    game_name: str = "",
    date: str = "",
) -> bytes:
    """`position` as an SGF file: see `GameRecord.from_position`."""
    record = GameRecord.from_position(
        position,
        black_name=black_name,
        white_name=white_name,
        result=result,
        comments=comments,
        game_name=game_name,
        date=date,
    )
    return record.to_sgf()


def to_result(score: float) -> str:
    """A score (Black - White, points) as SGF and GTP write it: "B+3.5", "W+0.5", or "0" for a draw."""
    if score == 0:
        return "0"
    return f"{'B' if score > 0 else 'W'}+{abs(score):g}"


def rules_to_sgf(rules: RuleSet) -> str:
    """The RU text of `rules`: a well-known name, or every rule spelt out for rules without a name."""
    for name, preset in RULE_PRESETS.items():
        if preset == rules:
            return _SGF_RULES.get(name, name)
    return f"ko{rules.ko.name}score{rules.scoring.name}taxNONEsui{int(rules.suicide)}whb{rules.handicap_bonus}"


def rules_from_sgf(text: str) -> RuleSet | None:
    """The rules that an RU text names; None for a text that means nothing to us."""
    spelt = _SPELT_OUT.fullmatch(text.strip())
    if spelt:
        ko, scoring, suicide, bonus = spelt.groups()
        return RuleSet(
            ko=KoRule[ko.upper()],
            scoring=Scoring[scoring.upper()],
            suicide=suicide == "1",
            handicap_bonus="N-1" if bonus.upper() == "N-1" else "N" if bonus.upper() == "N" else "0",
        )
    name = text.strip().lower()
    try:
        return rules_by_name(_RULE_SYNONYMS.get(name, name))
    except InvalidRules:
        return None


def _write_setup(root: Node, position: Position) -> None:
    setup, size = position.setup, position.size
    if setup.black or setup.white:
        black, white = (
            [(row, column) for column, row in (vertex.to_column_row(point, size) for point in points)]
            for points in (setup.black, setup.white)
        )
        root.set_setup_stones(black, white)
    if setup.handicap >= 2:
        root.set("HA", setup.handicap)
    first_by_custom = WHITE if setup.handicap >= 2 else BLACK
    if setup.to_play != first_by_custom:
        root.set("PL", _LETTERS[setup.to_play])


def _move_of(node: Node, size: int) -> tuple[int, int]:
    """(colour, action) of the node's move, colour 0 if it has none."""
    letter, raw = node.get_raw_move()
    if letter is None:
        return 0, 0
    return _COLORS[letter], vertex.from_sgf(raw.decode("ascii").strip(), size)


def _points(stones: Iterable[tuple[int, int]], size: int) -> list[int]:
    """sgfmill's (row from the bottom, column) as points."""
    return sorted(vertex.from_column_row(column, row, size) for row, column in stones)
