"""The rules of Go on batches of boards, compiled with numba: the only code for captures and superko.

Knows arrays, no objects: `batch.py` owns the arrays, `position.py` drives a batch of one. Every kernel works in place
on G boards of one size with A points; point = row * size + column, row 0 at the top, action A = pass. Chains are found
by flood fill from the stones alone, so a board has no state that could go stale.

Superko. Each pair (colour, point) has a random 64-bit key, and a position's hash is the sum of its stones' keys modulo
2**64. Sums, unlike exclusive-or, allow subtraction of whole chains:

    hash after a move = hash + key(colour, point) - sum of the captured chains' hashes
    hash after a suicide = hash - sum of the hashes of the own chains that die with the stone

The mask compares that hash with the hash of every earlier position of the game (`history`), and for situational superko
also the player to move there. It is exact up to a collision of 64-bit sums. Most points need no comparison: a stone can
only bring back a position that had this stone, so a stone of this colour must once have been removed from the point
(`removed_colors`); only suicides, which leave no stone behind, are always compared.

Types are fixed and arrays C-contiguous, so that each kernel compiles once: stones and colours int8, counters int32,
hashes uint64, flags bool, actions int32. Neighbour lists and keys come from `tables.py`.
"""
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

NO_MOVE: Final = -1
"""In place of an action: no move."""
ALL_PLAYED: Final = -1
"""Answer of `play_moves` when every move was playable."""

_EMPTY: Final = 0
_SIMPLE: Final = 0
_POSITIONAL: Final = 1


@njit(cache=True, nogil=True)
def _captured_chain(stones, start, neighbors, chain, mark):  # type: ignore[no-untyped-def]
    """The size of the chain at `start` if it has no liberty, and its points in `chain`; 0 if it has one.

    `mark` [A + 1] int32 says which flood fill visited a point last; its last entry counts the flood fills.
    """
    color = stones[start]
    stamp = mark[-1] + 1
    mark[-1] = stamp
    mark[start] = stamp
    chain[0] = start
    count = 1
    head = 0
    while head < count:
        point = chain[head]
        head += 1
        for k in range(4):
            near = neighbors[point, k]
            if near < 0:
                break
            if stones[near] == _EMPTY:
                return 0
            if stones[near] == color and mark[near] != stamp:
                mark[near] = stamp
                chain[count] = near
                count += 1
    return count


@njit(cache=True, nogil=True)
def _remove_chain(stones, removed_colors, prisoners, chain, count, keys):  # type: ignore[no-untyped-def]
    """Takes `chain[:count]`, stones of one colour, off the board; returns the sum of their keys."""
    side = (1 - stones[chain[0]]) // 2
    total = np.uint64(0)
    for i in range(count):
        point = chain[i]
        stones[point] = _EMPTY
        removed_colors[point] |= np.uint8(1 + side)
        total += keys[side, point]
    prisoners[side] += count
    return total


