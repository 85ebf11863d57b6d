"""A finished search as messages, in the view of the side to move."""

from __future__ import annotations

from typing import Final

from engine.candidates import read_candidates
from engine.search.search import StopReason
from engine.turn import to_winrate
from protocol.rpc import convert
from protocol.rpc.query import Query
from protocol.rpc.search_task import Outcome
from protocol.v1 import MODEL_PREFIX, engine_pb2

_STOP_REASONS: Final = {
    StopReason.VISITS: engine_pb2.STOP_REASON_VISITS,
    StopReason.TIME: engine_pb2.STOP_REASON_TIME,
    StopReason.DECIDED: engine_pb2.STOP_REASON_DECIDED,
    StopReason.ONLY_MOVE: engine_pb2.STOP_REASON_ONLY_MOVE,
    # Who cancels a call gets no answer: a search that was stopped and is answered was stopped by the drain.
    StopReason.STOPPED: engine_pb2.STOP_REASON_SERVER_DRAIN,
}


def to_response(query: Query, outcome: Outcome) -> engine_pb2.SuggestMoveResponse:
    """The answer to `query`."""
    return engine_pb2.SuggestMoveResponse(
        action=convert.from_action(outcome.result.best_action, query.size),
        analysis=_to_analysis(query, outcome),
        request_id=query.request_id,
    )


def _to_analysis(query: Query, outcome: Outcome) -> engine_pb2.Analysis:
    result, to_play = outcome.result, query.to_play
    analysis = engine_pb2.Analysis(
        board_size=query.size,
        side_to_move=convert.from_color(to_play),
        candidates=_candidates(query, outcome),
        root_win_rate=to_winrate(result.root_value, to_play),
        visits=result.total_visits,
        network_evaluations=result.evaluations,
        search_time=convert.from_seconds(outcome.search_s),
        queue_time=convert.from_seconds(outcome.queue_s),
        stop_reason=_stop_reason(query, outcome),
        model=MODEL_PREFIX + outcome.model,
        seed=outcome.seed,
    )
    if result.score_mean is not None:
        analysis.root_score_lead = to_play * result.score_mean
    if query.include_policy:
        analysis.policy.extend(convert.in_point_order(result.prior, query.size))
    if query.include_ownership and result.ownership is not None:
        ownership = to_play * result.ownership.reshape(-1)
        analysis.ownership.extend(convert.in_point_order(ownership, query.size))
    return analysis


def _candidates(query: Query, outcome: Outcome) -> list[engine_pb2.Candidate]:
    """In the engine's order."""
    candidates = read_candidates(
        outcome.result,
        query.position,
        imagines=outcome.imagines,
        most=query.max_candidates,
        max_length=query.max_pv_length,
    )
    return [
        engine_pb2.Candidate(
            action=convert.from_action(candidate.action, query.size),
            order=place,
            visits=candidate.visits,
            win_rate=candidate.winrate,
            prior=candidate.prior,
            principal_variation=[convert.from_action(action, query.size) for action in candidate.variation],
        )
        for place, candidate in enumerate(candidates)
    ]


def _stop_reason(query: Query, outcome: Outcome) -> engine_pb2.StopReason:
    """The engine's reason; where the deadline set the limit that ended the search, the deadline."""
    reason, budget = outcome.result.stop_reason, outcome.budget
    assert reason is not None, "the search has ended"
    is_policy_move = budget.visits != query.limits.visits
    if budget.is_cut_by_deadline and (reason == StopReason.TIME or is_policy_move):
        return engine_pb2.STOP_REASON_DEADLINE
    return _STOP_REASONS[reason]
