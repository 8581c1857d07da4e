"""What is learnt from, what is judged and by which metric, set by set, as issue 3 has it."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from benchmarks.detection.configurations import BASELINE_WINDOWS, Configurations
from benchmarks.detection.contenders import score_all
from benchmarks.detection.skab import skab
from benchmarks.detection.trial import Trial, labels_of
from offbeat.data import ColumnSelection, Dataset, read_dataset
from offbeat_training.datasets import read_nab, read_smd, split_rows
from offbeat_training.evaluation import vus_pr


def ecg5000(folder: Path, seed: int, fixed: Configurations) -> Iterator[Trial]:
    """Trained on the 292 normal beats of the training part."""
    file = folder / "ecg5000.npz"
    train = read_dataset(
        file, ColumnSelection(key="train_x", label_column="train_class", normal_label="1", layout="windows")
    )
    test = read_dataset(file, ColumnSelection(key="test_x", label_column="test_anomaly", layout="windows"))
    scored = score_all(train, test, fixed.get("ecg5000"), "window", seed, BASELINE_WINDOWS["ecg5000"])
    yield Trial.of(("ecg5000", "test"), seed, scored, "ROC-AUC", partial(_roc_auc, test))


def nab(folder: Path, seed: int, fixed: Configurations) -> Iterator[Trial]:
    """Trained on the published prefix, without its labels; the whole series is judged, as TSB-AD does."""
    for row in _published(folder):
        series = row["nab_file"]
        whole = read_nab(folder / series, folder / "combined_windows.json", series)
        prefix = msgspec.structs.replace(split_rows(whole, int(row["train_len"])).train, labels=None)
        scored = score_all(prefix, whole, fixed.get("nab"), "row", seed, BASELINE_WINDOWS["nab"])
        judge = partial(vus_pr, labels_of(whole), window=int(row["vus_window"]))
        yield Trial.of(("nab", series), seed, scored, "VUS-PR", judge)


def smd(folder: Path, seed: int, fixed: Configurations) -> Iterator[Trial]:
    """Trained on the machine's own training half, as the benchmark's authors split it."""
    for row in _published(folder):
        machine = read_smd(folder / f"{row['machine']}.npz")
        scored = score_all(machine.train, machine.test, fixed.get("smd"), "row", seed, BASELINE_WINDOWS["smd"])
        judge = partial(vus_pr, labels_of(machine.test), window=int(row["vus_window"]))
        yield Trial.of(("smd", row["machine"]), seed, scored, "VUS-PR", judge)


def adbench(folder: Path, seed: int, fixed: Configurations) -> Iterator[Trial]:
    """Trained on a random half of the normal rows, another for each seed; the other half and the anomalies are judged."""
    for file in sorted(folder.glob("*.npz")):
        train, test = _half_of_the_normals(file, seed)
        scored = score_all(train, test, fixed.get("adbench"), "sample", seed, BASELINE_WINDOWS["adbench"])
        table = file.stem.partition("_")[2]
        yield Trial.of(("adbench", table), seed, scored, "ROC-AUC", partial(_roc_auc, test))


PROTOCOLS: Mapping[str, Callable[[Path, int, Configurations], Iterator[Trial]]] = {
    "ecg5000": ecg5000,
    "nab": nab,
    "smd": smd,
    "skab": skab,
    "adbench": adbench,
}


def _half_of_the_normals(file: Path, seed: int) -> tuple[Dataset, Dataset]:
    table = read_dataset(file, ColumnSelection(key="X", label_column="y"))
    labels = labels_of(table)
    normal = np.random.default_rng(seed).permutation(np.flatnonzero(~labels))
    is_train = np.isin(np.arange(table.n_rows), normal[: normal.size // 2])
    train, test = (
        msgspec.structs.replace(table, name=file.stem, values=table.values[rows], labels=labels[rows])
        for rows in (is_train, ~is_train)
    )
    return train, test


def _roc_auc(data: Dataset, scores: NDArray[np.float64]) -> float:
    return float(roc_auc_score(labels_of(data), scores))


def _published(folder: Path) -> list[dict[str, str]]:
    """Which series, which training prefix and which window TSB-AD judges with."""
    with (folder / "published_vus_pr.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))
