"""The one definition of the error of a window: training loss, threshold and exported graph all use it."""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor

ErrorKind = Literal["mean_squared", "sum_squared", "sum_absolute"]
ERROR_KINDS: tuple[str, ...] = get_args(ErrorKind)


def element_errors(normalised: Tensor, reconstruction: Tensor, kind: str) -> Tensor:
    """What each element adds to its window's error, before any mean: its squared, or its absolute, difference."""
    difference = normalised - reconstruction
    return difference.abs() if kind == "sum_absolute" else difference.square()


def series_errors(
    normalised: Tensor, reconstruction: Tensor, kind: str = "mean_squared"
) -> tuple[Tensor, Tensor, Tensor]:
    """Error of each window [batch], and its shares by feature [batch, feature] and by step [batch, time].

    Both inputs are [batch, time, feature] in normalised units. The error is the mean of the squared differences, their sum,
    or the sum of the absolute ones, as `kind` (an ErrorKind) says. The shares sum to the error along their second axis.
    """
    elements = element_errors(normalised, reconstruction, kind)
    if kind == "mean_squared":
        feature_error = elements.mean(dim=1) / elements.size(2)
        step_error = elements.mean(dim=2) / elements.size(1)
        return elements.mean(dim=(1, 2)), feature_error, step_error
    return elements.sum(dim=(1, 2)), elements.sum(dim=1), elements.sum(dim=2)


def row_errors(normalised: Tensor, reconstruction: Tensor, kind: str = "mean_squared") -> tuple[Tensor, Tensor]:
    """Error of each row [batch], and its share by feature [batch, feature], which sums to it.

    Both inputs are [batch, feature] in normalised units; `kind` is as in `series_errors`.
    """
    elements = element_errors(normalised, reconstruction, kind)
    if kind == "mean_squared":
        return elements.mean(dim=1), elements / elements.size(1)
    return elements.sum(dim=1), elements


def window_errors(
    normalised: Tensor, reconstruction: Tensor, kind: str = "mean_squared"
) -> tuple[Tensor, Tensor, Tensor | None]:
    """`reconstruction_error`, `feature_error` and `step_error` of windows, or of rows, which have no steps (None).

    Shapes and kinds as in `series_errors` and `row_errors`. The rank and the kind are static in every exported graph;
    nothing here depends on values.
    """
    if normalised.dim() == 2:
        error, feature_error = row_errors(normalised, reconstruction, kind)
        return error, feature_error, None
    return series_errors(normalised, reconstruction, kind)


def draw_errors(normalised: Tensor, draws: Tensor, kind: str = "mean_squared") -> tuple[Tensor, Tensor, Tensor]:
    """Over draws of a reconstruction [draw, batch, feature]: mean error [batch], its shares by feature, and its spread.

    `normalised` is [batch, feature]. The shares [batch, feature] sum to the mean; the spread [batch] is the population
    standard deviation of the error over the draws.
    """
    elements = element_errors(normalised, draws, kind)
    if kind == "mean_squared":
        elements = elements / elements.size(2)
    each_error = elements.sum(dim=2)
    error = each_error.mean(dim=0)
    spread = (each_error - error).square().mean(dim=0).sqrt()
    return error, elements.mean(dim=0), spread
