"""What the commands that train ask of their flags, and of the data that these name."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from offbeat.data import ColumnSelection, Dataset, data_notes, read_dataset
from offbeat.errors import ConfigurationError, MissingExtraError, TrainingError, require
from offbeat.files import try_replacing
from offbeat.flag_use import refuse_unused
from offbeat_training.class_labels import CLASSIFIER
from offbeat_training.config import TrainingConfig
from offbeat_training.feature_notes import feature_notes
from offbeat_training.flag_uses import DATA_USES
from offbeat_training.whole_file import file_at


def given_fields(context: typer.Context) -> tuple[str, ...]:
    """The fields of the configuration that a flag, a variable or the file of settings gives."""
    sources = {name: context.get_parameter_source(name) for name in TrainingConfig.__struct_fields__}
    return tuple(name for name, source in sources.items() if source is not None and source.name != "DEFAULT")


def require_class_column(given: Mapping[str, Any]) -> None:
    """Raises ConfigurationError before the data are read where a preset that learns classes is told no column of them."""
    seen, preset = given["class_column"], given["preset"]
    require(
        preset != CLASSIFIER or seen is not None,
        "class_column",
        seen,
        f"a column's name: preset {preset} learns classes",
    )


def read_noted(path: Path, columns: ColumnSelection, console: Console) -> Dataset:
    """The data set in a file; what was filled or uneven in it is said on `console`."""
    dataset = read_dataset(path, columns)
    _say(data_notes(dataset), console)
    return dataset


def read_normal(path: Path, columns: ColumnSelection, context: typer.Context, console: Console) -> Dataset:
    """The data set to learn from, likewise. Raises TrainingError where the labels leave nothing to learn from, as words do
    that no flag explains, and ConfigurationError for a flag that ready-made windows have no use for.
    """
    dataset = read_noted(path, columns, console)
    if dataset.labels is not None and dataset.labels.all():
        n = f"{dataset.n_rows:,}"
        raise TrainingError(
            f"{dataset.name}: {n} of {n} rows are labelled anomalous; the normal label is {columns.normal_label!r}: "
            "expected rows that have it, or another --normal-label"
        )
    refuse_unused(context, DATA_USES, is_windows=dataset.values.ndim == 3)
    _say(feature_notes(dataset), console)
    return dataset


def _say(notes: Sequence[str], console: Console) -> None:
    for note in notes:
        console.print(note, style="yellow", markup=False, highlight=False, soft_wrap=True)


@contextlib.contextmanager
def warnings_on(console: Console) -> Iterator[None]:
    """Says each warning once on `console`, in one line and without the place in our code that it comes from."""
    said: set[str] = set()

    def say(message: Warning | str, *_: object, **__: object) -> None:
        if str(message) not in said:
            said.add(str(message))
            console.print(f"warning: {message}", style="yellow", markup=False, highlight=False, soft_wrap=True)

    with warnings.catch_warnings():
        warnings.showwarning = say
        yield


def check_out(out: Path, *inputs: Path | None) -> None:
    """Raises ConfigurationError before hours of training, not after, where no file can be put or an input would be lost."""
    target = file_at(out)
    try:
        try_replacing(target)
    except OSError as error:
        raise ConfigurationError(
            f"out is {str(out)!r}; expected a file in a folder that exists and can be written to: {error.strerror}"
        ) from error
    for each in inputs:
        if each is not None and each.exists() and target.exists() and target.samefile(each):
            raise ConfigurationError(
                f"out is {str(out)!r}, which would overwrite the input {each}; expected another file"
            )


@contextlib.contextmanager
def training_extra(command: str) -> Iterator[None]:
    """Raises MissingExtraError, naming the extra, where an import inside fails for want of another's package."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("offbeat"):
            raise
        raise MissingExtraError(f"{command} needs {error.name}; pip install 'offbeat[training]'") from error
