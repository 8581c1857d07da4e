from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from offbeat.data import Dataset
from offbeat_training import Checkpoint, TrainingConfig
from offbeat_training.fit import fit
from offbeat_training.generators import server_metrics, write_csv
from offbeat_training.reconstruction_task import ReconstructionTask
from tests.training.examples import waves

CONFIG = TrainingConfig(seq_len=20, stride=5, hidden_size=4, epochs=50, batch_size=16, device="cpu")
# Sends itself the signal in the third epoch, between two batches of it, or while the data are read.
RUN = """
import os, signal, sys
from offbeat.cli.app import main
from offbeat_training import given_flags
from offbeat_training.reconstruction_task import ReconstructionTask

number, moment = signal.Signals[sys.argv[1]], sys.argv[2]
step, read = ReconstructionTask.training_step, given_flags.read_dataset

def interrupted_step(task, batch, index):
    if moment == "batch" and task.current_epoch == 2 and index == 1:
        os.kill(os.getpid(), number)
    return step(task, batch, index)

def interrupted_read(*arguments):
    if moment == "read":
        os.kill(os.getpid(), number)
    return read(*arguments)

ReconstructionTask.training_step, given_flags.read_dataset = interrupted_step, interrupted_read
sys.argv[1:] = sys.argv[3:]
main()
"""


@pytest.fixture
def metrics(tmp_path: Path) -> Path:
    write_csv(server_metrics(400), tmp_path / "metrics.csv")
    return tmp_path / "metrics.csv"


def interrupted(name: str, moment: str, command: str, *flags: object) -> subprocess.CompletedProcess[str]:
    arguments = [name, moment, command, *map(str, flags), "--seq-len", "20", "--hidden-size", "4", "--device", "cpu"]
    return subprocess.run([sys.executable, "-c", RUN, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_training_that_is_interrupted_says_what_is_kept_and_tells_the_shell(
    name: str, code: int, metrics: Path
) -> None:
    out, folder = metrics.parent / "model.ckpt", metrics.parent / "run"
    flags = ("--out", out, "--model-dir", folder, "--batch-size", 64, "--log-interval", 0)
    ended = interrupted(name, "batch", "train", metrics, *flags)
    assert ended.returncode == code
    lines = [line for line in ended.stderr.splitlines() if "interrupted" in line]
    assert len(lines) == 1
    assert str(folder / "last.ckpt") in lines[0]
    assert "Traceback" not in ended.stderr
    assert not out.exists()
    assert Checkpoint.load(folder / "last.ckpt").training["n_epochs"] == 2


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_an_interruption_before_the_first_epoch_is_told_too(name: str, code: int, metrics: Path) -> None:
    ended = interrupted(name, "read", "train", metrics, "--out", metrics.parent / "model.ckpt")
    assert ended.returncode == code
    assert ended.stderr == "training was interrupted; nothing is kept, as there is no --model-dir\n"


def test_a_search_that_is_interrupted_says_so_too(metrics: Path) -> None:
    folder = metrics.parent / "search"
    ended = interrupted("SIGTERM", "batch", "search", metrics, "--model-dir", folder, "--batch-size", 64)
    assert ended.returncode == 143
    assert f"kept in {folder}" in ended.stderr.splitlines()[-1]


def interrupting(number: signal.Signals, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """Data whose training is interrupted in the second epoch."""
    step = ReconstructionTask.training_step

    def interrupted_step(task: ReconstructionTask, batch: torch.Tensor, index: int) -> torch.Tensor:
        if task.current_epoch == 1 and index == 1:
            signal.raise_signal(number)
        return step(task, batch, index)

    monkeypatch.setattr(ReconstructionTask, "training_step", interrupted_step)
    return waves()


def test_ctrl_c_in_python_is_a_keyboard_interrupt_and_the_handlers_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(KeyboardInterrupt):
        fit(interrupting(signal.SIGINT, monkeypatch), CONFIG)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_sigterm_that_the_caller_only_notes_ends_the_fit_and_never_returns_an_unfinished_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    noted: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: noted.append(number))
    try:
        with pytest.raises(KeyboardInterrupt):
            fit(interrupting(signal.SIGTERM, monkeypatch), CONFIG)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert noted == [signal.SIGTERM]


def test_sigterm_in_python_without_a_handler_ends_the_process_as_ever() -> None:
    code = (
        "import signal; from offbeat_training.fit import fit; from tests.training.test_interruption import *\n"
        "fit(interrupting(signal.SIGTERM, pytest.MonkeyPatch()), CONFIG); print('trained')"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (-signal.SIGTERM, "")
