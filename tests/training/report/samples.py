"""A made-up comparison to report on."""

from __future__ import annotations

import numpy as np

from offbeat_training.evaluation import ScoreFile, compare
from offbeat_training.evaluation.baselines import random_scores
from offbeat_training.report import ReportInputs, TrainingHistory

FEATURES = ("cpu", "memory", "disk")


def series_inputs(n_rows: int = 2000, features: tuple[str, ...] = FEATURES, seed: int = 0) -> ReportInputs:
    """A series with three anomalies and everything that a report can show."""
    random = np.random.default_rng(seed)
    rows = np.arange(n_rows)
    labels = np.zeros(n_rows, dtype=np.bool_)
    for begin in (0.3, 0.55, 0.8):
        labels[int(begin * n_rows) : int((begin + 0.02) * n_rows)] = True
    phase = np.arange(len(features))
    rebuilt = 50 + 20 * np.sin(2 * np.pi * rows[:, None] / 400 + phase)
    values = rebuilt + random.normal(0, 1, rebuilt.shape)
    values[labels, 0] += 25 * random.random(int(labels.sum()))
    feature_error = ((values - rebuilt) / 10) ** 2 / len(features)
    scores = feature_error.sum(axis=1)
    threshold = float(np.quantile(scores[~labels], 0.99))
    scored = ScoreFile(
        name="scores.csv",
        unit="row",
        errors=scores.astype(np.float32),
        is_flagged=scores > threshold,
        timestamps=(np.datetime64("2024-03-01T00:00") + rows.astype("m8[m]")).astype(np.str_),
    )
    baselines = {"random scores": random_scores(n_rows), "PCA": scores + random.exponential(0.5, n_rows)}
    epochs = np.arange(1.0, 41)
    losses = {"training_loss": np.exp(-epochs / 8) + 0.02, "validation_loss": np.exp(-epochs / 9) + 0.03}
    return ReportInputs(
        title="Report of scores.csv",
        facts=(("model", "server-metrics"), ("version", "1"), ("threshold", f"{threshold:.4g}")),
        comparison=compare(scored, labels, baselines, vus_window=20),
        threshold=threshold,
        feature_names=features,
        values=values.astype(np.float32),
        feature_error=feature_error.astype(np.float32),
        reconstruction=rebuilt.astype(np.float32),
        history=TrainingHistory(epochs=epochs, losses=losses),
    )
