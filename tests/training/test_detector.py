from __future__ import annotations

import pickle
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.stats import loguniform, randint
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import check_estimator

import offbeat as package
from offbeat.data import Dataset, row_means, sliding_windows, window_starts
from offbeat.errors import CheckpointError, ConfigurationError, InvalidWindowError, MissingExtraError
from offbeat_training import Checkpoint, Detector, TrainingConfig
from offbeat_training.fit import fit
from tests.training.examples import series_checkpoint, table, waves

SERIES: dict[str, Any] = {"seq_len": 20, "hidden_size": 8, "epochs": 3, "lr": 0.01, "device": "cpu"}
TABLE: dict[str, Any] = {"preset": "tabular", "hidden_size": 16, "latent_dim": 2, "epochs": 5, "device": "cpu"}
X = waves().values
ROWS = table().values


@pytest.fixture(scope="module")
def of_series() -> Detector:
    return Detector(**SERIES).fit(X)


@pytest.fixture(scope="module")
def of_table() -> Detector:
    return Detector(**TABLE).fit(ROWS)


def test_a_fitted_detector_has_what_pyod_promises(of_series: Detector) -> None:
    assert of_series.decision_scores_.shape == of_series.labels_.shape == (400,)
    assert of_series.threshold_ == of_series.checkpoint_.threshold.value > 0
    np.testing.assert_array_equal(of_series.labels_, (of_series.decision_scores_ > of_series.threshold_).astype(int))
    np.testing.assert_array_equal(of_series.decision_function(X), of_series.decision_scores_)
    np.testing.assert_array_equal(of_series.predict(X), of_series.labels_)
    assert set(of_series.labels_) <= {0, 1}


def test_it_learns_what_the_command_learns(of_series: Detector) -> None:
    expected = fit(waves(), TrainingConfig(**SERIES))
    assert of_series.checkpoint_.threshold == expected.threshold
    np.testing.assert_array_equal(of_series.checkpoint_.state_dict["output.bias"], expected.state_dict["output.bias"])


def test_rows_of_a_series_get_the_mean_of_their_windows_scores(of_series: Detector) -> None:
    windows = sliding_windows(X, 20)
    of_windows = of_series.decision_function(windows)
    assert of_windows.shape == (381,)
    expected = row_means(of_windows, window_starts(400, 20), 20, 400)
    np.testing.assert_allclose(of_series.decision_function(X), expected, rtol=1e-5)


def test_ready_made_windows_train_too() -> None:
    windows = sliding_windows(X, 20, stride=5)
    detector = Detector(**SERIES).fit(windows)
    assert detector.decision_scores_.shape == (len(windows),)
    assert detector.n_features_in_ == 2
    assert detector.decision_function(X).shape == (400,)


def test_odd_rows_of_a_table_score_higher() -> None:
    detector = Detector(**TABLE | {"lr": 0.01, "epochs": 60}).fit(ROWS)
    odd = np.random.default_rng(1).permuted(ROWS, axis=0)
    scores = detector.decision_function(np.concatenate([ROWS, odd]))
    assert roc_auc_score(np.repeat([0, 1], len(ROWS)), scores) > 0.95


def test_known_anomalies_are_left_out_and_y_is_ignored() -> None:
    spoiled, known = ROWS.copy(), np.arange(300) % 50 == 0
    spoiled[known] = 1e4
    careful = Detector(**TABLE).fit(spoiled, known_anomalies=known)
    expected = Detector(**TABLE).fit(ROWS, known_anomalies=known)
    assert careful.threshold_ == expected.threshold_
    assert careful.labels_[known].all()
    assert Detector(**TABLE).fit(ROWS, known).threshold_ == Detector(**TABLE).fit(ROWS).threshold_


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (np.where(np.arange(300) < 9, -1, 1), "hold -1; expected true or false"),
        (np.where(np.arange(300) < 9, np.nan, 0.0), "hold nan"),
        (np.full(300, 0.5), "hold 0.5"),
        (["False"] * 300, "hold 'False'"),
        (pd.Series([None, True] * 150, dtype="boolean"), "hold <NA>"),
        ([[0], [0, 1]], "known_anomalies: "),
        (np.zeros(299, dtype=bool), r"shape \(299,\); expected \(300,\)"),
        (np.zeros((300, 1), dtype=bool), r"shape \(300, 1\); expected \(300,\)"),
    ],
)
def test_known_anomalies_are_true_or_false_for_each_row(known: Any, words: str) -> None:
    with pytest.raises(InvalidWindowError, match=words):
        Detector(**TABLE).fit(ROWS, known_anomalies=known)


