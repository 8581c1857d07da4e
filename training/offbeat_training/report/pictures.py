"""A folder of PNG files, one for each pane."""

from __future__ import annotations

from pathlib import Path

from offbeat.errors import DataError
from offbeat_training.report.drawing.matplotlib_chart import write_png
from offbeat_training.report.report import Report


def write_pngs(report: Report, folder: Path) -> tuple[Path, ...]:
    """Writes `<name of the pane>.png` into the folder, which is made if need be. Raises DataError where it cannot."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder}: cannot be made: {error.strerror or error}") from error
    paths = tuple(folder / f"{chart.name}.png" for chart in report.charts)
    for chart, path in zip(report.charts, paths, strict=True):
        write_png(chart, path)
    return paths
