"""Where a training run leaves its traces: fields that change nothing about the model."""

from __future__ import annotations

from pathlib import Path

import msgspec

from offbeat.errors import require


class RunConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a run writes and says beside its checkpoint. Raises ConfigurationError for values that contradict each other.

    `model_dir` is a folder that gets the checkpoints of the best and of the last epoch, the history, and what resuming
    needs, every few seconds and at the end; None writes nothing. `resume` continues the run that the folder holds, or begins one where
    it holds none; without it such a folder is refused. `log_interval` is the number of epochs from one printed line to
    the next, 0 for none.
    """

    model_dir: Path | None = None
    resume: bool = False
    log_interval: int = 10

    def __post_init__(self) -> None:
        require(not self.resume or self.model_dir is not None, "model_dir", None, "a folder: resume needs one")
        require(0 <= self.log_interval <= 10_000_000, "log_interval", self.log_interval, "0 to 10,000,000 epochs")
