from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import numpy as np
import pyarrow
import pytest
from pyarrow import feather, parquet

from offbeat.bulk import Scores
from offbeat.cli.score_table import write_scores
from offbeat.errors import DataError
from offbeat.result import Threshold
from offbeat_training.evaluation import LabelSelection, read_labels, read_scores
from offbeat_training.evaluation.score_file import LARGEST_ERROR

SCORES = (
    "row,timestamp,reconstruction_error,anomaly_score,is_anomaly\n"
    "0,2014-07-01 00:00:00,0.25,0.125,0\n"
    "1,2014-07-01 00:30:00,1.5,0.75,1\n"
    "2,2014-07-01 01:00:00,9,1,1\n"
)
NAB = '{"real/taxi.csv": [["2014-07-01 00:30:00.000000", "2014-07-01 01:00:00.000000"]], "real/other.csv": []}'


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_scores_of_rows_are_read_back(tmp_path: Path) -> None:
    scores = read_scores(write(tmp_path / "scores.csv", SCORES))
    assert (scores.name, scores.unit) == ("scores.csv", "row")
    assert scores.errors.tolist() == [0.25, 1.5, 9.0]
    assert scores.is_flagged.tolist() == [False, True, True]
    assert scores.timestamps is not None
    assert scores.timestamps[1] == "2014-07-01 00:30:00"


def test_scores_of_windows_without_time_stamps_are_read_back(tmp_path: Path) -> None:
    text = "window,timestamp,reconstruction_error,anomaly_score,is_anomaly\n0,,0.5,0.25,0\n1,,2,1,1\n"
    scores = read_scores(write(tmp_path / "scores.csv", text))
    assert (scores.unit, scores.timestamps) == ("window", None)
    assert scores.is_flagged.tolist() == [False, True]


def test_scores_of_samples_are_read_back(tmp_path: Path) -> None:
    assert read_scores(write(tmp_path / "scores.csv", SCORES.replace("row,", "sample,"))).unit == "sample"


@pytest.mark.parametrize("word", ["inf", "1e39", "3.40282347e+38"])
def test_an_infinite_error_is_the_largest_of_all(word: str, tmp_path: Path) -> None:
    scores = read_scores(write(tmp_path / "scores.csv", SCORES.replace("1.5", word)))
    assert scores.errors.tolist() == [0.25, float(np.finfo(np.float32).max), 9.0]


FORMATS = {"csv": "csv", "jsonl": "jsonl", "ndjson": "jsonl", "parquet": "parquet", "arrow": "arrow"}


def scored(errors: list[float], *, has_time: bool = True) -> Scores:
    manifest = FakeManifest(threshold=Threshold(value=1.0, method="fixed"))
    timestamps = np.array([f"2014-07-01 00:{minute:02}:00" for minute in range(len(errors))]) if has_time else None
    scores = Scores.of("row", manifest, np.array(errors), timestamps)  # type: ignore[arg-type]
    return msgspec.structs.replace(scores, alarm=~scores.is_anomaly)


class FakeManifest(msgspec.Struct, frozen=True):
    threshold: Threshold


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("has_time", [True, False], ids=["with time", "without time"])
def test_scores_in_every_format_are_read_alike_infinite_ones_too(ending: str, has_time: bool, tmp_path: Path) -> None:
    errors = [0.25, float(np.float32(1.1)), float("inf"), 0.0]
    file = tmp_path / f"scores.{ending}"
    write_scores([scored(errors, has_time=has_time)], file, FORMATS[ending], sys.stdout.buffer)  # type: ignore[arg-type]
    read, alarms = read_scores(file), read_scores(file, "alarm")
    assert (read.name, read.unit) == (file.name, "row")
    assert read.errors.tolist() == [*errors[:2], LARGEST_ERROR, 0.0]
    assert read.anomaly_scores is not None
    assert read.anomaly_scores.tolist() == [0.125, float(np.float32(0.55)), 1.0, 0.0]
    assert read.is_flagged.tolist() == [False, True, True, False] == (~alarms.is_flagged).tolist()
    assert (None if read.timestamps is None else read.timestamps[3]) == ("2014-07-01 00:03:00" if has_time else None)


