"""How a model is trained: one frozen struct whose fields are the flags of `offbeat train`."""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

import msgspec

from offbeat.config import Device
from offbeat.errors import require
from offbeat.result import Threshold, ThresholdMethod
from offbeat_training.preset_designs import AUTO, DENSE, FIELDS, PRESETS, Activation, Preset

Optimiser = Literal["adam", "adamw", "sgd"]


class TrainingConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Architecture, optimisation and threshold of one training run. Raises ConfigurationError for values out of range.

    Each preset reads some of the fields from `hidden_size` to `linear_dim`, which docs/training.md lists; None takes the
    preset's default, and a field that the preset does not read must be None. `auto` chooses preset and fields by the data.
    `seq_len` and `stride` are rows of a series; ready-made windows keep their own length. `validation_fraction` of the
    normal windows is held out, for early stopping after `patience` epochs without improvement and for the threshold;
    `refit` learns from them too in the end. `threshold_method` None is the `percentile` of their errors, or `fixed` where
    `threshold` is given, in units of the error; `false_alarm_rate` is the share of normal windows that `pot` and
    `conformal` aim at, None for 1 %. `grad_clip` bounds the norm of the gradient. `device` `auto` takes CUDA where a GPU is
    usable. `n_threads` are PyTorch's on the CPU: a small LSTM is fastest on one, and a busy machine makes a second cost
    more than it brings.
    """

    preset: Preset = "repeat"
    seq_len: int = 50
    stride: int = 1
    hidden_size: int | None = None
    num_layers: int | None = None
    latent_dim: int | None = None
    dropout: float | None = None
    num_decoder_layers: int | None = None
    bidirectional: bool | None = None
    recurrent_dropout: float | None = None
    latent_activation: Activation | None = None
    n_repeats: int | None = None
    output_activation: Activation | None = None
    beta: float | None = None
    n_draws: int | None = None
    noise: float | None = None
    linear_dim: int | None = None
    batch_size: int = 128
    epochs: int = 1000
    patience: int = 20
    optim: Optimiser = "adam"
    lr: float = 1e-3
    weight_decay: float = 0.0
    grad_clip: float | None = None
    validation_fraction: float = 0.2
    refit: bool = False
    percentile: float = 95.0
    threshold: float | None = None
    threshold_method: ThresholdMethod | None = None
    false_alarm_rate: float | None = None
    seed: int = 0
    device: Device = "auto"
    n_threads: int = 1

    def __post_init__(self) -> None:
        self._check_architecture()
        self._check_optimisation()
        require(
            0 < self.validation_fraction < 1, "validation_fraction", self.validation_fraction, "above 0 and below 1"
        )
        self._check_threshold()

    @property
    def chosen_threshold_method(self) -> ThresholdMethod:
        """The method asked for, or the one that follows from the other fields."""
        return self.threshold_method or ("percentile" if self.threshold is None else "fixed")

    @property
    def chosen_output_activation(self) -> Activation:
        """The output activation asked for, or the preset's."""
        return self.output_activation or PRESETS[self.preset].settings.get("output_activation", "linear")

    @property
    def target_false_alarm_rate(self) -> float:
        """The share of normal windows that `pot` and `conformal` let exceed the threshold."""
        return 0.01 if self.false_alarm_rate is None else self.false_alarm_rate

    def _check_threshold(self) -> None:
        method, rate, methods = self.chosen_threshold_method, self.false_alarm_rate, get_args(ThresholdMethod)
        require(method in methods, "threshold_method", method, f"one of {', '.join(methods)}")
        require(0 < self.percentile <= 100, "percentile", self.percentile, "above 0, up to 100")
        expected = "a number with threshold_method fixed, none with any other"
        require((self.threshold is None) == (method != "fixed"), "threshold", self.threshold, expected)
        if self.threshold is not None:
            Threshold(value=self.threshold, method="fixed")
        if rate is not None:
            expected = "none: it goes with threshold_method pot or conformal"
            require(method in ("pot", "conformal"), "false_alarm_rate", rate, expected)
            require(0 < rate <= 0.25, "false_alarm_rate", rate, "above 0, up to 0.25")

    def _check_architecture(self) -> None:
        presets = get_args(Preset)
        require(self.preset in presets, "preset", self.preset, f"one of {', '.join(presets)}")
        require(1 <= self.seq_len <= 1_000_000, "seq_len", self.seq_len, "1 to 1,000,000 rows")
        require(1 <= self.stride <= 1_000_000, "stride", self.stride, "1 to 1,000,000 rows")
        for field in FIELDS:
            if getattr(self, field) is not None:
                self._check_preset_field(field, getattr(self, field))

    def _check_preset_field(self, field: str, value: Any) -> None:
        """Bounds that hold for every preset; the architecture knows the narrower ones."""
        presets = [name for name, design in PRESETS.items() if field in design.fields]
        expected = f"none with preset {self.preset}: it goes with {', '.join(presets)}"
        hint = "; its latent vector is the hidden state: use hidden_size" if field == "latent_dim" else ""
        require(self.preset in (*presets, AUTO), field, value, expected + hint)
        if field.endswith("activation"):
            require(value in get_args(Activation), field, value, f"one of {', '.join(get_args(Activation))}")
        elif field.endswith("dropout"):
            require(0 <= value < 1, field, value, "at least 0 and below 1")
        elif field in ("beta", "noise"):
            require(0 <= value < math.inf, field, value, "a number from 0 up")
        elif field == "linear_dim":
            require(0 <= value <= 65_536, field, value, "0 for none, to 65,536")
        elif field != "bidirectional":
            require(1 <= value <= 65_536, field, value, "1 to 65,536")

    def _check_optimisation(self) -> None:
        require(self.optim in get_args(Optimiser), "optim", self.optim, f"one of {', '.join(get_args(Optimiser))}")
        # BatchNorm has no spread to learn from in a batch of one row, which is what halves of three rows can leave.
        smallest = 3 if self.preset in (*DENSE, AUTO) else 1
        require(
            smallest <= self.batch_size <= 1_000_000, "batch_size", self.batch_size, f"{smallest} to 1,000,000 windows"
        )
        require(1 <= self.epochs <= 10_000_000, "epochs", self.epochs, "1 to 10,000,000")
        require(1 <= self.patience <= 10_000_000, "patience", self.patience, "1 to 10,000,000 epochs")
        require(_positive(self.lr), "lr", self.lr, "a positive number")
        require(0 <= self.weight_decay < math.inf, "weight_decay", self.weight_decay, "a number from 0 up")
        require(self.grad_clip is None or _positive(self.grad_clip), "grad_clip", self.grad_clip, "a positive number")
        require(0 <= self.seed < 2**63, "seed", self.seed, "0 to 2**63 - 1")
        require(1 <= self.n_threads <= 1024, "n_threads", self.n_threads, "1 to 1024")
        require(self.device in get_args(Device), "device", self.device, f"one of {', '.join(get_args(Device))}")


def _positive(value: float) -> bool:
    return 0 < value < math.inf
