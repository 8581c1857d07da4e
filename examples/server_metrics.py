"""The whole job once: generate server metrics, train, export, serve, score over gRPC, and look at the result.

    python examples/server_metrics.py            # everything goes to ./demo

Prints detection quality, parity of every format and of the gRPC reply against eager, the latency of a call, and the path of a
picture. Takes about a minute on two cores.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import offbeat
from offbeat.backends import create_backend
from offbeat.config import BackendConfig
from offbeat.data import Dataset, row_means, sliding_windows, window_starts
from offbeat.result import DEFAULT_OUTPUTS, BoolArray, FloatArray
from offbeat_export import export_checkpoint
from offbeat_training import TrainingConfig
from offbeat_training.evaluation import measure
from offbeat_training.fit import fit
from offbeat_training.generators import server_metrics, write_csv

MODEL = "server-metrics"
WINDOW_MINUTES = 60
N_TIMED_CALLS = 500
# The test part follows the training part in time.
TRAINING_MINUTES, TEST_MINUTES = 5000, 2000
CONFIG = TrainingConfig(
    seq_len=WINDOW_MINUTES, hidden_size=32, epochs=40, patience=5, lr=3e-3, grad_clip=1.0, percentile=99.0
)

console = Console()


def main() -> None:
    """Runs the demo into the folder given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--out", type=Path, default=Path("demo"), help="folder for data, checkpoint, models and picture"
    )
    folder: Path = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)

    training = server_metrics(TRAINING_MINUTES)
    test = server_metrics(TEST_MINUTES, first_minute=TRAINING_MINUTES, n_anomalies=3)
    write_csv(training, folder / "train.csv")
    write_csv(test, folder / "test.csv")

    console.rule("train")
    checkpoint = fit(training, CONFIG, console=console)
    checkpoint.save(folder / f"{MODEL}.ckpt")

    console.rule("export")
    report = export_checkpoint(
        checkpoint,
        folder / "models",
        name=MODEL,
        description="CPU and memory, by the minute",
        announce=lambda step: console.print(step, highlight=False),
    )
    version = offbeat.ModelRepository(folder / "models").open(MODEL, report.manifest.version)

    console.rule("serve and score")
    windows = np.ascontiguousarray(sliding_windows(test.values, WINDOW_MINUTES))
    with serving(folder / "models") as target, offbeat.Client(target) as client:
        served = score_all(client, windows)
        latencies_us = time_calls(client, windows)
    console.print(f"{len(windows):,} windows scored by {served.backend}", highlight=False)

    starts = window_starts(test.n_rows, WINDOW_MINUTES)
    errors = row_means(served.reconstruction_error, starts, WINDOW_MINUTES, test.n_rows)
    found = errors > version.manifest.threshold.value
    console.rule("result")
    console.print(
        quality_table(test, errors, found), parity_table(version, windows, served), latency_table(latencies_us)
    )
    picture = draw(folder / f"{MODEL}.png", test, errors, found, version.manifest.threshold.value)
    console.print(f"picture: {picture}", highlight=False, soft_wrap=True)
    console.print(f"next:    {sys.executable} -m offbeat serve {folder / 'models'}", highlight=False, soft_wrap=True)


