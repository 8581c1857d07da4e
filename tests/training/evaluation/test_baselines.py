from __future__ import annotations

import msgspec
import numpy as np
import pytest

from offbeat.data import Dataset
from offbeat.errors import DataError
from offbeat_training.evaluation.baselines import PcaBaseline, fitted_scores, random_scores

LENGTH = 8


def sine(n_rows: int, *, seed: int = 0, bump: slice | None = None) -> Dataset:
    random = np.random.default_rng(seed)
    values = np.sin(np.arange(n_rows) / 5)[:, None] * [1.0, 100.0] + random.normal(size=(n_rows, 2)) * [0.05, 5.0]
    labels = np.zeros(n_rows, dtype=np.bool_)
    if bump is not None:
        values[bump, 0] = 0.5
        labels[bump] = True
    return Dataset(name="sine", values=values.astype(np.float32), feature_names=("a", "b"), labels=labels)


def test_pca_leaves_out_what_the_training_samples_never_do() -> None:
    random = np.random.default_rng(0)
    plane = random.normal(size=(500, 2)) @ random.normal(size=(2, 6))
    pca = PcaBaseline().fit(plane)
    assert pca.n_components == 2
    assert pca.scores(plane).max() < 1e-20
    away = np.zeros(6)
    away[0] = 1.0
    left_out = away - pca._components @ (pca._components.T @ away)
    assert pca.scores((plane.mean(axis=0) + away)[None]) == pytest.approx(np.mean(left_out**2))


def test_pca_takes_the_fewest_components_that_explain_the_stated_variance() -> None:
    samples = np.random.default_rng(0).normal(size=(20_000, 3)) * np.sqrt([80.0, 15.0, 5.0])
    assert [PcaBaseline(share).fit(samples).n_components for share in (0.5, 0.9, 0.99)] == [1, 2, 3]


def test_pca_of_constant_samples_scores_the_distance_from_them() -> None:
    assert PcaBaseline().fit(np.full((5, 2), 3.0)).scores(np.array([[3.0, 3.0]])).tolist() == [0.0]


def test_a_broken_rhythm_scores_higher_than_the_rhythm() -> None:
    data = sine(600, seed=1, bump=slice(300, 330))
    scores = fitted_scores(sine(1000), data, LENGTH, "row")
    assert list(scores) == ["PCA", "isolation forest"]
    assert data.labels is not None
    assert scores["PCA"].shape == (600,)
    assert scores["PCA"][305:325].min() > np.percentile(scores["PCA"][~data.labels], 90)


def test_a_line_for_each_window_where_windows_were_scored() -> None:
    assert fitted_scores(sine(200), sine(100), LENGTH, "window")["PCA"].shape == (93,)


def test_labelled_anomalies_of_the_training_part_are_not_learnt() -> None:
    bump = slice(300, 330)
    dirty = sine(1000, bump=bump)
    wild = dirty.values.copy()
    wild[bump] = 1e4
    for name, scores in fitted_scores(dirty, sine(100), LENGTH, "row").items():
        changed = fitted_scores(msgspec.structs.replace(dirty, values=wild), sine(100), LENGTH, "row")[name]
        np.testing.assert_array_equal(changed, scores)


def test_rows_of_a_table_and_ready_made_windows_are_scored_as_they_are() -> None:
    assert fitted_scores(sine(200), sine(50), 1, "row")["isolation forest"].shape == (50,)
    windows = Dataset(
        name="beats", values=np.random.default_rng(0).normal(size=(40, 12, 1)).astype(np.float32), feature_names=("x",)
    )
    assert fitted_scores(windows, windows, 50, "window")["PCA"].shape == (40,)


def test_sets_that_do_not_fit_and_sets_without_a_normal_window_are_errors() -> None:
    other = msgspec.structs.replace(sine(100), feature_names=("a", "c"))
    with pytest.raises(DataError, match="do not fit each other"):
        fitted_scores(other, sine(100), LENGTH, "row")
    with pytest.raises(DataError, match="no window of 8 normal rows"):
        fitted_scores(sine(10, bump=slice(5, 6)), sine(100), LENGTH, "row")
    with pytest.raises(DataError, match="all of 10 rows are labelled"):
        fitted_scores(sine(10, bump=slice(0, 10)), sine(100), LENGTH, "row")


def test_random_scores_are_uniform_and_repeatable() -> None:
    scores = random_scores(10_000, seed=3)
    assert 0 <= scores.min() < 0.001 < 0.999 < scores.max() < 1
    np.testing.assert_array_equal(scores, random_scores(10_000, seed=3))
