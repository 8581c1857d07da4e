"""What training reaches on real data; `python -m tests.training.acceptance` gives the means of three seeds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from tests.training.acceptance import SHARED_DATA, ecg5000_roc_auc

pytestmark = [
    pytest.mark.skipif(not SHARED_DATA.is_dir(), reason=f"real data for acceptance are not at {SHARED_DATA}"),
    pytest.mark.timeout(600),
]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """These models are too small for two."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_heartbeats_are_told_apart_by_a_model_of_normal_ones() -> None:
    assert ecg5000_roc_auc(seed=0) >= 0.985
