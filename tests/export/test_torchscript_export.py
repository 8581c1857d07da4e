from __future__ import annotations

import io

import numpy as np
import pytest
import torch

from offbeat.errors import ExportError
from offbeat_export.eager import evaluate
from offbeat_export.torchscript_export import export_torchscript
from tests.export.checkpoints import CHECKPOINTS, LENGTH
from tests.export.scorers import scorer_of


@pytest.mark.parametrize("make", CHECKPOINTS.values(), ids=CHECKPOINTS.keys())
def test_the_module_scores_any_batch_and_time_as_eager_does(make) -> None:
    module, manifest = scorer_of(make())
    loaded = torch.jit.load(io.BytesIO(export_torchscript(module, manifest)))
    generator = np.random.default_rng(0)
    for batch, time in ((1, 1), (2, LENGTH), (65, 3 * LENGTH + 1)):
        shape = (batch, *(size if isinstance(size, int) else time for size in manifest.window_shape[1:]))
        window = generator.normal(size=shape).astype(np.float32)
        eager = evaluate(module, window, manifest.output_names)
        seen = evaluate(loaded, window, manifest.output_names)
        for name in manifest.output_names:
            np.testing.assert_allclose(seen[name], eager[name], rtol=1e-5, atol=1e-5)


def test_no_device_is_baked_in() -> None:
    module, manifest = scorer_of(CHECKPOINTS["lstm, 5 features, 2 layers"]())
    loaded = torch.jit.load(io.BytesIO(export_torchscript(module, manifest)))
    assert 'device("cpu")' not in loaded.code


def test_a_module_that_torchscript_cannot_express_is_refused() -> None:
    class Unscriptable(torch.nn.Module):
        def forward(self, window: torch.Tensor) -> torch.Tensor:
            return eval("window")  # noqa: S307

    _, manifest = scorer_of(CHECKPOINTS["table, 1 feature"]())
    with pytest.raises(ExportError, match="autoencoder cannot become TorchScript"):
        export_torchscript(Unscriptable(), manifest)
