"""Which flags of the commands that train and judge go with which others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from offbeat.flag_use import Call, FlagUse, is_csv, is_npz
from offbeat_training.class_labels import CLASSIFIER
from offbeat_training.preset_designs import TABULAR


def _may_be(field: str, fits: Callable[[Any], bool]) -> Callable[[Call], bool]:
    """Whether a field fits, or is what a search looks for."""

    def is_used(call: Call) -> bool:
        searched = (word.partition("=")[0].strip().replace("-", "_") for word in call.get("space", ()))
        return field in searched or fits(call[field])

    return is_used


def _takes_percentile(call: Call) -> bool:
    method = call["threshold_method"] or ("percentile" if call["threshold"] is None else "fixed")
    return _may_be("threshold_method", lambda _: method == "percentile")(call)


_is_classifier = _may_be("preset", lambda preset: preset == CLASSIFIER)
_is_of_series = _may_be("preset", lambda preset: preset not in TABULAR)

TRAIN_USES = (
    FlagUse(
        flags=("key",),
        goes_with="an npz file",
        is_used=lambda call: is_npz(call["data"]) or is_npz(call.get("labelled_data")),
    ),
    FlagUse(
        flags=("delimiter",),
        goes_with="a csv file",
        is_used=lambda call: is_csv(call["data"]) or is_csv(call.get("labelled_data")),
    ),
    FlagUse(flags=("normal_label",), goes_with="--label-column", is_used=lambda call: call["label_column"] is not None),
    FlagUse(
        flags=("seq_len", "stride"),
        goes_with="rows of a series: a preset for series, and --layout rows",
        is_used=lambda call: call["layout"] == "rows" and _is_of_series(call),
    ),
    FlagUse(flags=("percentile",), goes_with="--threshold-method percentile", is_used=_takes_percentile),
    FlagUse(flags=("class_column",), goes_with=f"--preset {CLASSIFIER}", is_used=_is_classifier),
)
SEARCH_USES = (
    *TRAIN_USES,
    FlagUse(
        flags=("labelled_data",),
        goes_with="--metric roc-auc or pr-auc",
        is_used=lambda call: call["metric"] != "validation-loss",
    ),
)
# Known once the data are read: whether they are ready-made windows, which keep their own length.
DATA_USES = (
    FlagUse(
        flags=("seq_len", "stride"),
        goes_with="rows of a series, not ready-made windows",
        is_used=lambda call: not call["is_windows"],
    ),
)


def _is_reported(call: Call) -> bool:
    return call["report"] is not None or call["png"] is not None


def _has_windows(call: Call) -> bool:
    return Path(call["labels"]).suffix == ".json"


def _is_data_read(call: Call) -> bool:
    return call["train"] is not None or _is_reported(call)


_FILES = ("labels", "data", "train")
_READ = "--train, --report or --png"

EVALUATE_USES = (
    FlagUse(
        flags=("label_column", "normal_label"),
        goes_with="a file with a label per line, not with windows of time",
        is_used=lambda call: not _has_windows(call),
    ),
    FlagUse(flags=("series",), goes_with="NAB's json", is_used=_has_windows),
    FlagUse(
        flags=("delimiter",),
        goes_with="a csv file of labels or data",
        is_used=lambda call: any(is_csv(call[file]) for file in _FILES),
    ),
    FlagUse(
        flags=("train_label_column", "train_key", "seq_len"),
        goes_with="--train",
        is_used=lambda call: call["train"] is not None,
    ),
    FlagUse(flags=("train_key",), goes_with="an npz file as --train", is_used=lambda call: is_npz(call["train"])),
    FlagUse(
        flags=("train_normal_label",),
        goes_with="--train-label-column",
        is_used=lambda call: call["train_label_column"] is not None,
    ),
    FlagUse(
        flags=("data", "features", "timestamp_column", "layout", "missing", "key"),
        goes_with=_READ,
        is_used=_is_data_read,
    ),
    FlagUse(
        flags=("key",), goes_with="an npz file of data", is_used=lambda call: any(is_npz(call[file]) for file in _FILES)
    ),
    FlagUse(flags=("model", "outputs", "history"), goes_with="--report or --png", is_used=_is_reported),
)
# Known once the scores are read.
SCORED_USES = (
    FlagUse(flags=("vus_window",), goes_with="scores of rows", is_used=lambda call: call["unit"] == "row"),
    FlagUse(flags=("seq_len",), goes_with="scores of rows of a series", is_used=lambda call: call["unit"] != "sample"),
)
