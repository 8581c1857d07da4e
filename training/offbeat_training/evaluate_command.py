"""`offbeat evaluate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from offbeat.errors import DataError
from offbeat_training.flags import flag, training_extra

if TYPE_CHECKING:
    from offbeat_training.evaluation import DetectionQuality

_HEADINGS = {
    "vus_pr": "VUS-PR",
    "roc_auc": "ROC-AUC",
    "pr_auc": "PR-AUC",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
}


def evaluate(
    scores: Annotated[Path, typer.Argument(help="csv that offbeat score wrote.")],
    labels: Annotated[
        Path, flag("labels", "csv, Parquet or npz file with a label per line, or NAB's json of windows.")
    ],
    label_column: Annotated[
        str | None, flag("label-column", "Column, or array of an npz file; not needed where it is the only one.")
    ] = None,
    normal_label: Annotated[float, flag("normal-label", "The label of normal lines.")] = 0.0,
    delimiter: Annotated[str | None, flag("delimiter", "Of the labels; recognised where it is not given.")] = None,
    series: Annotated[str | None, flag("series", "With NAB's json: which series.")] = None,
    vus_window: Annotated[
        int, flag("vus-window", "Rows of VUS-PR's widest buffer: the period of the series.", min=0, max=100_000)
    ] = 100,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of a table.")] = False,
) -> None:
    """Judge scores against labels: VUS-PR, ROC-AUC, PR-AUC, and precision, recall, F1 of the flags, beside random scores.

    Examples: `offbeat evaluate scores.csv --labels test.csv --label-column label`, and for a series of NAB
    `offbeat evaluate scores.csv --labels combined_windows.json --series realKnownCause/nyc_taxi.csv --vus-window 125`
    """
    with training_extra("offbeat evaluate"):
        from offbeat_training.evaluation import LabelSelection, measure, measure_random, read_labels, read_scores
    scored = read_scores(scores)
    selection = LabelSelection(label_column=label_column, normal_label=normal_label, delimiter=delimiter, series=series)
    truth = read_labels(labels, selection, scored.timestamps)
    if truth.size != scored.errors.size:
        raise DataError(f"{labels}: {truth.size} labels; {scores} has {scored.errors.size} {scored.unit}s")
    window = vus_window if scored.unit == "row" else None
    qualities = {
        scored.name: measure(truth, scored.errors, scored.is_flagged, window),
        "random scores": measure_random(truth, int(scored.is_flagged.sum()), window),
    }
    heading = f"{truth.size:,} {scored.unit}s, {int(truth.sum()):,} anomalous"
    if json:
        facts = {"unit": scored.unit, "n": truth.size, "n_anomalous": int(truth.sum()), "vus_window": window}
        sys.stdout.write(msgspec.json.encode({**facts, "quality": qualities}).decode() + "\n")
        return
    Console().print(_table(qualities, heading, window))


def _table(qualities: dict[str, DetectionQuality], heading: str, vus_window: int | None) -> Table:
    caption = "VUS-PR needs scores per row" if vus_window is None else f"VUS-PR: buffers up to {vus_window} rows"
    table = Table(title=heading, caption=f"{caption}; precision, recall and F1 at the threshold")
    table.add_column("scores")
    for name in _HEADINGS.values():
        table.add_column(name, justify="right")
    for name, quality in qualities.items():
        figures = (getattr(quality, field) for field in _HEADINGS)
        table.add_row(name, *("–" if figure is None else f"{figure:.4f}" for figure in figures))
    return table
