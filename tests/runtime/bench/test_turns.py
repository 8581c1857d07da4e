from __future__ import annotations

import time

from offbeat.bench.turns import reference_call, take_turns


def test_each_round_has_the_call_and_the_reference_around_it() -> None:
    order: list[str] = []
    turns = take_turns(lambda: order.append("call"), 0.0, lambda: order.append("reference"))
    assert len(turns.times) == len(turns.references) == 3
    blocks = [name for name, before in zip(order, [None, *order[:-1]], strict=True) if name != before]
    # The first of each are to see how long they take.
    assert blocks == ["call", "reference", "call", "reference", "call", "reference", "call", "reference"]


def test_a_slow_call_is_a_block_of_its_own_and_the_budget_is_kept() -> None:
    begin = time.perf_counter()
    turns = take_turns(lambda: time.sleep(0.02), 0.3)
    assert time.perf_counter() - begin < 2.0
    assert 3 <= len(turns.times) <= 20
    assert all(0.02 <= each < 0.5 for each in turns.times)


def test_the_reference_is_short_beside_any_block() -> None:
    turns = take_turns(reference_call(), 0.05)
    assert all(1e-7 < each < 5e-3 for each in turns.references)
