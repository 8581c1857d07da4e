from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import offbeat
from offbeat.errors import ConfigurationError, DataError
from tests.runtime import folders


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[offbeat.Scorer]:
    repository = tmp_path_factory.mktemp("models")
    folders.write_version(repository)
    with offbeat.load(repository) as scorer:
        yield scorer


def columns(n_rows: int) -> dict[str, np.ndarray]:
    values = folders.random_windows(1, n_rows)[0]
    return {"flow": values[:, 1], "note": np.array(["?"] * n_rows), "pressure": values[:, 0]}


def test_a_frame_comes_back_as_a_frame_of_its_kind_with_the_same_scores(scorer: offbeat.Scorer) -> None:
    data = columns(50)
    arrow = offbeat.score_table(scorer, pa.table(data))
    assert isinstance(arrow, pa.Table)
    assert arrow.column_names == ["row", "reconstruction_error", "anomaly_score", "is_anomaly"]
    windows = np.stack([data["pressure"], data["flow"]], axis=1)[:6][None]
    assert arrow.column("reconstruction_error")[0].as_py() == pytest.approx(
        float(folders.expected_outputs(windows)["reconstruction_error"][0]), rel=1e-6
    )
    pandas, polars = offbeat.score_table(scorer, pd.DataFrame(data)), offbeat.score_table(scorer, pl.DataFrame(data))
    assert isinstance(pandas, pd.DataFrame)
    assert isinstance(polars, pl.DataFrame)
    assert pandas["is_anomaly"].dtype == bool
    assert pandas.to_dict("list") == polars.to_dict(as_series=False) == arrow.to_pydict()


def test_lines_are_in_the_order_of_the_rows_whatever_their_series(scorer: offbeat.Scorer) -> None:
    data = columns(60)
    data["pump"] = np.array(["b", "a", "b"] * 20)
    frame = pd.DataFrame(data)
    scores = offbeat.score_table(scorer, frame, series_column="pump", alarm_k=1, alarm_n=2)
    assert scores["row"].tolist() == list(range(60))
    assert scores["series"].tolist() == data["pump"].tolist()
    alone = offbeat.score_table(scorer, frame[frame["pump"] == "a"], alarm_k=1, alarm_n=2)
    for column in ("reconstruction_error", "alarm"):
        assert scores[column][data["pump"] == "a"].tolist() == alone[column].tolist()


def test_a_mask_of_the_scores_takes_the_rows_that_were_scored_whatever_their_labels(scorer: offbeat.Scorer) -> None:
    data = columns(50)
    data["pressure"][20] = 1e6
    for labels in (np.arange(50)[::-1], pd.date_range("2026-01-01", periods=50), [f"row {row}" for row in range(50)]):
        frame = pd.DataFrame(data, index=labels)
        scores = offbeat.score_table(scorer, frame, row_score="newest")
        assert scores.index.equals(frame.index)
        assert 1e6 in frame[scores["is_anomaly"]]["pressure"].to_list()
    assert offbeat.score_table(scorer, frame, per="window").index.equals(pd.RangeIndex(45))


def test_the_documented_example_runs_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (Path(__file__).parents[3] / "docs" / "data.md").read_text()
    (block,) = (block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "score_table" in block)
    folders.write_version(tmp_path / "models", "pump")
    monkeypatch.chdir(tmp_path)
    exec(block, {"__name__": "documentation"})  # noqa: S102
    assert "90.0" in capsys.readouterr().out


def test_what_is_no_frame_or_lacks_a_feature_is_named(scorer: offbeat.Scorer) -> None:
    with pytest.raises(DataError, match="a dict has no __arrow_c_stream__"):
        offbeat.score_table(scorer, columns(9))
    with pytest.raises(DataError, match="the DataFrame: no column 'pressure'; it has flow"):
        offbeat.score_table(scorer, pd.DataFrame({"flow": np.zeros(9)}))
    with pytest.raises(DataError, match=r"the Table: missing value in row 8, column 'flow'.*in Python missing="):
        offbeat.score_table(scorer, pa.table({"flow": [1.0] * 8 + [None], "pressure": [1.0] * 9}))
    twice = pd.concat([pd.DataFrame(columns(9))] * 2, axis=1)
    with pytest.raises(DataError, match=r"the DataFrame: Duplicate column names.*; expected columns of numbers"):
        offbeat.score_table(scorer, twice)
    with pytest.raises(DataError, match=r"the DataFrame: .*; expected columns of numbers"):
        offbeat.score_table(scorer, pd.DataFrame(columns(9)).assign(flow=[object()] * 9))
    with pytest.raises(DataError, match=r"the DataFrame: column 'flow': Failed to parse string: 'x'.*; expected Arrow"):
        offbeat.score_table(scorer, pd.DataFrame(columns(9)).assign(flow=["x"] * 9))
    with pytest.raises(ConfigurationError, match=r"columns is 'p_value'; expected a sequence of names"):
        offbeat.score_table(scorer, pa.table(columns(9)), columns="p_value")
    with pytest.raises(ConfigurationError, match=r"columns is 'forecast, forecast'; expected each at most once"):
        offbeat.score_table(scorer, pa.table(columns(9)), columns=("forecast", "forecast"))
    with pytest.raises(DataError, match=r"the ChunkedArray: .*; expected columns of numbers"):
        offbeat.score_table(scorer, pa.chunked_array([[1.0]]))
    with pytest.raises(ConfigurationError, match="alarm_k is 1, alarm_n is None"):
        offbeat.score_table(scorer, pa.table(columns(9)), alarm_k=1)


@pytest.mark.parametrize("seen", [0, -3, 1.5, 2.0, True, "2", float("nan")])
@pytest.mark.parametrize("field", ["stride", "batch_size", "alarm_n"])
def test_a_count_that_is_none_is_refused_by_its_field(scorer: offbeat.Scorer, field: str, seen: object) -> None:
    settings = {"alarm_k": 1, field: seen} if field == "alarm_n" else {field: seen}
    expected = "1 to " if type(seen) is int else "a whole number, 1 to "
    with pytest.raises(ConfigurationError, match=re.escape(f"{field} is {seen!r}; expected {expected}")):
        offbeat.score_table(scorer, pa.table(columns(9)), **settings)


def test_counts_may_be_numpys(scorer: offbeat.Scorer) -> None:
    table = pa.table(columns(20))
    scores = offbeat.score_table(
        scorer, table, stride=np.int64(2), batch_size=np.int32(3), alarm_k=1, alarm_n=np.int8(4)
    )
    assert scores == offbeat.score_table(scorer, table, stride=2, batch_size=3, alarm_k=1, alarm_n=4)


def test_an_empty_batch_between_others_is_no_rows(scorer: offbeat.Scorer) -> None:
    table = pa.table(columns(20) | {"pump": ["a", "b"] * 10})
    with_empty = pa.concat_tables([table[:7], table[:0], table[7:]])
    assert with_empty.column("pump").num_chunks == 3
    scores = offbeat.score_table(scorer, with_empty, series_column="pump")
    assert scores == offbeat.score_table(scorer, table, series_column="pump")
