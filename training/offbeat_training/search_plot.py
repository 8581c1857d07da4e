"""A picture of the trials of a search."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from offbeat_training.search_config import SearchConfig
from offbeat_training.search_space import Range, parse_space
from offbeat_training.search_study import SearchTrial
from offbeat_training.whole_file import whole_file

Numbers = NDArray[np.float64] | NDArray[np.int64]

_BLUE, _ORANGE = "#4477aa", "#ee7733"


def plot_trials(path: Path, trials: list[SearchTrial], config: SearchConfig) -> None:
    """A PNG file: the metric of each trial with the best so far, and the metric against each field that was varied.

    The best trial is orange. Trials that failed are left out. Raises CheckpointError where the file cannot be written.
    """
    judged = [trial for trial in trials if trial.metric is not None]
    metrics = np.array([trial.metric for trial in judged], dtype=np.float64)
    best = int(metrics.argmin() if config.is_minimised else metrics.argmax())
    space = parse_space(config.space, config.fixed)
    figure = Figure(figsize=(3.2 * (1 + len(space)), 3.2), layout="constrained")
    first, *others = figure.subplots(1, 1 + len(space), sharey=True)
    _plot_progress(first, np.array([trial.number for trial in judged]), metrics, best, config)
    for axes, (name, dimension) in zip(others, space.items(), strict=True):
        values = [trial.values[name] for trial in judged]
        axes.set_xlabel(name)
        if isinstance(dimension, Range):
            _scatter(axes, np.array(values, dtype=np.float64), metrics, best)
            axes.set_xscale("log" if dimension.is_log else "linear")
        else:
            words = [str(value).lower() for value in dimension.values]
            _scatter(axes, np.array([dimension.values.index(value) for value in values]), metrics, best)
            axes.set_xticks(range(len(words)), words)
    with whole_file(path) as file:
        figure.savefig(file, format="png", dpi=120)


def _plot_progress(axes: Axes, numbers: Numbers, metrics: Numbers, best: int, config: SearchConfig) -> None:
    so_far = (np.minimum if config.is_minimised else np.maximum).accumulate(metrics)
    axes.step(numbers, so_far, where="post", color=_BLUE, alpha=0.5, label="best so far")
    _scatter(axes, numbers, metrics, best)
    axes.set_xlabel("trial")
    axes.set_ylabel(config.metric)
    if config.is_minimised and metrics.min() > 0 and metrics.max() > 10 * metrics.min():
        axes.set_yscale("log")
    axes.legend(frameon=False)


def _scatter(axes: Axes, values: Numbers, metrics: Numbers, best: int) -> None:
    axes.scatter(values, metrics, color=_BLUE, s=18)
    axes.scatter(values[best : best + 1], metrics[best : best + 1], color=_ORANGE, s=36, zorder=3)
    axes.spines[["top", "right"]].set_visible(False)
