"""A model version folder, checked before anything in it is used."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from offbeat.bundle.golden import Golden
from offbeat.bundle.listing import entries, is_folder
from offbeat.bundle.manifest import MAX_MANIFEST_BYTES, Manifest
from offbeat.errors import BundleError, FormatAbsentError
from offbeat.files import open_regular
from offbeat.telling import listed

MANIFEST = "manifest.json"
MODEL_ONNX = "model.onnx"
MODEL_TORCHSCRIPT = "model.pt"
MODEL_SAFETENSORS = "model.safetensors"
GOLDEN = "golden.npz"
# Protobuf cannot hold more in one message, and no scorer of this project comes near it.
MAX_FILE_BYTES = 2**31 - 1


def is_version(name: str) -> bool:
    """Whether a folder's name is a version's number."""
    return re.fullmatch(r"[1-9][0-9]{0,17}", name) is not None


class ModelVersion:
    """One version of one model: a folder whose manifest, files and digests agree.

    Made by `open`, which executes nothing of what the folder holds. `read` checks the digest of the very bytes
    it returns, so a file that is swapped after opening is refused too.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> ModelVersion:
        """Reads the manifest and checks every file's presence, kind, size and digest. Raises BundleError."""
        folder = Path(path)
        if not is_folder(folder):
            raise BundleError(f"{folder}: no such folder; expected a model version folder holding {MANIFEST}")
        manifest = Manifest.from_json(_read(folder / MANIFEST, MAX_MANIFEST_BYTES), str(folder / MANIFEST))
        version = cls(folder, manifest)
        version._check_listing()
        for name in manifest.files:
            version.read(name)
        return version

    def _check_listing(self) -> None:
        expected, present = set(self.manifest.files), {entry.name for entry in entries(self.path)} - {MANIFEST}
        for name in (MODEL_ONNX, GOLDEN):
            if name not in expected:
                raise BundleError(f"{self.path / MANIFEST}: files lists {sorted(expected)}; expected {name} among them")
        if missing := sorted(expected - present):
            raise BundleError(f"{self.path}: {listed(missing)} missing; {MANIFEST} lists it")
        if unlisted := sorted(present - expected):
            raise BundleError(f"{self.path}: {listed(unlisted)} not listed in {MANIFEST}")

    def read(self, name: str) -> bytes:
        """The content of a listed file, with exactly the recorded size and SHA-256. Raises BundleError."""
        record = self.manifest.files.get(name)
        if record is None:
            raise FormatAbsentError(
                f"{self.path}: {name} is not in this folder; it holds {', '.join(sorted(self.manifest.files))}"
            )
        content = _read(self.path / name, MAX_FILE_BYTES, record.n_bytes)
        digest = hashlib.sha256(content).hexdigest()
        if digest != record.sha256:
            raise BundleError(f"{self.path / name}: SHA-256 is {digest}; {MANIFEST} says {record.sha256}")
        return content

    def check_place(self) -> None:
        """Raises BundleError where the folder lies in a repository as another model or version than its manifest says."""
        number, name = self.path.absolute().name, self.path.absolute().parent.name
        if is_version(number) and (name, int(number)) != (self.manifest.name, self.manifest.version):
            raise BundleError(
                f"{self.path}: {MANIFEST} says model {self.manifest.name!r} version {self.manifest.version}; "
                f"the folder says {name!r} version {number}"
            )

    def golden(self) -> Golden:
        """The golden windows and the eager model's outputs for them. Raises BundleError."""
        return Golden.from_npz(self.read(GOLDEN), self.manifest, str(self.path / GOLDEN))


def _read(path: Path, max_bytes: int, expected_bytes: int | None = None) -> bytes:
    """Reads a file of bounded, and where known of exact, size; never through a link, which may lead anywhere."""
    try:
        with open_regular(path, follows_links=False) as file:
            n_bytes = os.fstat(file.fileno()).st_size
            if expected_bytes is not None and n_bytes != expected_bytes:
                raise BundleError(f"{path}: {n_bytes:,} bytes; {MANIFEST} says {expected_bytes:,}")
            if n_bytes > max_bytes:
                raise BundleError(f"{path}: {n_bytes:,} bytes; expected at most {max_bytes:,}")
            content = file.read(n_bytes + 1)
    except OSError as error:
        raise BundleError(f"{path}: {error.strerror}; expected a regular file") from error
    if len(content) != n_bytes:
        raise BundleError(f"{path}: changed while it was read")
    return content
