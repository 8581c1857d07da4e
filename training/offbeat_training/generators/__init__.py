"""Generated data sets: nothing to download, and labels that are true."""

from offbeat_training.generators.csv_file import write_csv
from offbeat_training.generators.server_metrics import server_metrics

__all__ = ["server_metrics", "write_csv"]
