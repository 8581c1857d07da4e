"""The one definition of the error of a window: training loss, threshold and exported graph all use it."""

from __future__ import annotations

from torch import Tensor


def series_errors(normalised: Tensor, reconstruction: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean squared error of each window [batch], and its shares by feature [batch, feature] and by step [batch, time].

    Both inputs are [batch, time, feature] in normalised units. The shares sum to the error along their second axis.
    """
    squared = (normalised - reconstruction).square()
    feature_error = squared.mean(dim=1) / squared.size(2)
    step_error = squared.mean(dim=2) / squared.size(1)
    return squared.mean(dim=(1, 2)), feature_error, step_error


def row_errors(normalised: Tensor, reconstruction: Tensor) -> tuple[Tensor, Tensor]:
    """Mean squared error of each row [batch], and its share by feature [batch, feature], which sums to it.

    Both inputs are [batch, feature] in normalised units.
    """
    squared = (normalised - reconstruction).square()
    return squared.mean(dim=1), squared / squared.size(1)


def window_errors(normalised: Tensor, reconstruction: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    """`reconstruction_error`, `feature_error` and `step_error` of windows, or of rows, which have no steps (None).

    The error of a window is the mean over its elements of (normalised − reconstruction)², shapes as in
    `series_errors` and `row_errors`. The rank is static in every exported graph; nothing here depends on values.
    """
    if normalised.dim() == 2:
        error, feature_error = row_errors(normalised, reconstruction)
        return error, feature_error, None
    return series_errors(normalised, reconstruction)
