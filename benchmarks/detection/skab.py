"""SKAB's valve experiments: each run is learnt from its own first rows, which are free of anomalies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.configurations import BASELINE_WINDOWS, Configurations
from benchmarks.detection.contenders import AUTO, RANDOM, Scored, score_all
from benchmarks.detection.trial import Trial, labels_of
from offbeat.data import Dataset
from offbeat.result import BoolArray
from offbeat_training.datasets import read_skab, split_rows
from offbeat_training.evaluation.confusion import Confusion

Floats = NDArray[np.float64]

N_CALIBRATION_ROWS = 400
# The rule of SKAB's published convolutional autoencoder: 4/3 of the 99.9th percentile, there of absolute errors.
CALIBRATION_PERCENTILE = 99.9
CALIBRATION_FACTOR = 4 / 3


def skab(folder: Path, seed: int, fixed: Configurations) -> Iterator[Trial]:
    """Rows from the 401st on are judged, all runs counted together; nothing is adjusted to the labels.

    SKAB's own table counts the calibration rows as well, which are normal and hardly flagged: its false-alarm rate is told
    beside the stricter one.
    """
    files = sorted((folder / "valve1").glob("*.csv"), key=lambda file: int(file.stem))
    runs = [read_skab(file) for file in files]
    config, seq_len = fixed.get("skab"), BASELINE_WINDOWS["skab"]
    scored = [score_all(_first_rows(run), run, config, "row", seed, seq_len) for run in runs]
    yield Trial(
        set="skab",
        part="valve1",
        seed=seed,
        figures=_figures(runs, scored, seed),
        seconds={name: sum(each.seconds[name] for each in scored) for name in scored[0].seconds},
    )


def _first_rows(run: Dataset) -> Dataset:
    return msgspec.structs.replace(split_rows(run, N_CALIBRATION_ROWS).train, labels=None)


def _figures(runs: list[Dataset], scored: list[Scored], seed: int) -> dict[str, dict[str, float]]:
    """`auto` flags by the threshold that it took from the 400 rows itself, each third judged by a model of the others.

    The others flag by SKAB's published rule, but for chance, which flags as many of the judged rows as `auto`: a threshold
    of its own would lie above all of its scores.
    """
    labels = np.concatenate([labels_of(run) for run in runs])
    is_judged = np.concatenate([np.arange(run.n_rows) >= N_CALIBRATION_ROWS for run in runs])
    flags = {name: np.concatenate([published_flags(each.scores[name]) for each in scored]) for name in scored[0].scores}
    flags[AUTO] = np.concatenate([each.scores[AUTO] > each.threshold for each in scored])
    flags[RANDOM] = np.zeros_like(is_judged)
    flags[RANDOM][is_judged] = np.random.default_rng(seed).permutation(flags[AUTO][is_judged])
    return {name: _quality(labels, flagged, is_judged) for name, flagged in flags.items()}


def published_flags(scores: Floats) -> BoolArray:
    """Errors are squares, and their roots are what the published factor is for."""
    roots = np.sqrt(scores)
    threshold = CALIBRATION_FACTOR * np.percentile(roots[:N_CALIBRATION_ROWS], CALIBRATION_PERCENTILE)
    return np.asarray(roots > threshold)


def _quality(labels: BoolArray, flagged: BoolArray, is_judged: BoolArray) -> dict[str, float]:
    judged = Confusion.of(labels[is_judged], flagged[is_judged])
    return {
        "F1": judged.f1,
        "false-alarm rate": judged.false_positive_rate,
        "false-alarm rate, whole runs": Confusion.of(labels, flagged).false_positive_rate,
    }
