from __future__ import annotations

from pathlib import Path

import pytest

from offbeat.errors import ConfigurationError
from offbeat_training import Checkpoint
from offbeat_training.generators import server_metrics, write_csv
from tests.training.commands import error_of, run

SETTINGS = """
seq-len = 30
epochs = 1
hidden_size = 5
lr = 1
grad_clip = "none"
device = "cpu"
features = ["memory", "cpu"]
label-column = "label"
"""


@pytest.fixture
def metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_csv(server_metrics(300, n_anomalies=1, anomaly_minutes=30), tmp_path / "metrics.csv")
    return tmp_path / "metrics.csv"


def test_a_file_sets_what_flags_set(metrics: Path) -> None:
    Path("train.toml").write_text(SETTINGS + 'out = "toml.ckpt"\nmodel-dir = "run"\nresume = true\n')
    result = run("train", metrics, "--config", "train.toml")
    assert result.exit_code == 0, result.output
    checkpoint = Checkpoint.load("toml.ckpt")
    assert checkpoint.feature_names == ("memory", "cpu")
    assert checkpoint.architecture_settings["hidden_size"] == 5
    assert checkpoint.window is not None
    assert checkpoint.window.length == 30
    assert Path("run/history.csv").read_text().splitlines()[1].split(",")[3] == "1.0"


def test_flags_win_over_variables_and_variables_over_the_file(metrics: Path) -> None:
    Path("train.toml").write_text(SETTINGS)
    variables = {"OFFBEAT_HIDDEN_SIZE": "6", "OFFBEAT_SEQ_LEN": "20", "OFFBEAT_CONFIG": "train.toml"}
    result = run("train", metrics, "--hidden-size", 7, **variables)
    assert result.exit_code == 0, result.output
    checkpoint = Checkpoint.load("model.ckpt")
    assert checkpoint.window is not None
    assert (checkpoint.architecture_settings["hidden_size"], checkpoint.window.length) == (7, 20)
    assert checkpoint.training["n_epochs"] == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("banana = 1", "unknown key 'banana'; expected the name of a flag of this command"),
        ("hiden-size = 3", "unknown key 'hiden-size'; did you mean 'hidden-size'?"),
        ("hiden_size = 3", "unknown key 'hiden_size'; did you mean 'hidden-size'?"),
        ("config = 'other.toml'", "unknown key 'config'"),
        ("data = 'other.csv'", "unknown key 'data'"),
        ("[training]\nlr = 1", "unknown key 'training'"),
        ("seq-len = 3\nseq_len = 3", "key 'seq_len' is given twice"),
        ("seq-len = 3.5", "seq-len is '3.5'; expected a whole number"),
        ("epochs = 2.5", "epochs is '2.5'; expected a whole number"),
        ("epochs = true", "epochs is 'true'; expected a whole number"),
        ("epochs = [1, 2]", "epochs is [1, 2]; expected one value"),
        ("epochs = 2020-01-01", "epochs is datetime.date(2020, 1, 1); expected a word, a number"),
        ("lr = 'fast'", "lr is 'fast'; expected a number"),
        ("optim = 'lion'", "optim: 'lion' is not one of 'adam', 'adamw', 'sgd'"),
        ("resume = 'perhaps'", "resume is 'perhaps'; expected true or false"),
        ("grad-clip = 'x'", "grad-clip: 'x' is no number; expected one, or none"),
        ("lr = ", "not a TOML file"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_file_names_the_file_and_the_key(metrics: Path, text: str, words: str) -> None:
    Path("train.toml").write_text(text)
    error = error_of(run("train", metrics, "--config", "train.toml"))
    assert isinstance(error, ConfigurationError)
    assert str(error).startswith("train.toml: ")
    assert words in str(error)


def test_a_file_that_is_not_there_is_an_error(metrics: Path) -> None:
    assert "absent.toml: cannot be read" in str(error_of(run("train", metrics, "--config", "absent.toml")))


def test_a_clip_of_none_undoes_that_of_the_file(metrics: Path) -> None:
    Path("train.toml").write_text(SETTINGS.replace('"none"', "-1"))
    assert "grad_clip is -1.0" in str(error_of(run("train", metrics, "--config", "train.toml")))
    assert run("train", metrics, "--config", "train.toml", "--grad-clip", "none").exit_code == 0
