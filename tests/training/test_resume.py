from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from offbeat.data import Dataset
from offbeat.errors import CheckpointError, ConfigurationError
from offbeat_training import Checkpoint, TrainingConfig
from offbeat_training.fit import fit
from offbeat_training.history import Epoch
from offbeat_training.resume_state import RunIdentity
from offbeat_training.run_config import RunConfig
from tests.training.examples import table, waves

CONFIG = TrainingConfig(
    seq_len=20, stride=5, hidden_size=6, num_layers=2, dropout=0.3, epochs=7, batch_size=16, lr=0.01, device="cpu"
)
TABLE = TrainingConfig(preset="tabular", hidden_size=8, latent_dim=2, epochs=7, batch_size=32, device="cpu")
VARIATIONAL = msgspec.structs.replace(TABLE, preset="variational", n_draws=3)
SGD = msgspec.structs.replace(CONFIG, optim="sgd", lr=0.5)
# Dies by SIGKILL, which nothing can catch, in the third epoch: in a batch, or half way through writing a file.
DYING_RUN = """
import io, os, signal, sys
from pathlib import Path
import msgspec, torch
from offbeat_training import run_folder
from offbeat_training.fit import fit
from offbeat_training.reconstruction_task import ReconstructionTask
from offbeat_training.resume_state import RunIdentity
from offbeat_training.run_config import RunConfig
from tests.training.examples import waves
from tests.training.test_resume import CONFIG

folder, moment = Path(sys.argv[1]), sys.argv[2]
run_folder.WRITE_INTERVAL_S = float(sys.argv[3])
save, step, n_saved = torch.save, ReconstructionTask.training_step, 0

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def dying_save(content, file):
    global n_saved
    n_saved += moment in file.name
    if n_saved == 3:
        whole = io.BytesIO()
        save(content, whole)
        file.write(whole.getvalue()[: whole.tell() // 2])
        file.flush()
        die()
    save(content, file)

def dying_step(task, batch, index):
    if moment == "batch" and task.current_epoch == 2 and index == 1:
        die()
    return step(task, batch, index)

torch.save, ReconstructionTask.training_step = dying_save, dying_step
fit(waves(), CONFIG, run=RunConfig(model_dir=folder))
"""


def losses(folder: Path) -> list[list[str]]:
    """The history without its seconds."""
    with (folder / "history.csv").open() as file:
        return [row[:-1] for row in csv.reader(file)]


def assert_same_run(resumed: Checkpoint, whole: Checkpoint, folder: Path, whole_folder: Path) -> None:
    for name, tensor in whole.state_dict.items():
        assert torch.equal(tensor, resumed.state_dict[name]), name
    assert resumed.threshold == whole.threshold
    assert resumed.training | {"trained_at": ""} == whole.training | {"trained_at": ""}
    assert losses(folder) == losses(whole_folder)
    last, whole_last = Checkpoint.load(folder / "last.ckpt"), Checkpoint.load(whole_folder / "last.ckpt")
    assert all(torch.equal(tensor, last.state_dict[name]) for name, tensor in whole_last.state_dict.items())
    assert last.threshold == whole_last.threshold


@pytest.mark.parametrize(
    ("dataset", "config"),
    [(waves(), CONFIG), (waves(), SGD), (table(), TABLE), (table(), VARIATIONAL)],
    ids=["series", "sgd", "table", "variational"],
)
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(
    dataset: Dataset, config: TrainingConfig, tmp_path: Path
) -> None:
    whole = fit(dataset, config, run=RunConfig(model_dir=tmp_path / "whole"))
    parts = RunConfig(model_dir=tmp_path / "parts", resume=True)
    for epochs in (3, 4, 7):
        resumed = fit(dataset, msgspec.structs.replace(config, epochs=epochs), run=parts)
    assert_same_run(resumed, whole, tmp_path / "parts", tmp_path / "whole")


def test_the_folder_changes_nothing_about_the_model(tmp_path: Path) -> None:
    kept, plain = fit(waves(), CONFIG, run=RunConfig(model_dir=tmp_path / "run")), fit(waves(), CONFIG)
    assert all(torch.equal(tensor, plain.state_dict[name]) for name, tensor in kept.state_dict.items())
    assert kept.threshold == plain.threshold


