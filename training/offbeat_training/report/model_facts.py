"""What a report tells of the model: the part of a folder's manifest that names it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from offbeat.errors import DataError
from offbeat.provenance import TrainingRecord
from offbeat.result import Threshold

MAX_MANIFEST_BYTES = 4 * 2**20


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Fields of `manifest.json` by the same names, of which there are more. docs/format.md is their specification."""

    name: str
    version: int
    feature_names: tuple[str, ...]
    threshold: Threshold
    training: TrainingRecord

    @property
    def words(self) -> tuple[tuple[str, str], ...]:
        """Names and values for the top of a page."""
        source = self.training.source
        return (
            ("model", self.name),
            ("version", str(self.version)),
            ("trained on", f"{source.name}, {source.n_rows:,} rows"),
            ("trained at", self.training.trained_at),
            ("threshold", f"{self.threshold.value:.6g} ({self.threshold.how})"),
        )


def read_model_facts(folder: Path) -> ModelFacts:
    """Reads the manifest of a version's folder, or of the newest version in a model's folder. Raises DataError."""
    manifest = _version_folder(folder) / "manifest.json"
    try:
        if manifest.stat().st_size > MAX_MANIFEST_BYTES:
            raise DataError(f"{manifest}: larger than {MAX_MANIFEST_BYTES} bytes; expected the manifest of a model")
        return msgspec.json.decode(manifest.read_bytes(), type=ModelFacts)
    except OSError as error:
        raise DataError(f"{manifest}: cannot be read: {error.strerror}; expected the folder of a model") from error
    except msgspec.DecodeError as error:
        raise DataError(f"{manifest}: {error}; expected the manifest of a model") from error


def _version_folder(folder: Path) -> Path:
    if (folder / "manifest.json").exists() or not folder.is_dir():
        return folder
    versions = [each for each in folder.iterdir() if each.name.isdecimal() and (each / "manifest.json").is_file()]
    return max(versions, key=lambda each: int(each.name), default=folder)
