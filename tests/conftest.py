"""What chance and a busy machine must not decide: examples, random numbers, and how long an example may take; and what xdist is sent."""

from __future__ import annotations

import random
import sys
from collections.abc import Generator
from typing import Any

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


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """Reports go to xdist as UTF-8: a line in a captured log with a name that is no text would end the worker, and the run."""
    return _sendable((yield))


def _sendable(value: Any) -> Any:
    match value:
        case str():
            return value.encode(errors="backslashreplace").decode()
        case dict():
            return {_sendable(key): _sendable(each) for key, each in value.items()}
        case list() | tuple():
            return type(value)(map(_sendable, value))
        case _:
            return value
