"""Labels and flags drawn as text."""

from __future__ import annotations

import numpy as np


def rows(text: str) -> np.ndarray:
    """True for each # [row]."""
    return np.array([mark == "#" for mark in text])
