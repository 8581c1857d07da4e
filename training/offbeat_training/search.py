"""Tries configurations and keeps the best."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import msgspec

from offbeat.data import ColumnSelection, Dataset
from offbeat.errors import ConfigurationError, TrainingError
from offbeat_training.auto import resolve
from offbeat_training.checkpoint import Checkpoint
from offbeat_training.class_labels import class_numbers
from offbeat_training.config import TrainingConfig
from offbeat_training.fit import fit
from offbeat_training.resume_state import RunIdentity
from offbeat_training.search_config import SearchConfig
from offbeat_training.search_metric import judge, require_labels
from offbeat_training.search_plot import plot_trials
from offbeat_training.search_space import parse_space
from offbeat_training.search_study import SearchStudy, SearchTrial, open_study
from offbeat_training.whole_file import whole_file

Announce = Callable[[list[SearchTrial], int], None]


def search(
    dataset: Dataset,
    base: TrainingConfig,
    config: SearchConfig,
    *,
    labelled: Dataset | None = None,
    columns: ColumnSelection | None = None,
    announce: Announce = lambda trials, n_trials: None,
) -> list[SearchTrial]:
    """Trains with one proposal after another in place of the fields of `base`, and returns all trials.

    The folder `config.model_dir` gets the study, `best.ckpt`, `best.toml`, with which `offbeat train` repeats the best trial,
    and `trials.png`. The preset `auto` is resolved once, before the first trial. `labelled` is what the areas under curves
    are measured on. `columns` is how `dataset` was read from its file, for `best.toml`. `announce` is told the trials so
    far and how many there will be. A trial that cannot be trained is recorded with its reason. Raises TrainingError where
    none could be, and what `open_study` raises.
    """
    parse_space(config.space, config.fixed)
    base = resolve(dataset, base, config.fixed).config
    require_labels(config.metric, dataset if labelled is None else labelled)
    with open_study(config, _identity(dataset, base, config, labelled), base.seed) as study:
        trials = study.trials()
        while len(trials) < study.n_trials:
            _try(study, dataset, base, config, labelled, columns or ColumnSelection())
            trials = study.trials()
            announce(trials, study.n_trials)
    if best_trial(trials, config) is None:
        raise TrainingError(f"none of {len(trials)} trials could be trained; the last: {trials[-1].failure}")
    plot_trials(config.model_dir / "trials.png", trials, config)
    return trials


def best_trial(trials: list[SearchTrial], config: SearchConfig) -> SearchTrial | None:
    """The trial with the best metric, the first among equals; None where none has one."""
    judged = [trial for trial in trials if trial.metric is not None]
    sign = 1 if config.is_minimised else -1
    return min(judged, key=lambda trial: sign * (trial.metric or 0.0), default=None)


def _try(
    study: SearchStudy,
    dataset: Dataset,
    base: TrainingConfig,
    config: SearchConfig,
    labelled: Dataset | None,
    columns: ColumnSelection,
) -> None:
    trial, started_s = study.propose(), time.monotonic()
    try:
        settings = msgspec.structs.replace(base, **trial.params)
        checkpoint = fit(dataset, settings)
        metric = judge(checkpoint, config.metric, dataset, settings, labelled)
    except (TrainingError, ConfigurationError) as error:
        study.record(trial, None, time.monotonic() - started_s, failure=str(error))
        return
    best = best_trial(study.trials(), config)
    if best is None or best.metric is None or (metric < best.metric if config.is_minimised else metric > best.metric):
        # Before the trial is closed: whoever dies between the two repeats it and comes to the same.
        _keep(checkpoint, settings, columns, config)
    study.record(trial, metric, time.monotonic() - started_s)


def _keep(checkpoint: Checkpoint, settings: TrainingConfig, columns: ColumnSelection, config: SearchConfig) -> None:
    checkpoint.save(config.model_dir / "best.ckpt")
    selection = {name: getattr(columns, name) for name in columns.__struct_fields__}
    chosen = {name: value for name, value in selection.items() if value != getattr(ColumnSelection(), name)}
    # A field that is None has its default.
    values = {name: value for name, value in (msgspec.to_builtins(settings) | chosen).items() if value is not None}
    with whole_file(config.model_dir / "best.toml") as file:
        file.write("".join(f"{name} = {_toml(value)}\n" for name, value in values.items()).encode())


def _toml(value: object) -> str:
    """JSON's words for numbers, strings, lists and booleans are TOML's too, but for pairs of surrogates and a bare DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _identity(dataset: Dataset, base: TrainingConfig, config: SearchConfig, labelled: Dataset | None) -> RunIdentity:
    fixed = sorted(parse_space(()).keys() & set(config.fixed))
    settings = msgspec.to_builtins(base) | {
        "space": " ".join((*config.space, *(f"{name}=fixed" for name in fixed))),
        "method": config.method,
        "metric": config.metric,
        "labelled_data": None if labelled is None else RunIdentity.of(labelled, None, base).data_sha256,
    }
    return RunIdentity(data_sha256=RunIdentity.of(dataset, class_numbers(dataset), base).data_sha256, settings=settings)
