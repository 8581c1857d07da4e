"""Every design as the native core reads it: the file's bytes, the eager scorer they came from, its manifest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from offbeat.bundle import Golden, Manifest
from offbeat.native import Session, cpu_features
from offbeat.result import FloatArray
from offbeat_export.eager import evaluate
from offbeat_export.golden import golden_npz
from offbeat_export.parity_cases import ParityCase, parity_cases
from offbeat_export.safetensors_export import export_safetensors
from offbeat_export.scoring_module import ScoringModule
from offbeat_export.window_source import WindowSource
from tests.export.checkpoints import CHECKPOINTS
from tests.export.scorers import scorer_of

# Instruction sets of this machine, by the features that they need.
_NEEDS = {"baseline": (), "avx2": ("avx2", "fma"), "avx512": ("avx512f", "avx512bw", "avx512vl"), "neon": ("neon",)}
ISAS = tuple(name for name, needs in _NEEDS.items() if all(cpu_features()[need] for need in needs))


@dataclass(frozen=True, kw_only=True, eq=False)
class Design:
    """A scorer with random weights in both forms."""

    content: bytes
    module: ScoringModule
    manifest: Manifest
    source: WindowSource

    @property
    def outputs(self) -> Sequence[str]:
        return self.manifest.output_names

    def session(self, **options) -> Session:
        return Session.parse(self.content, **options)

    def windows(self, n: int, length: int | None = None, seed: int = 0) -> FloatArray:
        """Random windows around the normalisation."""
        shape = list(self.manifest.window_shape)
        if self.manifest.window is not None:
            shape[1] = length if length and self.manifest.window.is_time_dynamic else self.manifest.window.length
        normalised = np.random.default_rng(seed).standard_normal((n, *shape[1:]))
        mean, scale = (
            np.asarray(each) for each in (self.manifest.normalisation.mean, self.manifest.normalisation.scale)
        )
        return (normalised * scale + mean).astype(np.float32)

    def eager(self, windows: FloatArray) -> dict[str, NDArray[np.generic]]:
        return evaluate(self.module, windows, self.outputs)

    def golden(self) -> Golden:
        """What golden.npz would hold."""
        return Golden.from_npz(golden_npz(self.module, self.source), self.manifest, "golden.npz")

    def cases(self) -> list[ParityCase]:
        """The windows that an export measures parity on."""
        return list(parity_cases(self.manifest, self.source))


@cache
def design(name: str) -> Design:
    """One of the exporter's own test designs."""
    checkpoint = CHECKPOINTS[name]()
    module, manifest = scorer_of(checkpoint)
    source = WindowSource(manifest, checkpoint.validation_windows.numpy())
    return Design(content=export_safetensors(module, manifest), module=module, manifest=manifest, source=source)


DESIGNS = tuple(CHECKPOINTS)
