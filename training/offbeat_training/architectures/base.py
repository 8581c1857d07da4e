"""What every architecture promises."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from torch import Tensor, nn

from offbeat.errors import require
from offbeat_training.reconstruction_error import ERROR_KINDS, window_errors

# Bounds on settings, so that a checkpoint cannot ask for a module that does not fit in memory or never ends.
MAX_SIZE = 1 << 16
MAX_LAYERS = 64

Setting = bool | int | float | str | list[int]


class Architecture(nn.Module):
    """A module that reconstructs normalised windows: `forward(normalised) -> reconstruction`, same shape, float32.

    Windows are [batch, time, feature] where `has_time`, else rows [batch, feature]. `is_time_dynamic` says whether any
    number of steps is accepted. `error` is the ErrorKind that the module is trained with and scores by. `recurrent_dropout`
    is the share of recurrent weights left out in each training step. `forward` holds no control flow that depends on
    values, so that one definition serves training, TorchScript and ONNX.
    """

    kind: ClassVar[str]
    has_time: bool
    is_time_dynamic: bool

    n_features: int
    error: str
    recurrent_dropout: float = 0.0

    def settings(self) -> dict[str, Setting]:
        """Plain values that `build_architecture(kind, settings)` turns into a module of the same shape."""
        raise NotImplementedError

    def forward(self, normalised: Tensor) -> Tensor:
        """Reconstructs windows in normalised units."""
        raise NotImplementedError

    def compared(self, normalised: Tensor) -> Tensor:
        """The part of the windows that the reconstruction is compared with: all of it, unless a module says otherwise."""
        return normalised

    def errors(self, normalised: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """What scoring computes: `reconstruction_error`, `feature_error`, and `step_error` where there is time."""
        return window_errors(self.compared(normalised), self(normalised), self.error)

    def losses(self, normalised: Tensor, class_labels: Tensor | None = None) -> Tensor:
        """What training minimises, for each window [batch]: its error, and what an architecture adds to it.

        `class_labels` [batch] are int64 and asked for only by a model with a classifier.
        """
        return self.errors(normalised)[0]

    def initialise(self, batches: Iterable[Tensor]) -> None:
        """Sets, before training, what is computed from the training windows rather than learnt: here nothing.

        `batches` are normalised windows, on the CPU.
        """


def require_dense_settings(n_features: int, hidden_sizes: Sequence[int], latent_dim: int, error: str) -> None:
    """Raises ConfigurationError unless the settings of a dense autoencoder are ones that can be built."""
    require(1 <= n_features <= MAX_SIZE, "n_features", n_features, f"1 to {MAX_SIZE}")
    require(1 <= latent_dim <= MAX_SIZE, "latent_dim", latent_dim, f"1 to {MAX_SIZE}")
    require(len(hidden_sizes) <= MAX_LAYERS, "hidden_sizes", f"{len(hidden_sizes)} sizes", f"at most {MAX_LAYERS}")
    for size in hidden_sizes:
        require(1 <= size <= MAX_SIZE, "hidden_sizes", size, f"sizes of 1 to {MAX_SIZE}")
    require(error in ERROR_KINDS, "error", error, f"one of {', '.join(ERROR_KINDS)}")
