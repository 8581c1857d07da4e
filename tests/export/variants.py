"""What the tests of variants share: float32 versions to make them of, and latencies that hang on no machine."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import numpy as np
import torch

from offbeat.backends import Backend
from offbeat.bundle import ModelRepository, ModelVersion
from offbeat.bundle.precision_record import Arithmetic, PrecisionLatency
from offbeat.data import Dataset
from offbeat.result import FloatArray
from offbeat_export import export_checkpoint
from offbeat_export.precision_latency import Latencies
from offbeat_training.architectures import Autoencoder
from offbeat_training.checkpoint import Checkpoint
from tests.export.checkpoints import checkpoint_of, preset_checkpoint


@cache
def series() -> Checkpoint:
    """An LSTM large enough to get smaller in fewer bits."""
    return preset_checkpoint(3, hidden_size=24)


@cache
def table() -> Checkpoint:
    """Linear layers and batch norms, likewise."""
    torch.manual_seed(0)
    return checkpoint_of(Autoencoder(8, hidden_sizes=(64, 32), latent_dim=4))


class Float32Versions:
    """The float32 version `m` of a checkpoint in any repository; exported once and copied."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def in_repository(self, repository: Path, checkpoint: Checkpoint) -> ModelVersion:
        """Version 1 of `m`."""
        original = self._folder / str(id(checkpoint))
        if not original.exists():
            export_checkpoint(checkpoint, original, name="m", exporter="classic")
        shutil.copytree(original, repository, dirs_exist_ok=True)
        return ModelRepository(repository).open("m")


def fixed_latencies(**ratios: float) -> Callable[..., dict[Arithmetic, Latencies]]:
    """In the place of a clock: each arithmetic's ratio to float32's latency, 1 where none is given; `_` stands for `-`."""

    def measured(fp32: Backend, contenders: Mapping[Arithmetic, Backend], windows: FloatArray) -> dict:
        return {
            name: (
                PrecisionLatency(
                    batch=1, median_us=1.0, fp32_median_us=1.0, ratio=ratios.get(name.replace("-", "_"), 1.0)
                ),
            )
            for name in contenders
        }

    return measured


def dataset_of(checkpoint: Checkpoint, *, labels: bool = False) -> Dataset:
    """The checkpoint's held-out windows; with labels, each again with all values three scales higher."""
    normal = checkpoint.validation_windows.numpy()
    values = np.concatenate([normal, normal + 3 * checkpoint.normalisation.scale.numpy()]) if labels else normal
    return Dataset(
        name="given.csv",
        values=values,
        feature_names=checkpoint.feature_names,
        labels=np.arange(len(values)) >= len(normal) if labels else None,
    )