def test_known_anomalies_may_be_zeros_and_ones() -> None:
    known = np.arange(300) % 50 == 0
    expected = Detector(**TABLE).fit(ROWS, known_anomalies=known).threshold_
    for flags in (known.astype(int), known.astype(float).tolist(), pd.Series(known, dtype="boolean")):
        assert Detector(**TABLE).fit(ROWS, known_anomalies=flags).threshold_ == expected


def test_clones_and_parameters_are_scikit_learns() -> None:
    detector = Detector(**SERIES)
    assert detector.get_params() == Detector().get_params() | SERIES
    copy = clone(detector.set_params(lr=0.5))
    assert copy is not detector
    assert copy.get_params() == Detector().get_params() | SERIES | {"lr": 0.5}
    assert repr(Detector(lr=0.5)) == "Detector(lr=0.5)"
    assert set(Detector().get_params()) == set(TrainingConfig.__struct_fields__)


def test_a_pipeline_ends_with_it() -> None:
    pipeline = make_pipeline(MinMaxScaler(), Detector(**TABLE)).set_params(detector__lr=0.01).fit(ROWS)
    assert pipeline.predict(ROWS).shape == pipeline.decision_function(ROWS).shape == (300,)


def test_names_of_columns_are_kept_and_held_to() -> None:
    frame = pd.DataFrame(ROWS, columns=list("abcd"))
    detector = Detector(**TABLE).fit(frame)
    assert detector.checkpoint_.feature_names == ("a", "b", "c", "d")
    with pytest.raises(InvalidWindowError, match="feature names should match"):
        detector.predict(frame[list("abdc")])


def test_names_of_columns_outlive_a_file(tmp_path: Path) -> None:
    # The second frame's names are those that columns without a name get.
    for names in ("abcd", ("x0", "x1", "x2", "x3")):
        frame = pd.DataFrame(ROWS, columns=list(names))
        fitted = Detector(**TABLE).fit(frame)
        fitted.save(tmp_path / "model.ckpt")
        loaded = Detector.load(tmp_path / "model.ckpt")
        np.testing.assert_array_equal(loaded.feature_names_in_, fitted.feature_names_in_)
        np.testing.assert_array_equal(loaded.predict(frame), fitted.labels_)
        with pytest.raises(InvalidWindowError, match="feature names should match"):
            loaded.predict(frame[frame.columns[::-1]])


def test_arrays_without_names_are_scored_after_loading_without_a_warning(of_table: Detector, tmp_path: Path) -> None:
    of_table.save(tmp_path / "model.ckpt")
    fit(Dataset(name="npz", values=ROWS, feature_names=tuple(f"feature_{index}" for index in range(4))),
        TrainingConfig(**TABLE)).save(tmp_path / "command.ckpt")  # fmt: skip
    for file in ("model.ckpt", "command.ckpt"):
        loaded = Detector.load(tmp_path / file)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert loaded.predict(ROWS).shape == (300,)
        assert not hasattr(loaded, "feature_names_in_")


def test_a_commands_model_holds_a_frame_to_the_names_of_its_file(tmp_path: Path) -> None:
    fit(table(), TrainingConfig(**TABLE)).save(tmp_path / "command.ckpt")
    loaded = Detector.load(tmp_path / "command.ckpt")
    with pytest.raises(InvalidWindowError, match="feature names should match"):
        loaded.predict(pd.DataFrame(ROWS, columns=list("abdc")))


def test_windows_learnt_after_a_frame_have_no_names() -> None:
    detector = Detector(**TABLE).fit(pd.DataFrame(ROWS, columns=list("abcd")))
    detector.set_params(**Detector(**SERIES).get_params()).fit(sliding_windows(X, 20, stride=5))
    assert not hasattr(detector, "feature_names_in_")
    assert detector.checkpoint_.feature_names == ("x0", "x1")


def test_scikit_learns_own_checks_pass() -> None:
    check_estimator(Detector(preset="tabular", hidden_size=4, latent_dim=2, epochs=1, device="cpu"), on_skip=None)


def test_a_file_keeps_the_model_and_its_parameters(of_series: Detector, tmp_path: Path) -> None:
    of_series.save(tmp_path / "model.ckpt")
    loaded = Detector.load(tmp_path / "model.ckpt")
    np.testing.assert_array_equal(loaded.predict(X), of_series.labels_)
    assert loaded.get_params() == of_series.get_params()
    assert not hasattr(loaded, "decision_scores_")
    assert Checkpoint.load(tmp_path / "model.ckpt").threshold.value == loaded.threshold_
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(of_series)).predict(X), of_series.labels_)  # noqa: S301


