"""What a window needs at least, counted from layer plans, for the share of the limit that benchmarks tell."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.models import ARCHITECTURES, MODELS, PRESET_MODELS
from benchmarks.native import NEEDS
from benchmarks.needs import WindowNeeds, plan_needs
from offbeat_export.layer_plan import plan_layers
from offbeat_training.architectures import LSTMAutoencoder

LIMITS = {
    "fma_per_ns": 76.0,
    "l1_bytes_per_ns": 270.0,
    "l2_bytes_per_ns": 95.0,
    "l3_bytes_per_ns": 23.0,
    "activation_ns": 0.075,
}


def needs_of(module: Any, length: int | None) -> WindowNeeds:
    shape = ("batch", module.n_features) if length is None else ("batch", "time", module.n_features)
    manifest: Any = SimpleNamespace(inputs=[SimpleNamespace(name="window", shape=shape)])
    return plan_needs(plan_layers(module, manifest), length or 1)


@pytest.mark.parametrize("model", ARCHITECTURES)
def test_models_of_the_design_need_what_was_counted_by_hand(model: str) -> None:
    make, length = ARCHITECTURES[model]
    assert needs_of(make(), length).need == NEEDS[model]


@pytest.mark.parametrize("model", PRESET_MODELS)
def test_every_preset_has_a_limit_and_reads_no_weight_more_often_than_it_multiplies(model: str) -> None:
    make, length = MODELS[model]
    needs = needs_of(make(), length)
    assert 0 < needs.n_weight_reads <= needs.need.n_multiply_adds
    alone, many = needs.least_us(LIMITS, 1), needs.least_us(LIMITS, 512) / 512
    assert 0 < many <= alone


def test_draws_multiply_again_and_read_the_decoder_once() -> None:
    make, _ = MODELS["preset variational"]
    needs = needs_of(make(), None)
    encoder, latent, decoder = 4 * 128 + 128 * 64, 2 * 64 * 32, 32 * 64 + 64 * 128 + 128 * 4
    assert needs.need.n_multiply_adds == 4 + encoder + latent + 10 * (32 + decoder)
    assert needs.n_weight_reads == 4 + encoder + latent + decoder
    assert needs.need.n_activations == 32


def test_both_directions_bottlenecks_and_sigmoids_of_the_output_are_counted() -> None:
    module = LSTMAutoencoder(
        3, hidden_size=8, n_layers=1, bridge="repeat_state", bidirectional=True, latent_dim=5, output_activation="tanh"
    )
    needs = needs_of(module, 10).need
    encoder, decoder = 2 * 10 * 4 * 8 * (3 + 8), 10 * 4 * module.decoder.hidden_size * module.decoder.hidden_size
    latent = 2 * 16 * 5 + 2 * 5 * module.decoder.hidden_size
    repeated = 4 * module.decoder.hidden_size * 5
    output = 10 * module.output.in_features * 3
    assert needs.n_multiply_adds == 30 + encoder + latent + repeated + decoder + output
    assert needs.n_activations == 10 * 5 * (16 + module.decoder.hidden_size) + 10 * 3


def test_steps_that_are_decoded_beyond_the_window_are_never_needed() -> None:
    short, long = (needs_of(LSTMAutoencoder(2, hidden_size=8, n_repeats=n), 10).need for n in (10, 50))
    assert short == long
