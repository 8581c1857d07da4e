"""What chance achieves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def random_scores(n_lines: int, seed: int = 0) -> NDArray[np.float64]:
    """Scores [line] drawn uniformly from 0 to 1; the same seed gives the same."""
    return np.random.default_rng(seed).random(n_lines)
