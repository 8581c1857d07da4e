"""What a window cannot do without, counted from the layer plan of an exported model, and how long that takes at least."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
from safetensors import safe_open

from benchmarks.native import Need, limit_us
from offbeat_export.layer_kinds import (
    LSTM,
    BidirectionalLSTM,
    DenseState,
    Flatten,
    GaussianDraws,
    HiddenState,
    LastStep,
    Layer,
    Linear,
    Repeat,
    Sigmoid,
    Tanh,
    Unflatten,
    Zeros,
)
from offbeat_export.layer_plan import LayerPlan

_FLOAT_BYTES = 4
# Of a unit and a step: three sigmoids, and the tangents of the candidate and of the cell.
_N_LSTM_ACTIVATIONS = 5
_COSTLY = ("sigmoid", "tanh")


@dataclass(frozen=True, kw_only=True)
class WindowNeeds:
    """`need` of one window, and how many weights it reads while it is alone: fewer than its multiply-adds where draws share them."""

    need: Need
    n_weight_reads: int

    def least_us(self, limits: dict[str, float], batch: int) -> float:
        """Microseconds that a batch takes at least, in float32, on a core that can do what `limits` tell."""
        if batch > 1:
            return limit_us(self.need, limits, batch)
        alone = replace(self.need, n_multiply_adds=self.n_weight_reads)
        return max(limit_us(self.need, limits, 2) / 2, limit_us(alone, limits, 1))


def window_needs(folder: Path, n_steps: int) -> WindowNeeds:
    """Of an exported version, for windows of so many steps; for rows of a table, 1."""
    with safe_open(folder / "model.safetensors", "numpy") as file:
        return plan_needs(msgspec.json.decode(file.metadata()["plan"], type=LayerPlan), n_steps)


def plan_needs(plan: LayerPlan, n_steps: int) -> WindowNeeds:
    """Counts the layers up to the reconstruction: heads are not asked for."""
    counted = _Count(n_steps, int(plan.input.shape[-1]))
    for layer in plan.layers:
        counted.add(layer)
    need = Need(
        n_multiply_adds=counted.n_multiply_adds,
        n_activations=counted.n_activations,
        # Without a layer that is read at each step, what matters is the cache that holds all of them.
        n_layer_bytes=_FLOAT_BYTES * (counted.n_recurrent or counted.n_reads),
    )
    return WindowNeeds(need=need, n_weight_reads=counted.n_reads)


class _Count:
    """Sums over the layers so far. The value is `n_rows` vectors of `size`, of which `n_distinct` have to be multiplied."""

    def __init__(self, n_steps: int, n_features: int) -> None:
        self.n_steps, self.size = n_steps, n_features
        self.n_rows = self.n_distinct = n_steps
        self.n_draws = 1
        # The normalisation is one of each element.
        self.n_multiply_adds = self.n_reads = n_steps * n_features
        self.n_activations = self.n_recurrent = 0

    def add(self, layer: Layer) -> None:
        """Batch normalisation is folded, relu is free, and keeping, adding and reshaping multiply nothing."""
        match layer:
            case LSTM() | BidirectionalLSTM():
                self._add_lstm(layer, 2 if isinstance(layer, BidirectionalLSTM) else 1)
            case Linear():
                self._multiply(self.n_distinct, layer.input_size * layer.output_size)
                self.size = layer.output_size
            case DenseState():
                self._multiply(1, 2 * layer.input_size * layer.output_size)
                self.n_activations += 2 * layer.output_size * (layer.activation in _COSTLY)
            case Sigmoid() | Tanh():
                self.n_activations += self.n_distinct * self.size
            case GaussianDraws():
                self._draw(layer)
            case LastStep() | HiddenState():
                self._shape(1, self.size)
            case Repeat():
                # Steps beyond the window's are compared with nothing.
                self._shape(min(layer.n_repeats or self.n_steps, self.n_steps), self.size, n_distinct=1)
            case Zeros():
                self._shape(self.n_steps, layer.size, n_distinct=0)
            case Flatten():
                self._shape(1, self.n_rows * self.size)
            case Unflatten():
                self._shape(layer.n_steps, self.size // layer.n_steps)

    def _add_lstm(self, layer: LSTM | BidirectionalLSTM, n_directions: int) -> None:
        """A repeated input is multiplied once, zeros never; a state is at each step."""
        n_gates = 4 * layer.hidden_size
        self._multiply(self.n_distinct, n_directions * n_gates * layer.input_size)
        self._multiply(self.n_rows, n_directions * n_gates * layer.hidden_size)
        self.n_activations += self.n_rows * n_directions * _N_LSTM_ACTIVATIONS * layer.hidden_size
        self.n_recurrent = max(self.n_recurrent, n_gates * layer.hidden_size)
        self._shape(self.n_rows, n_directions * layer.hidden_size)

    def _draw(self, layer: GaussianDraws) -> None:
        self._multiply(1, 2 * layer.input_size * layer.output_size)
        self.n_multiply_adds += layer.n_draws * layer.output_size
        self.n_activations += layer.output_size
        self.n_draws = layer.n_draws
        self._shape(layer.n_draws, layer.output_size)

    def _multiply(self, n_rows: int, n_weights: int) -> None:
        self.n_multiply_adds += n_rows * n_weights
        self.n_reads += n_rows // self.n_draws * n_weights

    def _shape(self, n_rows: int, size: int, *, n_distinct: int | None = None) -> None:
        self.n_rows, self.size = n_rows, size
        self.n_distinct = n_rows if n_distinct is None else n_distinct
