"""`offbeat train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from offbeat.config import Device
from offbeat.data import MissingPolicy
from offbeat.data.dataset import Layout
from offbeat.flag_use import refuse_unused
from offbeat.result import ThresholdMethod
from offbeat_training.config import Optimiser, TrainingConfig
from offbeat_training.flag_uses import DATA_USES, TRAIN_USES
from offbeat_training.flags import CHECKPOINT_VARIABLE, ConfigOption, flag, number_or_none, training_extra
from offbeat_training.given_flags import (
    check_writable,
    column_selection,
    given_fields,
    read_noted,
    require_class_column,
    require_normal,
    training_config,
    warnings_on,
)
from offbeat_training.interruption import told_of_interruption
from offbeat_training.preset_designs import Activation, Preset
from offbeat_training.run_config import RunConfig

if TYPE_CHECKING:
    from offbeat_training.checkpoint import Checkpoint

_DEFAULT = TrainingConfig()
_RUN = RunConfig()


def train(
    context: typer.Context,
    data: Annotated[
        Path, typer.Argument(help="csv, JSON Lines, Parquet, Arrow or npz file of raw values, mostly normal.")
    ],
    out: Annotated[Path, flag("out", "Checkpoint to write.", envvar=CHECKPOINT_VARIABLE)] = Path("model.ckpt"),
    config: ConfigOption = None,
    preset: Annotated[
        Preset,
        flag("preset", "auto: by the data. tabular, variational: for rows. denoising: dense. The others: LSTMs."),
    ] = _DEFAULT.preset,
    seq_len: Annotated[int, flag("seq-len", "Rows of a series in one window.")] = _DEFAULT.seq_len,
    stride: Annotated[int, flag("stride", "Rows from the start of one window to the next.")] = _DEFAULT.stride,
    hidden_size: Annotated[
        int | None, flag("hidden-size", "LSTM units; of the first block if dense. Default 64, stacked 32, dense 128.")
    ] = _DEFAULT.hidden_size,
    num_layers: Annotated[
        int | None, flag("num-layers", "LSTM layers each side; blocks if dense. Default 1, state and dense 2.")
    ] = _DEFAULT.num_layers,
    latent_dim: Annotated[
        int | None, flag("latent-dim", "If dense, and a bottleneck with flexible. Default 32, denoising 16, none.")
    ] = _DEFAULT.latent_dim,
    dropout: Annotated[
        float | None,
        flag("dropout", "Between LSTM layers; in each block if dense. Default 0, state and tabular 0.2."),
    ] = _DEFAULT.dropout,
    num_decoder_layers: Annotated[
        int | None, flag("num-decoder-layers", "With flexible. Default as many as in the encoder.")
    ] = _DEFAULT.num_decoder_layers,
    bidirectional: Annotated[
        bool | None, flag("bidirectional", "With flexible: encode windows forward and backward.")
    ] = _DEFAULT.bidirectional,
    recurrent_dropout: Annotated[
        float | None, flag("recurrent-dropout", "With flexible: share of recurrent weights left out. Default 0.")
    ] = _DEFAULT.recurrent_dropout,
    latent_activation: Annotated[
        Activation | None, flag("latent-activation", "With flexible, of the bottleneck. Default relu.")
    ] = _DEFAULT.latent_activation,
    n_repeats: Annotated[
        int | None, flag("n-repeats", "With flexible: steps decoded. Default as many as a window has.")
    ] = _DEFAULT.n_repeats,
    output_activation: Annotated[
        Activation | None, flag("output-activation", "Default linear, tanh with flexible, sigmoid with repeat-sigmoid.")
    ] = _DEFAULT.output_activation,
    beta: Annotated[float | None, flag("beta", "With variational: weight of the KL divergence. Default 0.01.")] = (
        _DEFAULT.beta
    ),
    n_draws: Annotated[int | None, flag("n-draws", "With variational: draws that a score averages. Default 10.")] = (
        _DEFAULT.n_draws
    ),
    noise: Annotated[
        float | None, flag("noise", "With denoising: in training, in deviations of the values. Default 1.")
    ] = _DEFAULT.noise,
    linear_dim: Annotated[
        int | None, flag("linear-dim", "With denoising: rank of the linear path, 0 for none. Default 96.")
    ] = _DEFAULT.linear_dim,
    batch_size: Annotated[int, flag("batch-size", "Windows in one step.")] = _DEFAULT.batch_size,
    epochs: Annotated[int, flag("epochs", "At most; early stopping usually comes sooner.")] = _DEFAULT.epochs,
    patience: Annotated[
        int, flag("patience", "Epochs without a lower held-out loss before stopping.")
    ] = _DEFAULT.patience,
    optim: Annotated[Optimiser, flag("optim", "Optimiser.")] = _DEFAULT.optim,
    lr: Annotated[float, flag("lr", "Learning rate.")] = _DEFAULT.lr,
    weight_decay: Annotated[float, flag("weight-decay", "L2 penalty; decoupled with adamw.")] = _DEFAULT.weight_decay,
    grad_clip: Annotated[
        float | None,
        flag("grad-clip", "Largest norm of the gradient. Default none.", parser=number_or_none, metavar="FLOAT|none"),
    ] = _DEFAULT.grad_clip,
    validation_fraction: Annotated[
        float, flag("validation-fraction", "Part of the normal windows held out.")
    ] = _DEFAULT.validation_fraction,
    refit: Annotated[
        bool,
        flag(
            "refit/--no-refit",
            "Learn from the held-out part too in the end, for as many epochs.",
            envvar="OFFBEAT_REFIT",
        ),
    ] = _DEFAULT.refit,
    percentile: Annotated[float, flag("percentile", "Of the held-out errors: the threshold.")] = _DEFAULT.percentile,
    threshold: Annotated[
        float | None, flag("threshold", "A fixed threshold instead, in units of the error.")
    ] = _DEFAULT.threshold,
    threshold_method: Annotated[
        ThresholdMethod | None, flag("threshold-method", "Default percentile; fixed with --threshold.")
    ] = _DEFAULT.threshold_method,
    false_alarm_rate: Annotated[
        float | None, flag("false-alarm-rate", "Of normal windows, with pot and conformal. Default 0.01.")
    ] = _DEFAULT.false_alarm_rate,
    seed: Annotated[int, flag("seed", "Of weights, order, dropout and split.")] = _DEFAULT.seed,
    device: Annotated[Device, flag("device", "auto takes CUDA where a GPU is usable.")] = _DEFAULT.device,
    n_threads: Annotated[int, flag("n-threads", "PyTorch's threads on the CPU.", min=1)] = _DEFAULT.n_threads,
    model_dir: Annotated[
        Path | None,
        flag("model-dir", "Folder for the best and the last checkpoint, history.csv, and what --resume needs."),
    ] = _RUN.model_dir,
    resume: Annotated[bool, flag("resume", "Go on with the run in --model-dir, if it holds one.")] = _RUN.resume,
    log_interval: Annotated[int, flag("log-interval", "Epochs between printed lines; 0 for none.")] = _RUN.log_interval,
    features: Annotated[
        str, flag("features", "Names of the columns to learn, with commas between; all numeric ones by default.")
    ] = "",
    timestamp_column: Annotated[str | None, flag("timestamp-column", "Recognised where it is not given.")] = None,
    label_column: Annotated[
        str | None, flag("label-column", "Column, or array of an npz file, that says which rows are anomalous.")
    ] = None,
    normal_label: Annotated[str, flag("normal-label", "The label of normal rows; all others are left out.")] = "0",
    class_column: Annotated[
        str | None,
        flag("class-column", "With repeat-classifier: column, or array, of each row's class, words or whole numbers."),
    ] = None,
    delimiter: Annotated[str | None, flag("delimiter", "Of a csv file; recognised where it is not given.")] = None,
    key: Annotated[str | None, flag("key", "Array of an npz file.")] = None,
    layout: Annotated[
        Layout, flag("layout", "What a line of the data is: a step, or a window of one feature.")
    ] = "rows",
    missing: Annotated[MissingPolicy, flag("missing", "What becomes of NaN and empty cells.")] = "reject",
) -> None:
    """Train a model on normal data and write a checkpoint: weights, preprocessing, threshold and provenance.

    Part of the normal data is held out, for early stopping and for the threshold. Rows with an anomalous label are left
    out of both.

    Examples:

    - `offbeat train metrics.csv --seq-len 60 --out model.ckpt`
    - rows of a table: `offbeat train payments.parquet --preset tabular --label-column fraud --out model.ckpt`
    - a run that survives its machine: `offbeat train metrics.csv --config train.toml --model-dir runs/metrics --resume`
    """
    given = locals()
    refuse_unused(context, TRAIN_USES)
    require_class_column(given)
    settings, columns = training_config(given), column_selection(given)
    run = RunConfig(model_dir=model_dir, resume=resume, log_interval=log_interval)
    check_writable(out, data, config)
    console = Console(stderr=True)
    with warnings_on(console), told_of_interruption(console, lambda: _kept(run)):
        with training_extra("offbeat train"):
            from offbeat_training.fit import fit
        dataset = read_noted(data, columns, console)
        require_normal(dataset, columns)
        refuse_unused(context, DATA_USES, is_windows=dataset.values.ndim == 3)
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
