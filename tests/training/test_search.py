from __future__ import annotations

import sqlite3
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from offbeat.data import Dataset
from offbeat.errors import CheckpointError, ConfigurationError, TrainingError
from offbeat_training import Checkpoint, TrainingConfig
from offbeat_training import search as search_module
from offbeat_training.fit import fit
from offbeat_training.generators import server_metrics, write_csv
from offbeat_training.run_config import RunConfig
from offbeat_training.search import best_trial, search
from offbeat_training.search_config import SearchConfig
from offbeat_training.search_space import Choices, Range, grid, parse_space
from offbeat_training.search_study import SearchTrial
from tests.training.commands import error_of, run
from tests.training.examples import waves

BASE = TrainingConfig(seq_len=20, stride=5, epochs=2, batch_size=32, device="cpu")
SPACE = ("hidden_size=2,4", "grad_clip=none,1", "lr=log:1e-4:1e-1")


def labelled() -> Dataset:
    dataset, labels = waves(), np.zeros(400, dtype=np.bool_)
    values = dataset.values.copy()
    labels[100:110] = True
    values[labels] += 20
    return msgspec.structs.replace(dataset, values=values, labels=labels)


def outcomes(trials: list[SearchTrial]) -> list[tuple[dict[str, Any], float | None]]:
    return [(trial.values, trial.metric) for trial in trials]


def test_a_space_is_the_default_one_changed_and_added_to() -> None:
    space = parse_space(("lr=lin:0.1:0.3", "hidden-size=none, 7", "seq_len=log:8:128:3", "bidirectional=true,false"))
    assert space == {
        "lr": Range(low=0.1, high=0.3, is_log=False, is_whole=False),
        "hidden_size": Choices(values=(None, 7)),
        "grad_clip": Choices(values=(None, 0.5, 1.0, 5.0)),
        "seq_len": Range(low=8, high=128, is_log=True, is_whole=True, n_points=3),
        "bidirectional": Choices(values=(True, False)),
    }


