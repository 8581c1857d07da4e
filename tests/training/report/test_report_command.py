from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from offbeat.errors import ConfigurationError
from offbeat_training.command import evaluate


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Thirty rows, five of them anomalous, and their scores."""
    rows = "".join(f"{i},{i % 7},{int(i > 24)}\n" for i in range(30))
    (tmp_path / "test.csv").write_text("time,cpu,label\n" + rows)
    scores = "".join(f"{i},,{1 + (i > 23)},{(1 + (i > 23)) / 3},{int(i > 23)}\n" for i in range(30))
    (tmp_path / "scores.csv").write_text("row,timestamp,reconstruction_error,anomaly_score,is_anomaly\n" + scores)
    (tmp_path / "labels.csv").write_text("label\n" + "".join(f"{int(i > 24)}\n" for i in range(30)))
    return tmp_path


def run(folder: Path, *flags: object, labels: str = "test.csv") -> Result:
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command("evaluate")(evaluate)
    given = [folder / "scores.csv", "--labels", folder / labels, "--label-column", "label", *flags]
    return CliRunner().invoke(app, [str(each) for each in given], env={"COLUMNS": "200"})


def test_evaluate_writes_a_page_and_pictures_and_says_where(folder: Path) -> None:
    result = run(folder, "--report", folder / "report.html", "--png", folder / "pictures")
    assert result.exit_code == 0, result.output
    assert f"report: {folder / 'report.html'}, {folder / 'pictures'}" in result.output
    page = (folder / "report.html").read_text()
    assert "<title>Anomalies of test.csv</title>" in page
    assert "no losses are given: --history" in page
    assert (folder / "pictures" / "series.png").is_file()


def test_labels_without_data_beside_them_make_a_report_that_says_so(folder: Path) -> None:
    result = run(folder, "--report", folder / "report.html", "--json", labels="labels.csv")
    assert result.exit_code == 0, result.output
    assert "report:" not in result.output
    page = (folder / "report.html").read_text()
    assert "features over time: the data that were scored are not given" in page
    assert "<dt>threshold</dt><dd>1.5</dd>" in page


def test_a_report_never_takes_the_place_of_what_it_is_made_of(folder: Path) -> None:
    before = (folder / "scores.csv").read_bytes()
    (folder / "link.html").symlink_to(folder / "scores.csv")
    for target in ("scores.csv", "link.html", "absent/report.html", "."):
        error = run(folder, "--report", folder / target).exception
        assert isinstance(error, ConfigurationError)
        assert "report is" in str(error)
    for flag in ("--report", "--png"):
        error = run(folder, flag, Path("/dev/null") / "page").exception
        assert isinstance(error, ConfigurationError)
    assert "can be written: File name too long" in str(run(folder, "--report", folder / ("x" * 250)).exception)
    assert isinstance(run(folder, "--png", folder / "scores.csv").exception, ConfigurationError)
    assert (folder / "scores.csv").read_bytes() == before
