"""Data sets from files, and sliding windows over them."""

from offbeat.data.dataset import Dataset
from offbeat.data.reader import ColumnSelection, read_dataset
from offbeat.data.windows import row_means, sliding_windows, window_starts

__all__ = ["ColumnSelection", "Dataset", "read_dataset", "row_means", "sliding_windows", "window_starts"]