@pytest.mark.parametrize(
    ("ending", "where"), [("jsonl", r"line 2 \(row 1\)"), ("parquet", "row 1"), ("arrow", "row 1")]
)
def test_a_line_without_a_score_is_refused_in_every_format(ending: str, where: str, tmp_path: Path) -> None:
    file = tmp_path / f"scores.{ending}"
    write_scores([scored([0.25, float("nan")])], file, FORMATS[ending], sys.stdout.buffer)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=rf"{where}: reconstruction_error is missing; expected a number from 0 up"):
        read_scores(file)


@pytest.mark.parametrize("ending", ["jsonl", "parquet", "arrow", "npz"])
def test_a_file_in_another_format_that_score_did_not_write_is_named(ending: str, tmp_path: Path) -> None:
    for content in (b"", b"row,anomaly_score\n", b'{"row": 0}\n', b'{"a": 0}\n', b"PAR1"):
        (tmp_path / f"scores.{ending}").write_bytes(content)
        with pytest.raises(DataError, match=rf"scores\.{ending}: "):
            read_scores(tmp_path / f"scores.{ending}")
    with pytest.raises(DataError, match=rf"absent\.{ending}: "):
        read_scores(tmp_path / f"absent.{ending}")


@pytest.mark.parametrize("word", ["nan", "-inf", "-1", "x", ""])
def test_an_error_that_cannot_be_one_is_refused_by_its_line(word: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"scores\.csv: line 3: reconstruction_error is "):
        read_scores(write(tmp_path / "scores.csv", SCORES.replace("1.5", word)))


@pytest.mark.parametrize(
    "text",
    [
        "",
        SCORES.splitlines()[0],
        SCORES + "3,,1\n",
        "a,b\n1,2\n",
        SCORES.replace("row,", "line,"),
        SCORES.replace("0.25", ""),
        SCORES.replace("is_anomaly", "flag"),
    ],
)
def test_a_file_that_score_did_not_write_is_an_error_naming_it(text: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"scores\.csv"):
        read_scores(write(tmp_path / "scores.csv", text))


def test_labels_come_from_the_named_column(tmp_path: Path) -> None:
    file = write(tmp_path / "test.csv", "timestamp,cpu,label\n2024-01-01,5,0\n2024-01-02,6,1\n2024-01-03,7,2\n")
    assert read_labels(file, LabelSelection(label_column="label"), None).tolist() == [False, True, True]


def test_labels_come_from_the_only_column(tmp_path: Path) -> None:
    file = write(tmp_path / "labels.csv", "is_anomaly\n0\n1\n0\n")
    assert read_labels(file, LabelSelection(), None).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("words", "normal"), [("False,True", "0"), ("ok,bad", "ok"), ("0.0,1", "0"), ("0,True", "False"), ("1,2", "1.0")]
)
@pytest.mark.parametrize("kind", ["csv", "csv beside words", "jsonl", "parquet", "arrow", "npz"])
def test_labels_are_judged_by_the_words_that_train_judges_them_by(
    words: str, normal: str, kind: str, tmp_path: Path
) -> None:
    labels = [words.split(",")[index] for index in (0, 1, 0)]
    file = tmp_path / f"labels.{kind.split()[0]}"
    if kind == "npz":
        np.savez(file, labels=np.array(labels))
    elif kind == "jsonl":
        file.write_bytes(msgspec.json.Encoder().encode_lines([{"time": "a", "label": label} for label in labels]))
    elif kind in ("parquet", "arrow"):
        table = pyarrow.table({"time": ["a", "b", "c"], "label": labels})
        (parquet.write_table if kind == "parquet" else feather.write_feather)(table, file)
    else:
        beside = ("host,", "web,") if "beside" in kind else ("", "")
        write(file, "\n".join([f"{beside[0]}label", *(beside[1] + label for label in labels)]) + "\n")
    selection = LabelSelection(label_column="label" if "beside" in kind else None, normal_label=normal)
    assert read_labels(file, selection, None).tolist() == [False, True, False]


