from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import torch

from offbeat.errors import CheckpointError
from offbeat_training import Checkpoint, TrainingConfig
from offbeat_training.fit import fit
from offbeat_training.history import Epoch
from offbeat_training.reconstruction_task import ReconstructionTask
from offbeat_training.run_config import RunConfig
from offbeat_training.run_folder import WRITE_INTERVAL_S, RunFolder
from tests.training.examples import series_checkpoint, waves

CONFIG = TrainingConfig(
    seq_len=20, stride=5, hidden_size=6, epochs=40, patience=40, batch_size=16, lr=0.1, device="cpu"
)


class _State:
    """Of a resume file only that it is saved."""

    def save(self, path: Path) -> None:
        path.touch()


def test_the_folder_is_due_at_once_and_then_every_few_seconds(tmp_path: Path) -> None:
    now_s = [100.0]
    folder = RunFolder(tmp_path / "run", resume=False, clock=lambda: now_s[0])
    assert folder.is_due
    folder.write(_State(), series_checkpoint(), None)  # type: ignore[arg-type]
    assert not folder.is_due
    now_s[0] += WRITE_INTERVAL_S - 0.01
    assert not folder.is_due
    now_s[0] += 0.01
    assert folder.is_due
    assert not folder.best.exists()


def test_a_short_run_writes_its_files_twice_and_notes_every_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    write = RunFolder.write

    def counted(folder: RunFolder, state, last, best) -> None:  # type: ignore[no-untyped-def]
        written.append(len(state.history))
        write(folder, state, last, best)

    monkeypatch.setattr(RunFolder, "write", counted)
    monkeypatch.setattr("offbeat_training.run_folder.WRITE_INTERVAL_S", 3600)
    fit(waves(), CONFIG, run=RunConfig(model_dir=tmp_path / "run"))
    assert written == [1, 40]
    assert len((tmp_path / "run" / "history.csv").read_text().splitlines()) == 41


def test_the_best_checkpoint_of_an_interrupted_run_is_of_its_best_epoch_and_not_of_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("offbeat_training.run_folder.WRITE_INTERVAL_S", 3600)
    config = msgspec.structs.replace(CONFIG, lr=1.0, epochs=500, patience=500)
    step, history = ReconstructionTask.training_step, tmp_path / "run" / "history.csv"

    def interrupted(task: ReconstructionTask, batch: torch.Tensor, index: int) -> torch.Tensor:
        losses = [float(line.split(",")[2]) for line in history.read_text().splitlines()[1:]]
        if index == 1 and len(losses) > 2 and losses[-1] > min(losses):
            raise KeyboardInterrupt
        return step(task, batch, index)

    monkeypatch.setattr(ReconstructionTask, "training_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit(waves(), config, run=RunConfig(model_dir=tmp_path / "run"))
    best, last = Checkpoint.load(tmp_path / "run" / "best.ckpt"), Checkpoint.load(tmp_path / "run" / "last.ckpt")
    assert 1 < last.training["best_epoch"] < last.training["n_epochs"] == len(history.read_text().splitlines()) - 1
    monkeypatch.setattr(ReconstructionTask, "training_step", step)
    alone = fit(waves(), msgspec.structs.replace(config, epochs=last.training["best_epoch"]))
    assert all(torch.equal(tensor, best.state_dict[name]) for name, tensor in alone.state_dict.items())
    assert best.threshold == alone.threshold
    assert any(not torch.equal(tensor, last.state_dict[name]) for name, tensor in best.state_dict.items())


def test_history_that_cannot_be_noted_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run", resume=False)
    folder.history.mkdir()
    with pytest.raises(CheckpointError, match=r"history\.csv: cannot be written: Is a directory"):
        folder.note(Epoch(epoch=1, training_loss=1.0, validation_loss=1.0, learning_rate=0.1, seconds=0.1))
