"""The folder of a training run."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from offbeat.errors import CheckpointError, ConfigurationError
from offbeat_training.checkpoint import Checkpoint
from offbeat_training.history import write_history
from offbeat_training.resume_state import ResumeState, RunIdentity
from offbeat_training.search_config import STUDY_FILE
from offbeat_training.whole_file import remove_leftovers

RESUME_FILE = "resume.pt"


class RunFolder:
    """`best.ckpt`, `last.ckpt`, `history.csv`, and `resume.pt`, which is written last: a run that is killed before falls
    back by one epoch and repeats it.

    Makes the folder. Raises ConfigurationError where it holds a run that was not to be resumed, or a search, or cannot be
    made.
    """

    def __init__(self, path: Path, *, resume: bool) -> None:
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

    def write(self, state: ResumeState, last: Checkpoint) -> None:
        """Brings every file up to date with an epoch that has just ended."""
        if state.is_best:
            last.save(self.best)
        last.save(self.last)
        write_history(self.history, state.history)
        state.save(self.resume)

    def finish(self, best: Checkpoint) -> None:
        """Replaces the best checkpoint by one that also knows how the run ended."""
        best.save(self.best)
