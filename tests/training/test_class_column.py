from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from offbeat.data import ColumnSelection, Dataset, read_dataset
from offbeat.errors import ConfigurationError, DataError, OffbeatError, TrainingError
from offbeat_training import Checkpoint, TrainingConfig
from offbeat_training.class_labels import class_names, class_numbers
from offbeat_training.fit import fit
from tests.training.commands import error_of, run
from tests.training.examples import waves

N_ROWS = 300
SMALL = ("--preset", "repeat-classifier", "--seq-len", 10, "--hidden-size", 3, "--epochs", 1, "--device", "cpu")
WORDS = np.array(["idle", "busy", "off"])[np.arange(N_ROWS) // 7 % 3]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A csv file with columns of words, of numbers, and of what cannot be classes."""
    monkeypatch.chdir(tmp_path)
    columns = {
        "load": waves(N_ROWS, 1).values[:, 0],
        "mode": WORDS,
        "level": np.arange(N_ROWS) // 7 % 3 * 5 + 5,
        "share": np.arange(N_ROWS) / 8,
        "one": np.full(N_ROWS, "same"),
        "gap": np.where(np.arange(N_ROWS) == 4, "", WORDS),
    }
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    (tmp_path / "data.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "data.csv"


@pytest.mark.parametrize(("column", "names"), [("mode", ("busy", "idle", "off")), ("level", ("5", "10", "15"))])
def test_a_column_of_words_or_of_whole_numbers_is_learnt_and_its_words_are_kept(
    data: Path, column: str, names: tuple[str, ...]
) -> None:
    result = run("train", data, *SMALL, "--features", "load", "--class-column", column)
    assert result.exit_code == 0, result.output
    checkpoint = Checkpoint.load("model.ckpt")
    assert tuple(checkpoint.training["class_names"]) == names
    assert checkpoint.architecture_settings["n_classes"] == 3
    assert checkpoint.feature_names == ("load",)


def test_the_column_comes_from_a_variable_or_a_file_too_and_is_no_feature(data: Path) -> None:
    Path("train.toml").write_text("class-column = 'mode'\nfeatures = 'load,level'\npreset = 'repeat-classifier'\n")
    flags = SMALL[2:]
    assert run("train", data, *flags, "--config", "train.toml").exit_code == 0
    from_file = Checkpoint.load("model.ckpt")
    dataset = read_dataset(data, ColumnSelection(features=("load", "level"), class_column="mode"))
    named = fit(
        dataset,
        TrainingConfig(preset="repeat-classifier", seq_len=10, hidden_size=3, epochs=1, device="cpu"),
    )
    assert all((named.state_dict[name] == tensor).all() for name, tensor in from_file.state_dict.items())
    result = run("train", data, *SMALL, "--features", "load", OFFBEAT_CLASS_COLUMN="level")
    assert result.exit_code == 0, result.output
    assert Checkpoint.load("model.ckpt").training["class_names"] == ("5", "10", "15")


def test_a_search_learns_classes_too(data: Path) -> None:
    flags = ("--features", "load", "--class-column", "mode", "--n-trials", 2, "--space", "hidden_size=2,3")
    result = run("search", data, *SMALL[:4], "--epochs", 1, "--device", "cpu", *flags)
    assert result.exit_code == 0, result.output
    assert 'class_column = "mode"' in Path("search/best.toml").read_text()
    repeated = run("train", data, "--config", "search/best.toml", "--out", "again.ckpt")
    assert repeated.exit_code == 0, repeated.output
    best, again = Checkpoint.load("search/best.ckpt"), Checkpoint.load("again.ckpt")
    assert all((best.state_dict[name] == tensor).all() for name, tensor in again.state_dict.items())


REFUSED: list[tuple[tuple[object, ...], type[OffbeatError], str]] = [
    (SMALL, ConfigurationError, "class_column is None; expected a column's name: preset repeat-classifier learns"),
    (("--class-column", "mode"), ConfigurationError, "--class-column is given, .* goes with --preset repeat-class"),
    ((*SMALL, "--class-column", "mood"), DataError, "no column 'mood'"),
    ((*SMALL, "--class-column", "gap"), DataError, r"line 6 \(row 4\) has no class; expected one in every row"),
    ((*SMALL, "--class-column", "load"), ConfigurationError, "class_column is 'load'; expected another column"),
]
# Of a search each such trial is one that failed, told in its own words.
NOT_LEARNT: list[tuple[tuple[object, ...], type[OffbeatError], str]] = [
    ((*SMALL, "--class-column", "share"), TrainingError, r"class_column holds 0\.125; expected words or whole"),
    ((*SMALL, "--class-column", "one"), TrainingError, "class_labels are all same; expected at least two classes"),
]


@pytest.mark.parametrize(
    ("command", "flags", "kind", "words"),
    [*(("train", *case) for case in (*REFUSED, *NOT_LEARNT)), *(("search", *case) for case in REFUSED)],
)
def test_a_column_that_cannot_be_learnt_is_refused_before_training(
    data: Path, command: str, flags: tuple[object, ...], kind: type[OffbeatError], words: str
) -> None:
    with pytest.raises(kind, match=words):
        raise error_of(run(command, data, "--features", "load", *flags))
    assert not Path("model.ckpt").exists()


def test_classes_of_other_files_are_read_too(tmp_path: Path) -> None:
    values, level = waves(30, 1).values, np.arange(30) % 2 + 1
    np.savez(tmp_path / "t.npz", x=values, kind=level.astype(float))
    dataset = read_dataset(tmp_path / "t.npz", ColumnSelection(class_column="kind"))
    assert class_names(dataset) == ("1", "2")
    np.testing.assert_array_equal(class_numbers(dataset), level - 1)
    parquet.write_table(pa.table({"x": values[:, 0], "kind": level}), tmp_path / "t.parquet")
    dataset = read_dataset(tmp_path / "t.parquet", ColumnSelection(class_column="kind"))
    assert dataset.feature_names == ("x",)
    np.testing.assert_array_equal(class_numbers(dataset), level - 1)


def test_numbers_among_words_are_words_and_equal_numbers_one_class() -> None:
    def of(*words: str) -> Dataset:
        return Dataset(
            name="t", values=np.zeros((len(words), 1), np.float32), feature_names=("x",), classes=np.array(words)
        )

    assert class_names(of("10", "9", "b")) == ("10", "9", "b")
    assert class_names(of("10", "9", "9.0")) == ("9", "10")
    numbers = class_numbers(of("10", "9", "9.0"))
    assert numbers is not None
    assert numbers.tolist() == [1, 0, 0]
    with pytest.raises(DataError, match="classes have shape"):
        Dataset(name="t", values=np.zeros((3, 1), np.float32), feature_names=("x",), classes=np.array(["a"]))


def test_classes_are_given_once() -> None:
    dataset = read_with_classes()
    config = TrainingConfig(preset="repeat-classifier", seq_len=10, hidden_size=3, epochs=1, device="cpu")
    with pytest.raises(TrainingError, match="expected one of the two"):
        fit(dataset, config, class_labels=np.arange(N_ROWS) % 2)


def read_with_classes() -> Dataset:
    plain = waves(N_ROWS, 1)
    return Dataset(name="t", values=plain.values, feature_names=plain.feature_names, classes=WORDS)