def test_a_line_without_a_label_is_an_error(tmp_path: Path) -> None:
    file = write(tmp_path / "test.csv", "cpu,label\n5,ok\n6,\n")
    with pytest.raises(DataError, match=r"line 3 \(row 1\) has no label"):
        read_labels(file, LabelSelection(label_column="label", normal_label="ok"), None)
    objects = write(tmp_path / "test.jsonl", '{"cpu": 5, "label": "ok"}\n\n{"cpu": 6}\n')
    with pytest.raises(DataError, match=r"line 3 \(row 1\) has no label"):
        read_labels(objects, LabelSelection(label_column="label", normal_label="ok"), None)


def test_a_column_must_be_named_where_there_are_several(tmp_path: Path) -> None:
    file = write(tmp_path / "test.csv", "cpu,label\n5,0\n6,1\n")
    with pytest.raises(DataError, match="cpu, label; expected the name of one of them"):
        read_labels(file, LabelSelection(), None)


def test_labels_come_from_an_array_and_another_label_may_be_the_normal_one(tmp_path: Path) -> None:
    np.savez(tmp_path / "beats.npz", x=np.zeros((4, 3)), classes=np.array([1, 2, 1, 5]))
    selection = LabelSelection(label_column="classes", normal_label="1")
    assert read_labels(tmp_path / "beats.npz", selection, None).tolist() == [False, True, False, True]


def test_windows_of_nab_include_both_of_their_ends(tmp_path: Path) -> None:
    file = write(tmp_path / "combined_windows.json", NAB)
    timestamps = np.array([f"2014-07-01 0{minutes // 60}:{minutes % 60:02}:00" for minutes in range(0, 120, 15)])
    labels = read_labels(file, LabelSelection(series="real/taxi.csv"), timestamps)
    assert np.flatnonzero(labels).tolist() == [2, 3, 4]
    assert not read_labels(file, LabelSelection(series="real/other.csv"), timestamps).any()


@pytest.mark.parametrize(
    ("text", "series", "timestamps", "named"),
    [
        (NAB, "real/taxi.csv", None, "no time stamps"),
        (NAB, None, ["2014-07-01"], "name one with --series: real/taxi.csv"),
        (NAB, "real/bus.csv", ["2014-07-01"], "no series 'real/bus.csv'"),
        (NAB, "real/taxi.csv", ["yesterday"], "cannot be compared"),
        ("[1, 2", "x", ["2014-07-01"], "expected NAB's"),
        ('{"x": [["a"]]}', "x", ["2014-07-01"], "expected NAB's"),
    ],
)
def test_windows_that_cannot_be_used_are_an_error(
    text: str, series: str | None, timestamps: list[str] | None, named: str, tmp_path: Path
) -> None:
    file = write(tmp_path / "w.json", text)
    with pytest.raises(DataError, match=named):
        read_labels(file, LabelSelection(series=series), None if timestamps is None else np.array(timestamps))


def test_missing_label_files_are_an_error(tmp_path: Path) -> None:
    for name in ("labels.csv", "labels.npz"):
        with pytest.raises(DataError, match=name):
            read_labels(tmp_path / name, LabelSelection(), None)
    with pytest.raises(DataError, match=r"windows\.json"):
        read_labels(tmp_path / "windows.json", LabelSelection(series="x"), np.array(["2014-07-01"]))


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["0,,1,1,1", "", "1,,1,1,1"], "line 3 has 0 cells; expected 5, as in the heading"),
        (["0,,1,1"], "line 2 has 4 cells; expected 5"),
        ([], "holds no scores; expected a heading"),
    ],
)
def test_a_score_file_with_lines_missing_or_cut_names_the_line(tmp_path: Path, lines: list[str], words: str) -> None:
    heading = "row,timestamp,reconstruction_error,anomaly_score,is_anomaly"
    (tmp_path / "scores.csv").write_text("\n".join([heading, *lines]) + "\n")
    with pytest.raises(DataError, match=words):
        read_scores(tmp_path / "scores.csv")
