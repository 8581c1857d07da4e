"""How many products a window's error needs, by the layer plan."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from offbeat.errors import BundleError

Count = Annotated[int, Meta(ge=0, le=2**40)]
# How often something is computed: so many times, or once for each step of the window.
Times = int | Literal["time"]


class MultiplyAdds(msgspec.Struct, frozen=True, kw_only=True):
    """`per_window` products, and `per_step` more for each step of the window."""

    per_window: int = 0
    per_step: int = 0

    def __add__(self, other: MultiplyAdds) -> MultiplyAdds:
        return MultiplyAdds(per_window=self.per_window + other.per_window, per_step=self.per_step + other.per_step)

    def of(self, n_steps: int) -> int:
        """All of them, for a window of so many steps."""
        return self.per_window + n_steps * self.per_step


class _Layer(msgspec.Struct, frozen=True):
    kind: str
    input_size: Count = 0
    hidden_size: Count = 0
    output_size: Count = 0
    n_repeats: Count | None = None
    n_steps: Count = 1
    n_draws: Count = 1


class _Input(msgspec.Struct, frozen=True):
    shape: tuple[Count | Literal["batch", "time"], ...]


class _Plan(msgspec.Struct, frozen=True):
    input: _Input
    layers: tuple[_Layer, ...]


class _Value(msgspec.Struct, frozen=True):
    """What flows from layer to layer: at how many steps it is there, and at how many of them it differs."""

    steps: Times
    different: Times
    n_draws: int = 1


def count_multiply_adds(plan: str, where: str) -> MultiplyAdds:
    """Counts what error, score and decision of one window need, from the JSON text of a layer plan; heads are not among it.

    Every product of a weight with a number, and one for each element's share of the error. A product with an input that
    is the same at each step, as a repeated latent vector is, counts once, one with zeros never. Normalisation, biases, activations,
    batch normalisation, which folds into the layer before it, sums, and the element-wise products of an LSTM's gates do not
    count. Raises BundleError for a plan that is none, or a layer of a kind that is not known.
    """
    try:
        decoded = msgspec.json.decode(plan, type=_Plan)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise BundleError(f"{where}: not a readable layer plan: {error}") from error
    match decoded.input.shape:
        case ("batch", int() as n_features):
            n_steps: Times = 1
        case ("batch", "time", int() as n_features):
            n_steps = "time"
        case ("batch", int() as n_steps, int() as n_features):
            pass
        case shape:
            raise BundleError(
                f"{where}: the layer plan takes {list(shape)}; expected [batch, time, feature] or [batch, feature]"
            )
    value, total = _Value(steps=n_steps, different=n_steps), MultiplyAdds()
    for layer in decoded.layers:
        value, products = _apply(layer, value, n_steps, where)
        total += products
    return total + _times(n_features * value.n_draws, _fewer(n_steps, value.steps))


def _apply(layer: _Layer, value: _Value, n_steps: Times, where: str) -> tuple[_Value, MultiplyAdds]:
    """What a layer makes of a value, and the products it needs for it."""
    once = msgspec.structs.replace(value, steps=1, different=1)
    match layer.kind:
        case "lstm" | "bidirectional_lstm":
            n_directions = 2 if layer.kind == "bidirectional_lstm" else 1
            gates = 4 * layer.hidden_size * n_directions
            products = _times(gates * layer.input_size, value.different)
            products += _times(gates * layer.hidden_size, value.steps)
            return msgspec.structs.replace(value, different=value.steps), _drawn(products, value)
        case "linear":
            return value, _drawn(_times(layer.input_size * layer.output_size, value.different), value)
        case "dense_state":
            return value, _times(2 * layer.input_size * layer.output_size, 1)
        case "gaussian_draws":
            products = _times(2 * layer.input_size * layer.output_size, value.different)
            return msgspec.structs.replace(value, n_draws=layer.n_draws), products
        case "last_step" | "hidden_state" | "flatten":
            return once, MultiplyAdds()
        case "repeat":
            steps = n_steps if layer.n_repeats is None else layer.n_repeats
            return msgspec.structs.replace(value, steps=steps, different=1), MultiplyAdds()
        case "zeros":
            return msgspec.structs.replace(value, steps=n_steps, different=0), MultiplyAdds()
        case "unflatten":
            return msgspec.structs.replace(value, steps=layer.n_steps, different=layer.n_steps), MultiplyAdds()
        case "add":
            # The other one may differ from step to step.
            return msgspec.structs.replace(value, different=value.steps), MultiplyAdds()
        case "batch_norm" | "relu" | "sigmoid" | "tanh" | "softmax" | "keep":
            return value, MultiplyAdds()
        case _:
            raise BundleError(f"{where}: the layer plan has a layer of kind {layer.kind!r}, which cannot be counted")


def _times(n: int, times: Times) -> MultiplyAdds:
    return MultiplyAdds(per_step=n) if times == "time" else MultiplyAdds(per_window=n * times)


def _drawn(products: MultiplyAdds, value: _Value) -> MultiplyAdds:
    """The same for each draw of a variational model."""
    return MultiplyAdds(per_window=value.n_draws * products.per_window, per_step=value.n_draws * products.per_step)


def _fewer(window: Times, reconstructed: Times) -> Times:
    """Errors are of the steps that both have; where one number depends on the window, that is the window's."""
    if window == "time" or reconstructed == "time":
        return "time"
    return min(window, reconstructed)
