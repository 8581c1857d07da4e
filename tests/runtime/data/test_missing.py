from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from offbeat.data import ColumnSelection, Dataset, MissingPolicy, data_notes, fill_missing, read_dataset
from offbeat.errors import ConfigurationError, DataError

NAN = float("nan")


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)[:, None]


def fill(policy: MissingPolicy, *values: float) -> tuple[list[float], int]:
    filled, n_filled = fill_missing(column(*values), policy)
    return filled[:, 0].tolist(), n_filled


def test_forward_fill_repeats_the_last_value_before_a_gap() -> None:
    assert fill("forward-fill", 1, NAN, NAN, 4, NAN) == ([1, 1, 1, 4, 4], 3)


def test_interpolation_draws_the_line_between_the_neighbours_and_holds_the_last_value() -> None:
    assert fill("interpolate", 1, NAN, NAN, 4, NAN, NAN) == ([1, 2, 3, 4, 4, 4], 4)


def test_reject_leaves_gaps_for_the_data_set_to_refuse() -> None:
    filled, n_filled = fill_missing(column(1, NAN), "reject")
    assert (n_filled, np.isnan(filled).sum()) == (0, 1)


@pytest.mark.parametrize("policy", ["forward-fill", "interpolate"])
def test_a_gap_with_no_value_before_it_stays_a_gap(policy: MissingPolicy) -> None:
    filled, n_filled = fill_missing(column(NAN, NAN, 3, NAN, 5), policy)
    assert np.isnan(filled[:, 0]).tolist() == [True, True, False, False, False]
    assert n_filled == 1


@pytest.mark.parametrize("policy", ["forward-fill", "interpolate"])
def test_each_feature_and_each_window_is_filled_on_its_own(policy: MissingPolicy) -> None:
    windows = np.array([[[1, 10], [NAN, 20], [3, NAN]], [[NAN, 1], [5, NAN], [6, 3]]], dtype=np.float32)
    before = windows.copy()
    filled, n_filled = fill_missing(windows, policy)
    for window, feature in np.ndindex(2, 2):
        alone, _ = fill_missing(windows[window, :, feature : feature + 1], policy)
        np.testing.assert_array_equal(filled[window, :, feature], alone[:, 0])
    assert n_filled == 3
    np.testing.assert_array_equal(windows, before)


@pytest.mark.parametrize("policy", ["forward-fill", "interpolate"])
def test_values_that_are_there_never_change(policy: MissingPolicy) -> None:
    random = np.random.default_rng(0)
    values = random.normal(1e6, 1, (200, 3)).astype(np.float32)
    holes = random.random((200, 3)) < 0.4
    holes[0] = False
    filled, n_filled = fill_missing(np.where(holes, np.float32(NAN), values), policy)
    np.testing.assert_array_equal(filled[~holes], values[~holes])
    assert filled.dtype == np.float32
    assert np.isfinite(filled).all()
    assert n_filled == holes.sum()


def test_infinity_is_no_missing_value() -> None:
    filled, n_filled = fill_missing(column(1, float("inf"), NAN, 2), "interpolate")
    assert np.isinf(filled[1, 0])
    assert n_filled == 1


def test_a_csv_is_filled_as_told_and_says_how_much(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("a,b\n1,2\n,nan\nNA,4\n4,5\n")
    dataset = read_dataset(file, ColumnSelection(missing="interpolate"))
    np.testing.assert_array_equal(dataset.values, [[1, 2], [2, 3], [3, 4], [4, 5]])
    assert dataset.n_filled == 3
    assert data_notes(dataset) == ("t.csv: 3 of 8 values were missing and filled",)
    with pytest.raises(DataError, match=r"line 3 \(row 1\), column 'a'"):
        read_dataset(file)


def test_an_npz_array_is_filled_as_told(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", x=column(1, NAN, 3))
    dataset = read_dataset(tmp_path / "t.npz", ColumnSelection(missing="forward-fill"))
    assert dataset.values[:, 0].tolist() == [1, 1, 3]


def test_a_leading_gap_is_refused_with_its_place_and_the_policy(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,\n2,\n3,4\n")
    with pytest.raises(
        DataError, match=r"t\.csv: 2 missing .* line 2 \(row 0\), column 'b'; expected one before it, for forward-fill"
    ):
        read_dataset(tmp_path / "t.csv", ColumnSelection(missing="forward-fill"))


def test_a_gap_at_the_start_of_a_window_is_refused_with_window_and_step(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", x=np.array([[1.0, 2, 3], [1, NAN, 3], [NAN, NAN, 3]]))
    selection = ColumnSelection(layout="windows", missing="interpolate")
    with pytest.raises(DataError, match=r"2 missing .* window 2, step 0, column 'value'; expected one before it"):
        read_dataset(tmp_path / "t.npz", selection)
    with pytest.raises(DataError, match=r"3 missing .* window 1, step 1, .* a policy for gaps: --missing"):
        read_dataset(tmp_path / "t.npz", ColumnSelection(layout="windows"))


def test_infinity_is_refused_under_every_policy(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a\n1\ninf\n")
    with pytest.raises(DataError, match=r"line 3 \(row 1\), column 'a'"):
        read_dataset(tmp_path / "t.csv", ColumnSelection(missing="forward-fill"))


def test_a_policy_nobody_knows_is_refused() -> None:
    with pytest.raises(
        ConfigurationError, match="missing is 'zero'; expected one of reject, forward-fill, interpolate"
    ):
        ColumnSelection(missing="zero")  # type: ignore[arg-type]


@pytest.mark.parametrize("label", ["", "nan"])
def test_a_row_without_a_label_is_refused_and_never_called_an_anomaly(tmp_path: Path, label: str) -> None:
    (tmp_path / "t.csv").write_text(f"a,label\n1,0\n2,{label}\n")
    with pytest.raises(DataError, match=r"line 3 \(row 1\) has no label"):
        read_dataset(tmp_path / "t.csv", ColumnSelection(label_column="label"))


def test_complete_data_give_no_note() -> None:
    assert data_notes(Dataset(name="t", values=column(1, 2), feature_names=("a",))) == ()
