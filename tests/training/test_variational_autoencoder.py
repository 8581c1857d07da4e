from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from offbeat.errors import ConfigurationError
from offbeat_training import VariationalAutoencoder, build_architecture


def block(n_in: int, n_out: int) -> list[nn.Module]:
    return [nn.Linear(n_in, n_out), nn.BatchNorm1d(n_out), nn.ReLU()]


class Reference(nn.Module):
    """Linear, BatchNorm, ReLU to 128 and 64; mean and log variance; the same back, as the issue's table says."""

    def __init__(self, n_features: int, latent_dim: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(*block(n_features, 128), *block(128, 64))
        self.mean, self.log_variance = nn.Linear(64, latent_dim), nn.Linear(64, latent_dim)
        self.decoder = nn.Sequential(*block(latent_dim, 64), *block(64, 128), nn.Linear(128, n_features))

    def reconstruct(self, x: Tensor, noise: Tensor) -> Tensor:
        h = self.encoder(x)
        return self.decoder(self.mean(h) + self.log_variance(h).mul(0.5).exp() * noise)


@pytest.fixture
def pair() -> tuple[VariationalAutoencoder, Reference]:
    torch.manual_seed(0)
    reference = Reference(6, 4)
    reference.train()
    for _ in range(3):
        reference.reconstruct(torch.randn(64, 6) * 3, torch.randn(64, 4))
    model = VariationalAutoencoder(6, latent_dim=4, n_draws=5, beta=0.5)
    model.load_state_dict({**reference.state_dict(), "noise": model.noise}, strict=True)
    return model.eval(), reference.eval()


def test_each_draw_is_the_references_reconstruction_with_that_noise(
    pair: tuple[VariationalAutoencoder, Reference],
) -> None:
    model, reference = pair
    rows = torch.randn(9, 6)
    expected = torch.stack([reference.reconstruct(rows, noise) for noise in model.noise])
    torch.testing.assert_close(model.draws(rows), expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(model(rows), expected.mean(dim=0), rtol=0, atol=1e-6)
    error, feature_error, _ = model.errors(rows)
    torch.testing.assert_close(error, (expected - rows).square().mean(dim=(0, 2)))
    torch.testing.assert_close(feature_error.sum(dim=1), error)


def test_the_loss_adds_beta_times_the_divergence_from_the_standard_normal(
    pair: tuple[VariationalAutoencoder, Reference],
) -> None:
    model, _ = pair
    rows = torch.randn(9, 6)
    mean, log_variance = model.encode(rows)
    latent = torch.distributions.Normal(mean, (log_variance / 2).exp())
    divergence = torch.distributions.kl_divergence(latent, torch.distributions.Normal(0.0, 1.0)).sum(dim=1)
    torch.testing.assert_close(model.losses(rows), model.errors(rows)[0] + 0.5 * divergence)


def test_training_draws_anew_and_scoring_never_does(pair: tuple[VariationalAutoencoder, Reference]) -> None:
    model, _ = pair
    rows = torch.randn(9, 6)
    assert torch.equal(model.errors(rows)[0], model.errors(rows)[0])
    model.train()
    assert not torch.equal(model.losses(rows), model.losses(rows))


def test_a_rows_score_does_not_depend_on_the_rows_beside_it(pair: tuple[VariationalAutoencoder, Reference]) -> None:
    model, _ = pair
    rows = torch.randn(9, 6)
    torch.testing.assert_close(model.errors(rows[3:4])[0], model.errors(rows)[0][3:4])


def test_a_score_is_a_number_however_far_a_row_lies(pair: tuple[VariationalAutoencoder, Reference]) -> None:
    assert torch.isfinite(pair[0].errors(torch.randn(20, 6) * 1e9)[0]).all()


def test_settings_rebuild_it_and_the_noise_comes_with_the_weights(
    pair: tuple[VariationalAutoencoder, Reference],
) -> None:
    model, _ = pair
    rebuilt = build_architecture(model.kind, model.settings()).eval()
    rebuilt.load_state_dict(model.state_dict(), strict=True)
    rows = torch.randn(9, 6)
    assert torch.equal(rebuilt(rows), model(rows))


@pytest.mark.parametrize("settings", [{"beta": -1.0}, {"beta": float("inf")}, {"n_draws": 0}, {"n_draws": 10**6}])
def test_settings_that_make_no_sense_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError):
        VariationalAutoencoder(3, **settings)
