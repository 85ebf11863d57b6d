"""How counts are said to a person."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str = "") -> str:
    """ "1 game" and "2,000 games"; `plural` where it is not `noun` with an s."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
