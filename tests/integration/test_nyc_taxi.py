"""NAB's nyc_taxi: trained on its published prefix, served, scored over gRPC by the command line, judged."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.integration.conftest import Run, Serve
from tests.training.acceptance import NYC_TAXI_TRAINING_ROWS, NYC_TAXI_VUS_WINDOW
from tests.training.datasets.shared import SHARED_DATA

SERIES = "realKnownCause/nyc_taxi.csv"
NAB = SHARED_DATA / "nab"


@pytest.mark.skipif(not NAB.is_dir(), reason=f"real data for acceptance are not at {NAB}")
def test_a_real_series_is_trained_served_scored_and_judged(offbeat: Run, serving: Serve, tmp_path: Path) -> None:
    lines = (NAB / SERIES).read_text().splitlines(keepends=True)
    (tmp_path / "prefix.csv").write_text("".join(lines[: NYC_TAXI_TRAINING_ROWS + 1]))
    options = ("--seq-len", 96, "--stride", 4, "--lr", 0.003, "--batch-size", 32, "--epochs", 8, "--grad-clip", 1.0)
    offbeat("train", tmp_path / "prefix.csv", "--out", tmp_path / "taxi.ckpt", *options)
    offbeat("export", tmp_path / "taxi.ckpt", "--model-repository", tmp_path / "models", "--name", "taxi")
    with serving(tmp_path / "models") as target:
        offbeat("score", NAB / SERIES, "--server", target, "--model", "taxi", "--out", tmp_path / "scores.csv")

    with (tmp_path / "scores.csv").open() as file:
        scored = [line["timestamp"] for line in csv.DictReader(file)]
    assert scored == [line.split(",")[0] for line in lines[1:]]

    judge = ("--labels", NAB / "combined_windows.json", "--series", SERIES, "--vus-window", NYC_TAXI_VUS_WINDOW)
    assert "VUS-PR" in offbeat("evaluate", tmp_path / "scores.csv", *judge).stdout
    quality = json.loads(offbeat("evaluate", tmp_path / "scores.csv", *judge, "--json").stdout)["quality"]
    # The published figure of random scores on this series; a model that learnt nothing stays there.
    assert quality["scores.csv"]["vus_pr"] > 0.125
