from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from offbeat.bundle import Manifest
from offbeat.data import Dataset
from offbeat.errors import DataError
from offbeat.result import FloatArray
from offbeat_export.quality_data import QualityData, labelled_data, planted_anomalies
from offbeat_export.quality_measurement import error_figures, line_errors, quality_figures
from tests.export.checkpoints import CHECKPOINTS, LENGTH, lstm_checkpoint, table_checkpoint
from tests.export.scorers import scorer_of


class MeanSquare:
    """A backend whose error is the window's mean square."""

    name = description = "mean square"

    def run(self, window: FloatArray, outputs: Sequence[str]) -> dict[str, NDArray[np.generic]]:
        assert tuple(outputs) == ("reconstruction_error",)
        assert window.flags.c_contiguous
        return {"reconstruction_error": np.square(window).reshape(len(window), -1).mean(axis=1)}

    def close(self) -> None: ...


def _manifest(make=lstm_checkpoint) -> Manifest:
    return scorer_of(make())[1]


def _dataset(*shape: int, labels: bool = True) -> Dataset:
    values = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    names = tuple(f"sensor {index}" for index in range(shape[-1]))
    return Dataset(
        name="labelled", values=values, feature_names=names, labels=np.arange(shape[0]) >= 20 if labels else None
    )


def test_rows_of_a_series_are_judged_by_all_windows_that_cover_them() -> None:
    dataset = _dataset(30, 2)
    data = labelled_data(dataset, _manifest())
    assert (data.unit, data.windows.shape, data.labels.size) == ("row", (30 - LENGTH + 1, LENGTH, 2), 30)
    errors = line_errors(MeanSquare(), data)
    covering = [np.square(dataset.values[start : start + LENGTH]).mean() for start in range(5, 5 + LENGTH)]
    assert errors.shape == (30,)
    assert errors[LENGTH + 4] == pytest.approx(np.mean(covering), rel=1e-6)


def test_a_long_series_is_judged_by_windows_further_apart_and_no_row_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("offbeat_export.quality_data.MAX_WINDOWS", 50)
    data = labelled_data(_dataset(333, 2), _manifest())
    assert len(data.windows) < 60
    assert np.isfinite(line_errors(MeanSquare(), data)).all()


def test_windows_and_rows_of_a_table_are_judged_as_they_are() -> None:
    windows = labelled_data(_dataset(30, LENGTH, 2), _manifest())
    samples = labelled_data(_dataset(30, 5), _manifest(table_checkpoint))
    assert (windows.unit, samples.unit) == ("window", "sample")
    assert line_errors(MeanSquare(), windows).shape == line_errors(MeanSquare(), samples).shape == (30,)


def test_data_that_cannot_judge_are_refused() -> None:
    with pytest.raises(DataError, match="no labels; expected a column of labels"):
        labelled_data(_dataset(30, 2, labels=False), _manifest())
    with pytest.raises(DataError, match="0 of 20 labels anomalous"):
        labelled_data(_dataset(20, 2), _manifest())
    with pytest.raises(DataError, match="expected rows of a table"):
        labelled_data(_dataset(30, LENGTH, 5), _manifest(table_checkpoint))
    with pytest.raises(DataError, match=f"windows of {LENGTH + 1} steps; expected {LENGTH}"):
        labelled_data(_dataset(30, LENGTH + 1, 2), _manifest(CHECKPOINTS["flexible, more repeats"]))


@pytest.mark.parametrize("make", [lstm_checkpoint, table_checkpoint])
def test_planted_anomalies_are_the_same_each_time_and_differ_from_their_windows(make) -> None:
    checkpoint = make()
    normal, manifest = checkpoint.validation_windows.numpy(), _manifest(make)
    data = planted_anomalies(normal, manifest)
    np.testing.assert_array_equal(data.windows, planted_anomalies(normal, manifest).windows)
    assert data.source is None
    assert data.windows.dtype == np.float32
    assert (data.labels.sum(), data.labels.size) == (4 * len(normal), 5 * len(normal))
    np.testing.assert_array_equal(data.windows[: len(normal)], normal)
    moved = (data.windows[len(normal) :].reshape(4, *normal.shape) - normal) / np.array(manifest.normalisation.scale)
    assert (moved.reshape(4 * len(normal), -1) != 0).any(axis=1).all()
    spikes = moved[:2].reshape(2 * len(normal), -1)
    assert ((np.abs(spikes) > 0.2).sum(axis=1) == 1).all()
    assert np.abs(spikes).max() < 4.1


def _judged(n: int = 40, unit: str = "sample") -> QualityData:
    return QualityData(
        source=None,
        unit=unit,
        windows=np.zeros((n, 2), np.float32),
        labels=np.arange(n) >= n // 2,  # type: ignore[arg-type]
    )


def test_the_same_errors_lose_nothing() -> None:
    errors = np.linspace(0.1, 2.0, 40)
    quality = quality_figures(_judged(), 1.0, errors, errors, 0.005)
    assert (quality.decision_agreement, quality.rank_correlation, quality.roc_auc_loss) == (
        1.0,
        pytest.approx(1.0),
        0.0,
    )
    assert (quality.vus_pr, quality.n, quality.n_anomalous) == (None, 40, 20)
    figures = error_figures(errors, errors)
    assert (figures.max_absolute, figures.mean_relative) == (0.0, 0.0)


def test_worse_errors_lose_what_can_be_counted_by_hand() -> None:
    errors = np.linspace(0.1, 2.0, 40)
    worse = errors.copy()
    worse[[19, 20]] = errors[[20, 19]]
    quality = quality_figures(_judged(unit="row"), float(errors[19]), errors, worse, 0.005)
    # One pair of 20 · 20 changed its order, and two rows their decision.
    assert quality.roc_auc_loss == pytest.approx(1 / 400)
    assert quality.decision_agreement == 38 / 40
    assert quality.vus_pr is not None
    assert quality.fp32_vus_pr is not None
    assert quality.vus_pr <= quality.fp32_vus_pr
    figures = error_figures(errors, worse)
    step = errors[20] - errors[19]
    assert figures.max_absolute == pytest.approx(step)
    assert figures.mean_absolute == pytest.approx(2 * step / 40)
    assert figures.max_relative == pytest.approx(step / errors[19])


def test_constant_errors_have_no_order_to_agree_on() -> None:
    same, other = np.ones(40), np.full(40, 2.0)
    assert quality_figures(_judged(), 1.5, same, same, 0.0).rank_correlation == 1.0
    assert quality_figures(_judged(), 1.5, same, other, 0.0).rank_correlation == 0.0
