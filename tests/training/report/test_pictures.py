from __future__ import annotations

from pathlib import Path

import matplotlib.image
import pytest

from offbeat.errors import DataError
from offbeat_training.report import prepare, write_pngs
from offbeat_training.report.drawing.matplotlib_chart import write_png
from tests.training.report.hostile import hostile_inputs
from tests.training.report.samples import series_inputs


def test_each_pane_is_a_picture_with_something_on_it(tmp_path: Path) -> None:
    report = prepare(series_inputs())
    paths = write_pngs(report, tmp_path / "new" / "pictures")
    assert [path.name for path in paths] == [f"{chart.name}.png" for chart in report.charts]
    for path in paths:
        pixels = matplotlib.image.imread(path)
        assert min(pixels.shape[:2]) > 300
        assert 0.005 < (pixels[..., :3].min(axis=2) < 0.9).mean() < 0.95


def test_names_with_tags_and_formulas_are_drawn_as_they_are(tmp_path: Path) -> None:
    series = prepare(hostile_inputs()).charts[0]
    write_png(series, tmp_path / "series.png")
    assert (tmp_path / "series.png").stat().st_size > 10_000


def test_a_folder_that_cannot_be_made_is_an_error_naming_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="file"):
        write_pngs(prepare(series_inputs(200)), tmp_path / "file")
