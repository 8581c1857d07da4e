from __future__ import annotations

import torch

from offbeat_training.reconstruction_error import window_errors


def test_error_of_a_window_is_the_mean_squared_difference() -> None:
    normalised, reconstruction = torch.randn(5, 8, 3), torch.randn(5, 8, 3)
    error, _, _ = window_errors(normalised, reconstruction)
    for window in range(5):
        expected = torch.nn.functional.mse_loss(reconstruction[window], normalised[window])
        torch.testing.assert_close(error[window], expected)


def test_shares_of_features_and_steps_each_sum_to_the_error() -> None:
    normalised, reconstruction = torch.randn(5, 8, 3), torch.randn(5, 8, 3)
    error, feature_error, step_error = window_errors(normalised, reconstruction)
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


def test_rows_of_a_table_have_no_steps() -> None:
    normalised, reconstruction = torch.randn(6, 4), torch.randn(6, 4)
    error, feature_error, step_error = window_errors(normalised, reconstruction)
    assert step_error is None
    torch.testing.assert_close(error, (normalised - reconstruction).square().mean(dim=1))
    torch.testing.assert_close(feature_error.sum(dim=1), error)
