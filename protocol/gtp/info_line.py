"""What a search knows, as one line of an analysis, in the two spellings that clients read.

`lz` has integers, ten thousandths of a winrate; a decimal point would break its clients. `kata` has decimal numbers,
always with a point and never with an exponent or a NaN, and says more: utilities are values in [-1, 1], and all scores
are one and the same estimate (`engine.candidates.estimate_score`). Everything is in the view of the player whose move
is sought.

Blocks behind the moves are written only where they are asked for, because clients take them for part of the last
variation. The numbers about the root that have no meaning for our networks (`rawStWrError` and the like) are left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from engine.analysis import Analysis
from engine.candidates import Candidate, estimate_score, read_candidates, score_stdev
from engine.go.position import Position
from engine.go.vertex import to_gtp
from engine.search.result import SearchResult
from engine.turn import to_winrate
from protocol.gtp.analysis_options import FLAGS, AnalysisOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One of the two spellings."""

    flags: frozenset[str]
    """The keys with a boolean that it knows."""
    spell: Callable[[SearchResult, Position, list[Candidate], AnalysisOptions], str]
    """A whole line."""


def info_line(analysis: Analysis, result: SearchResult, options: AnalysisOptions, dialect: Dialect) -> str:
    """The line for `result`, a snapshot of `analysis`."""
    position = analysis.turn.position
    candidates = read_candidates(
        result, position, imagines=analysis.imagines, least=options.min_moves, most=options.max_moves
    )
    return dialect.spell(result, position, candidates, options)


def _lz_line(result: SearchResult, position: Position, candidates: list[Candidate], options: AnalysisOptions) -> str:
    return " ".join(
        f"info move {to_gtp(move.action, position.size)} visits {move.visits}"
        f" winrate {_integer(move.winrate)} prior {_integer(move.prior)} lcb {_integer(move.winrate_bound)}"
        f" order {place} pv {_variation(move, position.size)}"
        for place, move in enumerate(candidates)
    )


def _kata_line(result: SearchResult, position: Position, candidates: list[Candidate], options: AnalysisOptions) -> str:
    spread = score_stdev(result, position)
    pieces = [
        f"info move {to_gtp(move.action, position.size)} visits {move.visits} edgeVisits {move.visits}"
        f" {_judgement(move.winrate, move.score_lead, spread)}"
        f" prior {_decimal(move.prior)} lcb {_decimal(move.winrate_bound)}"
        f" utilityLcb {_decimal(_utility(move.winrate_bound))} weight {_decimal(move.visits)}"
        f" order {place} pv {_variation(move, position.size)}"
        for place, move in enumerate(candidates)
    ]
    color = position.to_play
    if options.root_info:
        score = color * estimate_score(result, position, result.root_value)
        judgement = _judgement(to_winrate(result.root_value, color), score, spread)
        weight = _decimal(result.total_visits)
        pieces.append(f"rootInfo visits {result.total_visits} {judgement} weight {weight}")
    if options.ownership and result.ownership is not None:
        pieces.append("ownership " + " ".join(map(_decimal, (color * result.ownership.reshape(-1)).tolist())))
    return " ".join(pieces)


def _judgement(winrate: float, score: float, spread: float) -> str:
    lead = _decimal(score)
    return (
        f"utility {_decimal(_utility(winrate))} winrate {_decimal(winrate)}"
        f" scoreMean {lead} scoreStdev {_decimal(spread)} scoreLead {lead} scoreSelfplay {lead}"
    )


def _variation(move: Candidate, size: int) -> str:
    return " ".join(to_gtp(action, size) for action in move.variation)


def _utility(winrate: float) -> float:
    return 2.0 * winrate - 1.0


def _integer(share: float) -> int:
    return round(10_000 * share)


def _decimal(number: float) -> str:
    return f"{round(number, 6) + 0.0 if math.isfinite(number) else 0.0:.6f}"  # + 0.0: no minus before zero


LZ: Final = Dialect(flags=frozenset(), spell=_lz_line)
KATA: Final = Dialect(flags=FLAGS, spell=_kata_line)
