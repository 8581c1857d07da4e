"""What chance and a busy machine must not decide: examples, random numbers, and how long an example may take."""

from __future__ import annotations

import random
import sys

import numpy as np
import pytest
from hypothesis import settings

# Hypothesis' own profile for a CI: the same examples in every run, and none too slow. Others are searched for by
# `pytest --hypothesis-profile default`.
settings.load_profile("ci")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Every test, its fixtures included, draws what it would draw alone, whichever ran before it in this process."""
    random.seed(0)
    np.random.seed(0)
    if (torch := sys.modules.get("torch")) is not None:
        torch.manual_seed(0)
