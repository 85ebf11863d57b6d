"""Tree search over an `Evaluator`: many positions in step for self-play, one position under a clock for play."""

from engine.search.batch_search import BatchResult, BatchSearch
from engine.search.config import SearchConfig
from engine.search.roots import RootBatch
from engine.search.tree import NO_PASS

__all__ = ["NO_PASS", "BatchResult", "BatchSearch", "RootBatch", "SearchConfig"]
