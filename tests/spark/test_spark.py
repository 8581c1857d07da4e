"""A pandas UDF on a local Spark, held to the scorer in this process."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import offbeat
from offbeat.errors import BundleError, ConfigurationError, InvalidWindowError
from offbeat.spark import scoring_udf

from ..runtime.folders import random_windows, write_version

pyspark = pytest.importorskip("pyspark", reason="needs pyspark: make extras")
pytestmark = [
    pytest.mark.skipif(shutil.which("java") is None, reason="needs Java"),
    pytest.mark.filterwarnings("ignore"),
]
_N_WINDOWS = 1_000


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    """Two worker threads, each with Python workers of its own."""
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.sql.shuffle.partitions", "2")
        .getOrCreate()
    )
    yield session
    session.stop()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_version(tmp_path_factory.mktemp("models"))


def _frame(spark: Any, windows: np.ndarray) -> Any:
    rows = [(index, window.ravel().tolist()) for index, window in enumerate(windows)]
    return spark.createDataFrame(rows, "id long, window array<float>").repartition(4)


def test_scores_in_spark_are_those_of_the_scorer(spark: Any, folder: Path) -> None:
    windows = random_windows(_N_WINDOWS)
    frame = _frame(spark, windows).withColumn("score", scoring_udf(folder, batch_size=64)("window"))
    rows = frame.select("id", "score.*").orderBy("id").collect()
    expected = offbeat.load(folder).score(windows)
    assert [row.id for row in rows] == list(range(_N_WINDOWS))
    assert np.array_equal([row.is_anomaly for row in rows], expected.is_anomaly)
    assert np.array_equal(np.float32([row.reconstruction_error for row in rows]), expected.reconstruction_error)
    assert np.array_equal(np.float32([row.anomaly_score for row in rows]), expected.anomaly_score)


def test_outputs_of_several_values_come_as_flat_arrays(spark: Any, folder: Path) -> None:
    windows = random_windows(5)
    udf = scoring_udf(folder, ["feature_error", "step_error", "reconstruction"])
    row = _frame(spark, windows).withColumn("score", udf("window")).orderBy("id").select("score.*").first()
    expected = offbeat.load(folder).score(windows, ["feature_error", "step_error", "reconstruction"])
    for name, array in expected.arrays().items():
        assert np.array_equal(np.float32(row[name]), array[0].ravel()), name


def test_windows_of_another_length_are_scored_when_it_is_said(spark: Any, folder: Path) -> None:
    windows = random_windows(3, length=9)
    rows = _frame(spark, windows).withColumn("score", scoring_udf(folder, length=9)("window")).orderBy("id").collect()
    expected = offbeat.load(folder).score(windows).reconstruction_error
    # The toy graph's sums depend on the batch in their last bit.
    np.testing.assert_allclose([row.score.reconstruction_error for row in rows], expected, rtol=1e-6)


def test_a_folder_shipped_to_the_executors_is_found_by_its_relative_path(
    spark: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    repository = folder.parent.parent
    spark.sparkContext.addFile(str(repository), recursive=True)
    monkeypatch.chdir(repository.parent)
    udf = scoring_udf(folder.relative_to(repository.parent))
    monkeypatch.chdir(tmp_path)
    frame = _frame(spark, random_windows(4)).withColumn("score", udf("window"))
    assert frame.where("score.reconstruction_error > 0").count() == 4


@pytest.mark.parametrize(("values", "message"), [([float("nan")] * 12, "NaN"), ([1.0] * 11, "shape")])
def test_a_window_that_the_model_cannot_take_ends_the_job_and_says_why(
    spark: Any, folder: Path, values: list[float], message: str
) -> None:
    frame = spark.createDataFrame([(values,)], "window array<float>")
    with pytest.raises(Exception, match=message):
        frame.select(scoring_udf(folder)("window")).collect()


def test_what_is_wrong_before_the_job_is_told_on_the_driver(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError):
        scoring_udf(tmp_path / "absent")
    with pytest.raises(InvalidWindowError, match="no_such_output"):
        scoring_udf(folder, ["no_such_output"])
    with pytest.raises(InvalidWindowError, match=r"\[1, 0, 2\]"):
        scoring_udf(folder, length=0)
    with pytest.raises(ConfigurationError, match="batch_size"):
        scoring_udf(folder, batch_size=0)
