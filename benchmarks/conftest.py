"""Model folders and backends shared by the engine benchmarks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
import torch

from benchmarks.models import export_model
from offbeat.backends import Backend, create_backend
from offbeat.bundle import ModelVersion
from offbeat.config import BackendConfig


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """PyTorch computes on the calling thread alone, as the other engines are told to."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def model_version(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], ModelVersion]:
    """A design model by name, exported once a session."""
    repository: Path = tmp_path_factory.mktemp("models")
    return cache(lambda name: export_model(name, repository))


@pytest.fixture(scope="session")
def backend(model_version: Callable[[str], ModelVersion]) -> Callable[[str, str], Backend]:
    """A backend by model and name, on one thread of the CPU, loaded once a session."""
    return cache(lambda model, name: create_backend(model_version(model), BackendConfig(backend=name, device="cpu")))
