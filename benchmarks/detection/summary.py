"""From trials to the lines of a table: means and spreads over the seeds, and the targets beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from benchmarks.detection.contenders import AUTO, AUTO_PCA, PCA
from benchmarks.detection.trial import Trial

MEAN_OF_PARTS = "mean"


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What issue 3 accepts and aims at; `above_pca` is relative to PCA's mean on the same line, the higher of its two."""

    accept: float | None = None
    above_pca: float | None = None
    aim: float | None = None
    is_lower_better: bool = False


TARGETS: Mapping[tuple[str, str, str], Target] = {
    ("ecg5000", "test", "ROC-AUC"): Target(accept=0.985, aim=0.994),
    # The best single published detector, MOMENT fine-tuned, by the mean of its column.
    ("nab", MEAN_OF_PARTS, "VUS-PR"): Target(above_pca=0.03, aim=0.439),
    ("smd", MEAN_OF_PARTS, "VUS-PR"): Target(accept=0.60, aim=0.75),
    ("skab", "valve1", "F1"): Target(accept=0.74, aim=0.78),
    ("skab", "valve1", "false-alarm rate"): Target(accept=0.30, aim=0.15, is_lower_better=True),
    ("adbench", "annthyroid", "ROC-AUC"): Target(above_pca=-0.01),
    ("adbench", "cardio", "ROC-AUC"): Target(above_pca=-0.01, aim=0.968),
    ("adbench", "musk", "ROC-AUC"): Target(above_pca=-0.01),
    ("adbench", "shuttle", "ROC-AUC"): Target(above_pca=-0.01, aim=0.995),
    ("adbench", "thyroid", "ROC-AUC"): Target(above_pca=-0.01, aim=0.988),
}


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """Mean and spread (standard deviation, None of one seed) by contender; `seconds` are of one seed.

    `is_accepted` is said of `auto`.
    """

    set: str
    part: str
    metric: str
    seeds: tuple[int, ...]
    means: Mapping[str, float]
    spreads: Mapping[str, float | None]
    seconds: Mapping[str, float]
    accept: float | None
    aim: float | None
    is_accepted: bool | None


def summarise(trials: Sequence[Trial]) -> list[Line]:
    """A line for each part and metric, and one for the mean of the parts where that is what the issue asks for."""
    lines = []
    for name in dict.fromkeys(trial.set for trial in trials):
        of_set = [trial for trial in trials if trial.set == name]
        parts = [[each for each in of_set if each.part == part] for part in dict.fromkeys(t.part for t in of_set)]
        lines += [_line(part, name, part[0].part, metric) for part in parts for metric in part[0].figures[AUTO]]
        if (name, MEAN_OF_PARTS, "VUS-PR") in TARGETS:
            lines.append(_line(of_set, name, MEAN_OF_PARTS, "VUS-PR"))
    return lines


def _line(trials: Sequence[Trial], name: str, part: str, metric: str) -> Line:
    seeds = tuple(sorted({trial.seed for trial in trials}))
    by_seed = [[trial for trial in trials if trial.seed == seed] for seed in seeds]
    figures = {
        contender: [float(np.mean([each.figures[contender][metric] for each in group])) for group in by_seed]
        for contender in trials[0].figures
    }
    means = {contender: float(np.mean(values)) for contender, values in figures.items()}
    target = TARGETS.get((name, part, metric), Target())
    accept = target.accept if target.above_pca is None else max(means[PCA], means[AUTO_PCA]) + target.above_pca
    return Line(
        set=name,
        part=part,
        metric=metric,
        seeds=seeds,
        means=means,
        spreads={contender: _spread(values) for contender, values in figures.items()},
        seconds={name: sum(each.seconds[name] for each in trials) / len(seeds) for name in trials[0].seconds},
        accept=accept,
        aim=target.aim,
        is_accepted=None
        if accept is None
        else (means[AUTO] <= accept if target.is_lower_better else means[AUTO] >= accept),
    )


def _spread(values: Sequence[float]) -> float | None:
    return float(np.std(values, ddof=1)) if len(values) > 1 else None
