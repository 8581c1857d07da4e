"""SKAB's valve experiments: each run is learnt from its own first rows, which are free of anomalies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.configurations import CONFIGURATIONS
from benchmarks.detection.contenders import MODEL, RANDOM, Scored, score_all
from benchmarks.detection.trial import Trial, labels_of
from offbeat.result import BoolArray
from offbeat_training.datasets import read_skab, split_rows
from offbeat_training.evaluation.confusion import Confusion

Floats = NDArray[np.float64]

N_CALIBRATION_ROWS = 400
# The rule of SKAB's published convolutional autoencoder: 4/3 of the 99.9th percentile, there of absolute errors.
CALIBRATION_PERCENTILE = 99.9
CALIBRATION_FACTOR = 4 / 3


def skab(folder: Path, seed: int) -> Iterator[Trial]:
    """Rows from the 401st on are judged, all runs counted together; nothing is adjusted to the labels."""
    files = sorted((folder / "valve1").glob("*.csv"), key=lambda file: int(file.stem))
    labels: list[BoolArray] = []
    scored: list[Scored] = []
    for file in files:
        run = read_skab(file)
        first = msgspec.structs.replace(split_rows(run, N_CALIBRATION_ROWS).train, labels=None)
        scored.append(score_all(first, run, CONFIGURATIONS["skab"], "row", seed))
        labels.append(labels_of(run)[N_CALIBRATION_ROWS:])
    yield Trial(
        set="skab",
        part="valve1",
        seed=seed,
        figures=_figures(np.concatenate(labels), scored, seed),
        model_s=sum(each.model_s for each in scored),
        baselines_s=sum(each.baselines_s for each in scored),
    )


def _figures(labels: BoolArray, scored: list[Scored], seed: int) -> dict[str, dict[str, float]]:
    """Chance flags as many rows as the model: its own threshold lies above all of its scores."""
    names = [name for name in scored[0].scores if name != RANDOM]
    flags = {name: np.concatenate([_flags(each.scores[name]) for each in scored]) for name in names}
    flags[RANDOM] = np.random.default_rng(seed).permutation(flags[MODEL])
    return {name: _quality(Confusion.of(labels, flagged)) for name, flagged in flags.items()}


def _flags(scores: Floats) -> BoolArray:
    """Errors are squares, and their roots are what the published factor is for."""
    roots = np.sqrt(scores)
    threshold = CALIBRATION_FACTOR * np.percentile(roots[:N_CALIBRATION_ROWS], CALIBRATION_PERCENTILE)
    return np.asarray(roots[N_CALIBRATION_ROWS:] > threshold)


def _quality(confusion: Confusion) -> dict[str, float]:
    return {"F1": confusion.f1, "false-alarm rate": confusion.false_positive_rate}
