"""What the precisions are tried on: the design's models, a wide table, and trained ones with labelled data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import torch

from benchmarks.detection.configurations import CONFIGURATIONS
from benchmarks.models import ARCHITECTURES, random_checkpoint
from offbeat.data import ColumnSelection, Dataset, read_dataset
from offbeat_training import Autoencoder, Checkpoint, TrainingConfig
from offbeat_training.datasets import read_nab, split_rows
from offbeat_training.fit import fit

_NAB_SERIES = "realKnownCause/ec2_request_latency_system_failure.csv"
_NAB_PREFIX = 1_007
_SEED = 0
# Shorter than the acceptance configuration: quality lost beside float32 is the question here, not the last per mille of it.
_ECG5000 = TrainingConfig(hidden_size=64, epochs=40, lr=2e-3, batch_size=32, grad_clip=1.0, device="cpu")


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A checkpoint, and the data its variants are judged and calibrated with; None where there are none."""

    checkpoint: Checkpoint
    labelled: Dataset | None = None
    calibration: Dataset | None = None


def design(model: str) -> Subject:
    """M1 to M5, with random weights."""
    torch.manual_seed(_SEED)
    make, length = ARCHITECTURES[model]
    return Subject(checkpoint=random_checkpoint(make().eval(), length))


def wide_table() -> Subject:
    """A table of 512 features, 6.8 million weights, random; calibrated with random rows."""
    torch.manual_seed(_SEED)
    module = Autoencoder(n_features=512, hidden_sizes=(2048, 1024), latent_dim=256)
    checkpoint = random_checkpoint(module.eval(), None)
    rows = np.random.default_rng(_SEED).standard_normal((2_000, 512), dtype=np.float32)
    return Subject(
        checkpoint=checkpoint,
        calibration=Dataset(name="random rows", values=rows, feature_names=checkpoint.feature_names),
    )


def ecg5000(folder: Path) -> Subject:
    """Heartbeats: trained on the normal beats of the training part, judged on the test part."""
    file = folder / "ecg5000" / "ecg5000.npz"
    train = ColumnSelection(key="train_x", label_column="train_class", normal_label="1", layout="windows")
    test = ColumnSelection(key="test_x", label_column="test_anomaly", layout="windows")
    return _trained(read_dataset(file, train), read_dataset(file, test), _ECG5000)


def musk(folder: Path) -> Subject:
    """A table of 166 features: trained on half of the normal rows, judged on the rest, calibrated with what was learnt."""
    table = read_dataset(folder / "adbench" / "25_musk.npz", ColumnSelection(key="X", label_column="y"))
    assert table.labels is not None
    normal = np.random.default_rng(_SEED).permutation(np.flatnonzero(~table.labels))
    is_train = np.isin(np.arange(table.n_rows), normal[: normal.size // 2])
    train, test = (
        msgspec.structs.replace(table, values=table.values[rows], labels=table.labels[rows])
        for rows in (is_train, ~is_train)
    )
    return _trained(train, test, CONFIGURATIONS["adbench"], calibration=train)


def nab(folder: Path) -> Subject:
    """A series of one feature, trained on its published prefix without labels, judged row by row, whole."""
    whole = read_nab(folder / "nab" / _NAB_SERIES, folder / "nab" / "combined_windows.json", _NAB_SERIES)
    prefix = msgspec.structs.replace(split_rows(whole, _NAB_PREFIX).train, labels=None)
    return _trained(prefix, whole, CONFIGURATIONS["nab"])


def _trained(train: Dataset, test: Dataset, config: TrainingConfig, calibration: Dataset | None = None) -> Subject:
    torch.manual_seed(_SEED)
    return Subject(checkpoint=fit(train, config), labelled=test, calibration=calibration)


def subjects(folder: Path) -> Mapping[str, Callable[[], Subject]]:
    """How each is made, by name; `folder` holds the real data."""
    designs = {model: lambda model=model: design(model) for model in ARCHITECTURES}
    trained = {
        name: lambda make=make: make(folder) for name, make in (("ecg5000", ecg5000), ("musk", musk), ("nab", nab))
    }
    return {**designs, "wide": wide_table, **trained}
