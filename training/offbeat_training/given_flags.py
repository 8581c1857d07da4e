"""From the flags of a command to the structs they are fields of, for the commands that train."""

from __future__ import annotations

import contextlib
import inspect
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from offbeat.data import ColumnSelection, Dataset, data_notes, read_dataset
from offbeat.errors import ConfigurationError, TrainingError, require
from offbeat_training.class_labels import CLASSIFIER
from offbeat_training.config import TrainingConfig
from offbeat_training.whole_file import file_at

Command = Callable[..., None]


def with_flags_of(source: Command) -> Callable[[Command], Command]:
    """Replaces a command's `**given` by the flags of another command that it has not itself."""
    inherited = inspect.signature(source, eval_str=True).parameters

    def adopt(command: Command) -> Command:
        own = inspect.signature(command, eval_str=True).parameters.copy()
        own.popitem()
        more = {name: each for name, each in inherited.items() if name not in own}
        command.__signature__ = inspect.Signature([*own.values(), *more.values()])  # type: ignore[attr-defined]
        return command

    return adopt


def training_config(given: Mapping[str, Any]) -> TrainingConfig:
    """The configuration among the flags. Raises ConfigurationError for values out of range."""
    return TrainingConfig(**{name: given[name] for name in TrainingConfig.__struct_fields__})


def given_fields(context: typer.Context) -> tuple[str, ...]:
    """The fields of the configuration that a flag, a variable or the file of settings gives."""
    sources = {name: context.get_parameter_source(name) for name in TrainingConfig.__struct_fields__}
    return tuple(name for name, source in sources.items() if source is not None and source.name != "DEFAULT")


def column_selection(given: Mapping[str, Any]) -> ColumnSelection:
    """What the flags say of columns; names of features have commas between."""
    # A training file is one series: no flag names a column of them.
    fields = {name: given[name] for name in ColumnSelection.__struct_fields__ if name in given}
    names = (name.strip() for name in given["features"].split(","))
    return ColumnSelection(**fields | {"features": tuple(name for name in names if name)})


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
    for note in data_notes(dataset):
        console.print(note, style="yellow", markup=False, highlight=False, soft_wrap=True)
    return dataset


def require_normal(dataset: Dataset, columns: ColumnSelection) -> None:
    """Raises TrainingError where the labels leave nothing to learn from, as words do that no flag explains."""
    if dataset.labels is not None and dataset.labels.all():
        n = f"{dataset.n_rows:,}"
        raise TrainingError(
            f"{dataset.name}: {n} of {n} rows are labelled anomalous; the normal label is {columns.normal_label!r}: "
            "expected rows that have it, or another --normal-label"
        )


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


def check_writable(out: Path, *inputs: Path | None) -> None:
    """Raises ConfigurationError before hours of training, not after, where no file can be put or an input would be lost."""
    target = file_at(out)
    if not (target.parent.is_dir() and os.access(target.parent, os.W_OK)):
        raise ConfigurationError(f"out is {str(out)!r}; expected a file in a folder that exists and can be written to")
    for each in inputs:
        if each is not None and each.exists() and target.exists() and target.samefile(each):
            raise ConfigurationError(
                f"out is {str(out)!r}, which would overwrite the input {each}; expected another file"
            )
