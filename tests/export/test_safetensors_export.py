from __future__ import annotations

import msgspec
import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from torch import nn

from offbeat.bundle.precision_record import WeightPrecision
from offbeat.errors import BackendError, ConfigurationError, ExportError
from offbeat_export.eager import evaluate
from offbeat_export.layer_plan import plan_layers
from offbeat_export.safetensors_export import export_safetensors, import_safetensors
from offbeat_export.variant_weights import quantise_weights, with_weights
from offbeat_training.architectures import Architecture
from tests.export import plan_reader
from tests.export.checkpoints import CHECKPOINTS, LENGTH, lstm_checkpoint, table_checkpoint
from tests.export.scorers import scorer_of


@pytest.mark.parametrize("make", CHECKPOINTS.values(), ids=CHECKPOINTS.keys())
def test_the_file_alone_is_enough_to_score_in_numpy(make) -> None:
    module, manifest = scorer_of(make())
    content = export_safetensors(module, manifest)
    generator = np.random.default_rng(0)
    for batch, time in ((1, LENGTH), (9, 2 * LENGTH + 1)):
        shape = (batch, *(size if isinstance(size, int) else time for size in manifest.window_shape[1:]))
        window = generator.normal(size=shape).astype(np.float32) * 10
        eager, seen = evaluate(module, window, manifest.output_names), plan_reader.score(content, window)
        assert set(seen) == set(manifest.output_names)
        error = np.maximum(1.0, eager["reconstruction_error"])
        assert (np.abs(seen["reconstruction_error"] - eager["reconstruction_error"]) <= 1e-5 * error).all()
        for name in manifest.output_names:
            np.testing.assert_allclose(seen[name], eager[name], rtol=1e-5, atol=1e-5)


def test_the_same_checkpoint_gives_the_same_bytes() -> None:
    module, manifest = scorer_of(table_checkpoint())
    assert export_safetensors(module, manifest) == export_safetensors(module, manifest)


def test_the_eager_scorer_comes_back_bit_for_bit() -> None:
    for checkpoint in (lstm_checkpoint(3, 2), table_checkpoint()):
        module, manifest = scorer_of(checkpoint)
        again = import_safetensors(export_safetensors(module, manifest), manifest, "model.safetensors")
        window = checkpoint.validation_windows.numpy()
        expected, seen = (evaluate(each, window, manifest.output_names) for each in (module, again))
        for name in manifest.output_names:
            np.testing.assert_array_equal(seen[name], expected[name])


@pytest.mark.parametrize("precision", ["fp16", "bf16", "int8"])
@pytest.mark.parametrize("make", CHECKPOINTS.values(), ids=CHECKPOINTS.keys())
def test_narrow_weights_come_back_as_the_numbers_they_stand_for(make, precision: WeightPrecision) -> None:
    module, manifest = scorer_of(make())
    weights = quantise_weights(module, manifest, precision)
    rounded = with_weights(module, weights)
    content = export_safetensors(module, manifest, weights)
    again = import_safetensors(content, manifest, "model.safetensors")
    for name, tensor in rounded.state_dict().items():
        if tensor.dtype == torch.float32:
            assert torch.equal(again.state_dict()[name], tensor), name
    window = (
        np.random.default_rng(0)
        .normal(size=(4, *(size if isinstance(size, int) else LENGTH for size in manifest.window_shape[1:])))
        .astype(np.float32)
    )
    seen = plan_reader.score(content, window)["reconstruction_error"]
    np.testing.assert_allclose(
        seen, evaluate(rounded, window, manifest.output_names)["reconstruction_error"], rtol=1e-5
    )


