"""A repository whose folders change under a server that polls it."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from offbeat.errors import BundleError
from offbeat.scorer import Scorer
from offbeat.server.models.served_repository import ServedRepository
from tests.runtime.folders import expected_outputs, onnx_bytes, random_windows, write_version

from .admin import index, ready
from .calls import arrays, score, score_request
from .live import LiveServer, Serve, eventually

POLL_S = 0.02


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    write_version(folder, "level", 1)
    return folder


@pytest.fixture
def server(serve: Serve, repository: Path) -> LiveServer:
    return serve(path=repository, model_control_mode="poll", repository_poll_s=POLL_S)


def until_ready(server: LiveServer, *expected: tuple[str, str]) -> None:
    eventually(lambda: ready(server) == list(expected), f"{expected} ready")


def refusals(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.message.startswith("refused: ")]


def looks(server: LiveServer) -> ServedRepository:
    served = server.server._control._served
    assert served is not None
    return served


def some_polls(server: LiveServer) -> None:
    """Waits until the repository has been looked at a few times more."""
    for _ in range(5):
        before = looks(server)._seen
        eventually(lambda before=before: looks(server)._seen is not before, "another look")


def arrive(repository: Path, *, spoilt: Mapping[str, bytes] | None = None, **files: bytes) -> Path:
    """Version 2 of `level`, there all at once: of one that is written where it lies, a look may find the half."""
    folder = write_version(repository.parent / "elsewhere", "level", 2, **files)
    for name, content in (spoilt or {}).items():
        (folder / name).write_bytes(content)
    return folder.rename(repository / "level" / "2")


def edit(repository: Path, config: str) -> None:
    """A new configuration of `level`, there all at once."""
    new = repository.parent / "config.pbtxt"
    new.write_text(config)
    new.rename(repository / "level" / "config.pbtxt")


def test_a_new_version_takes_over_and_the_old_one_is_unloaded(server: LiveServer, repository: Path) -> None:
    arrive(repository)
    until_ready(server, ("level", "2"))
    assert score(server.channel, score_request(random_windows(1))).version == 2
    eventually(lambda: index(server)["level", "1"] == ("UNAVAILABLE", "unloaded"), "version 1 is unloaded")


def test_a_new_model_is_served(server: LiveServer, repository: Path) -> None:
    write_version(repository, "other", 7)
    until_ready(server, ("level", "1"), ("other", "7"))


def test_what_is_removed_is_unloaded_and_forgotten(server: LiveServer, repository: Path) -> None:
    write_version(repository, "other")
    until_ready(server, ("level", "1"), ("other", "1"))
    shutil.rmtree(repository / "other")
    eventually(lambda: list(index(server)) == [("level", "1")], "the other model is gone")
    with pytest.raises(grpc.RpcError) as caught:
        score(server.channel, score_request(random_windows(1), model="other"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_the_version_before_takes_over_from_one_that_is_removed(server: LiveServer, repository: Path) -> None:
    arrive(repository)
    until_ready(server, ("level", "2"))
    shutil.rmtree(repository / "level" / "2")
    until_ready(server, ("level", "1"))
    assert score(server.channel, score_request(random_windows(1))).version == 1


def test_what_a_policy_no_longer_finds_is_unloaded_when_it_is_gone_and_not_before(
    server: LiveServer, repository: Path, caplog: pytest.LogCaptureFixture
) -> None:
    arrive(repository)
    until_ready(server, ("level", "2"))
    edit(repository, "version_policy { specific { versions: 9 } }")
    eventually(lambda: "chooses none of" in index(server).get(("level", ""), ("", ""))[1], "the policy is refused")
    assert ready(server) == [("level", "2")]
    shutil.rmtree(repository / "level" / "2")
    until_ready(server)
    some_polls(server)
    assert "chooses none of" in index(server)["level", ""][1]
    assert len(refusals(caplog)) == 2, "one with each set of versions"
    shutil.rmtree(repository / "level")
    eventually(lambda: index(server) == {}, "all is forgotten")


def test_a_bad_version_is_logged_once_and_the_old_one_keeps_serving(
    server: LiveServer, repository: Path, caplog: pytest.LogCaptureFixture
) -> None:
    arrive(repository, spoilt={"golden.npz": b"nothing golden"})
    eventually(lambda: index(server).get(("level", "2"), ("",))[0] == "UNAVAILABLE", "version 2 is refused")
    some_polls(server)
    assert ready(server) == [("level", "1")]
    assert score(server.channel, score_request(random_windows(1))).version == 1
    assert "golden.npz" in index(server)["level", "2"][1]
    assert [("golden.npz" in line) for line in refusals(caplog)] == [True]


def test_a_folder_that_no_model_can_be_named_by_is_logged_once(
    server: LiveServer, repository: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(repository / "level", repository / "my level")
    eventually(lambda: "'my level'" in caplog.text, "the folder is told")
    some_polls(server)
    assert caplog.text.count("'my level'") == 1
    assert "expected [A-Za-z0-9][A-Za-z0-9._-]{0,127}" in caplog.text
    assert ready(server) == [("level", "1")]


def test_a_bad_version_that_is_mended_is_served(server: LiveServer, repository: Path) -> None:
    good = onnx_bytes()
    folder = arrive(repository, spoilt={"model.onnx": b"x" * len(good)})
    eventually(lambda: index(server).get(("level", "2"), ("",))[0] == "UNAVAILABLE", "version 2 is refused")
    (folder / "model.onnx").write_bytes(good)
    until_ready(server, ("level", "2"))


def test_a_version_that_gives_other_scores_than_its_golden_ones_never_takes_a_request(
    server: LiveServer, repository: Path
) -> None:
    arrive(repository, onnx=onnx_bytes(threshold=9.0))
    eventually(lambda: index(server).get(("level", "2"), ("",))[0] == "UNAVAILABLE", "version 2 is refused")
    assert "golden replay" in index(server)["level", "2"][1]
    assert ready(server) == [("level", "1")]


def test_a_version_that_changes_in_its_place_is_replaced(server: LiveServer, repository: Path) -> None:
    models = server.server._models
    [old] = models.ready()
    shutil.copytree(repository / "level" / "1", repository / "copy")
    shutil.rmtree(repository / "level" / "1")
    (repository / "copy").rename(repository / "level" / "1")
    # A look between the two finds none.
    eventually(lambda: models.ready() not in ([], [old]), "replaced")
    assert ready(server) == [("level", "1")]


def test_a_copy_in_progress_is_neither_served_nor_called_bad(
    serve: Serve, repository: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(path=repository, model_control_mode="poll", repository_poll_s=86_400)
    source = write_version(tmp_path / "elsewhere", "level", 2)
    target = repository / "level" / "2"
    target.mkdir()
    # The manifest first, as it goes by name: the folder is then one that claims files which are not there.
    for name in ("manifest.json", "golden.npz", "model.onnx"):
        content = (source / name).read_bytes()
        with (target / name).open("wb") as file:
            for start in range(0, len(content), 1 + len(content) // 12):
                file.write(content[start : start + 1 + len(content) // 12])
                file.flush()
                # What rests for a whole look is taken as it is: there is one after each write.
                server.run(looks(server).look())
                assert ready(server) == [("level", "1")]
    server.run(looks(server).look())
    assert ready(server) == [("level", "2")]
    assert refusals(caplog) == []
    windows = random_windows(3)
    told = arrays(score(server.channel, score_request(windows)))
    np.testing.assert_allclose(
        told["reconstruction_error"], expected_outputs(windows)["reconstruction_error"], rtol=1e-5
    )


def test_a_version_that_changes_while_it_is_opened_is_tried_again(
    server: LiveServer, repository: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    original = Scorer.open
    folder = repository / "level" / "2"

    def open_and_touch(version: object, config: object) -> Scorer:
        monkeypatch.setattr(Scorer, "open", original)
        os.utime(folder / "model.onnx", ns=(1, 1))
        raise MemoryError("half-way")

    monkeypatch.setattr(Scorer, "open", open_and_touch)
    arrive(repository)
    until_ready(server, ("level", "2"))
    assert refusals(caplog) == []


def test_a_repository_that_cannot_be_looked_at_leaves_everything_as_it_is(
    server: LiveServer, repository: Path, caplog: pytest.LogCaptureFixture
) -> None:
    repository.rename(repository.with_name("away"))
    eventually(lambda: refusals(caplog) != [], "it is told")
    time.sleep(10 * POLL_S)
    assert ready(server) == [("level", "1")]
    assert [("expected a folder that can be listed" in line) for line in refusals(caplog)] == [True]
    arrive(repository.with_name("away"))
    repository.with_name("away").rename(repository)
    until_ready(server, ("level", "2"))


def test_a_policy_that_is_edited_is_followed(
    server: LiveServer, repository: Path, caplog: pytest.LogCaptureFixture
) -> None:
    arrive(repository)
    until_ready(server, ("level", "2"))
    edit(repository, "version_policy { all {} }")
    until_ready(server, ("level", "1"), ("level", "2"))
    edit(repository, "version_policy { all {")
    eventually(lambda: index(server).get(("level", ""), ("",))[0] == "UNAVAILABLE", "the configuration is refused")
    some_polls(server)
    assert ready(server) == [("level", "1"), ("level", "2")]
    assert [("config.pbtxt" in line) for line in refusals(caplog)] == [True]
    edit(repository, "version_policy { specific { versions: 1 } }")
    until_ready(server, ("level", "1"))
    assert ("level", "") not in index(server)


def test_a_model_that_comes_with_a_bad_newest_version_is_served_by_the_one_before(
    server: LiveServer, repository: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_version(repository.parent, "other", 1)
    (write_version(repository.parent, "other", 2) / "model.onnx").write_bytes(b"")
    (repository.parent / "other").rename(repository / "other")
    until_ready(server, ("level", "1"), ("other", "1"))
    some_polls(server)
    assert ready(server) == [("level", "1"), ("other", "1")]
    assert len(refusals(caplog)) == 1


def test_an_empty_repository_may_be_watched(serve: Serve, tmp_path: Path) -> None:
    server = serve(path=tmp_path, model_control_mode="poll", repository_poll_s=POLL_S)
    assert ready(server) == []
    write_version(tmp_path)
    until_ready(server, ("level", "1"))


def test_a_version_that_could_not_be_read_is_tried_again_when_its_permissions_are_mended(
    server: LiveServer, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, unreadable = Scorer.open, write_version(repository.parent / "elsewhere", "level", 2)

    def open_as_another_user(version: Any, *arguments: Any) -> Scorer:
        # Root, who runs tests in containers, reads everything.
        if not (version.path / "model.onnx").stat().st_mode & 0o004:
            raise BundleError(f"{version.path / 'model.onnx'}: Permission denied; expected a regular file")
        return original(version, *arguments)

    monkeypatch.setattr(Scorer, "open", open_as_another_user)
    (unreadable / "model.onnx").chmod(0o600)
    folder = unreadable.rename(repository / "level" / "2")
    eventually(lambda: index(server).get(("level", "2"), ("",))[0] == "UNAVAILABLE", "version 2 is refused")
    (folder / "model.onnx").chmod(0o644)
    until_ready(server, ("level", "2"))


@pytest.mark.parametrize("is_good", [True, False])
def test_a_repository_that_is_exchanged_whole_is_served_from_the_old_version_until_the_new_one_is_ready(
    serve: Serve, tmp_path: Path, is_good: bool
) -> None:
    write_version(tmp_path / "old", "level", 1)
    new = write_version(tmp_path / "new", "level", 2)
    if not is_good:
        (new / "golden.npz").write_bytes(b"nothing golden")
    current, another = tmp_path / "current", tmp_path / "another"
    current.symlink_to("old")
    another.symlink_to("new")
    server = serve(path=current, model_control_mode="poll", repository_poll_s=86_400)
    another.replace(current)

    def replies() -> list[int]:
        """The versions that answer while somebody looks at the repository, and then; of neither, an error would be raised."""
        looking = threading.Thread(target=server.run, args=(looks(server).look(),))
        looking.start()
        told = []
        while not told or looking.is_alive():
            told.append(score(server.channel, score_request(random_windows(1))).version)
        return [*told, score(server.channel, score_request(random_windows(1))).version]

    # What is new has to rest for a look.
    assert set(replies()) == {1}
    assert replies()[-1] == (2 if is_good else 1)
    assert index(server)["level", "2"][0] == ("READY" if is_good else "UNAVAILABLE")
    assert ready(server) == ([("level", "2")] if is_good else [("level", "1")])


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO, errno.EACCES])
def test_a_version_that_the_machine_could_not_read_is_tried_again_with_every_look_and_told_once(
    server: LiveServer, repository: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    original, is_short = Scorer.open, True

    def open_while_short(version: Any, *arguments: Any) -> Scorer:
        if is_short and version.manifest.version == 2:
            raise BundleError(f"{version.path}: {os.strerror(number)}") from OSError(number, os.strerror(number))
        return original(version, *arguments)

    monkeypatch.setattr(Scorer, "open", open_while_short)
    arrive(repository)
    eventually(lambda: server.server._models.loads["level", "refused"] > 2, "it is tried again")
    assert ready(server) == [("level", "1")]
    assert len(refusals(caplog)) == 1
    is_short = False
    until_ready(server, ("level", "2"))


def test_a_mount_that_is_away_and_leaves_an_empty_folder_changes_nothing(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with tempfile.TemporaryDirectory(dir=_another_device(tmp_path)) as below:
        write_version(tmp_path / "mounted", "level", 1)
        current, another = tmp_path / "current", tmp_path / "another"
        current.symlink_to("mounted")
        server = serve(path=current, model_control_mode="poll", repository_poll_s=POLL_S)
        another.symlink_to(below)
        another.replace(current)
        eventually(lambda: "expected its mount" in caplog.text, "it is told")
        time.sleep(10 * POLL_S)
        assert ready(server) == [("level", "1")]
        assert len(refusals(caplog)) == 1
        write_version(Path(below), "level", 2)
        until_ready(server, ("level", "2"))
        shutil.rmtree(Path(below) / "level")
        until_ready(server)


def _another_device(path: Path) -> Path:
    found = [each for each in map(Path, ("/dev/shm", "/run", "/var/tmp")) if os.access(each, os.W_OK)]  # noqa: S108
    for each in found:
        if each.stat().st_dev != path.stat().st_dev:
            return each
    pytest.skip("needs a folder on another device")
