"""The figures of every contender, as tables for a terminal."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from offbeat_training.evaluation.comparison import Comparison
from offbeat_training.evaluation.conformal_flags import ConformalFlags
from offbeat_training.evaluation.detection import DetectionQuality

# A table's headings, and where in the quality their figures lie.
_ORDER: dict[str, str] = {
    "VUS-PR": "vus_pr",
    "ROC-AUC": "roc_auc",
    "PR-AUC": "pr_auc",
    "best F1": "best.f1",
    "P at best": "best.precision",
    "R at best": "best.recall",
}
_FLAGS: dict[str, str] = {
    "precision": "precision",
    "recall": "recall",
    "F1": "f1",
    "FPR": "false_positive_rate",
    "range F1": "ranges.f1",
    "affil. F1": "affiliation.f1",
}
_COUNTS: dict[str, str] = {
    "TP": "confusion.true_positives",
    "FP": "confusion.false_positives",
    "FN": "confusion.false_negatives",
    "TN": "confusion.true_negatives",
    "found": "delay.n_found",
    "of": "delay.n_anomalies",
    "mean delay": "delay.mean_rows",
    "median": "delay.median_rows",
}


def quality_tables(comparison: Comparison) -> tuple[Table, ...]:
    """Three tables of the contenders: the order of their scores, their flags, and counts with the delay in rows.

    One more where there are conformal p-values to judge.
    """
    n, n_anomalous = comparison.labels.size, int(comparison.labels.sum())
    heading = f"{n:,} {comparison.unit}s, {n_anomalous:,} anomalous"
    buffers = f"VUS-PR: buffers up to {comparison.vus_window} rows"
    return (
        *([_conformal_table(comparison.conformal)] if comparison.conformal else []),
        _table(comparison, _ORDER, heading, buffers if comparison.unit == "row" else "VUS-PR needs an order in time"),
        _table(comparison, _FLAGS, f"flags of {heading}", "at the threshold; baselines flag as many as the model"),
        _table(comparison, _COUNTS, f"counts of {heading}", "anomalies found; delay in rows to the first flag"),
    )


def _table(comparison: Comparison, figures: dict[str, str], title: str, caption: str) -> Table:
    table = Table(title=title, caption=caption)
    table.add_column("scores")
    for heading in figures:
        table.add_column(heading, justify="right")
    for each in comparison.contenders:
        table.add_row(each.name, *(_figure(each.quality, path) for path in figures.values()))
    return table


def _conformal_table(conformal: tuple[ConformalFlags, ...]) -> Table:
    table = Table("p at most", "FPR", "recall", "calibration errors", title="conformal p-values of the model")
    for each in conformal:
        table.add_row(
            f"{each.rate:g}", f"{each.false_positive_rate:.4f}", f"{each.recall:.4f}", f"{each.n_calibration:,}"
        )
    return table


def _figure(quality: DetectionQuality, path: str) -> str:
    figure: Any = quality
    for name in path.split("."):
        figure = None if figure is None else getattr(figure, name)
    if figure is None:
        return "–"
    return f"{figure:,}" if isinstance(figure, int) else f"{figure:.4f}"
