"""Tree search over an `Evaluator`: many positions in step for self-play, one position under a clock for play."""

from engine.search.batch_search import BatchResult, BatchSearch
from engine.search.config import SearchConfig
from engine.search.limits import Limits
from engine.search.result import SearchResult, StopReason
from engine.search.roots import RootBatch
from engine.search.search import Search, SearchHandle
from engine.search.tree import NO_PASS

__all__ = [
    "NO_PASS",
    "BatchResult",
    "BatchSearch",
    "Limits",
    "RootBatch",
    "Search",
    "SearchConfig",
    "SearchHandle",
    "SearchResult",
    "StopReason",
]
