"""`offbeat search`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from offbeat.flag_use import refuse_unused
from offbeat_training.flag_uses import DATA_USES, SEARCH_USES
from offbeat_training.flags import CHECKPOINT_VARIABLE, ConfigOption, flag, training_extra
from offbeat_training.given_flags import (
    check_writable,
    column_selection,
    given_fields,
    read_noted,
    require_class_column,
    require_normal,
    training_config,
    warnings_on,
    with_flags_of,
)
from offbeat_training.interruption import told_of_interruption
from offbeat_training.search_config import Method, Metric, SearchConfig
from offbeat_training.train_command import summary, train

if TYPE_CHECKING:
    from offbeat_training.search_study import SearchTrial

_DEFAULT = SearchConfig()


@with_flags_of(train)
def search(
    context: typer.Context,
    data: Annotated[
        Path, typer.Argument(help="csv, JSON Lines, Parquet, Arrow or npz file of raw values, mostly normal.")
    ],
    out: Annotated[Path, flag("out", "Checkpoint of the best trial to write.", envvar=CHECKPOINT_VARIABLE)] = Path(
        "model.ckpt"
    ),
    config: ConfigOption = None,
    space: Annotated[
        list[str], flag("space", "NAME=A,B,C or NAME=log:LOW:HIGH or NAME=lin:LOW:HIGH; once for each name.")
    ] = list(_DEFAULT.space),  # noqa: B006
    method: Annotated[
        Method, flag("method", "tpe learns from earlier trials; grid tries everything.")
    ] = _DEFAULT.method,
    metric: Annotated[Metric, flag("metric", "What is best; the areas need labels.")] = _DEFAULT.metric,
    n_trials: Annotated[
        int | None, flag("n-trials", "Trials of all sittings. Default 20; with grid all there are.")
    ] = _DEFAULT.n_trials,
    labelled_data: Annotated[
        Path | None,
        flag("labelled-data", "File for the areas, its columns as in the data; by default the data's own labels."),
    ] = None,
    model_dir: Annotated[
        Path, flag("model-dir", "Folder for study.db, best.ckpt, best.toml and trials.png.")
    ] = _DEFAULT.model_dir,
    resume: Annotated[bool, flag("resume", "Go on with the search in --model-dir, if it holds one.")] = _DEFAULT.resume,
    log_interval: Annotated[int, flag("log-interval", "Trials between printed lines; 0 for none.", min=0)] = 1,
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
    settings, columns = training_config(given), column_selection(given)
    search_config = SearchConfig(
        space=tuple(space),
        fixed=given_fields(context),
        method=method,
        metric=metric,
        n_trials=n_trials,
        model_dir=model_dir,
        resume=resume,
    )
    check_writable(out, data, config, labelled_data)
    console = Console(stderr=True)
    with (
        warnings_on(console),
        told_of_interruption(console, lambda: f"the trials that have ended are kept in {model_dir}, for --resume"),
    ):
        with training_extra("offbeat search"):
            from offbeat_training.auto import resolve
            from offbeat_training.checkpoint import Checkpoint
            from offbeat_training.search import search as run_search
        dataset = read_noted(data, columns, console)
        require_normal(dataset, columns)
        refuse_unused(context, DATA_USES, is_windows=dataset.values.ndim == 3)
        choice = resolve(dataset, settings, search_config.fixed)
        choice.tell(console)
        labelled = None if labelled_data is None else read_noted(labelled_data, columns, console)
        with Progress(console=console) as progress:
            bar = progress.add_task("searching", total=None)

            def announce(trials: list[SearchTrial], n_trials: int) -> None:
                progress.update(bar, completed=len(trials), total=n_trials)
                if log_interval and len(trials) % log_interval == 0:
                    progress.console.print(_line(trials[-1]), markup=False, highlight=False, soft_wrap=True)

            trials = run_search(
                dataset, choice.config, search_config, labelled=labelled, columns=columns, announce=announce
            )
        best = Checkpoint.load(model_dir / "best.ckpt")
        best.save(out)
    Console().print(_table(trials, search_config), summary(best, out))


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
