from __future__ import annotations

import torch

from offbeat_training import LSTMAutoencoder
from offbeat_training.training_loss import training_loss


def model_with(recurrent_dropout: float) -> LSTMAutoencoder:
    torch.manual_seed(0)
    return LSTMAutoencoder(2, 8, n_layers=2, bridge="repeat_state", recurrent_dropout=recurrent_dropout)


def test_without_dropout_the_loss_is_the_mean_of_the_windows_errors() -> None:
    model, windows = model_with(0.0), torch.randn(5, 7, 2)
    torch.testing.assert_close(training_loss(model, windows), model.errors(windows)[0].mean())


def test_recurrent_dropout_leaves_out_other_weights_each_time_in_training_alone() -> None:
    model, windows = model_with(0.5), torch.randn(5, 7, 2)
    losses = {training_loss(model, windows).item() for _ in range(5)}
    assert len(losses) == 5
    model.eval()
    torch.testing.assert_close(training_loss(model, windows), model.errors(windows)[0].mean())


def test_recurrent_dropout_drops_recurrent_weights_and_scales_the_others() -> None:
    model, windows = model_with(0.25), torch.randn(5, 7, 2)
    torch.manual_seed(3)
    seen = training_loss(model, windows)
    torch.manual_seed(3)
    by_hand = model_with(0.0)
    torch.manual_seed(3)
    with torch.no_grad():
        for name, weight in by_hand.named_parameters():
            if "weight_hh" in name:
                weight.copy_(torch.nn.functional.dropout(weight, 0.25))
    torch.testing.assert_close(seen, training_loss(by_hand, windows))


def test_recurrent_dropout_leaves_the_weights_as_they_are_and_gives_them_gradients() -> None:
    model = model_with(0.5)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    training_loss(model, torch.randn(5, 7, 2)).backward()
    assert all(torch.equal(before[name], weight) for name, weight in model.named_parameters())
    gradient = model.encoder.weight_hh_l0.grad
    assert gradient is not None
    assert 0.2 < float((gradient == 0).float().mean()) < 0.8
