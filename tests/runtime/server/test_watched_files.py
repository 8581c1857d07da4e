from __future__ import annotations

import logging
from pathlib import Path

import pytest

from offbeat.errors import ConfigurationError
from offbeat.server.access.watched_files import WatchedFiles


def test_a_file_that_changes_while_it_is_read_is_read_again_before_it_counts(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def read() -> str:
        text = path.read_text()
        if text == "half written":
            path.write_text("new and whole")
        return text

    watched = WatchedFiles([path], read)
    path.write_text("half written")
    assert watched.latest() == "old"
    assert watched.latest() == "new and whole"


def test_a_change_that_cannot_be_used_is_told_once_and_the_next_one_is_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def read() -> str:
        text = path.read_text()
        if "?" in text:
            raise ConfigurationError(f"{path}: no words")
        return text

    watched = WatchedFiles([path], read)
    path.write_text("??")
    with caplog.at_level(logging.ERROR, "offbeat.server"):
        assert [watched.latest() for _ in range(3)] == ["old"] * 3
    assert [record.getMessage() for record in caplog.records] == [
        f"what was read before stays in use: {path}: no words"
    ]
    path.write_text("better")
    assert watched.latest() == "better"


def test_the_files_are_looked_at_no_more_often_than_asked(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    watched = WatchedFiles([path], path.read_text, interval_s=3600)
    path.write_text("another")
    assert watched.latest() == "old"


def test_a_file_that_nobody_could_read_is_read_when_its_permissions_are_mended(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def read() -> str:
        # As root, who runs tests in containers, reads everything.
        if not path.stat().st_mode & 0o040:
            raise ConfigurationError(f"{path}: cannot be read: Permission denied")
        return path.read_text()

    path.chmod(0o640)
    watched = WatchedFiles([path], read)
    path.chmod(0o600)
    path.write_text("new")
    assert watched.latest() == "old"
    path.chmod(0o640)
    assert watched.latest() == "new"


def test_a_change_that_could_not_be_read_for_a_while_is_tried_again_and_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, now, is_short, n_reads = tmp_path / "file", 100.0, False, 0
    path.write_text("old")

    def read() -> str:
        nonlocal n_reads
        n_reads += 1
        if is_short:
            raise ConfigurationError(f"{path}: cannot be read: Too many open files")
        return path.read_text()

    monkeypatch.setattr("offbeat.server.access.watched_files.monotonic", lambda: now)
    watched = WatchedFiles([path], read)
    path.write_text("renewed")
    is_short = True
    assert [watched.latest() for _ in range(5)] == ["old"] * 5
    assert n_reads == 2, "once at the start, and not with each of the looks"
    now += 1.5
    assert watched.latest() == "old"
    is_short = False
    now += 1.5
    assert watched.latest() == "renewed"
    assert caplog.text.count("Too many open files") == 1
