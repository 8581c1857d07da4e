"""The layers of a plan, one struct for each kind. docs/format.md is their specification."""

from __future__ import annotations

from typing import Literal

import msgspec


class _Layer(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", forbid_unknown_fields=True, omit_defaults=True
):
    """One step from the normalised window to its reconstruction.

    Strings are names of tensors, except for `kind`, `activation`, and the names under which a value (`name`) or a final
    state (`state`, `initial_state`, `final_state`) is kept.
    """


class LSTM(_Layer, tag="lstm", frozen=True, kw_only=True):
    """[batch, time, input_size] → [batch, time, hidden_size]; rows of the weights are gates i, f, g, o.

    It starts from the state kept as `initial_state`, or from zero; its final state is kept as `final_state`, where given.
    """

    input_size: int
    hidden_size: int
    weight_input: str
    weight_hidden: str
    bias_input: str
    bias_hidden: str
    initial_state: str | None = None
    final_state: str | None = None


class BidirectionalLSTM(_Layer, tag="bidirectional_lstm", frozen=True, kw_only=True):
    """[batch, time, input_size] → [batch, time, 2 · hidden_size]: an LSTM forward in time beside one backward."""

    input_size: int
    hidden_size: int
    weight_input: str
    weight_hidden: str
    bias_input: str
    bias_hidden: str
    weight_input_reverse: str
    weight_hidden_reverse: str
    bias_input_reverse: str
    bias_hidden_reverse: str
    final_state: str | None = None


class LastStep(_Layer, tag="last_step", frozen=True, kw_only=True):
    """[batch, time, size] → [batch, size]: the last step alone."""


class HiddenState(_Layer, tag="hidden_state", frozen=True, kw_only=True):
    """Anything → [batch, size]: the hidden half of a state that was kept."""

    state: str


class DenseState(_Layer, tag="dense_state", frozen=True, kw_only=True):
    """Keeps a new state: two linear layers of a kept one, its hidden and its cell half, and the activation of both.

    The value stays as it is.
    """

    state: str
    final_state: str
    input_size: int
    output_size: int
    weight_hidden: str
    bias_hidden: str
    weight_cell: str
    bias_cell: str
    activation: Literal["linear", "relu", "sigmoid", "tanh"]


class Repeat(_Layer, tag="repeat", frozen=True, kw_only=True):
    """[batch, size] → [batch, time, size]: the same vector at each of `n_repeats` steps, or of the window's."""

    n_repeats: int | None = None


class Zeros(_Layer, tag="zeros", frozen=True, kw_only=True):
    """Anything → [batch, time, size]: zeros at each of the window's steps."""

    size: int


class Linear(_Layer, tag="linear", frozen=True, kw_only=True):
    """[..., input_size] → [..., output_size]: x · weightᵀ + bias."""

    input_size: int
    output_size: int
    weight: str
    bias: str


class BatchNorm(_Layer, tag="batch_norm", frozen=True, kw_only=True):
    """[..., size] → same: (x − mean) / √(variance + epsilon) · weight + bias."""

    size: int
    epsilon: float
    mean: str
    variance: str
    weight: str
    bias: str


class Relu(_Layer, tag="relu", frozen=True, kw_only=True):
    """max(x, 0)."""


class Sigmoid(_Layer, tag="sigmoid", frozen=True, kw_only=True):
    """1 / (1 + exp(−x))."""


class Tanh(_Layer, tag="tanh", frozen=True, kw_only=True):
    """tanh(x)."""


class Softmax(_Layer, tag="softmax", frozen=True, kw_only=True):
    """exp(x) over its sum along the last axis."""


class Keep(_Layer, tag="keep", frozen=True, kw_only=True):
    """The value as it is, kept under a name for a head or an `add`."""

    name: str


class Flatten(_Layer, tag="flatten", frozen=True, kw_only=True):
    """[batch, time, size] → [batch, time · size]: the steps one after another."""


class Unflatten(_Layer, tag="unflatten", frozen=True, kw_only=True):
    """[batch, n_steps · size] → [batch, n_steps, size]: the reverse of `flatten`."""

    n_steps: int


class Add(_Layer, tag="add", frozen=True, kw_only=True):
    """The value plus the one kept as `name`, of the same shape."""

    name: str


class GaussianDraws(_Layer, tag="gaussian_draws", frozen=True, kw_only=True):
    """[batch, input_size] → [draw, batch, output_size]: mean + exp(clip(log variance, −limit, limit) / 2) · noise.

    Mean and log variance are linear in the value; `noise` [draw, output_size] is the same for every row.
    """

    input_size: int
    output_size: int
    n_draws: int
    weight_mean: str
    bias_mean: str
    weight_log_variance: str
    bias_log_variance: str
    noise: str
    limit: float


Layer = (
    LSTM
    | BidirectionalLSTM
    | LastStep
    | HiddenState
    | DenseState
    | Repeat
    | Zeros
    | Linear
    | BatchNorm
    | Relu
    | Sigmoid
    | Tanh
    | Softmax
    | Keep
    | Flatten
    | Unflatten
    | Add
    | GaussianDraws
)
