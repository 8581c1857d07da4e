"""Data sets from files, and sliding windows over them."""

from offbeat.data.column_selection import ColumnSelection
from offbeat.data.dataset import Dataset
from offbeat.data.missing import MissingPolicy, fill_missing
from offbeat.data.notes import data_notes
from offbeat.data.reader import read_dataset
from offbeat.data.sampling import Sampling, describe_sampling
from offbeat.data.windows import row_means, row_newest, sliding_windows, window_starts

__all__ = [
    "ColumnSelection",
    "Dataset",
    "MissingPolicy",
    "Sampling",
    "data_notes",
    "describe_sampling",
    "fill_missing",
    "read_dataset",
    "row_means",
    "row_newest",
    "sliding_windows",
    "window_starts",
]
