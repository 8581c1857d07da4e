"""A convolutional and a Transformer autoencoder beside a recurrent one, which decided that neither was added.

    python -m benchmarks.detection.alternatives --seeds 0 1 2 --json result.json

The same windows, normalisation, training loop and early stopping for all three; none is tuned. ECG5000 by ROC-AUC, NAB and one
machine of SMD by VUS-PR, SKAB by F1 under its published rule.
"""

from __future__ import annotations

import argparse
import csv
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from benchmarks.detection.skab import N_CALIBRATION_ROWS, published_flags
from benchmarks.detection.trial import labels_of
from benchmarks.environment import environment
from benchmarks.progress import tell
from offbeat.data import row_means, sliding_windows, window_starts
from offbeat_training import LSTMAutoencoder
from offbeat_training.datasets import read_nab, read_skab, read_smd
from offbeat_training.evaluation import vus_pr
from offbeat_training.evaluation.confusion import Confusion
from tests.training.datasets.shared import SHARED_DATA

Floats = NDArray[np.floating[Any]]


class Block(nn.Module):
    """Two dilated convolutions with a way around them, [batch, channel, time]."""

    def __init__(self, n_in: int, n_out: int, dilation: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(n_in, n_out, 3, dilation=dilation, padding=dilation)
        self.second = nn.Conv1d(n_out, n_out, 3, dilation=dilation, padding=dilation)
        self.around = nn.Identity() if n_in == n_out else nn.Conv1d(n_in, n_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The block's output, as long as its input."""
        return torch.relu(self.second(torch.relu(self.first(x))) + self.around(x))


class TCN(nn.Module):
    """Three blocks down to a few channels at a quarter of the steps, and three up again."""

    def __init__(self, n_features: int) -> None:
        super().__init__()
        width, latent = (26, 4) if n_features < 10 else (28, 8)
        blocks = [Block(n_features, width, 1), Block(width, width, 2), Block(width, width, 4)]
        self.encoder = nn.Sequential(*blocks, nn.Conv1d(width, latent, 1))
        blocks = [Block(latent, width, 4), Block(width, width, 2), Block(width, width, 1)]
        self.decoder = nn.Sequential(*blocks, nn.Conv1d(width, n_features, 1))

    def forward(self, window: Tensor) -> Tensor:
        """The reconstruction of [batch, time, feature]."""
        latent, n_steps = self.encoder(window.transpose(1, 2)), window.shape[1]
        latent = nn.functional.adaptive_avg_pool1d(latent, math.ceil(n_steps / 4))
        latent = nn.functional.interpolate(latent, size=n_steps, mode="linear", align_corners=False)
        result: Tensor = self.decoder(latent).transpose(1, 2)
        return result


class Transformer(nn.Module):
    """An encoder layer, its mean over time as the latent vector, and a decoder layer that begins with positions."""

    def __init__(self, n_features: int, n_steps: int, width: int = 36, latent: int = 16) -> None:
        super().__init__()
        angles = torch.arange(n_steps)[:, None] * torch.exp(torch.arange(0, width, 2) * (-math.log(1e4) / width))
        self.register_buffer("positions", torch.stack([angles.sin(), angles.cos()], dim=2).reshape(n_steps, width))
        self.read, self.write = nn.Linear(n_features, width), nn.Linear(width, n_features)
        self.encoder, self.decoder = (
            nn.TransformerEncoderLayer(width, 2, 2 * width, dropout=0.0, batch_first=True, norm_first=True)
            for _ in range(2)
        )
        self.down, self.up = nn.Linear(width, latent), nn.Linear(latent, width)

    def forward(self, window: Tensor) -> Tensor:
        """The reconstruction of [batch, time, feature]."""
        latent = self.down(self.encoder(self.read(window) + self.positions).mean(dim=1))
        result: Tensor = self.write(self.decoder(self.up(latent)[:, None] + self.positions))
        return result


ARCHITECTURES: dict[str, Callable[[int, int], nn.Module]] = {
    "lstm": lambda n_features, _: LSTMAutoencoder(n_features, hidden_size=32),
    "tcn": lambda n_features, _: TCN(n_features),
    "transformer": Transformer,
}


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """How long and in what steps to learn; `stride` is of the training windows."""

    length: int
    stride: int
    n_epochs: int
    patience: int
    batch_size: int
    learning_rate: float


RECIPES = {
    "nab": Recipe(length=100, stride=4, n_epochs=25, patience=5, batch_size=32, learning_rate=2e-3),
    "smd": Recipe(length=30, stride=8, n_epochs=15, patience=3, batch_size=64, learning_rate=2e-3),
    "skab": Recipe(length=30, stride=1, n_epochs=40, patience=10, batch_size=32, learning_rate=3e-3),
    "ecg5000": Recipe(length=140, stride=1, n_epochs=150, patience=40, batch_size=16, learning_rate=3e-3),
}


class Learner:
    """Trains one architecture with one seed."""

    def __init__(self, name: str, seed: int) -> None:
        self.name, self.seed, self.n_parameters = name, seed, 0

    def train(self, windows: Floats, held_out: Floats, recipe: Recipe) -> nn.Module:
        """The model with the smallest error on the held-out windows."""
        torch.manual_seed(self.seed)
        learnt, judged = _tensor(windows), _tensor(held_out)
        model = ARCHITECTURES[self.name](learnt.shape[2], learnt.shape[1])
        self.n_parameters = sum(parameter.numel() for parameter in model.parameters())
        optimiser = torch.optim.Adam(model.parameters(), lr=recipe.learning_rate)
        order, best, best_epoch = torch.Generator().manual_seed(self.seed), math.inf, 0
        weights = model.state_dict()
        for epoch in range(recipe.n_epochs):
            model.train()
            for batch in torch.randperm(len(learnt), generator=order).split(recipe.batch_size):
                optimiser.zero_grad()
                _mean_error(model, learnt[batch]).backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimiser.step()
            model.eval()
            with torch.no_grad():
                loss = float(_mean_error(model, judged))
            if loss < best:
                best, best_epoch = loss, epoch
                weights = {key: value.clone() for key, value in model.state_dict().items()}
            elif epoch - best_epoch >= recipe.patience:
                break
        model.load_state_dict(weights)
        return model.eval()

    def row_scores(self, train: Floats, data: Floats, recipe: Recipe) -> Floats:
        """Each row's mean error over its windows; the last fifth of `train` is held out."""
        cut, length = int(0.8 * len(train)), recipe.length
        mean, spread = train[:cut].mean(axis=0), train[:cut].std(axis=0)
        spread = np.where(spread < 1e-6, 1.0, spread)
        train, data = (train - mean) / spread, (data - mean) / spread
        held_out = train[cut:] if len(train) - cut >= length else train[-length - 5 :]
        learnt, judged = (sliding_windows(part, length)[:: recipe.stride] for part in (train[:cut], held_out))
        model = self.train(learnt, judged, recipe)
        errors = window_errors(model, sliding_windows(data, length))
        return row_means(errors, window_starts(len(data), length), length, len(data))


def window_errors(model: nn.Module, windows: Floats) -> Floats:
    """The mean squared error of each window."""
    with torch.no_grad():
        batches = [_tensor(windows[start : start + 512]) for start in range(0, len(windows), 512)]
        return np.concatenate([((model(batch) - batch) ** 2).mean(dim=(1, 2)).numpy() for batch in batches])


def nab(folder: Path, learner: Learner) -> dict[str, float]:
    """Mean VUS-PR of the seven series."""
    figures = []
    for row in _published(folder):
        whole = read_nab(folder / row["nab_file"], folder / "combined_windows.json", row["nab_file"])
        values = whole.values.astype(np.float64)
        scores = learner.row_scores(values[: int(row["train_len"])], values, RECIPES["nab"])
        figures.append(vus_pr(labels_of(whole), scores, int(row["vus_window"])))
    return {"VUS-PR": float(np.mean(figures))}


def smd(folder: Path, learner: Learner) -> dict[str, float]:
    """VUS-PR of the first machine."""
    row = _published(folder)[0]
    machine = read_smd(folder / f"{row['machine']}.npz")
    train, test = (part.values.astype(np.float64) for part in (machine.train, machine.test))
    scores = learner.row_scores(train, test, RECIPES["smd"])
    return {"VUS-PR": vus_pr(labels_of(machine.test), scores, int(row["vus_window"]))}


def skab(folder: Path, learner: Learner) -> dict[str, float]:
    """F1 and false-alarm rate of the rows behind the calibration, all runs together."""
    labels, flags = [], []
    for file in sorted((folder / "valve1").glob("*.csv")):
        run = read_skab(file)
        values = run.values.astype(np.float64)
        scores = learner.row_scores(values[:N_CALIBRATION_ROWS], values, RECIPES["skab"])
        flags.append(published_flags(scores.astype(np.float64))[N_CALIBRATION_ROWS:])
        labels.append(labels_of(run)[N_CALIBRATION_ROWS:])
    judged = Confusion.of(np.concatenate(labels), np.concatenate(flags))
    return {"F1": judged.f1, "false-alarm rate": judged.false_positive_rate}


def ecg5000(folder: Path, learner: Learner) -> dict[str, float]:
    """ROC-AUC, trained on the normal beats of the training part."""
    beats = np.load(folder / "ecg5000.npz")
    normal = beats["train_x"][beats["train_class"] == 1].astype(np.float64).reshape(-1, 140, 1)
    mean, spread = normal.mean(), normal.std()
    normal = ((normal - mean) / spread)[np.random.default_rng(learner.seed).permutation(len(normal))]
    n_held_out = len(normal) // 5
    model = learner.train(normal[n_held_out:], normal[:n_held_out], RECIPES["ecg5000"])
    errors = window_errors(model, (beats["test_x"].reshape(-1, 140, 1) - mean) / spread)
    return {"ROC-AUC": float(roc_auc_score(beats["test_anomaly"], errors))}


SETS: dict[str, Callable[[Path, Learner], dict[str, float]]] = {
    "ecg5000": ecg5000,
    "nab": nab,
    "skab": skab,
    "smd": smd,
}


def main() -> None:
    """Prints a line for each trial, and a table of the means."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.detection.alternatives",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every trial, versions and the machine")
    parser.add_argument("--data", type=Path, metavar="FOLDER", default=SHARED_DATA)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    trials = list(_trials(arguments))
    print(_table(trials))
    if arguments.json is not None:
        content = {"environment": environment(), "recipes": RECIPES, "trials": trials}
        arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n")


def _trials(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    for seed in arguments.seeds:
        for name in arguments.sets:
            for kind in ARCHITECTURES:
                learner, started = Learner(kind, seed), time.perf_counter()
                figures = SETS[name](arguments.data / name, learner)
                trial = {
                    "set": name,
                    "architecture": kind,
                    "seed": seed,
                    "n_parameters": learner.n_parameters,
                    "seconds": round(time.perf_counter() - started, 1),
                    "figures": figures,
                }
                tell(str(trial))
                yield trial


def _table(trials: list[dict[str, Any]]) -> str:
    """Means over the seeds."""
    cells: dict[tuple[str, str], dict[str, list[float]]] = {}
    for trial in trials:
        for metric, value in trial["figures"].items():
            row = cells.setdefault((trial["set"], metric), {})
            row.setdefault(trial["architecture"], []).append(value)
    lines = [f"| set | metric | {' | '.join(ARCHITECTURES)} |", "|---|---|" + "---|" * len(ARCHITECTURES)]
    for (name, metric), row in cells.items():
        means = " | ".join(f"{np.mean(row[kind]):.3f}" for kind in ARCHITECTURES)
        lines.append(f"| {name} | {metric} | {means} |")
    return "\n".join(lines)


def _mean_error(model: nn.Module, windows: Tensor) -> Tensor:
    result: Tensor = ((model(windows) - windows) ** 2).mean()
    return result


def _tensor(windows: Floats) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(windows, np.float32))


def _published(folder: Path) -> list[dict[str, str]]:
    with (folder / "published_vus_pr.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


if __name__ == "__main__":
    main()