@pytest.mark.parametrize(
    ("moment", "interval_s", "n_written"), [("batch", 0, 2), ("resume.pt", 0, 2), ("batch", 3600, 1)]
)
def test_a_run_that_was_killed_resumes_as_if_nothing_had_happened(
    moment: str, interval_s: float, n_written: int, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", DYING_RUN, tmp_path / "killed", moment, str(interval_s)]
    killed = subprocess.run(command, check=False)
    assert killed.returncode == -9
    left = torch.load(tmp_path / "killed" / "resume.pt", weights_only=True)
    assert len(left["history"]) == n_written
    assert len(losses(tmp_path / "killed")) == 1 + (3 if moment == "resume.pt" else 2)
    resumed = fit(waves(), CONFIG, run=RunConfig(model_dir=tmp_path / "killed", resume=True))
    whole = fit(waves(), CONFIG, run=RunConfig(model_dir=tmp_path / "whole"))
    assert_same_run(resumed, whole, tmp_path / "killed", tmp_path / "whole")
    assert sorted(path.name for path in (tmp_path / "killed").iterdir()) == [
        "best.ckpt", "history.csv", "last.ckpt", "resume.pt",
    ]  # fmt: skip


def test_early_stopping_counts_on_across_a_resumption(tmp_path: Path) -> None:
    config = msgspec.structs.replace(CONFIG, lr=0.3, epochs=200, patience=4)
    whole = fit(waves(), config, run=RunConfig(model_dir=tmp_path / "whole"))
    n_epochs = whole.training["n_epochs"]
    parts = RunConfig(model_dir=tmp_path / "parts", resume=True)
    fit(waves(), msgspec.structs.replace(config, epochs=n_epochs - 2), run=parts)
    for _ in range(2):  # The second time there is nothing left to do.
        resumed = fit(waves(), config, run=parts)
        assert_same_run(resumed, whole, tmp_path / "parts", tmp_path / "whole")


def test_the_folder_holds_the_best_and_the_last_checkpoint_and_the_history(tmp_path: Path) -> None:
    config = msgspec.structs.replace(CONFIG, lr=0.3, epochs=200, patience=4)
    final = fit(waves(), config, run=RunConfig(model_dir=tmp_path / "run"))
    best, last = Checkpoint.load(tmp_path / "run" / "best.ckpt"), Checkpoint.load(tmp_path / "run" / "last.ckpt")
    assert best.training == final.training
    assert all(torch.equal(tensor, best.state_dict[name]) for name, tensor in final.state_dict.items())
    assert any(not torch.equal(tensor, last.state_dict[name]) for name, tensor in final.state_dict.items())
    heading, *rows = losses(tmp_path / "run")
    assert (*heading, "seconds") == Epoch.__struct_fields__
    assert [int(row[0]) for row in rows] == list(range(1, final.training["n_epochs"] + 1))
    assert min(float(row[2]) for row in rows) == final.training["best_validation_loss"]
    assert {float(row[3]) for row in rows} == {0.3}


def test_a_folder_that_holds_a_run_is_not_overwritten(tmp_path: Path) -> None:
    short = msgspec.structs.replace(CONFIG, epochs=1)
    fit(waves(), short, run=RunConfig(model_dir=tmp_path / "run"))
    with pytest.raises(ConfigurationError, match="holds a run already; resume it, or name another folder"):
        fit(waves(), short, run=RunConfig(model_dir=tmp_path / "run"))


def test_a_folder_that_cannot_be_made_is_an_error_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"model_dir .*file/run: cannot be made"):
        fit(waves(), CONFIG, run=RunConfig(model_dir=tmp_path / "file" / "run"))


def test_resuming_needs_a_folder() -> None:
    with pytest.raises(ConfigurationError, match="model_dir is None; expected a folder: resume needs one"):
        RunConfig(resume=True)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("begun")
    fit(waves(), msgspec.structs.replace(CONFIG, epochs=1), run=RunConfig(model_dir=folder))
    return folder