def test_a_grid_is_every_combination_of_evenly_spaced_points() -> None:
    points = grid(parse_space(("lr=log:1e-4:1e-2:3", "hidden_size=lin:1:3", "grad_clip=none")))
    assert len(points) == 3 * 3
    assert [point["hidden_size"] for point in points[:4]] == [1, 2, 3, 1]
    np.testing.assert_allclose([point["lr"] for point in points[::3]], [1e-4, 1e-3, 1e-2])
    assert all(1e-4 <= point["lr"] <= 1e-2 and point["grad_clip"] is None for point in points)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("lr", "expected NAME=VALUES"),
        ("mood=1,2", "NAME is a field of the configuration"),
        ("lr=log:0:1", "expected log:LOW:HIGH, above 0, of a field that is a number"),
        ("lr=lin:1:1", "expected lin:LOW:HIGH"),
        ("lr=lin:1", "expected lin:LOW:HIGH"),
        ("lr=lin:a:b", "expected lin:LOW:HIGH"),
        ("lr=lin:1:2:1", "expected 2 to 1,000 points"),
        ("optim=lin:1:2", "a field that is a number"),
        ("hidden_size=1.5", "'1.5' cannot be hidden_size"),
        ("hidden_size=", "'' cannot be hidden_size"),
        ("optim=adam,lion", "'lion' cannot be optim"),
    ],
)
def test_words_that_are_no_space_are_named(word: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_space((word,))
    assert str(caught.value).startswith(f"space is {word!r}")
    assert words in str(caught.value)


def test_a_field_that_is_given_leaves_the_space() -> None:
    assert set(parse_space((), ("lr", "epochs"))) == {"hidden_size", "grad_clip"}
    with pytest.raises(ConfigurationError, match="space is 'seq-len=20,30', and seq_len is given a value too"):
        parse_space(("seq-len=20,30",), ("seq_len",))
    with pytest.raises(ConfigurationError, match="space is empty, as grad_clip, hidden_size, lr are given"):
        parse_space((), ("lr", "hidden_size", "grad_clip"))


def test_the_command_keeps_what_a_flag_a_variable_or_a_file_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_csv(server_metrics(200), tmp_path / "metrics.csv")
    Path("search.toml").write_text("hidden-size = 3\nepochs = 1\nseq-len = 20\nstride = 9\ndevice = 'cpu'\n")
    flags = ("search", "metrics.csv", "--config", "search.toml", "--lr", 0.001, "--n-trials", 2)
    result = run(*flags)
    assert result.exit_code == 0, result.output
    assert "grad_clip" in result.output
    assert "hidden_size" not in result.output
    config = Checkpoint.load("model.ckpt").training_config
    assert (config["lr"], config["hidden_size"]) == (0.001, 3)
    assert "space is 'lr=1,2', and lr" in str(error_of(run(*flags, "--space", "lr=1,2", "--model-dir", "other")))
    assert "space is empty" in str(error_of(run(*flags, "--model-dir", "other", OFFBEAT_GRAD_CLIP="none")))
    assert not Path("other").exists()
    # Another search, though the value that is given is the default.
    refused = str(error_of(run(*flags[:4], "--n-trials", 2, "--resume")))
    assert "space is 'hidden_size=fixed'; expected 'hidden_size=fixed lr=fixed'" in refused


@pytest.mark.parametrize("changes", [{"method": "luck"}, {"metric": "f1"}, {"n_trials": 0}])
def test_settings_of_a_search_out_of_range_are_named(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=f"^{next(iter(changes))} is"):
        SearchConfig(**changes)


def test_the_best_trial_is_kept_whole_and_can_be_repeated(tmp_path: Path) -> None:
    config = SearchConfig(space=SPACE, n_trials=5, model_dir=tmp_path / "search")
    trials = search(waves(), BASE, config)
    best = best_trial(trials, config)
    assert best is not None
    assert best.metric == min(trial.metric for trial in trials if trial.metric is not None)
    kept = Checkpoint.load(tmp_path / "search" / "best.ckpt")
    assert kept.training["best_validation_loss"] == best.metric
    again = fit(waves(), msgspec.structs.replace(BASE, **best.values))
    assert all(torch.equal(tensor, again.state_dict[name]) for name, tensor in kept.state_dict.items())
    assert kept.training_config == msgspec.to_builtins(msgspec.structs.replace(BASE, **best.values))
    assert (tmp_path / "search" / "trials.png").read_bytes().startswith(b"\x89PNG")
    assert not list((tmp_path / "search").glob(".*"))


def test_a_search_in_several_sittings_is_the_one_in_one(tmp_path: Path) -> None:
    whole = search(waves(), BASE, SearchConfig(space=SPACE, n_trials=13, model_dir=tmp_path / "whole"))
    for n_trials in (4, 12, 13):
        config = SearchConfig(space=SPACE, n_trials=n_trials, model_dir=tmp_path / "parts", resume=True)
        parts = search(waves(), BASE, config)
    assert outcomes(parts) == outcomes(whole)
    assert len({trial.values["lr"] for trial in whole}) == 13


@pytest.mark.parametrize("method", ["tpe", "grid"])
def test_a_trial_that_was_killed_is_tried_again(method: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space = ("hidden_size=2,4", "grad_clip=none", "lr=log:1e-3:1e-2:2")
    config = SearchConfig(space=space, method=method, n_trials=4, model_dir=tmp_path / "killed", resume=True)
    fits = iter([True, False])

    def dying_fit(*arguments: Any) -> Checkpoint:
        if next(fits):
            return fit(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(search_module, "fit", dying_fit)
        with pytest.raises(KeyboardInterrupt):
            search(waves(), BASE, config)
    resumed = search(waves(), BASE, config)
    whole = search(waves(), BASE, msgspec.structs.replace(config, model_dir=tmp_path / "whole"))
    assert outcomes(resumed) == outcomes(whole)


def test_a_grid_ends_when_everything_is_tried(tmp_path: Path) -> None:
    space = ("hidden_size=2,4", "grad_clip=none", "lr=log:1e-3:1e-2:2")
    config = SearchConfig(space=space, method="grid", model_dir=tmp_path, resume=True)
    trials = search(waves(), BASE, config)
    assert [trial.values for trial in trials] == grid(parse_space(space))
    assert outcomes(search(waves(), BASE, config)) == outcomes(trials)


def test_a_trial_that_cannot_be_trained_is_told_and_passed_over(tmp_path: Path) -> None:
    config = SearchConfig(
        space=("seq_len=20,5000", "lr=0.01", "hidden_size=2", "grad_clip=none"), method="grid", model_dir=tmp_path
    )
    good, bad = search(waves(), BASE, config)
    assert (good.failure, bad.metric) == (None, None)
    assert "400 rows hold no window of 5000" in str(bad.failure)


def test_a_search_of_nothing_but_failures_is_an_error(tmp_path: Path) -> None:
    config = SearchConfig(space=("seq_len=5000",), n_trials=2, model_dir=tmp_path)
    with pytest.raises(TrainingError, match="none of 2 trials could be trained; the last: 400 rows"):
        search(waves(), BASE, config)


@pytest.mark.parametrize("metric", ["roc-auc", "pr-auc"])
@pytest.mark.parametrize("separate", [False, True])
def test_an_area_is_measured_on_labels(metric: Any, separate: bool, tmp_path: Path) -> None:
    config = SearchConfig(space=SPACE, n_trials=2, metric=metric, model_dir=tmp_path)
    trials = search(waves() if separate else labelled(), BASE, config, labelled=labelled() if separate else None)
    assert all(trial.metric is not None and trial.metric > 0.9 for trial in trials)
    assert best_trial(trials, config) == max(trials, key=lambda trial: trial.metric or 0.0)


def test_an_area_without_labels_is_an_error_before_any_training(tmp_path: Path) -> None:
    config = SearchConfig(space=SPACE, n_trials=1, metric="roc-auc", model_dir=tmp_path / "search")
    with pytest.raises(TrainingError, match="roc-auc needs labels of both kinds; give a label_column"):
        search(waves(), BASE, config)
    assert not (tmp_path / "search").exists()


def test_another_search_is_refused(tmp_path: Path) -> None:
    config = SearchConfig(space=SPACE, n_trials=1, model_dir=tmp_path)
    search(waves(), BASE, config)
    with pytest.raises(ConfigurationError, match="holds a search already; resume it"):
        search(waves(), BASE, config)
    resumed = msgspec.structs.replace(config, resume=True)
    for dataset, base, changed, words in (
        (waves(401), BASE, resumed, "the data are not those"),
        (waves(), msgspec.structs.replace(BASE, epochs=3), resumed, "epochs is 3; expected 2"),
        (waves(), BASE, msgspec.structs.replace(resumed, space=()), "space is ''"),
        (waves(), BASE, msgspec.structs.replace(resumed, method="grid"), "method is 'grid'"),
    ):
        with pytest.raises(CheckpointError, match=words):
            search(dataset, base, changed)


@pytest.mark.parametrize("resume", [False, True])
def test_a_search_and_a_run_leave_each_others_folders_alone(resume: bool, tmp_path: Path) -> None:
    settings = msgspec.structs.replace(BASE, hidden_size=2)
    fit(waves(), settings, run=RunConfig(model_dir=tmp_path / "run"))
    search(waves(), BASE, SearchConfig(space=SPACE, n_trials=1, model_dir=tmp_path / "search"))
    kept = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    with pytest.raises(ConfigurationError, match="run holds a training run; name another folder"):
        search(waves(), BASE, SearchConfig(space=SPACE, n_trials=1, model_dir=tmp_path / "run", resume=resume))
    with pytest.raises(ConfigurationError, match="search holds a search; name another folder"):
        fit(waves(), settings, run=RunConfig(model_dir=tmp_path / "search", resume=resume))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == kept


def test_a_file_that_is_no_study_is_refused(tmp_path: Path) -> None:
    config = SearchConfig(space=SPACE, n_trials=1, model_dir=tmp_path, resume=True)
    (tmp_path / "study.db").write_bytes(b"not a database at all, and long enough to be one" * 100)
    with pytest.raises(CheckpointError, match=r"study\.db: not a study") as caught:
        search(waves(), BASE, config)
    assert len(str(caught.value).splitlines()) == 1
    (tmp_path / "study.db").unlink()
    search(waves(), BASE, config)
    with sqlite3.connect(tmp_path / "study.db") as database:
        database.execute("update study_user_attributes set value_json = '7'")
    database.close()
    with pytest.raises(CheckpointError, match=r"study\.db: not a study"):
        search(waves(), BASE, config)


def test_the_command_prints_the_trials_and_writes_the_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_csv(server_metrics(400, n_anomalies=1, anomaly_minutes=40), tmp_path / "metrics.csv")
    Path("search.toml").write_text(
        'space = ["hidden_size=2,3", "grad_clip=none"]\nepochs = 1\nseq-len = 20\nstride = 5\n'
    )
    flags = ("--config", "search.toml", "--label-column", "label", "--metric", "roc-auc", "--device", "cpu")
    result = run("search", "metrics.csv", *flags, "--n-trials", 3, "--model-dir", "found", "--out", "best.ckpt")
    assert result.exit_code == 0, result.output
    for words in ("trial 3: ", "3 trials", "roc-auc", "hidden_size", "found/trials.png", "lstm_autoencoder on metrics"):
        assert words in result.output
    assert Checkpoint.load("best.ckpt").training == Checkpoint.load("found/best.ckpt").training
    again = run("train", "metrics.csv", "--config", "found/best.toml", "--out", "again.ckpt")
    assert again.exit_code == 0, again.output
    assert Checkpoint.load("again.ckpt").threshold == Checkpoint.load("best.ckpt").threshold
    assert "holds a search already" in str(error_of(run("search", "metrics.csv", *flags, "--model-dir", "found")))


def test_the_best_configuration_names_the_columns_that_were_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    dataset = waves(200, 3)
    lines = ['zeit;last 🌡;ein "b";rest;art']
    for index, (first, second, third) in enumerate(dataset.values):
        gap = "" if index == 50 else first
        lines.append(
            f"2026-01-01 {index // 60:02}:{index % 60:02};{gap};{second};{third};{'odd' if index > 190 else 'fine'}"
        )
    Path("metrics.csv").write_text("\n".join(lines), encoding="utf-8")
    columns = (
        "--features", 'ein "b",last 🌡', "--timestamp-column", "zeit", "--label-column", "art", "--normal-label", "fine",
        "--delimiter", ";", "--missing", "interpolate",
    )  # fmt: skip
    settings = ("--epochs", 1, "--seq-len", 20, "--stride", 5, "--device", "cpu", "--hidden-size", 2, "--n-trials", 2)
    result = run("search", "metrics.csv", *columns, *settings)
    assert result.exit_code == 0, result.output
    again = run("train", "metrics.csv", "--config", "search/best.toml", "--out", "again.ckpt")
    assert again.exit_code == 0, again.output
    best, repeated = Checkpoint.load("model.ckpt"), Checkpoint.load("again.ckpt")
    assert repeated.feature_names == best.feature_names == ('ein "b"', "last 🌡")
    assert repeated.threshold == best.threshold
    assert all(torch.equal(tensor, repeated.state_dict[name]) for name, tensor in best.state_dict.items())
    written = tomllib.loads(Path("search/best.toml").read_text(encoding="utf-8"))
    assert written.keys() & {"key", "layout"} == set()
    assert (written["missing"], written["normal_label"]) == ("interpolate", "fine")


def test_the_best_configuration_names_the_array_and_its_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("beats.npz", x=np.random.default_rng(0).normal(size=(40, 12)), other=np.zeros((40, 12)))
    settings = ("--key", "x", "--layout", "windows", "--epochs", 1, "--device", "cpu", "--hidden-size", 2)
    result = run("search", "beats.npz", *settings, "--n-trials", 1)
    assert result.exit_code == 0, result.output
    again = run("train", "beats.npz", "--config", "search/best.toml", "--out", "again.ckpt")
    assert again.exit_code == 0, again.output
    assert Checkpoint.load("again.ckpt").threshold == Checkpoint.load("model.ckpt").threshold
