from __future__ import annotations

import numpy as np
import pytest

from offbeat.bench import turns as turns_module
from offbeat.bench.turns import reference_call, take_turns


def test_each_round_has_the_call_and_the_reference_around_it() -> None:
    order: list[str] = []
    turns = take_turns(lambda: order.append("call"), 0.0, lambda: order.append("reference"))
    assert len(turns.times) == len(turns.references) == 3
    blocks = [name for name, before in zip(order, [None, *order[:-1]], strict=True) if name != before]
    # The first of each are to see how long they take.
    assert blocks == ["call", "reference", "call", "reference", "call", "reference", "call", "reference"]


def test_a_slow_call_is_a_block_of_its_own_and_the_budget_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    now_ns = 0

    def work(duration_ns: int) -> None:
        nonlocal now_ns
        now_ns += duration_ns

    monkeypatch.setattr(turns_module, "perf_counter_ns", lambda: now_ns)
    turns = take_turns(lambda: work(20_000_000), 0.3, lambda: work(50_000))
    # The tries of both, before the time runs, and the block that is begun at its end.
    assert now_ns - (6 * 20_000_000 + 6 * 50_000) < 0.3e9 + 20_000_000 + 2 * 2_000_000
    # 20 ms and a block of 2 ms each.
    assert len(turns.times) == 14
    assert set(turns.times) == {0.02}
    assert set(turns.references) == {50e-6}


def test_the_reference_is_short_beside_any_block() -> None:
    turns = take_turns(reference_call(), 0.05)
    # The median: a busy machine may take its core away at any time.
    assert 1e-7 < np.median(turns.references) < 5e-3
