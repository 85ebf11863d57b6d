from __future__ import annotations

from trainer.named_parts import part_of


def test_a_part_is_found_by_the_beginning_of_its_names() -> None:
    named = {"a.x": 1, "b.x": 2, "a.a.y": 3, "z.a.x": 4}
    assert part_of(named, "a.") == {"x": 1, "a.y": 3}
    assert part_of(named, "c.") == {}
