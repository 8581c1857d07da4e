"""`offbeat train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from offbeat.data import ColumnSelection
from offbeat.flag_fields import made, with_fields
from offbeat.flag_use import refuse_unused
from offbeat_training.config import TrainingConfig
from offbeat_training.flag_uses import TRAIN_USES
from offbeat_training.given_flags import (
    check_out,
    given_fields,
    read_normal,
    require_class_column,
    training_extra,
    warnings_on,
)
from offbeat_training.interruption import told_of_interruption
from offbeat_training.run_config import RunConfig
from offbeat_training.train_flags import CHECKPOINT_VARIABLE, FLAGS, KINDS, ConfigOption, DataArgument

if TYPE_CHECKING:
    from offbeat_training.checkpoint import Checkpoint


@with_fields(KINDS, FLAGS)
def train(
    context: typer.Context,
    data: DataArgument,
    out: Annotated[Path, typer.Option(envvar=CHECKPOINT_VARIABLE, help="Checkpoint to write.")] = Path("model.ckpt"),
    config: ConfigOption = None,
    **given: Any,
) -> None:
    """Train a model on normal data and write a checkpoint: weights, preprocessing, threshold and provenance.

    Part of the normal data is held out, for early stopping and for the threshold. Rows with an anomalous label are left
    out of both.

    Examples:

    - `offbeat train metrics.csv --seq-len 60 --out model.ckpt`
    - rows of a table: `offbeat train payments.parquet --preset tabular --label-column fraud --out model.ckpt`
    - a run that survives its machine: `offbeat train metrics.csv --config train.toml --model-dir runs/metrics --resume`
    """
    refuse_unused(context, TRAIN_USES)
    require_class_column(given)
    settings, columns = made(TrainingConfig, given), made(ColumnSelection, given)
    run = made(RunConfig, given)
    check_out(out, data, config)
    console = Console(stderr=True)
    with warnings_on(console), told_of_interruption(console, lambda: _kept(run)):
        with training_extra("offbeat train"):
            from offbeat_training.fit import fit
        dataset = read_normal(data, columns, context, console)
        checkpoint = fit(dataset, settings, run=run, console=console, given=given_fields(context))
        checkpoint.save(out)
    Console().print(summary(checkpoint, out))


def _kept(run: RunConfig) -> str:
    if run.model_dir is None:
        return "nothing is kept, as there is no --model-dir"
    if not (run.model_dir / "resume.pt").is_file():
        return f"{run.model_dir} keeps nothing, as no epoch has ended"
    return f"the last epoch's checkpoint is {run.model_dir / 'last.ckpt'}, and --resume goes on from there"


def summary(checkpoint: Checkpoint, out: Path) -> Table:
    """What was learnt, from what, and where it is."""
    training, threshold = msgspec.convert(checkpoint.training, dict), checkpoint.threshold
    held_out = "of them held out at first" if checkpoint.training_config.get("refit") else "held out"
    table = Table(show_header=False, title=f"{checkpoint.architecture_kind} on {training['source']['name']}")
    for name, value in {
        "windows": f"{training['n_training_windows']:,} learnt from, {training['n_validation_windows']:,} {held_out}",
        "epochs": f"{training['n_epochs']}, the best was {training['best_epoch']}",
        "best loss": f"{training['best_validation_loss']:.6g} on the held-out windows",
        "threshold": f"{threshold.value:.6g} ({threshold.how})",
        "seconds": f"{checkpoint.metrics['training_seconds']:.1f}",
        "checkpoint": str(out),
    }.items():
        table.add_row(name, value)
    return table
