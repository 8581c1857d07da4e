"""The denoising autoencoder of windows, against a plain reference module and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from offbeat.errors import ConfigurationError
from offbeat_training import Autoencoder
from offbeat_training.architectures.linear_path import Moments, set_linear_path
from offbeat_training.evaluation.baselines import PcaBaseline


class Reference(nn.Module):
    """A linear path, then a network that reads what it gives and adds a correction; written from docs/training.md alone."""

    def __init__(self, n_values: int) -> None:
        super().__init__()
        self.linear_encoder, self.linear_decoder = nn.Linear(n_values, 4), nn.Linear(4, n_values)
        widths = [(n_values, 6), (6, 3)]
        self.encoder = nn.Sequential(*self._blocks(widths), nn.Linear(3, 2))
        self.decoder = nn.Sequential(*self._blocks([(2, 3), (3, 6)]), nn.Linear(6, n_values))

    @staticmethod
    def _blocks(widths: list[tuple[int, int]]) -> list[nn.Module]:
        return [
            each
            for n_in, n_out in widths
            for each in (nn.Linear(n_in, n_out), nn.BatchNorm1d(n_out), nn.ReLU(), nn.Dropout(0.0))
        ]

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        flat = torch.cat([windows[:, step] for step in range(windows.shape[1])], dim=1)
        linear = self.linear_decoder(self.linear_encoder(flat))
        return (linear + self.decoder(self.encoder(linear))).view_as(windows)


def model_of(**settings: object) -> Autoencoder:
    torch.manual_seed(0)
    return Autoencoder(
        2, **({"hidden_sizes": (6, 3), "latent_dim": 2, "dropout": 0.0, "n_steps": 5, "linear_dim": 4} | settings)
    )


def test_the_same_weights_give_what_the_reference_gives() -> None:
    model = model_of()
    nn.init.normal_(model.decoder[-1].weight)
    reference = Reference(10)
    reference.load_state_dict(model.state_dict(), strict=True)
    windows = torch.randn(7, 5, 2)
    torch.testing.assert_close(model.eval()(windows), reference.eval()(windows), rtol=0, atol=1e-6)


def rows_of_low_rank(n_rows: int = 400) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    loadings = torch.randn(3, 10, generator=generator)
    rows = torch.randn(n_rows, 3, generator=generator) @ loadings
    return rows + 0.1 * torch.randn(n_rows, 10, generator=generator) + 5


def linear_map(rows: torch.Tensor, rank: int, noise: float) -> nn.Sequential:
    path = nn.Sequential(nn.Linear(10, rank), nn.Linear(rank, 10))
    set_linear_path(path[0], path[1], Moments.of(rows.split(64)), noise)
    return path


def test_without_noise_the_linear_path_is_pca() -> None:
    rows = rows_of_low_rank()
    baseline = PcaBaseline(explained_variance=0.99).fit(rows.double().numpy())
    path = linear_map(rows, baseline.n_components, noise=0.0)
    errors = (rows - path(rows)).square().mean(dim=1)
    np.testing.assert_allclose(errors.detach(), baseline.scores(rows.double().numpy()), rtol=1e-3, atol=1e-5)


def test_no_linear_map_reconstructs_noisy_rows_better() -> None:
    rows = rows_of_low_rank(4000)
    path = linear_map(rows, 10, noise=1.0)
    generator = torch.Generator().manual_seed(5)
    noisy = rows + torch.randn(rows.shape, generator=generator)
    with_one = torch.cat([noisy, torch.ones(len(rows), 1)], dim=1)
    best = with_one @ torch.linalg.lstsq(with_one, rows).solution
    reached, least = ((each - rows).square().mean().item() for each in (path(noisy), best))
    assert least <= reached <= 1.01 * least


def test_more_room_than_there_are_values_is_left_empty() -> None:
    rows = rows_of_low_rank()
    torch.testing.assert_close(linear_map(rows, 30, 0.5)(rows), linear_map(rows, 10, 0.5)(rows), rtol=1e-4, atol=1e-4)


def test_constant_rows_are_reconstructed_as_they_are() -> None:
    rows = torch.full((20, 10), 3.0)
    for noise in (0.0, 1.0):
        torch.testing.assert_close(linear_map(rows, 4, noise)(rows), rows)


def test_before_training_the_model_is_its_linear_path_which_training_leaves_alone() -> None:
    model = model_of().eval()
    windows = rows_of_low_rank().reshape(-1, 5, 2)
    model.initialise(windows.split(100))
    flat = windows.flatten(1)
    torch.testing.assert_close(model(windows).flatten(1), model.linear_decoder(model.linear_encoder(flat)))
    learnt = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert learnt == {
        name for name in model.state_dict() if not name.startswith("linear") and "running" not in name
    } - {name for name in model.state_dict() if "num_batches" in name}


def test_noise_is_of_training_alone_and_compared_with_what_had_none() -> None:
    model = model_of(noise=2.0, linear_dim=0)
    windows = torch.randn(64, 5, 2)
    torch.manual_seed(1)
    noisy = model.losses(windows)
    torch.manual_seed(1)
    expected = (model(windows + 2.0 * torch.randn_like(windows)) - windows).square().mean(dim=(1, 2))
    torch.testing.assert_close(noisy, expected)
    model.eval()
    torch.testing.assert_close(model.losses(windows), (model(windows) - windows).square().mean(dim=(1, 2)))


@pytest.mark.parametrize(
    "settings", [{"n_steps": -1}, {"n_steps": 40_000}, {"noise": -0.1}, {"noise": float("inf")}, {"linear_dim": -1}]
)
def test_settings_out_of_range_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match=f"^{next(iter(settings))} is"):
        model_of(**settings)
