"""The recipe: which configuration a data set gets."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec
import numpy as np
from rich.console import Console

from offbeat.data import Dataset
from offbeat.result import FloatArray
from offbeat_training.auto.kind import kind_of
from offbeat_training.auto.window import window_length, window_stride
from offbeat_training.config import TrainingConfig
from offbeat_training.preset_designs import AUTO
from offbeat_training.split import normal_starts

Settings = Mapping[str, Any]

# Steps of the optimiser after which no training goes on, however few windows an epoch has.
_MAX_STEPS = 2000
_MAX_ROWS_SEEN = 5_000_000
_COMMON = {"refit": True, "percentile": 99.0}


class AutoChoice(msgspec.Struct, frozen=True, kw_only=True):
    """An ordinary configuration, and in words what was chosen and why."""

    config: TrainingConfig
    reasons: tuple[str, ...] = ()

    def tell(self, console: Console) -> None:
        """Says each reason in a line of its own; nothing where nothing was to be chosen."""
        for reason in self.reasons:
            console.print(f"auto chose: {reason}", markup=False, highlight=False, soft_wrap=True)


def resolve(dataset: Dataset, config: TrainingConfig, given: Collection[str] | None = None) -> AutoChoice:
    """What `preset` `auto` stands for with these data; a configuration of another preset comes back as it is.

    Fields that are `given` stay as they are; None means those that differ from their defaults. Labels of anomalies are
    only looked at to leave those rows out. The same data and fields give the same configuration. Raises ConfigurationError
    where a given field does not go with the preset chosen.
    """
    if config.preset != AUTO:
        return AutoChoice(config=config)
    kept = set(_not_defaults(config) if given is None else given) - {"preset"}
    kind, known_by = kind_of(dataset, config.seq_len if "seq_len" in kept else None)
    recipe = {"windows": _windows, "series": _series, "table": _table}[kind]
    settings, reasons = recipe(dataset, config, kept)
    chosen = {name: value for name, value in (_COMMON | dict(settings)).items() if name not in kept}
    resolved = msgspec.structs.replace(config, **chosen)
    return AutoChoice(config=resolved, reasons=(known_by, *reasons, _learning(resolved)))


def _series(dataset: Dataset, config: TrainingConfig, kept: Collection[str]) -> tuple[Settings, list[str]]:
    values = _normal_stretch(dataset)
    length, why = (config.seq_len, "as given") if "seq_len" in kept else window_length(values)
    n_windows = normal_starts(dataset.n_rows, length, 1, dataset.labels).size
    stride = config.stride if "stride" in kept else window_stride(n_windows, length)
    reasons = [f"windows of {_rows(length)} ({why}), one every {_rows(stride).removeprefix('1 ')}", _DENOISING_REASON]
    return {"preset": "denoising", "seq_len": length, "stride": stride, **_schedule(n_windows // stride)}, reasons


def _windows(dataset: Dataset, config: TrainingConfig, kept: Collection[str]) -> tuple[Settings, list[str]]:
    # Windows cut to begin alike differ in few ways: what a linear path would add is room for the anomalies too.
    reasons = ["preset denoising without the linear path, as windows cut to begin alike leave it nothing to find"]
    return {"preset": "denoising", "linear_dim": 0, **_schedule(dataset.n_rows)}, reasons


def _table(dataset: Dataset, config: TrainingConfig, kept: Collection[str]) -> tuple[Settings, list[str]]:
    epochs = min(100, max(5, _MAX_ROWS_SEEN // dataset.n_rows))
    return {"preset": "tabular", "batch_size": 256, "epochs": epochs, "patience": 10}, ["preset tabular"]


_DENOISING_REASON = "preset denoising: a linear path from the principal components, and a network that corrects it"


def _learning(config: TrainingConfig) -> str:
    learnt = "then all of the normal data for as many" if config.refit else "the held-out part left out"
    return f"up to {config.epochs} epochs, batches of {config.batch_size}; {learnt}"


def _schedule(n_windows: int) -> Settings:
    batch_size = 64
    epochs = min(500, max(5, _MAX_STEPS * batch_size // max(n_windows, 1)))
    return {"batch_size": batch_size, "epochs": epochs, "patience": max(5, min(20, epochs // 10))}


def _normal_stretch(dataset: Dataset) -> FloatArray:
    """The longest stretch of rows of which none is labelled anomalous."""
    if dataset.labels is None or not dataset.labels.any():
        return dataset.values
    ends = np.concatenate([[-1], np.flatnonzero(dataset.labels), [dataset.n_rows]])
    longest = int(np.argmax(np.diff(ends)))
    return dataset.values[ends[longest] + 1 : ends[longest + 1]]


def _not_defaults(config: TrainingConfig) -> list[str]:
    defaults = TrainingConfig()
    return [name for name in config.__struct_fields__ if getattr(config, name) != getattr(defaults, name)]


def _rows(n_rows: int) -> str:
    return "1 row" if n_rows == 1 else f"{n_rows} rows"
