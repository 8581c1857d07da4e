"""A server's CPU and memory, minute by minute."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from offbeat.data import Dataset
from offbeat.errors import require

MINUTES_PER_DAY = 24 * 60
MINUTES_PER_WEEK = 7 * MINUTES_PER_DAY
MEMORY_LAG_MINUTES = 15
FIRST_MONDAY = np.datetime64("2026-01-05T00:00", "m")

Floats = NDArray[np.float64]


def server_metrics(
    n_minutes: int = 5000, *, seed: int = 0, first_minute: int = 0, n_anomalies: int = 0, anomaly_minutes: int = 120
) -> Dataset:
    """CPU and memory of a server in percent: daily and weekly cycles plus noise, memory following CPU with a lag.

    Features `cpu` and `memory`, one row a minute from Monday 00:00 plus `first_minute`, so that a test part can follow a
    training part. `n_anomalies` regions of `anomaly_minutes` each, spread over the series, take turns: the CPU saturates
    while memory stays; memory leaks while the CPU stays; the CPU stalls. `labels` mark them. The same arguments give the
    same values. Raises ConfigurationError where the anomalies do not fit.
    """
    require(1 <= n_minutes <= 10_000_000, "n_minutes", n_minutes, "1 to 10,000,000")
    require(0 <= first_minute <= 100 * MINUTES_PER_WEEK, "first_minute", first_minute, "0 up to a hundred weeks")
    require(1 <= anomaly_minutes <= 10_000_000, "anomaly_minutes", anomaly_minutes, "1 to 10,000,000")
    n_most = n_minutes // (3 * anomaly_minutes)
    expected = f"0 to {n_most}: regions of {anomaly_minutes} minutes may take a third of {n_minutes}"
    require(0 <= n_anomalies <= n_most, "n_anomalies", n_anomalies, expected)
    random = np.random.default_rng([seed, first_minute])
    minutes = first_minute + np.arange(n_minutes)
    cpu = _cpu(minutes) + random.normal(0.0, 2.0, n_minutes)
    memory = _following(cpu) + random.normal(0.0, 0.7, n_minutes)
    labels = np.zeros(n_minutes, dtype=np.bool_)
    for number, start in enumerate(_starts(random, n_minutes, n_anomalies, anomaly_minutes)):
        region = slice(start, start + anomaly_minutes)
        _disturb(number, cpu[region], memory[region])
        labels[region] = True
    return Dataset(
        name=f"server-metrics-seed-{seed}",
        values=np.clip(np.stack([cpu, memory], axis=1), 0.0, 100.0).astype(np.float32),
        feature_names=("cpu", "memory"),
        timestamps=np.datetime_as_string(FIRST_MONDAY + minutes, unit="s"),
        labels=labels,
    )


def _cpu(minutes: NDArray[np.int64]) -> Floats:
    """Busiest in the early afternoon and in the middle of the week; the second harmonic is the dip at lunch."""
    day = 2 * np.pi * minutes / MINUTES_PER_DAY
    week = 2 * np.pi * minutes / MINUTES_PER_WEEK
    return 45.0 - 18.0 * np.cos(day - 0.5) + 4.0 * np.sin(2 * day) - 4.0 * np.cos(week + 0.4)


def _following(cpu: Floats) -> Floats:
    """An exponential average of the CPU, scaled: memory m[t] = m[t−1] + (target[t] − m[t−1]) / lag."""
    target = 30.0 + 0.5 * cpu
    memory = np.empty_like(target)
    level = target[0]
    for minute, value in enumerate(target):
        level += (value - level) / MEMORY_LAG_MINUTES
        memory[minute] = level
    return memory


def _starts(random: np.random.Generator, n_minutes: int, n_anomalies: int, length: int) -> list[int]:
    """One start in each of `n_anomalies` equal parts, at least half a region away from the part's edges."""
    part = n_minutes // max(n_anomalies, 1)
    slack = part - 2 * length
    return [part * number + length // 2 + int(random.integers(0, slack + 1)) for number in range(n_anomalies)]


def _disturb(number: int, cpu: Floats, memory: Floats) -> None:
    """Writes one anomaly over the region, in place."""
    if number % 3 == 0:
        cpu[:] = 92.0 + 0.2 * (cpu - cpu.mean())
    elif number % 3 == 1:
        memory += 25.0 * np.linspace(0.0, 1.0, memory.size)
    else:
        cpu[:] = 3.0 + 0.1 * (cpu - cpu.mean())
