from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from offbeat.cli import inspect_facts
from offbeat.cli.inspect import inspect
from offbeat.errors import BundleError, MissingExtraError
from tests.runtime import folders


def run(*arguments: object, columns: str | None = "200") -> Result:
    app = typer.Typer()
    app.command("inspect")(inspect)
    return CliRunner().invoke(app, [*map(str, arguments)], env={"COLUMNS": columns})


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for version in (1, 2):
        folders.write_version(tmp_path, "level", version)
    folders.write_version(tmp_path, "other")
    return tmp_path


def test_a_repository_is_a_table_of_its_models(repository: Path) -> None:
    result = run(repository)
    assert result.exit_code == 0
    for words in ("level", "1, 2", "other", "2026-01-01"):
        assert words in result.stdout
    facts = json.loads(run(repository, "--json").stdout)
    assert [(model["name"], model["versions"]) for model in facts["models"]] == [("level", [1, 2]), ("other", [1])]
    assert facts["models"][0]["newest"]["version"] == 2


def test_names_are_cut_neither_in_a_pipe_nor_in_a_narrow_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = "pressure-of-the-second-pump-behind-the-third-valve-of-the-northern-line-" + "x" * 40
    for name in (long, "other"):
        folders.write_version(tmp_path, name)
    narrow = run(tmp_path, columns="60").stdout
    assert "…" not in narrow
    assert narrow.count("x") >= 40
    monkeypatch.delenv("COLUMNS", raising=False)
    assert long in run(tmp_path, columns=None).stdout


def test_words_of_a_folder_do_not_steer_the_terminal(repository: Path) -> None:
    path = repository / "other" / "1" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"description": "fine\x1b]0;title\x07"}))
    told = run(repository / "other").stdout
    assert r"fine\x1b]0;title\x07" in told


def test_a_damaged_model_of_a_repository_is_named_and_the_others_are_shown(repository: Path) -> None:
    (repository / "level" / "2" / "model.onnx").write_bytes(b"x")
    result = run(repository)
    assert result.exit_code == 1
    assert "model.onnx: 1 bytes" in result.stdout
    assert "2026-01-01" in result.stdout


def test_a_folder_says_what_its_manifest_says_and_where_it_is(repository: Path) -> None:
    facts = json.loads(run(repository / "level", "--json").stdout)
    manifest = json.loads((repository / "level" / "2" / "manifest.json").read_bytes())
    assert manifest.items() <= facts.items()
    assert (facts["kind"], facts["path"]) == ("version", str(repository / "level" / "2"))


def test_where_a_recalibrated_threshold_comes_from_is_shown(tmp_path: Path) -> None:
    folder = folders.write_version(tmp_path)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    source = {"name": "week.csv", "sha256": None, "n_rows": 9000}
    manifest["recalibration"] = {
        "from_version": 3,
        "source": source,
        "recalibrated_at": "2026-02-02",
        "offbeat_version": "0.1.0",
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert "2026-02-02 from version 3 on week.csv, 9,000 rows" in run(folder).stdout


@pytest.mark.parametrize(("name", "words"), [("absent", "no such file or folder"), ("notes.txt", "is neither")])
def test_what_cannot_be_inspected_is_told_with_what_can(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    result = run(tmp_path / name)
    assert isinstance(result.exception, BundleError)
    assert words in str(result.exception)
    assert "an ONNX file (.onnx) or a checkpoint" in str(result.exception)


class Unloadable:
    def load(self) -> Any:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")


@pytest.mark.parametrize(("points", "words"), [([Unloadable()], "needs torch"), ([], "nothing installed here")])
def test_a_missing_inspector_names_the_extra_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, points: list[Any], words: str
) -> None:
    monkeypatch.setattr(inspect_facts, "entry_points", lambda **_: points)
    result = run(tmp_path / "model.onnx")
    assert isinstance(result.exception, MissingExtraError)
    assert words in str(result.exception)
    assert "pip install 'offbeat[export]'" in str(result.exception)


def test_inspectors_are_registered() -> None:
    names = {point.name for point in importlib.metadata.entry_points(group=inspect_facts.ENTRY_POINT_GROUP)}
    assert names == {"checkpoint", "onnx"}