@contextmanager
def serving(repository: Path) -> Iterator[str]:
    """Starts `offbeat serve` on a free port, gives its address, and ends it with SIGTERM."""
    command = [sys.executable, "-m", "offbeat", "serve", str(repository), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if "ready on" not in line:
                sys.exit("the server did not start; run it by hand to see why: " + " ".join(command))
            yield line.split()[-1]
        finally:
            process.terminate()


def score_all(client: offbeat.Client, windows: FloatArray) -> offbeat.ScoreResult:
    """Scores every window over one stream, 256 at a time."""
    batches = (windows[start : start + 256] for start in range(0, len(windows), 256))
    results = list(client.score_stream(batches, model=MODEL))
    return offbeat.ScoreResult(
        model=results[0].model,
        version=results[0].version,
        backend=results[0].backend,
        reconstruction_error=np.concatenate([result.reconstruction_error for result in results]),
        anomaly_score=np.concatenate([result.anomaly_score for result in results]),
        is_anomaly=np.concatenate([result.is_anomaly for result in results]),
    )


def time_calls(client: offbeat.Client, windows: FloatArray) -> NDArray[np.float64]:
    """Microseconds of one call with one window, one after the other, after a warm-up."""
    latencies_us = np.empty(N_TIMED_CALLS + 50)
    for call in range(len(latencies_us)):
        window = windows[call % len(windows)][None]
        begin_ns = time.perf_counter_ns()
        client.score(window, model=MODEL)
        latencies_us[call] = (time.perf_counter_ns() - begin_ns) / 1000
    return latencies_us[50:]


def quality_table(test: Dataset, errors: NDArray[np.float64], found: BoolArray) -> Table:
    """Row by row against the true labels; nothing is point-adjusted."""
    assert test.labels is not None
    quality = measure(test.labels, errors, found, WINDOW_MINUTES)
    table = Table("detection, by the minute", "", title_justify="left")
    for name in ("precision", "recall", "roc_auc", "vus_pr"):
        table.add_row(name, f"{getattr(quality, name):.3f}")
    return table


def parity_table(version: offbeat.ModelVersion, windows: FloatArray, served: offbeat.ScoreResult) -> Table:
    """The largest |Δerror| / max(1, error) from eager, and the decisions that differ, over all test windows."""
    scored: dict[str, dict[str, NDArray[np.generic]]] = {}
    for name in ("eager", "onnxruntime", "torchscript"):
        with closing(create_backend(version, BackendConfig(backend=name, device="cpu"))) as backend:
            scored[name] = backend.run(windows, DEFAULT_OUTPUTS)
    scored["gRPC reply"] = served.arrays()
    eager = scored.pop("eager")
    table = Table("parity with eager", "max difference", "decision flips")
    for name, outputs in scored.items():
        difference = np.abs(outputs["reconstruction_error"] - eager["reconstruction_error"])
        relative = difference / np.maximum(1.0, eager["reconstruction_error"])
        table.add_row(name, f"{relative.max():.1e}", str(int((outputs["is_anomaly"] != eager["is_anomaly"]).sum())))
    return table


def latency_table(latencies_us: NDArray[np.float64]) -> Table:
    """Median and tail of one call over loopback."""
    table = Table(f"gRPC call, 1 window, {len(latencies_us)} calls", "µs")
    for percentile in (50, 99):
        table.add_row(f"p{percentile}", f"{np.percentile(latencies_us, percentile):,.0f}")
    return table


def draw(path: Path, test: Dataset, errors: NDArray[np.float64], found: BoolArray, threshold: float) -> Path:
    """The series, the scores with the threshold, and true and found anomalies along the time axis."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    assert test.labels is not None
    hours = np.arange(test.n_rows) / 60
    figure, (series, score) = pyplot.subplots(2, 1, sharex=True, figsize=(12, 6.5), layout="constrained")
    for column, (name, colour) in enumerate(zip(test.feature_names, ("tab:blue", "tab:green"), strict=True)):
        series.plot(hours, test.values[:, column], label=name, color=colour, linewidth=0.9)
    series.set(ylabel="percent")
    series.set_title("Server metrics: test part, scored over gRPC", loc="left")
    score.plot(hours, errors, color="black", linewidth=0.9, label="reconstruction error")
    score.axhline(threshold, color="tab:red", linestyle="--", linewidth=1, label="threshold")
    score.set(yscale="log", ylabel="mean error of the windows over a minute", xlabel="hours")
    score.fill_between(
        hours, 0, 0.05, where=found, transform=score.get_xaxis_transform(), color="tab:red", label="found"
    )
    for axes in (series, score):
        axes.fill_between(
            hours,
            0,
            1,
            where=test.labels,
            transform=axes.get_xaxis_transform(),
            color="tab:orange",
            alpha=0.25,
            label="true",
        )
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=4, frameon=False)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return path


if __name__ == "__main__":
    main()