def test_a_file_with_parameters_that_cannot_be_is_refused(tmp_path: Path) -> None:
    series_checkpoint(training_config={"lr": -1.0}).save(tmp_path / "bad.ckpt")
    with pytest.raises(CheckpointError, match=r"training_config: lr is -1\.0"):
        Detector.load(tmp_path / "bad.ckpt")


@pytest.mark.parametrize("group", ["offbeat.exporters", "offbeat.nobody"])
def test_export_without_an_exporter_names_the_extra(
    of_table: Detector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: str
) -> None:
    monkeypatch.setattr("offbeat_training.detector.EXPORTERS", group)
    monkeypatch.setitem(sys.modules, "offbeat_export", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'offbeat\[export\]'"):
        of_table.export(tmp_path, name="rows")


def test_export_writes_a_folder_that_scores_the_same_frame_into_a_frame(tmp_path: Path) -> None:
    frame = pl.DataFrame(ROWS, schema=list("abcd"))
    detector = Detector(**TABLE).fit(frame)
    folder = detector.export(tmp_path / "models", name="rows", description="from code")
    assert folder == tmp_path / "models" / "rows" / "1"
    assert package.ModelRepository(tmp_path / "models").open("rows").manifest.description == "from code"
    with package.load(tmp_path / "models") as scorer:
        scores = package.score_table(scorer, frame)
    assert isinstance(scores, pl.DataFrame)
    np.testing.assert_allclose(scores["reconstruction_error"], detector.decision_scores_, rtol=1e-5)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (X[:, :1], "X has 1 features, but Detector is expecting 2 features"),
        (X[:19], "expected at least 20 rows, the length of one window"),
        (np.full_like(X, np.nan), "Input X contains NaN"),
        (X[None, None], "expected .row, 2. or .window, time, 2."),
        (X[:20, :1][None], "expected .row, 2. or .window, time, 2."),
        ([["a", "b"]], "could not convert string"),
    ],
)
def test_values_that_do_not_fit_are_a_value_error(of_series: Detector, values: Any, words: str) -> None:
    with pytest.raises(InvalidWindowError, match=words) as caught:
        of_series.predict(values)
    assert isinstance(caught.value, ValueError)


def test_a_table_has_no_windows(of_table: Detector) -> None:
    with pytest.raises(InvalidWindowError, match=r"expected rows .row, feature. of a table"):
        of_table.predict(ROWS[None])


def test_nothing_works_before_it_is_fitted(tmp_path: Path) -> None:
    for use in (lambda: Detector().predict(X), lambda: Detector().save(tmp_path), lambda: Detector().threshold_):
        with pytest.raises(NotFittedError):
            use()


def test_parameters_are_checked_when_it_is_fitted_and_names_at_once() -> None:
    with pytest.raises(ConfigurationError, match="lr is -1"):
        Detector(lr=-1.0).fit(X)
    with pytest.raises(TypeError, match="no parameter 'learning_rate'"):
        Detector(learning_rate=1.0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lr": "a"}, r"Expected `float`, got `str` - at `\$\.lr`"),
        ({"seq_len": 20.5}, r"Expected `int`, got `float` - at `\$\.seq_len`"),
        ({"hidden_size": np.float64(8.5)}, r"got `float` - at `\$\.hidden_size`"),
        ({"seed": [1]}, r"got `array` - at `\$\.seed`"),
        ({"preset": "x"}, r"^preset is 'x'; expected one of repeat, .*, auto"),
        ({"threshold_method": "x"}, r"^threshold_method is 'x'; expected one of .*conformal"),
        ({"lr": np.float64(-1)}, r"^lr is -1\.0"),
    ],
)
def test_parameters_of_another_type_are_named(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Detector(**SERIES | changes).fit(X)


def test_scalars_of_numpy_are_parameters_too() -> None:
    settings = {"hidden_size": np.int64(8), "lr": np.float64(0.01), "seed": np.int64(0), "preset": np.str_("repeat")}
    detector = Detector(**SERIES | settings).fit(X)
    assert detector.checkpoint_.training_config == Detector(**SERIES).fit(X).checkpoint_.training_config
    assert detector.get_params()["hidden_size"] is settings["hidden_size"]


def test_scikit_learns_random_search_draws_its_parameters() -> None:
    drawn = {"lr": loguniform(1e-3, 1e-1), "hidden_size": randint(4, 9), "seed": randint(0, 9)}
    found = RandomizedSearchCV(
        Detector(**TABLE | {"epochs": 1}),
        drawn,
        n_iter=2,
        cv=2,
        random_state=0,
        scoring=lambda detector, rows, _=None: -detector.decision_function(rows).mean(),
        error_score="raise",
    ).fit(ROWS)
    assert found.best_estimator_.checkpoint_.training_config["lr"] == found.best_params_["lr"]