@njit(cache=True, nogil=True)
def _place_stone(stones, point, color, removed_colors, prisoners, neighbors, keys, chain, mark):  # type: ignore[no-untyped-def]
    """Plays `color` on the empty `point` of one board: captures, else suicide. Returns the change of the hash."""
    stones[point] = color
    change = keys[(1 - color) // 2, point]
    captured = 0
    for k in range(4):
        near = neighbors[point, k]
        if near < 0:
            break
        if stones[near] == -color:
            count = _captured_chain(stones, near, neighbors, chain, mark)
            if count > 0:
                change -= _remove_chain(stones, removed_colors, prisoners, chain, count, keys)
                captured += count
    if captured == 0:
        count = _captured_chain(stones, point, neighbors, chain, mark)
        if count > 0:
            change -= _remove_chain(stones, removed_colors, prisoners, chain, count, keys)
    return change


@njit(cache=True, nogil=True)
def play_moves(  # type: ignore[no-untyped-def]
    stones,
    to_play,
    ply,
    passes,
    finished,
    recent_stones,
    recent_moves,
    history,
    history_to_play,
    removed_colors,
    prisoners,
    moves,
    active,
    max_plies,
    neighbors,
    keys,
):
    """Plays `moves` [G, T] of each game in turn where `active` [G], up to the first `NO_MOVE` or the game's end.

    Trusts legality, but not memory: returns the first game with an action that is off the board or on a stone (that
    game stops before it), else `ALL_PLAYED`. Two passes in a row or `max_plies` moves finish a game.
    """
    area = stones.shape[1]
    chain = np.empty(area, dtype=np.int32)
    mark = np.zeros(area + 1, dtype=np.int32)
    refused = ALL_PLAYED
    for game in range(stones.shape[0]):
        if not active[game]:
            continue
        board = stones[game]
        for t in range(moves.shape[1]):
            action = moves[game, t]
            if action == NO_MOVE or finished[game]:
                break
            if action < 0 or action > area or (action < area and board[action] != _EMPTY):
                if refused == ALL_PLAYED:
                    refused = game
                break
            color = to_play[game]
            now = ply[game]
            change = np.uint64(0)
            if action < area:
                removed = removed_colors[game]
                change = _place_stone(board, action, color, removed, prisoners[game], neighbors, keys, chain, mark)
                passes[game] = 0
            else:
                passes[game] = min(passes[game] + 1, 2)
            for step in range(recent_stones.shape[1] - 1, 0, -1):
                for point in range(area):
                    recent_stones[game, step, point] = recent_stones[game, step - 1, point]
            for point in range(area):
                recent_stones[game, 0, point] = board[point]
            recent_moves[game, 1] = recent_moves[game, 0]
            recent_moves[game, 0] = action
            history[game, now + 1] = history[game, now] + change
            history_to_play[game, now + 1] = -color
            to_play[game] = -color
            ply[game] = now + 1
            if passes[game] >= 2 or now + 1 >= max_plies:
                finished[game] = True
    return refused


@njit(cache=True, nogil=True)
def _find_chains(stones, neighbors, keys, chain_of, chain_liberties, chain_hash, queue, mark):  # type: ignore[no-untyped-def]
    """Labels the chains of one board: `chain_of` [A] (0 = empty), and by label the number of liberties and the hash."""
    area = stones.shape[0]
    chain_of[:] = 0
    label = 0
    for start in range(area):
        color = stones[start]
        if color == _EMPTY or chain_of[start] != 0:
            continue
        label += 1
        stamp = mark[-1] + 1
        mark[-1] = stamp
        chain_of[start] = label
        queue[0] = start
        count = 1
        head = 0
        liberties = 0
        side = (1 - color) // 2
        total = np.uint64(0)
        while head < count:
            point = queue[head]
            head += 1
            total += keys[side, point]
            for k in range(4):
                near = neighbors[point, k]
                if near < 0:
                    break
                if stones[near] == _EMPTY:
                    if mark[near] != stamp:
                        mark[near] = stamp
                        liberties += 1
                elif stones[near] == color and chain_of[near] == 0:
                    chain_of[near] = label
                    queue[count] = near
                    count += 1
        chain_liberties[label] = liberties
        chain_hash[label] = total


@njit(cache=True, nogil=True)
def _is_repeat(after, next_to_play, ko_rule, history, history_to_play, ply):  # type: ignore[no-untyped-def]
    """Whether the ko rule of one game bans a move that leads to the hash `after`."""
    if ko_rule == _SIMPLE:
        return ply >= 1 and history[ply - 1] == after
    for i in range(ply, -1, -1):
        if history[i] == after and (ko_rule == _POSITIONAL or history_to_play[i] == next_to_play):
            return True
    return False


@njit(cache=True, nogil=True)
def _move_effect(stones, point, color, neighbors, keys, chain_of, chain_liberties, chain_hash):  # type: ignore[no-untyped-def]
    """What `color` on the empty `point` would do: (whether the stone lives, change of the hash)."""
    key = keys[(1 - color) // 2, point]
    captured = np.uint64(0)
    own = np.uint64(0)
    lives = False
    for k in range(4):
        near = neighbors[point, k]
        if near < 0:
            break
        if stones[near] == _EMPTY:
            lives = True
            continue
        label = chain_of[near]
        seen = False
        for j in range(k):
            seen = seen or chain_of[neighbors[point, j]] == label
        if stones[near] == color:
            lives = lives or chain_liberties[label] > 1
            if not seen:
                own += chain_hash[label]
        elif chain_liberties[label] == 1:
            lives = True
            if not seen:
                captured += chain_hash[label]
    if lives:
        return True, key - captured
    return False, np.uint64(0) - own


@njit(cache=True, nogil=True)
def _has_empty_neighbor(stones, point, neighbors):  # type: ignore[no-untyped-def]
    """Whether a stone on `point` would keep a liberty of its own."""
    for k in range(4):
        near = neighbors[point, k]
        if near >= 0 and stones[near] == _EMPTY:
            return True
    return False


@njit(cache=True, nogil=True)
def analyze(  # type: ignore[no-untyped-def]
    stones,
    to_play,
    ply,
    finished,
    history,
    history_to_play,
    removed_colors,
    ko_rule,
    suicide,
    neighbors,
    keys,
    legal,
    banned,
    liberties,
):
    """Fills, for the player to move in each game: `legal` [G, A + 1] bool (exact), `banned` [G, A] bool, the points
    that only the ko rule forbids, and `liberties` [G, A] int16 of the chain on each point (0 = empty).
    A pass is always legal, and in a finished game nothing else is."""
    area = stones.shape[1]
    chain_of = np.empty(area, dtype=np.int32)
    chain_liberties = np.zeros(area + 1, dtype=np.int32)
    chain_hash = np.zeros(area + 1, dtype=np.uint64)
    queue = np.empty(area, dtype=np.int32)
    mark = np.zeros(area + 1, dtype=np.int32)
    for game in range(stones.shape[0]):
        board = stones[game]
        color = to_play[game]
        removed_bit = np.uint8(1 + (1 - color) // 2)
        now = ply[game]
        _find_chains(board, neighbors, keys, chain_of, chain_liberties, chain_hash, queue, mark)
        legal[game] = False
        legal[game, area] = True
        banned[game] = False
        liberties[game] = 0
        for point in range(area):
            if board[point] != _EMPTY:
                liberties[game, point] = chain_liberties[chain_of[point]]
                continue
            if finished[game]:
                continue
            may_repeat = removed_colors[game, point] & removed_bit
            if not may_repeat and _has_empty_neighbor(board, point, neighbors):
                legal[game, point] = True
                continue
            lives, change = _move_effect(board, point, color, neighbors, keys, chain_of, chain_liberties, chain_hash)
            if not lives and not suicide[game]:
                continue
            if may_repeat or not lives:
                after = history[game, now] + change
                repeats = _is_repeat(after, -color, ko_rule[game], history[game], history_to_play[game], now)
                banned[game, point] = repeats
            legal[game, point] = not banned[game, point]
