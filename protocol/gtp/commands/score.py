"""Who is ahead, and which stones are dead."""

from __future__ import annotations

from typing import Final

from engine.errors import EvaluationError, ModelError
from engine.final_score import chains, has_exact_score
from engine.go.vertex import to_gtp
from protocol.gtp.arguments import Arguments
from protocol.gtp.context import GtpContext, Handler
from protocol.gtp.errors import CANNOT_SCORE, SYNTAX_ERROR, CommandFailed

_STATUSES: Final = ("alive", "seki", "dead")


def final_score(context: GtpContext, arguments: Arguments) -> str:
    """The score after two passes, the network's estimate before."""
    arguments.end()
    if not has_exact_score(context.player.position):
        context.wait_for_model()
    try:
        return spell_score(context.player.final_score().points)
    except (ModelError, EvaluationError) as error:
        raise CommandFailed(CANNOT_SCORE, reason=str(error)) from error


def final_status_list(context: GtpContext, arguments: Arguments) -> str:
    """The chains of a status, one a line, as the network sees them; what is in seki counts as alive."""
    status = arguments.word().lower()
    arguments.end()
    if status not in _STATUSES:
        raise CommandFailed(SYNTAX_ERROR, reason=f"status {status[:40]!r} is none of {', '.join(_STATUSES)}")
    if status == "seki":
        return ""
    context.wait_for_model()
    position = context.player.position
    try:
        dead = context.player.dead_stones()
    except (ModelError, EvaluationError) as error:
        raise CommandFailed(CANNOT_SCORE, reason=str(error)) from error
    wanted = [chain for chain in chains(position) if (chain[0] in dead) == (status == "dead")]
    return "\n".join(" ".join(to_gtp(point, position.size) for point in chain) for chain in wanted)


def spell_score(points: float) -> str:
    """`B+3.5`, `W+0.5` or `0`, of Black's points ahead; as GNU Go spells it, because controllers compare the texts."""
    if points == 0:
        return "0"
    ahead = f"{abs(points):.1f}"
    if float(ahead) != abs(points):
        ahead = f"{abs(points):.4f}".rstrip("0").removesuffix(".")
    return f"{'B' if points > 0 else 'W'}+{ahead}"


COMMANDS: Final[dict[str, Handler]] = {"final_score": final_score, "final_status_list": final_status_list}
