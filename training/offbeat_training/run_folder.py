"""The folder of a training run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from torch import nn

from offbeat.errors import CheckpointError, ConfigurationError
from offbeat_training.checkpoint import Checkpoint
from offbeat_training.history import Epoch, append_epoch, write_history
from offbeat_training.resume_state import ResumeState, RunIdentity
from offbeat_training.search_config import STUDY_FILE
from offbeat_training.whole_file import remove_leftovers

RESUME_FILE = "resume.pt"


# Four files cost as much as many an epoch of a small model; a run that is killed repeats no more than this.
WRITE_INTERVAL_S = 5.0


class RunFolder:
    """`best.ckpt`, `last.ckpt`, `resume.pt`, which is written last, and `history.csv`, which grows by every epoch.

    `is_due` says when the first three are to be brought up to date: after the first epoch and then every few seconds, by
    the `clock`. A run that is killed goes on from `resume.pt` and repeats the epochs since. Makes the folder. Raises
    ConfigurationError where it holds a run that was not to be resumed, or a search, or cannot be made.
    """

    def __init__(self, path: Path, *, resume: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._written_s: float | None = None
        self.best = path / "best.ckpt"
        self.last = path / "last.ckpt"
        self.history = path / "history.csv"
        self.resume = path / RESUME_FILE
        if (path / STUDY_FILE).exists():
            raise ConfigurationError(f"model_dir {path} holds a search; name another folder for the run")
        if self.resume.exists() and not resume:
            raise ConfigurationError(f"model_dir {path} holds a run already; resume it, or name another folder")
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"model_dir {path}: cannot be made: {error.strerror or error}") from error
        remove_leftovers(path)

    def read(self, identity: RunIdentity, model: nn.Module, optim: str) -> ResumeState | None:
        """What the folder's run left off with, None where it has not begun.

        Raises CheckpointError for a damaged file, and for a run of other data, another configuration or another model.
        """
        if not self.resume.exists():
            return None
        state = ResumeState.load(self.resume)
        try:
            state.identity.check_same(identity)
            state.check_fits(model, optim)
        except CheckpointError as error:
            raise CheckpointError(f"{self.resume}: {error}") from error
        return state

    @property
    def is_due(self) -> bool:
        """Whether what the folder holds has become old."""
        return self._written_s is None or self._clock() - self._written_s >= WRITE_INTERVAL_S

    def begin(self, history: Sequence[Epoch]) -> None:
        """Has `history.csv` hold these epochs: a run that was killed may have noted more than it can go on from."""
        write_history(self.history, history)

    def note(self, epoch: Epoch) -> None:
        """Adds an epoch that has just ended to `history.csv`."""
        append_epoch(self.history, epoch)

    def write(self, state: ResumeState, last: Checkpoint, best: Checkpoint | None) -> None:
        """Brings the other files up to date; `best` None leaves the best checkpoint as it is."""
        if best is not None:
            best.save(self.best)
        last.save(self.last)
        state.save(self.resume)
        self._written_s = self._clock()

    def finish(self, best: Checkpoint) -> None:
        """Replaces the best checkpoint by one that also knows how the run ended."""
        best.save(self.best)
