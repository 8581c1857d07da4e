"""Folders that somebody damaged, by accident or on purpose: always an error that names the file, never another score."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from offbeat.bundle import ModelRepository, ModelVersion, find_versions, open_version
from offbeat.errors import BundleError, OffbeatError, UnknownModelError
from offbeat.scorer import load
from tests.runtime import folders

WINDOWS = folders.random_windows(4, seed=9)
FILES = ("manifest.json", "model.onnx", "golden.npz", "../config.pbtxt")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """One folder for many examples: each puts back what it changed."""
    with tempfile.TemporaryDirectory() as repository:
        made = folders.write_version(Path(repository))
        (made / "../config.pbtxt").write_text('name: "level"\nplatform: "onnxruntime_onnx"\n')
        yield made


def scores(folder: Path) -> np.ndarray:
    with load(folder) as scorer:
        threshold = np.float32(scorer.manifest.threshold.value)
        result = scorer.score(WINDOWS)
        # Rows of a series are judged by the manifest's threshold: it must be the graph's, to the last bit.
        np.testing.assert_array_equal(result.is_anomaly, result.reconstruction_error > threshold)
        assert scorer.manifest.window is not None
        return np.append(result.reconstruction_error, [threshold, scorer.manifest.window.length])


@settings(max_examples=250)
@given(
    file=st.sampled_from(FILES),
    position=st.floats(0, 1, exclude_max=True),
    flipped=st.integers(1, 255),
    is_cut=st.booleans(),
)
@example(file="manifest.json", position=0.0, flipped=1, is_cut=True)
def test_a_flipped_byte_or_a_cut_in_any_file_is_refused_by_name_or_changes_no_score(
    folder: Path, file: str, position: float, flipped: int, is_cut: bool
) -> None:
    expected, path = scores(folder), folder / file
    original = path.read_bytes()
    index = int(position * len(original))
    damaged = (
        original[:index] if is_cut else bytes([*original[:index], original[index] ^ flipped, *original[index + 1 :]])
    )
    path.write_bytes(damaged)
    try:
        found = scores(folder)
    except OffbeatError as error:
        # offbeat never reads Triton's file.
        assert file != "../config.pbtxt"
        assert str(folder) in str(error)  # noqa: PT017
        assert len(str(error).splitlines()) == 1  # noqa: PT017
    else:
        # Texts of the manifest that describe may change unnoticed; a file with a digest may not.
        assert file in ("manifest.json", "../config.pbtxt")
        np.testing.assert_array_equal(found, expected)
    finally:
        path.write_bytes(original)


@pytest.mark.parametrize("escape", ["\\r", "\\n", "\\u001b", "\\u2028"])
def test_a_key_of_control_characters_is_told_in_one_line(tmp_path: Path, escape: str) -> None:
    manifest = folders.write_version(tmp_path) / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"stride"', f'"s{escape}ride"'))
    with pytest.raises(BundleError, match=r"manifest\.json: .*ride") as caught:
        ModelVersion.open(manifest.parent)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["manifest.json", "model.onnx", "golden.npz"])
@pytest.mark.parametrize("kind", ["pipe", "link", "dangling link", "loop", "folder", "device link"])
def test_what_is_no_regular_file_is_refused_and_never_waited_for(tmp_path: Path, name: str, kind: str) -> None:
    version = folders.write_version(tmp_path)
    shutil.copy(version / name, tmp_path / "good")
    (version / name).unlink()
    match kind:
        case "pipe":
            os.mkfifo(version / name)
        case "folder":
            (version / name).mkdir()
        case _:
            targets = {"link": tmp_path / "good", "dangling link": "nowhere", "loop": name, "device link": "/dev/zero"}
            (version / name).symlink_to(targets[kind])
    words = f"{name}: a symbolic link; expected a regular file" if (version / name).is_symlink() else name
    with pytest.raises(BundleError, match=words):
        ModelVersion.open(version)


def test_a_file_swapped_between_the_check_and_the_load_is_refused_by_every_reader(tmp_path: Path) -> None:
    version = ModelVersion.open(folders.write_version(tmp_path))
    for name, other in (("model.onnx", folders.onnx_bytes(threshold=0.25)), ("golden.npz", b"x" * 9)):
        (version.path / name).write_bytes(other)
        with pytest.raises(BundleError, match=name):
            version.read(name)
    with pytest.raises(BundleError, match=r"golden\.npz"):
        version.golden()


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version = folders.write_version(tmp_path)
    size_of = os.fstat

    def late(descriptor: int) -> os.stat_result:
        found = size_of(descriptor)
        with (version / "model.onnx").open("ab") as file:
            file.write(b"more")
        return found

    opened = ModelVersion.open(version)
    monkeypatch.setattr(os, "fstat", late)
    with pytest.raises(BundleError, match=r"model\.onnx"):
        opened.read("model.onnx")


@pytest.mark.parametrize(
    "name", ["../../secret", "/etc/passwd", "a/b", "..", "model.onnx/../x", "x\0y", "C:\\x", "CON ", ""]
)
def test_names_that_lead_elsewhere_are_not_in_a_folder(tmp_path: Path, name: str) -> None:
    version = ModelVersion.open(folders.write_version(tmp_path))
    with pytest.raises(BundleError, match="is not in this folder"):
        version.read(name)
    with pytest.raises(UnknownModelError):
        ModelRepository(tmp_path).open(name)


@pytest.mark.parametrize("path", ["x" * 5000, "/".join(["y"] * 3000), "a\0b"])
def test_a_path_that_no_file_can_have_is_refused(path: str) -> None:
    for read in (ModelVersion.open, open_version, ModelRepository):
        with pytest.raises(BundleError, match="no such folder"):
            read(path)
    assert find_versions(path) == (Path(path),)


def test_a_folder_that_may_not_be_listed_is_an_error_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version = folders.write_version(tmp_path)

    def refuse(_: Path) -> Iterator[Path]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    for read in (
        lambda: ModelVersion.open(version),
        lambda: open_version(version.parent),
        lambda: find_versions(tmp_path),
    ):
        with pytest.raises(BundleError, match="Permission denied"):
            read()


def test_a_sparse_manifest_of_absurd_size_takes_no_memory(tmp_path: Path) -> None:
    version = folders.write_version(tmp_path)
    with (version / "manifest.json").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(BundleError, match=r"manifest\.json: 1,099,511,627,776 bytes; expected at most"):
        ModelVersion.open(version)
