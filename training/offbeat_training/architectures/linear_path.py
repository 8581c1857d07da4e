"""The best linear reconstruction of noisy windows, in closed form."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg import eigh
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True, eq=False)
class Moments:
    """Mean [value] and covariance [value, value] of flattened windows, in float64."""

    mean: Tensor
    covariance: Tensor

    @classmethod
    def of(cls, batches: Iterable[Tensor]) -> Moments:
        """Over the rows of all `batches` [batch, value]; the first one's mean is taken off before squares are summed."""
        offset = total = products = torch.zeros(0)
        n = 0
        for batch in batches:
            rows = batch.double()
            if not n:
                offset = rows.mean(dim=0)
                total, products = torch.zeros_like(offset), offset.new_zeros(offset.numel(), offset.numel())
            rows = rows - offset
            n, total = n + len(rows), total + rows.sum(dim=0)
            products.addmm_(rows.T, rows)
        mean = total / n
        return cls(mean=offset + mean, covariance=products / n - torch.outer(mean, mean))


def set_linear_path(encoder: nn.Linear, decoder: nn.Linear, moments: Moments, noise: float) -> None:
    """Makes x ↦ decoder(encoder(x)) what best reconstructs x from x + ε, ε ~ N(0, noise² · I), among linear maps.

        x̂ = μ + Σᵢ λᵢ / (λᵢ + noise²) · vᵢ vᵢᵀ (x − μ)

    over as many principal components (variance λᵢ, direction vᵢ) as the layers have room for, the largest first. Without
    noise that is PCA; with it, components are kept in the measure in which they stand out of the noise, and none has to be
    cut off. Source: the Wiener filter; Bishop, "Pattern Recognition and Machine Learning" (2006), 12.2.
    """
    n_values, n_kept = encoder.in_features, encoder.out_features
    span = (max(0, n_values - n_kept), n_values - 1)
    variances, directions = eigh(moments.covariance.numpy(), subset_by_index=span)
    gains = np.divide(variances, variances + noise**2, out=np.zeros_like(variances), where=variances > 0)
    kept = torch.zeros(n_kept, n_values, dtype=torch.float64)
    kept[: len(gains)] = torch.from_numpy(directions.T.copy())
    scaled = kept.T.clone()
    scaled[:, : len(gains)] *= torch.from_numpy(gains)
    with torch.no_grad():
        encoder.weight.copy_(kept)
        encoder.bias.copy_(-kept @ moments.mean)
        decoder.weight.copy_(scaled)
        decoder.bias.copy_(moments.mean)
