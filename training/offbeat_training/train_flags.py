"""The flags of `offbeat train`, in the order of its help; types and defaults are those of the configuration's fields."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from offbeat.config_file import use_config_file
from offbeat.data import ColumnSelection
from offbeat.flag_fields import Flags, flag
from offbeat_training.config import TrainingConfig
from offbeat_training.run_config import RunConfig

# Not OFFBEAT_OUT: that is the csv file of `offbeat score`, which would take the checkpoint's place.
CHECKPOINT_VARIABLE = "OFFBEAT_CHECKPOINT"
KINDS = (TrainingConfig, ColumnSelection, RunConfig)
DataArgument = Annotated[
    Path, typer.Argument(help="csv, JSON Lines, Parquet, Arrow or npz file of raw values, mostly normal.")
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        envvar="OFFBEAT_CONFIG",
        help="TOML file whose keys are these flags; flags and variables win over it.",
        is_eager=True,
        callback=use_config_file,
    ),
]


def _number_or_none(word: str) -> float | None:
    """A number, or `none`. Raises ValueError for anything else."""
    try:
        return None if word.strip().lower() == "none" else float(word)
    except ValueError as error:
        raise ValueError(f"{word!r} is no number; expected one, or none") from error


_ARCHITECTURE: Flags = {
    "preset": flag("auto: by the data. tabular, variational: for rows. denoising: dense. The others: LSTMs."),
    "seq_len": flag("Rows of a series in one window."),
    "stride": flag("Rows from the start of one window to the next."),
    "hidden_size": flag("LSTM units; of the first block if dense. Default 64, stacked 32, dense 128."),
    "num_layers": flag("LSTM layers each side; blocks if dense. Default 1, state and dense 2."),
    "latent_dim": flag("If dense, and a bottleneck with flexible. Default 32, denoising 16, none."),
    "dropout": flag("Between LSTM layers; in each block if dense. Default 0, state and tabular 0.2."),
    "num_decoder_layers": flag("With flexible. Default as many as in the encoder."),
    "bidirectional": flag("With flexible: encode windows forward and backward.", "--bidirectional"),
    "recurrent_dropout": flag("With flexible: share of recurrent weights left out. Default 0."),
    "latent_activation": flag("With flexible, of the bottleneck. Default relu."),
    "n_repeats": flag("With flexible: steps decoded. Default as many as a window has."),
    "output_activation": flag("Default linear, tanh with flexible, sigmoid with repeat-sigmoid."),
    "beta": flag("With variational: weight of the KL divergence. Default 0.01."),
    "n_draws": flag("With variational: draws that a score averages. Default 10."),
    "noise": flag("With denoising: in training, in deviations of the values. Default 1."),
    "linear_dim": flag("With denoising: rank of the linear path, 0 for none. Default 96."),
}
_OPTIMISATION: Flags = {
    "batch_size": flag("Windows in one step."),
    "epochs": flag("At most; early stopping usually comes sooner."),
    "patience": flag("Epochs without a lower held-out loss before stopping."),
    "optim": flag("Optimiser."),
    "lr": flag("Learning rate."),
    "weight_decay": flag("L2 penalty; decoupled with adamw."),
    "grad_clip": flag("Largest norm of the gradient. Default none.", parser=_number_or_none, metavar="FLOAT|none"),
    "validation_fraction": flag("Part of the normal windows held out."),
    "refit": flag("Learn from the held-out part too in the end, for as many epochs."),
}
_THRESHOLD: Flags = {
    "percentile": flag("Of the held-out errors: the threshold."),
    "threshold": flag("A fixed threshold instead, in units of the error."),
    "threshold_method": flag("Default percentile; fixed with --threshold."),
    "false_alarm_rate": flag("Of normal windows, with pot and conformal. Default 0.01."),
}
_MACHINE: Flags = {
    "seed": flag("Of weights, order, dropout and split."),
    "device": flag("auto takes CUDA where a GPU is usable."),
    "n_threads": flag("PyTorch's threads on the CPU.", min=1),
}
TRAINING: Flags = {**_ARCHITECTURE, **_OPTIMISATION, **_THRESHOLD, **_MACHINE}
_RUN: Flags = {
    "model_dir": flag("Folder for the best and the last checkpoint, history.csv, and what --resume needs."),
    "resume": flag("Go on with the run in --model-dir, if it holds one.", "--resume"),
    "log_interval": flag("Epochs between printed lines; 0 for none."),
}
_FEATURES = typer.Option(
    envvar="OFFBEAT_FEATURES",
    help="Names of the columns to learn, with commas between; all numeric ones by default.",
)
COLUMNS: Flags = {
    "features": Annotated[str, _FEATURES],
    "timestamp_column": flag("Recognised where it is not given."),
    "label_column": flag("Column, or array of an npz file, that says which rows are anomalous."),
    "normal_label": flag("The label of normal rows; all others are left out."),
    "class_column": flag("With repeat-classifier: column, or array, of each row's class, words or whole numbers."),
    "delimiter": flag("Of a csv file; recognised where it is not given."),
    "key": flag("Array of an npz file."),
    "layout": flag("What a line of the data is: a step, or a window of one feature."),
    "missing": flag("What becomes of NaN and empty cells."),
}
FLAGS: Flags = {**TRAINING, **_RUN, **COLUMNS}
