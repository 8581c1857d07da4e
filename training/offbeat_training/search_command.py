"""`offbeat search`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from offbeat.data import ColumnSelection
from offbeat.flag_fields import made, with_fields
from offbeat.flag_use import refuse_unused
from offbeat_training.config import TrainingConfig
from offbeat_training.flag_uses import SEARCH_USES
from offbeat_training.given_flags import (
    check_out,
    given_fields,
    read_normal,
    read_noted,
    require_class_column,
    training_extra,
    warnings_on,
)
from offbeat_training.interruption import told_of_interruption
from offbeat_training.search_config import SearchConfig
from offbeat_training.search_flags import FLAGS, KINDS, SearchFlags
from offbeat_training.train_command import summary
from offbeat_training.train_flags import CHECKPOINT_VARIABLE, ConfigOption, DataArgument

if TYPE_CHECKING:
    from offbeat_training.search import Announce
    from offbeat_training.search_study import SearchTrial


@with_fields(KINDS, FLAGS)
def search(
    context: typer.Context,
    data: DataArgument,
    out: Annotated[
        Path, typer.Option(envvar=CHECKPOINT_VARIABLE, help="Checkpoint of the best trial to write.")
    ] = Path("model.ckpt"),
    config: ConfigOption = None,
    **given: Any,
) -> None:
    """Search for the best learning rate, hidden size, clipping, and whatever else is named, by training again and again.

    The other flags are those of `offbeat train`, for what is not searched: a field that is given leaves the search.

    Examples:

    - `offbeat search metrics.csv --n-trials 30 --epochs 50 --space seq_len=30,60,120`
    - by labels, on a grid: `offbeat search metrics.csv --method grid --metric pr-auc --label-column label --space lr=log:1e-4:1e-2:3`
    """
    refuse_unused(context, SEARCH_USES)
    require_class_column(given)
    settings, columns = made(TrainingConfig, given), made(ColumnSelection, given)
    asked = made(SearchFlags, given, fixed=given_fields(context))
    check_out(out, data, config, asked.labelled_data)
    console = Console(stderr=True)
    kept = f"the trials that have ended are kept in {asked.model_dir}, for --resume"
    with warnings_on(console), told_of_interruption(console, lambda: kept):
        with training_extra("offbeat search"):
            from offbeat_training.auto import resolve
            from offbeat_training.checkpoint import Checkpoint
            from offbeat_training.search import search as run_search
        dataset = read_normal(data, columns, context, console)
        choice = resolve(dataset, settings, asked.fixed)
        choice.tell(console)
        labelled = None if asked.labelled_data is None else read_noted(asked.labelled_data, columns, console)
        with _told(console, asked.log_interval) as announce:
            trials = run_search(dataset, choice.config, asked, labelled=labelled, columns=columns, announce=announce)
        best = Checkpoint.load(asked.model_dir / "best.ckpt")
        best.save(out)
    Console().print(_table(trials, asked), summary(best, out))


@contextlib.contextmanager
def _told(console: Console, log_interval: int) -> Iterator[Announce]:
    """A bar, and a line of every `log_interval`th trial, on `console`."""
    with Progress(console=console) as progress:
        bar = progress.add_task("searching", total=None)

        def announce(trials: list[SearchTrial], n_trials: int) -> None:
            progress.update(bar, completed=len(trials), total=n_trials)
            if log_interval and len(trials) % log_interval == 0:
                progress.console.print(_line(trials[-1]), markup=False, highlight=False, soft_wrap=True)

        yield announce


def _line(trial: SearchTrial) -> str:
    outcome = trial.failure if trial.metric is None else f"{trial.metric:.6g}"
    values = ", ".join(f"{name} {_word(value)}" for name, value in trial.values.items())
    return f"trial {trial.number}: {outcome} with {values}, {trial.seconds:.1f} s"


def _table(trials: list[SearchTrial], config: SearchConfig) -> Table:
    """The trials, the best first and those that failed last."""
    sign = 1 if config.is_minimised else -1
    ordered = sorted(trials, key=lambda trial: (trial.metric is None, sign * (trial.metric or 0.0)))
    table = Table(title=f"{len(trials)} trials", caption=f"drawn in {config.model_dir / 'trials.png'}")
    for heading in ("trial", config.metric, *trials[0].values, "seconds"):
        table.add_column(heading, justify="right")
    for trial in ordered:
        metric = "failed" if trial.metric is None else f"{trial.metric:.6g}"
        values = (_word(value) for value in trial.values.values())
        table.add_row(str(trial.number), metric, *values, f"{trial.seconds:.1f}")
    return table


def _word(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value).lower() if value is None else str(value)
