"""`Lane`: all that the kernels need to know of one simulation at a time, as one compiled value.

Entering compiled code costs a fraction of a microsecond for every array that is handed over, and tree and descents are
two dozen: more than the whole work of a simulation. A lane is taken apart once, when it is made.

The names and types of its fields are part of its type, and so of the signatures by which numba's cache finds a kernel:
a changed field compiles anew.
"""
# mypy: disable-error-code="misc, no-untyped-call, untyped-decorator, no-any-return"

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numba import njit, types
from numba.experimental import structref
from numpy.typing import NDArray

from engine.search.config import Formula
from engine.search.tree import Descents, Tree, allocate_descents

_Proxy = TypeVar("_Proxy")


@structref.register
class LaneType(types.StructRef):
    """A lane's type, for the compiler."""

    def preprocess_fields(self, fields: Any) -> Any:
        """Numbers are fields, not constants."""
        return tuple((name, types.unliteral(field)) for name, field in fields)


def _compiled(lane: type[_Proxy]) -> type[_Proxy]:
    """Teaches the compiler to make a lane, to take one and to give one back."""
    structref.define_constructor(lane, LaneType, list(lane.__annotations__))
    structref.define_boxing(LaneType, lane)
    return lane


@_compiled
class Lane(structref.StructRefProxy):
    """One tree (the only one of its arrays), its formula, and the buffers of one simulation. Only kernels see the
    fields."""

    tree: Tree
    """The tree, shared with every other lane."""
    formula: Formula
    """The search's constants."""
    active: NDArray[np.bool_]
    """[1] True."""
    descents: Descents
    """Where the simulation ended."""
    policy_logits: NDArray[np.float32]
    """[1, A] the network's answer."""
    value: NDArray[np.float32]
    """[1]"""
    reward: NDArray[np.float32]
    """[1]"""


@njit(cache=True)
def _make(tree, formula, active, descents, policy_logits, value, reward):  # type: ignore[no-untyped-def]
    return Lane(tree, formula, active, descents, policy_logits, value, reward)


class LaneBuffers:
    """Lanes together with the arrays that Python reads and writes, of which each lane has a row."""

    def __init__(self, tree: Tree, formula: Formula, count: int = 1) -> None:
        """`tree` must hold one tree; it is shared with every other lane."""
        self.descents: Descents = allocate_descents(count)
        """Where the simulations ended."""
        self.policy_logits: NDArray[np.float32] = np.zeros((count, tree.children_index.shape[2]), np.float32)
        """[count, A] the network's answers."""
        self.value: NDArray[np.float32] = np.zeros(count, np.float32)
        """[count]"""
        self.reward: NDArray[np.float32] = np.zeros(count, np.float32)
        """[count]"""
        rows = [slice(row, row + 1) for row in range(count)]
        self.lanes: list[Lane] = [
            _make(
                tree,
                formula,
                np.ones(1, np.bool_),
                Descents._make(array[row] for array in self.descents),
                self.policy_logits[row],
                self.value[row],
                self.reward[row],
            )
            for row in rows
        ]
        """For the kernels."""
