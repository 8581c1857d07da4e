from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from offbeat_training.auto import dominant_period

N_ROWS = 600


def random_walk(n_rows: int, seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=(n_rows, 1)).cumsum(axis=0)


SHAPES: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "sine": lambda turns: np.sin(2 * np.pi * turns),
    "square": lambda turns: np.sign(np.sin(2 * np.pi * turns)),
    "sawtooth": lambda turns: turns % 1,
    "two harmonics": lambda turns: np.sin(2 * np.pi * turns) + np.sin(4 * np.pi * turns),
    "pulses": lambda turns: (turns % 1 < 0.1).astype(np.float64),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("period", [7, 24, 48, 150])
def test_a_known_period_is_found_through_noise(shape: Callable, period: int) -> None:
    series = shape(np.arange(N_ROWS) / period)[:, None]
    assert dominant_period(series) == pytest.approx(period, abs=1)
    noisy = series + 0.3 * series.std() * np.random.default_rng(0).normal(size=series.shape)
    assert dominant_period(noisy) == pytest.approx(period, rel=0.05)


def test_of_a_day_in_a_week_the_day_is_taken() -> None:
    rows = np.arange(3000)
    series = np.sin(2 * np.pi * rows / 48) + 0.4 * np.sin(2 * np.pi * rows / 336)
    assert dominant_period(series[:, None]) == 48


def test_a_trend_does_not_hide_the_period() -> None:
    rows = np.arange(N_ROWS)
    assert dominant_period((np.sin(2 * np.pi * rows / 50) + 0.1 * rows)[:, None]) == 50


def test_features_share_a_period_and_constant_ones_have_no_say() -> None:
    rows = np.arange(N_ROWS)
    waves = np.stack([np.sin(2 * np.pi * rows / 30), np.cos(2 * np.pi * rows / 30), np.full(N_ROWS, 7.0)], axis=1)
    assert dominant_period(waves) == 30


@pytest.mark.parametrize("n_rows", [0, 1, 2, 3, 10, 100])
def test_what_is_constant_or_short_has_no_period(n_rows: int) -> None:
    assert dominant_period(np.ones((n_rows, 2), np.float32)) is None


def test_a_period_that_is_not_seen_three_times_is_none() -> None:
    assert dominant_period(np.sin(2 * np.pi * np.arange(100) / 40)[:, None]) is None


@pytest.mark.parametrize("make", [random_walk, lambda n, seed: np.diff(random_walk(n + 1, seed), axis=0)])
def test_noise_and_drift_seldom_seem_periodic(make: Callable) -> None:
    found = [dominant_period(make(N_ROWS, seed)) for seed in range(100)]
    assert sum(period is not None for period in found) <= 3
