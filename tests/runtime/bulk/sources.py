"""A source of scores in numpy that gives all that any model gives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec
import numpy as np

from offbeat.bundle.manifest import TensorSpec
from offbeat.conformal import Calibration
from offbeat.data.row_stream import RowStream
from offbeat.data.table import Table
from offbeat.result import FloatArray, ScoreResult, Threshold
from tests.runtime import folders

_HEADS: dict[str, tuple[int | str, ...]] = {
    "error_std": ("batch",),
    "class_probability": ("batch", 3),
    "forecast": ("batch", "time", 2),
}


class NumpySource:
    """Errors of any size, so that sums depend on their order; a batch's results depend on nothing but its windows."""

    backend = "numpy"

    def __init__(self, max_batch_size: int = 10**9, length: int = folders.LENGTH) -> None:
        plain = folders.make_manifest({})
        calibration = Calibration.of(np.linspace(0.1, 60, 120).astype(np.float32), kept_rank=1)
        assert plain.window is not None
        self.manifest = msgspec.structs.replace(
            plain,
            window=msgspec.structs.replace(plain.window, length=length),
            outputs=(*plain.outputs, *(TensorSpec(name=n, dtype="float32", shape=s) for n, s in _HEADS.items())),
            threshold=Threshold(
                value=1.5, method="conformal", n_windows=120, false_alarm_rate=0.05, calibration=calibration
            ),
        )
        self.max_batch_size = max_batch_size
        self.batch_sizes: list[int] = []

    def score_all(self, batches: Iterable[FloatArray], outputs: Sequence[str]) -> Iterator[ScoreResult]:
        for windows in batches:
            assert windows.flags.c_contiguous
            self.batch_sizes.append(len(windows))
            arrays = dict(folders.expected_outputs(windows))
            arrays["error_std"] = arrays["reconstruction_error"] * windows[:, 0, 0]
            arrays["class_probability"] = windows[:, -1, :1] * np.array([0.1, 0.2, 0.7], np.float32)
            arrays["forecast"] = windows * np.float32(1.25)
            yield ScoreResult(model="m", version=1, backend="numpy", **{name: arrays[name] for name in outputs})


def series(n_rows: int, seed: int = 0) -> FloatArray:
    """Values of a series [row, feature], of very different sizes."""
    values = folders.random_windows(1, n_rows, seed)[0]
    values[:: max(1, n_rows // 7)] *= 100
    return values


def in_parts(values: FloatArray, sizes: Sequence[int], names: np.ndarray | None = None) -> RowStream:
    """The rows in tables of those sizes, over and over, with time stamps that tell their row."""
    words = np.array([f"t{row}" for row in range(len(values))], dtype=np.str_)

    def tables() -> Iterator[Table]:
        begin, turn = 0, 0
        while begin < len(values):
            part = slice(begin, begin + sizes[turn % len(sizes)])
            yield Table(
                values=values[part],
                feature_names=("pressure", "flow"),
                timestamps=words[part],
                labels=None,
                series=None if names is None else names[part],
            )
            begin, turn = part.stop, turn + 1

    return RowStream(name="rows", tables=tables())
