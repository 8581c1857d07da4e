"""What every architecture promises."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

# Bounds on settings, so that a checkpoint cannot ask for a module that does not fit in memory or never ends.
MAX_SIZE = 1 << 16
MAX_LAYERS = 64

Setting = bool | int | float | str | list[int]


class Architecture(nn.Module):
    """A module that reconstructs normalised windows: `forward(normalised) -> reconstruction`, same shape, float32.

    Windows are [batch, time, feature] where `has_time`, else rows [batch, feature]. `is_time_dynamic` says whether any
    number of steps is accepted. `forward` holds no control flow that depends on values, so that one definition serves
    training, TorchScript and ONNX.
    """

    kind: ClassVar[str]
    has_time: ClassVar[bool]
    is_time_dynamic: ClassVar[bool]

    n_features: int

    def settings(self) -> dict[str, Setting]:
        """Plain values that `build_architecture(kind, settings)` turns into a module of the same shape."""
        raise NotImplementedError

    def forward(self, normalised: Tensor) -> Tensor:
        """Reconstructs windows in normalised units."""
        raise NotImplementedError
