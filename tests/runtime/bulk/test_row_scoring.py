from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec
import numpy as np
import pytest

from offbeat.bulk import AlarmRule, BulkOptions, RowScoring, Scores
from offbeat.bulk.scores import joined
from offbeat.data import Dataset
from offbeat.data.row_stream import rows_of_dataset
from offbeat.errors import ConfigurationError, DataError
from offbeat.result import FloatArray, ScoreResult
from tests.runtime import folders
from tests.runtime.bulk.sources import NumpySource, in_parts, series
from tests.runtime.bulk.whole_series import whole

HEADS = ("p_value", "error_std", "class_probability", "forecast")


def assert_same(streamed: Scores, expected: Scores) -> None:
    """To the bit, column by column."""
    assert list(streamed.columns) == list(expected.columns)
    for name, column in expected.columns.items():
        assert streamed.columns[name].dtype.kind == column.dtype.kind
        np.testing.assert_array_equal(streamed.columns[name], column, err_msg=name)


@pytest.mark.parametrize("sizes", [(1,), (5, 1, 9), (4000,)])
@pytest.mark.parametrize("row_score", ["mean", "newest"])
@pytest.mark.parametrize("stride", [1, 4, 6])
def test_rows_in_parts_get_the_scores_of_the_whole_series_to_the_bit(
    sizes: tuple[int, ...], row_score: str, stride: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("offbeat.bulk.row_scoring._WINDOWS_AT_ONCE", 16)
    for n_rows in (6, 7, 9, 101):
        for columns in ((), HEADS):
            options = BulkOptions(
                row_score=row_score, stride=stride, batch_size=7, columns=columns, rule=AlarmRule(alarm_k=2, alarm_n=5)
            )
            values, streamed, in_memory = series(n_rows), NumpySource(), NumpySource()
            parts = list(RowScoring(streamed, in_parts(values, sizes), options))
            assert_same(joined(parts), whole(values, options, in_memory))
            assert streamed.batch_sizes == in_memory.batch_sizes


@pytest.mark.parametrize("stride", [1, 4, 11])
def test_windows_in_parts_get_the_scores_of_the_whole_series_to_the_bit(stride: int) -> None:
    for n_rows in (6, 7, 30, 101):
        options = BulkOptions(per="window", stride=stride, batch_size=7, columns=HEADS)
        values = series(n_rows)
        assert_same(
            joined(list(RowScoring(NumpySource(), in_parts(values, (5, 1, 9)), options))), whole(values, options)
        )


@pytest.mark.parametrize("n_rows_at_once", [1, 5, 4096])
def test_ready_made_windows_in_memory_are_scored_each_by_itself(
    n_rows_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("offbeat.bulk.row_scoring._WINDOWS_AT_ONCE", 16)
    monkeypatch.setattr("offbeat.data.row_stream._ROWS_OF_MEMORY", n_rows_at_once)
    windows = folders.random_windows(50, seed=1)
    words = np.array([f"t{row}" for row in range(50)], dtype=np.str_)
    dataset = Dataset(name="windows", values=windows, feature_names=("pressure", "flow"), timestamps=words)
    # There are no rows between ready-made windows that a stride could leave out.
    options = BulkOptions(stride=7, batch_size=7, columns=HEADS, rule=AlarmRule(alarm_k=2, alarm_n=5))
    streamed, in_memory = NumpySource(), NumpySource()
    scoring = RowScoring(streamed, rows_of_dataset(dataset), options)
    assert_same(joined(list(scoring)), whole(windows, options, in_memory))
    assert streamed.batch_sizes == in_memory.batch_sizes
    assert (scoring.unit, scoring.n_lines) == ("window", 50)


@pytest.mark.parametrize("per", ["row", "window"])
def test_series_that_take_turns_are_scored_each_by_itself(per: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("offbeat.bulk.row_scoring._WINDOWS_AT_ONCE", 16)
    values, turns = series(300), np.random.default_rng(1).integers(0, 3, 300)
    options = BulkOptions(per=per, stride=4, batch_size=7, rule=AlarmRule(alarm_k=1, alarm_n=3))
    rows = in_parts(values, (40, 3), np.array(["a", "b", "c"])[turns])
    scores = joined(list(RowScoring(NumpySource(), rows, options, has_series=True)))
    assert scores.series is not None
    assert scores.numbers is not None
    for turn, name in enumerate("abc"):
        expected, is_its = whole(values[turns == turn], options), scores.series == name
        np.testing.assert_array_equal(scores.reconstruction_error[is_its], expected.reconstruction_error)
        np.testing.assert_array_equal(np.asarray(scores.alarm)[is_its], expected.alarm)
        if per == "row":
            np.testing.assert_array_equal(scores.numbers[is_its], np.flatnonzero(turns == turn))
            assert scores.timestamps is not None
            assert scores.timestamps[is_its].tolist() == [f"t{row}" for row in np.flatnonzero(turns == turn)]
        else:
            np.testing.assert_array_equal(scores.numbers[is_its], np.arange(len(expected.reconstruction_error)))


def test_a_series_shorter_than_a_window_has_rows_without_a_score_and_alone_is_an_error() -> None:
    by_window = BulkOptions(per="window")
    values, names = series(20), np.array(["long"] * 17 + ["short"] * 3)
    scoring = RowScoring(NumpySource(), in_parts(values, (8,), names), BulkOptions(), has_series=True)
    scores = joined(list(scoring))
    assert np.isnan(scores.reconstruction_error).tolist() == [False] * 17 + [True] * 3
    assert not scores.is_anomaly[-3:].any()
    assert (scoring.n_lines, scoring.n_unscored) == (20, 3)
    with pytest.raises(DataError, match="rows: 5 rows in the longest series; model 'level' needs 6"):
        list(
            RowScoring(
                NumpySource(), in_parts(series(8), (8,), np.array(["a"] * 5 + ["b"] * 3)), by_window, has_series=True
            )
        )
    with pytest.raises(DataError, match="rows: 5 rows; model 'level' needs 6"):
        list(RowScoring(NumpySource(), in_parts(values[:5], (2,)), BulkOptions()))
    with pytest.raises(DataError, match="rows: no rows; expected at least one"):
        list(RowScoring(NumpySource(), in_parts(values[:0], (2,)), BulkOptions()))


def test_a_row_that_names_no_series_is_refused_by_its_place() -> None:
    names = np.array(["a"] * 10 + [""] + ["a"] * 9)
    with pytest.raises(DataError, match=r"rows: row 10 names no series; expected a name in every row"):
        list(RowScoring(NumpySource(), in_parts(series(20), (8,), names), BulkOptions(), has_series=True))


def test_gaps_are_filled_from_earlier_parts_and_from_no_other_series() -> None:
    values = series(40)
    values[7, 0] = values[8, 0] = np.nan
    filled = values.copy()
    filled[7:9, 0] = values[6, 0]
    options = BulkOptions(missing="forward-fill")
    scoring = RowScoring(NumpySource(), in_parts(values, (4,)), options)
    assert_same(joined(list(scoring)), whole(filled, BulkOptions()))
    assert scoring.n_filled == 2
    names = np.where(np.arange(40) < 7, "a", "b")
    with pytest.raises(DataError, match=r"rows: missing value in row 7, column 'pressure'; expected one before it"):
        list(RowScoring(NumpySource(), in_parts(values, (9,), names), options, has_series=True))


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (np.nan, "missing value in row 33, column 'flow'; expected numbers, or a policy for gaps: --missing"),
        (np.inf, "infinite value in row 33, column 'flow'; expected finite numbers within float32"),
    ],
)
def test_a_bad_value_is_named_by_its_row_in_the_whole(bad: float, words: str) -> None:
    values = series(40)
    values[33, 1] = bad
    with pytest.raises(DataError, match=words):
        list(RowScoring(NumpySource(), in_parts(values, (4,)), BulkOptions()))


def test_what_is_kept_does_not_grow_with_the_rows() -> None:
    scoring = RowScoring(NumpySource(), in_parts(series(40_000), (500,)), BulkOptions(batch_size=64))
    kept = []
    for _ in scoring:
        lines = scoring._series[""].lines
        kept.append(sum(map(len, lines._numbers)) + sum(map(len, lines._starts)))
    assert max(kept[:-1]) < 1200


@pytest.mark.parametrize("row_score", ["mean", "newest"])
def test_a_window_whose_arithmetic_failed_is_infinitely_odd_and_not_without_a_score(row_score: str) -> None:
    class OverflowingSource(NumpySource):
        def score_all(self, batches: Iterable[FloatArray], outputs: Sequence[str]) -> Iterator[ScoreResult]:
            for result in super().score_all(batches, outputs):
                errors = np.array(result.reconstruction_error)
                errors[4] = np.nan
                yield msgspec.structs.replace(result, reconstruction_error=errors)

    options = BulkOptions(row_score=row_score)
    scores = joined(list(RowScoring(OverflowingSource(), in_parts(series(20), (20,)), options)))
    covered = np.arange(4, 4 + folders.LENGTH) if row_score == "mean" else np.array([4 + folders.LENGTH - 1])
    assert np.flatnonzero(np.isinf(scores.reconstruction_error)).tolist() == covered.tolist()
    assert scores.is_anomaly[covered].all()
    assert (scores.anomaly_score[covered] == 1).all()
    assert not np.isnan(scores.reconstruction_error).any()


def test_what_cannot_be_streamed_is_refused_before_a_row_is_read() -> None:
    with pytest.raises(ConfigurationError, match="stride is 7; expected at most 6"):
        RowScoring(NumpySource(), in_parts(series(9), (2,)), BulkOptions(stride=7))
    with pytest.raises(ConfigurationError, match="missing is 'interpolate'"):
        BulkOptions(missing="interpolate")
    with pytest.raises(ConfigurationError, match="columns hold 'mood'"):
        RowScoring(NumpySource(), in_parts(series(9), (2,)), BulkOptions(columns=("mood",)))


def test_a_batch_that_no_memory_could_hold_is_refused_before_anything_is_read() -> None:
    with pytest.raises(ConfigurationError, match="batch_size is 9999999999999; expected 1 to 1,048,576 windows"):
        BulkOptions(batch_size=9_999_999_999_999)
