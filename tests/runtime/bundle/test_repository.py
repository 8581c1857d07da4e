from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from offbeat.bundle import ModelRepository, open_version
from offbeat.errors import BundleError, UnknownModelError
from tests.runtime import folders


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for version in (1, 2, 10):
        folders.write_version(tmp_path, "level", version)
    folders.write_version(tmp_path, "other", 1)
    (tmp_path / "level" / "config.pbtxt").write_text('name: "level"')
    (tmp_path / "level" / ".offbeat-unfinished").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("hello")
    return tmp_path


def test_models_and_versions_are_listed_in_order_of_number(repository: Path) -> None:
    found = ModelRepository(repository)
    assert found.names() == ("level", "other")
    assert found.versions("level") == (1, 2, 10)


def test_the_newest_version_is_the_default(repository: Path) -> None:
    assert ModelRepository(repository).open("level").manifest.version == 10
    assert ModelRepository(repository).open("level", 2).manifest.version == 2


@pytest.mark.parametrize(
    "name", ["absent", "", ".", "..", "../level", "level/1", "/etc", ".hidden", "empty", "a" * 200, "x\0y"]
)
def test_an_unknown_or_hostile_name_is_not_found(repository: Path, name: str) -> None:
    with pytest.raises(UnknownModelError, match="it holds models level, other"):
        ModelRepository(repository).open(name)


def test_a_folder_of_versions_under_no_models_name_is_left_out_with_its_name_and_the_pattern(repository: Path) -> None:
    for name in ("my model", ".offbeat-1", "notes (old)"):
        shutil.copytree(repository / "level" / "1", repository / name / "1")
    (repository / "not a model").mkdir()
    found = ModelRepository(repository)
    assert found.names() == ("level", "other")
    assert list(found.skipped()) == ["my model", "notes (old)"]
    assert found.skipped()["my model"].endswith(
        "is left out: not a model's name; expected [A-Za-z0-9][A-Za-z0-9._-]{0,127}"
    )


def test_an_unknown_version_names_those_there_are(repository: Path) -> None:
    with pytest.raises(UnknownModelError, match="version 3; it holds versions 1, 2, 10"):
        ModelRepository(repository).open("level", 3)


def test_a_folder_under_another_name_is_refused(repository: Path) -> None:
    shutil.copytree(repository / "level" / "1", repository / "renamed" / "1")
    with pytest.raises(BundleError, match="says model 'level' version 1; the folder says 'renamed'"):
        ModelRepository(repository).open("renamed")


def test_a_missing_repository_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no such folder"):
        ModelRepository(tmp_path / "absent")


def test_a_path_may_be_a_version_a_model_or_a_repository_of_one_model(repository: Path, tmp_path: Path) -> None:
    assert open_version(repository / "level" / "1").manifest.version == 1
    assert open_version(repository / "level").manifest.version == 10
    with pytest.raises(BundleError, match="found the models level, other"):
        open_version(repository)
    with pytest.raises(BundleError, match="found nothing of that kind"):
        open_version(repository / "empty")
    single = tmp_path / "single"
    folders.write_version(single)
    assert open_version(single).manifest.name == "level"
