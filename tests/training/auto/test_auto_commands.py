from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from offbeat.errors import ConfigurationError
from offbeat_training import Checkpoint
from offbeat_training.search_config import SearchConfig
from offbeat_training.search_space import parse_space
from tests.training.commands import error_of, run

FAST = ("--epochs", "2", "--hidden-size", "8", "--device", "cpu")


@pytest.fixture
def wave(tmp_path: Path) -> Path:
    rows = np.arange(500)
    values = np.sin(2 * np.pi * rows / 40) + 0.1 * np.random.default_rng(0).normal(size=500)
    np.savetxt(tmp_path / "wave.csv", values, header="load", comments="")
    return tmp_path / "wave.csv"


def test_train_says_what_was_chosen_and_why_and_records_it(wave: Path, tmp_path: Path) -> None:
    result = run("train", wave, "--preset", "auto", "--out", tmp_path / "m.ckpt", *FAST)
    assert result.exit_code == 0, result.output
    assert "auto chose: a series of 500 rows, as there is one feature" in result.output
    assert "auto chose: windows of 200 rows (5 times the dominant period of 40 rows), one every row" in result.output
    config = Checkpoint.load(tmp_path / "m.ckpt").training_config
    assert (config["preset"], config["seq_len"], config["epochs"], config["refit"]) == ("denoising", 200, 2, True)


def test_a_flag_wins_even_where_it_is_the_default_and_a_file_and_a_variable_too(wave: Path, tmp_path: Path) -> None:
    (tmp_path / "train.toml").write_text('preset = "auto"\nepochs = 2\nhidden-size = 8\nbatch-size = 128\n')
    arguments = ("--config", tmp_path / "train.toml", "--seq-len", "50", "--no-refit", "--out", tmp_path / "m.ckpt")
    assert run("train", wave, *arguments, OFFBEAT_PERCENTILE="95").exit_code == 0
    config = Checkpoint.load(tmp_path / "m.ckpt").training_config
    assert (config["preset"], config["seq_len"], config["refit"]) == ("denoising", 50, False)
    assert (config["batch_size"], config["percentile"]) == (128, 95.0)


def test_a_flag_of_another_preset_is_one_line_of_error(wave: Path, tmp_path: Path) -> None:
    result = run("train", wave, "--preset", "auto", "--beta", "0.1", "--out", tmp_path / "m.ckpt")
    assert "beta is 0.1; expected none with preset denoising: it goes with variational" in str(error_of(result))


def test_a_search_begins_from_what_auto_chose(wave: Path, tmp_path: Path) -> None:
    arguments = ("--preset", "auto", "--epochs", "2", "--n-trials", "2", "--device", "cpu")
    folder = ("--model-dir", tmp_path / "search", "--out", tmp_path / "m.ckpt")
    result = run("search", wave, *arguments, *folder, "--space", "hidden_size=4,8")
    assert result.exit_code == 0, result.output
    assert "auto chose: windows of 200 rows" in result.output
    assert Checkpoint.load(tmp_path / "m.ckpt").training_config["preset"] == "denoising"
    assert 'preset = "denoising"' in (tmp_path / "search" / "best.toml").read_text()


def test_auto_is_no_point_of_a_space() -> None:
    with pytest.raises(ConfigurationError, match="auto is resolved once, before the search"):
        parse_space(("preset=auto,repeat",), SearchConfig().fixed)
