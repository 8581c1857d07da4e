from __future__ import annotations

import numpy as np
import pytest

from offbeat_training.report.envelope import detail, envelope

N_ROWS = 100_000


@pytest.mark.parametrize("spike", [0, 1, 4321, 66_666, N_ROWS - 1])
def test_no_spike_of_a_long_series_disappears(spike: int) -> None:
    values = np.sin(np.arange(N_ROWS) / 50)
    values[spike] = 1000.0
    values[(spike + N_ROWS // 2) % N_ROWS] = -1000.0
    rows = envelope(values)
    assert values[rows].max() == 1000.0
    assert values[rows].min() == -1000.0
    assert rows.size <= 3002


def test_rows_ascend_and_reach_from_the_first_to_the_last() -> None:
    rows = envelope(np.random.default_rng(0).normal(size=N_ROWS + 17))
    assert (np.diff(rows) > 0).all()
    assert (rows[0], rows[-1]) == (0, N_ROWS + 16)


def test_a_short_series_is_drawn_whole() -> None:
    assert envelope(np.zeros(3000)).tolist() == list(range(3000))


def test_rows_that_matter_are_all_drawn() -> None:
    kept = np.zeros(N_ROWS, dtype=np.bool_)
    kept[5000:5100] = True
    assert np.isin(np.arange(5000, 5100), envelope(np.zeros(N_ROWS), kept)).all()


def test_detail_reaches_as_far_beside_the_anomalies_as_it_may() -> None:
    rows = np.zeros(N_ROWS, dtype=np.bool_)
    rows[[100, 50_000]] = True
    assert np.count_nonzero(detail(rows)) == 301 + 401
    assert np.count_nonzero(detail(rows, n_most=300)) == 2 * 101
    assert np.count_nonzero(detail(rows, n_most=2)) == 2
    assert not detail(rows, n_most=1).any()


def test_detail_falls_back_on_the_next_choice() -> None:
    many, few = np.ones(N_ROWS, dtype=np.bool_), np.zeros(N_ROWS, dtype=np.bool_)
    few[7] = True
    assert detail(many, few)[7]
    assert not detail(many, few)[-1]