def test_only_weight_matrices_are_stored_in_fewer_bits() -> None:
    module, manifest = scorer_of(CHECKPOINTS["variational"]())
    tensors = load(export_safetensors(module, manifest, quantise_weights(module, manifest, "int8")))
    narrow = {name for name, tensor in tensors.items() if tensor.dtype == torch.int8}
    assert {"mean.weight", "log_variance.weight", "encoder.0.weight", "decoder.0.weight"} <= narrow
    assert all(tensors[f"{name}.scale"].shape == tensors[name].shape[:1] for name in narrow)
    assert all(tensor.dtype == torch.float32 for name, tensor in tensors.items() if name not in narrow)
    assert {"noise", "encoder.0.bias", "encoder.1.weight", "threshold"} <= set(tensors) - narrow


def test_int8_weights_without_fitting_scales_are_refused() -> None:
    module, manifest = scorer_of(lstm_checkpoint(3))
    tensors = load(export_safetensors(module, manifest, quantise_weights(module, manifest, "int8")))
    name = "encoder.weight_ih_l0"
    for scale in (None, torch.ones(3), torch.ones(32, dtype=torch.float16)):
        changed = {key: value for key, value in tensors.items() if key != f"{name}.scale"}
        changed |= {} if scale is None else {f"{name}.scale": scale}
        with pytest.raises(BackendError, match=rf"{name} is int8 \[32, 3\].*expected a matrix beside float32 scales"):
            import_safetensors(save(changed), manifest, "model.safetensors")
    with pytest.raises(BackendError, match=r"is torch\.float64; expected float32, float16, bfloat16 or int8"):
        import_safetensors(save(tensors | {"output.bias": torch.zeros(3, dtype=torch.float64)}), manifest, "x")


def test_tensors_of_another_architecture_are_refused() -> None:
    module, manifest = scorer_of(lstm_checkpoint(3))
    content = export_safetensors(module, manifest)
    other = msgspec.structs.replace(
        manifest, architecture=msgspec.structs.replace(manifest.architecture, settings={"n_features": 4})
    )
    with pytest.raises(BackendError, match=r"model\.safetensors: .*size mismatch for encoder"):
        import_safetensors(content, other, "model.safetensors")
    with pytest.raises(BackendError, match=r"model\.safetensors"):
        import_safetensors(content[:100], manifest, "model.safetensors")
    with pytest.raises(BackendError, match=r"no tensor 'normalisation\.mean'"):
        import_safetensors(b"\x08\x00\x00\x00\x00\x00\x00\x00{}      ", manifest, "model.safetensors")


def test_settings_that_lie_about_their_size_cost_no_memory() -> None:
    module, manifest = scorer_of(lstm_checkpoint(3))
    huge = {"n_features": 3, "hidden_size": 65_536, "n_layers": 64}
    other = msgspec.structs.replace(
        manifest, architecture=msgspec.structs.replace(manifest.architecture, settings=huge)
    )
    with pytest.raises(BackendError):
        import_safetensors(export_safetensors(module, manifest), other, "model.safetensors")


def test_an_unknown_architecture_has_no_plan_and_cannot_be_rebuilt() -> None:
    class Unknown(Architecture):
        kind, has_time, is_time_dynamic = "unknown", False, False

    module, manifest = scorer_of(table_checkpoint())
    with pytest.raises(ExportError, match="no layer plan is known for the architecture 'unknown'"):
        plan_layers(Unknown(), manifest)
    module.model.encoder.append(nn.Tanh())
    with pytest.raises(ExportError, match=r"no layer is known for Tanh in encoder\.9"):
        plan_layers(module.model, manifest)
    other = msgspec.structs.replace(
        manifest, architecture=msgspec.structs.replace(manifest.architecture, kind="unknown")
    )
    with pytest.raises(ConfigurationError, match="unknown"):
        import_safetensors(export_safetensors(scorer_of(table_checkpoint())[0], manifest), other, "x")


def test_weights_are_float32_and_nothing_else_is_kept() -> None:
    module, manifest = scorer_of(table_checkpoint())
    _, tensors = plan_reader.read(export_safetensors(module, manifest))
    expected = {name for name, value in module.model.state_dict().items() if value.dtype == torch.float32}
    assert set(tensors) == expected | {"normalisation.mean", "normalisation.scale", "threshold"}