@pytest.mark.parametrize(
    ("dataset", "changes", "words"),
    [
        (waves(), {"lr": 0.02}, "lr is 0.02; expected 0.01, as when the run began"),
        (waves(), {"seed": 1}, "seed is 1; expected 0"),
        (waves(n_rows=401), {}, "the data are not those that the run began with"),
        (waves(n_features=3), {}, "the data are not those that the run began with"),
    ],
)
def test_another_run_is_refused(begun: Path, dataset: Dataset, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(CheckpointError, match=words) as caught:
        fit(dataset, msgspec.structs.replace(CONFIG, **changes), run=RunConfig(model_dir=begun, resume=True))
    assert str(begun / "resume.pt") in str(caught.value)


@pytest.mark.parametrize("part", ["labels", "classes"])
def test_other_labels_or_classes_of_the_same_values_are_another_run(part: str) -> None:
    dataset, classes = waves(), np.zeros(len(waves().values), np.int64)
    labels = np.zeros(len(classes), np.bool_)
    begun = RunIdentity.of(msgspec.structs.replace(dataset, labels=labels), classes, CONFIG)
    begun.check_same(RunIdentity.of(msgspec.structs.replace(dataset, labels=labels.copy()), classes.copy(), CONFIG))
    (labels if part == "labels" else classes)[7] = 1
    with pytest.raises(CheckpointError, match="the same values and labels"):
        begun.check_same(RunIdentity.of(msgspec.structs.replace(dataset, labels=labels), classes, CONFIG))


def drop(*path: str) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        for key in path[:-1]:
            content = content[key]
        del content[path[-1]]

    return change


def put(value: object, *path: Any) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        for key in path[:-1]:
            content = content[key]
        content[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (drop("optimiser"), "expected .*optimiser.* among them"),
        (drop("history"), "missing required field `history`"),
        (put(2, "schema_version"), "schema_version"),
        (put(1, "more"), "unknown field `more`"),
        (put("x", "identity", "data_sha256"), "data_sha256"),
        (put([], "history"), "history is"),
        (put(3, "history", 0, "epoch"), "expected the epochs 1, 2, 3"),
        (put(float("nan"), "history", 0, "validation_loss"), "losses of epoch 1"),
        (put(torch.ones(3), "weights", "output.bias"), "weights.output.bias"),
        (put(torch.full((2,), torch.inf), "best_weights", "output.bias"), "best_weights.output.bias .*finite"),
        (drop("best_weights", "output.bias"), "best_weights keys that do not fit"),
        (put([{}], "optimiser"), "optimiser is .*; expected a list of .* dicts"),
        (put(3, "optimiser", 0), "expected a dict of tensors"),
        (drop("optimiser", 0, "exp_avg"), "optimiser.encoder.* keys that do not fit"),
        (put(torch.zeros(7), "optimiser", 0, "exp_avg"), "exp_avg is .float32"),
        (put(torch.zeros(9, dtype=torch.int64), "random_state"), "random_state is .int64"),
        (put(torch.zeros(5056, dtype=torch.int64), "order_state"), "order_state is no state of a generator"),
        (put(None, "order_state"), "order_state is NoneType"),
    ],
)  # fmt: skip
def test_a_damaged_or_hostile_resume_file_is_refused_in_one_line(
    begun: Path, tmp_path: Path, change: Callable[[dict[str, Any]], None], words: str
) -> None:
    content = torch.load(begun / "resume.pt", weights_only=True)
    change(content)
    torch.save(content, tmp_path / "resume.pt")
    with pytest.raises(CheckpointError, match=words) as caught:
        fit(waves(), CONFIG, run=RunConfig(model_dir=tmp_path, resume=True))
    assert str(tmp_path / "resume.pt") in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_resume_file_that_would_run_code_runs_none(tmp_path: Path) -> None:
    torch.save({"weights": os.system}, tmp_path / "resume.pt")
    with pytest.raises(CheckpointError, match=r"asks to run posix\.system"):
        fit(waves(), CONFIG, run=RunConfig(model_dir=tmp_path, resume=True))


def test_a_truncated_resume_file_is_refused(begun: Path, tmp_path: Path) -> None:
    whole = (begun / "resume.pt").read_bytes()
    (tmp_path / "resume.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="truncated"):
        fit(waves(), CONFIG, run=RunConfig(model_dir=tmp_path, resume=True))
