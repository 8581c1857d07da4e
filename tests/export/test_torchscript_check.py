from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from offbeat.errors import BundleError
from offbeat_export.torchscript_check import check_torchscript
from offbeat_export.torchscript_export import expected_deprecations, export_torchscript
from tests.export.checkpoints import CHECKPOINTS, table_checkpoint
from tests.export.scorers import scorer_of


@pytest.mark.parametrize("name", ["repeat-classifier", "repeat-forecast", "flexible, bottleneck", "variational"])
def test_a_scorer_calls_only_what_a_scorer_may(name: str) -> None:
    """The others are loaded by the tests of the exporter, which goes through the same check."""
    module, manifest = scorer_of(CHECKPOINTS[name]())
    check_torchscript(export_torchscript(module, manifest), "here")


class Writes(torch.nn.Module):
    def forward(self, window: torch.Tensor) -> torch.Tensor:
        torch.save(window, "written")
        return window


class NeverEnds(torch.nn.Module):
    def forward(self, window: torch.Tensor) -> torch.Tensor:
        while bool(window.sum() == window.sum()):
            window = window + 1
        return window


class RunsOnLoading(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.training = False

    @torch.jit.export
    def __getstate__(self) -> int:
        return 1

    @torch.jit.export
    def __setstate__(self, state: int) -> None:
        torch.save(torch.zeros(1), "written")

    def forward(self, window: torch.Tensor) -> torch.Tensor:
        return window


def scripted(module: torch.nn.Module) -> bytes:
    buffer = io.BytesIO()
    with expected_deprecations():
        torch.jit.save(torch.jit.script(module), buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (Writes(), "calls torch.save, which no scorer does"),
        (NeverEnds(), "has a while"),
        (RunsOnLoading(), "defines __(get|set)state__"),
    ],
)
def test_code_that_does_more_than_compute_is_refused_unrun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: torch.nn.Module, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BundleError, match=words) as caught:
        check_torchscript(scripted(module), "here")
    assert str(caught.value).startswith("here: ")
    assert not Path("written").exists()


@pytest.fixture(scope="module")
def good() -> bytes:
    module, manifest = scorer_of(table_checkpoint())
    return export_torchscript(module, manifest)


def rewritten(content: bytes, change: Callable[[str, bytes], bytes], compression: int = 0) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w", compression) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, change(entry.filename, old.read(entry)))
    return buffer.getvalue()


def code(text: str) -> Callable[[str, bytes], bytes]:
    return lambda name, old: text.encode() if name.endswith(".py") else old


def bomb(name: str, old: bytes) -> bytes:
    return bytes(2**25) if name.endswith("/constants/0") else old


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda _: b"", "not a readable TorchScript archive"),
        (lambda good: good[:-100], "not a readable TorchScript archive"),
        (lambda good: rewritten(good, bomb, zipfile.ZIP_DEFLATED), "unpacks to"),
        (lambda good: rewritten(good, code("(" * 5000)), "not readable as TorchScript"),
        (lambda good: rewritten(good, code("x = " + "-" * 100_000 + "1")), "not readable as TorchScript"),
        (lambda good: rewritten(good, code("\0")), "not readable as TorchScript"),
        (lambda good: rewritten(good, code("#" * 2**21)), "bytes of code"),
        (lambda good: rewritten(good, code("import os")), "has a import"),
        (lambda good: rewritten(good, code("x = ops.image.read_file('a')")), "calls ops.image.read_file"),
        (lambda good: rewritten(good, code("x = (torch.save)(1, 'a')")), "calls torch.save"),
        (lambda good: rewritten(good, code("x = getattr(torch, 'save')(1, 'a')")), "calls getattr"),
    ],
)
def test_a_file_that_is_no_scorer_is_refused(good: bytes, make: Callable[[bytes], bytes], words: str) -> None:
    with pytest.raises(BundleError, match=words) as caught:
        check_torchscript(make(good), "here")
    assert str(caught.value).startswith("here: ")


def test_a_flipped_byte_of_a_constant_is_refused(good: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        largest = max(archive.infolist(), key=lambda entry: entry.file_size * ("/constants/" in entry.filename))
        weights = archive.read(largest)
    assert good.count(weights) == 1
    damaged = good.replace(weights, weights[:-1] + bytes([weights[-1] ^ 1]))
    with pytest.raises(BundleError, match="does not match its checksum"):
        check_torchscript(damaged, "here")
