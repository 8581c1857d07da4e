"""The flags of `offbeat search` that `offbeat train` has not, and those of training that it takes over."""

from __future__ import annotations

from pathlib import Path

from offbeat.data import ColumnSelection
from offbeat.flag_fields import Flags, flag
from offbeat_training.config import TrainingConfig
from offbeat_training.search_config import SearchConfig
from offbeat_training.search_space import parse_space
from offbeat_training.train_flags import COLUMNS, TRAINING


class SearchFlags(SearchConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A search, the file its areas are measured on, and the number of trials from one printed line to the next, 0 for none.

    Raises ConfigurationError, also for a space that is none: before the data are read, not after.
    """

    labelled_data: Path | None = None
    log_interval: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        parse_space(self.space, self.fixed)


KINDS = (TrainingConfig, ColumnSelection, SearchFlags)
_SEARCH: Flags = {
    "space": flag("NAME=A,B,C or NAME=log:LOW:HIGH or NAME=lin:LOW:HIGH; once for each name."),
    "method": flag("tpe learns from earlier trials; grid tries everything."),
    "metric": flag("What is best; the areas need labels."),
    "n_trials": flag("Trials of all sittings. Default 20; with grid all there are."),
    "labelled_data": flag("File for the areas, its columns as in the data; by default the data's own labels."),
    "model_dir": flag("Folder for study.db, best.ckpt, best.toml and trials.png."),
    "resume": flag("Go on with the search in --model-dir, if it holds one.", "--resume"),
    "log_interval": flag("Trials between printed lines; 0 for none.", min=0),
}
FLAGS: Flags = {**_SEARCH, **TRAINING, **COLUMNS}
