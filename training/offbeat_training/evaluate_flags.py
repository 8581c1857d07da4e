"""The flags of `offbeat evaluate`, in the order of its help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
import typer

from offbeat.data import ColumnSelection, MissingPolicy
from offbeat.data.dataset import Layout
from offbeat.flag_fields import Flags, flag


class EvaluateFlags(msgspec.Struct, frozen=True, kw_only=True):
    """The files that scores are judged by, which parts of them mean what, and what is to come of it."""

    scores: Path
    labels: Path
    label_column: str | None = None
    normal_label: str = "0"
    delimiter: str | None = None
    series: str | None = None
    flag_column: Literal["is_anomaly", "alarm"] = "is_anomaly"
    vus_window: int = 100
    train: Path | None = None
    train_label_column: str | None = None
    train_normal_label: str = "0"
    train_key: str | None = None
    data: Path | None = None
    features: tuple[str, ...] = ()
    timestamp_column: str | None = None
    key: str | None = None
    layout: Layout = "rows"
    missing: MissingPolicy = "reject"
    seq_len: int = 50
    calibration: Path | None = None
    report: Path | None = None
    png: Path | None = None
    model: Path | None = None
    outputs: Path | None = None
    history: Path | None = None
    json: bool = False

    @property
    def read(self) -> tuple[Path | None, ...]:
        """What is read, and must not be written over."""
        files = (self.scores, self.labels, self.data, self.train, self.calibration)
        return (*files, self.outputs, self.history, self.model)

    def of_data(self) -> ColumnSelection:
        """Which parts of the data that were scored mean what. Raises ConfigurationError."""
        return ColumnSelection(
            features=self.features,
            timestamp_column=self.timestamp_column,
            label_column=self.label_column if self.data in (None, self.labels) else None,
            normal_label=self.normal_label,
            delimiter=self.delimiter,
            key=self.key,
            layout=self.layout,
            missing=self.missing,
        )

    def of_train(self, features: tuple[str, ...]) -> ColumnSelection:
        """Which parts of the training data mean what, where what was scored has those `features`. Raises ConfigurationError."""
        return msgspec.structs.replace(
            self.of_data(),
            features=features,
            label_column=self.train_label_column,
            normal_label=self.train_normal_label,
            key=self.train_key or self.key,
        )


_FEATURES = typer.Option(
    envvar="OFFBEAT_FEATURES",
    help="With --train: names of the columns, with commas between; all numeric ones by default.",
)
_LABELS: Flags = {
    "label_column": flag("Column, or array of an npz file; not needed where it is the only one."),
    "normal_label": flag("The label of normal lines."),
    "delimiter": flag("Of csv files; recognised where it is not given."),
    "series": flag("With NAB's json: which series."),
    "flag_column": flag("Column of the scores that holds the flags to judge."),
    "vus_window": flag("Rows of VUS-PR's widest buffer: the period of the series.", min=0, max=100_000),
}
_BASELINES: Flags = {
    "train": flag("What the model was trained on; adds PCA and an isolation forest fitted on it."),
    "train_label_column": flag("Of --train: rows labelled otherwise than normal are left out."),
    "train_normal_label": flag("Of --train: the label of normal rows."),
    "train_key": flag("Array of --train; that of --data where it is not given."),
    "data": flag("The data that were scored, for the baselines; the file of labels by default."),
    "features": Annotated[str, _FEATURES],
    "timestamp_column": flag("Recognised where it is not given."),
    "key": flag("Array of --data, an npz file."),
    "layout": flag("What a line of --train and --data is: a step, or a window of one feature."),
    "missing": flag("What becomes of NaN and empty cells."),
    "seq_len": flag("Rows in one window of the baselines; samples of a table go one by one.", min=1, max=1_000_000),
    "calibration": flag("What offbeat score wrote of other normal data: judges conformal p-values."),
}
_REPORT: Flags = {
    "report": flag("HTML page to write: series, errors, curves, tables; docs/report.md."),
    "png": flag("Folder for the pictures of the report, as PNG files."),
    "model": flag("Of the report: the folder of the model, or of its version, that scored."),
    "outputs": flag("Of the report: npz file of feature_error and reconstruction, line by line."),
    "history": flag("Of the report: csv file of losses, a line per epoch."),
    "json": flag("Print JSON for programs instead of tables.", "--json", envvar=None),
}
FLAGS: Flags = {**_LABELS, **_BASELINES, **_REPORT}
