from __future__ import annotations

import pytest
import torch
from torch import nn

from offbeat_training.reconstruction_error import ERROR_KINDS, window_errors


def test_error_of_a_window_is_the_mean_squared_difference() -> None:
    normalised, reconstruction = torch.randn(5, 8, 3), torch.randn(5, 8, 3)
    error, _, _ = window_errors(normalised, reconstruction)
    for window in range(5):
        expected = torch.nn.functional.mse_loss(reconstruction[window], normalised[window])
        torch.testing.assert_close(error[window], expected)


@pytest.mark.parametrize(
    ("kind", "loss"),
    [
        ("mean_squared", nn.MSELoss()),
        ("sum_squared", nn.MSELoss(reduction="sum")),
        ("sum_absolute", nn.L1Loss(reduction="sum")),
    ],
)
def test_each_kind_of_error_is_the_loss_of_its_name_per_window_and_per_row(kind: str, loss: nn.Module) -> None:
    for shape in ((5, 8, 3), (5, 3)):
        normalised, reconstruction = torch.randn(shape), torch.randn(shape)
        error = window_errors(normalised, reconstruction, kind)[0]
        expected = torch.stack([loss(*pair) for pair in zip(normalised, reconstruction, strict=True)])
        torch.testing.assert_close(error, expected)


@pytest.mark.parametrize("kind", ERROR_KINDS)
def test_shares_of_features_and_steps_each_sum_to_the_error(kind: str) -> None:
    normalised, reconstruction = torch.randn(5, 8, 3), torch.randn(5, 8, 3)
    error, feature_error, step_error = window_errors(normalised, reconstruction, kind)
    assert step_error is not None
    assert feature_error.shape == (5, 3)
    assert step_error.shape == (5, 8)
    torch.testing.assert_close(feature_error.sum(dim=1), error)
    torch.testing.assert_close(step_error.sum(dim=1), error)


def test_shares_point_at_the_feature_and_the_step_that_differ() -> None:
    normalised = torch.zeros(1, 4, 2)
    reconstruction = torch.zeros(1, 4, 2)
    reconstruction[0, 2, 1] = 4.0
    error, feature_error, step_error = window_errors(normalised, reconstruction)
    assert error.tolist() == [2.0]
    assert feature_error.tolist() == [[0.0, 2.0]]
    assert step_error is not None
    assert step_error.tolist() == [[0.0, 0.0, 2.0, 0.0]]


@pytest.mark.parametrize("kind", ERROR_KINDS)
def test_rows_of_a_table_have_no_steps(kind: str) -> None:
    normalised, reconstruction = torch.randn(6, 4), torch.randn(6, 4)
    error, feature_error, step_error = window_errors(normalised, reconstruction, kind)
    assert step_error is None
    torch.testing.assert_close(feature_error.sum(dim=1), error)
