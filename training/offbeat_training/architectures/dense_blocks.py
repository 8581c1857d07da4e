"""Stacks of dense layers, shared by the autoencoders of tables."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import nn


def dense_blocks(sizes: Sequence[int], dropout: float | None = None) -> list[nn.Module]:
    """Linear, BatchNorm, ReLU from each of `sizes` to the next, and Dropout at the end of each block where one is given."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), nn.BatchNorm1d(n_out), nn.ReLU()]
        layers += [] if dropout is None else [nn.Dropout(dropout)]
    return layers
