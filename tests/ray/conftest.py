"""A Ray cluster of two nodes, which are processes of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

_NODE = {"num_cpus": 1, "object_store_memory": 100 * 2**20}


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """Each node has one CPU; commands find the cluster by RAY_ADDRESS."""
    ray = pytest.importorskip("ray", reason="needs ray: make extras")
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("RAY_USAGE_STATS_ENABLED", "0")
        made = Cluster(initialize_head=True, head_node_args={**_NODE, "include_dashboard": False})
        made.add_node(**_NODE)
        environment.setenv("RAY_ADDRESS", made.address)
        ray.init(address=made.address, log_to_driver=False)
        made.wait_for_nodes()
        yield made
        ray.shutdown()
        made.shutdown()


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two nodes share few cores."""
    monkeypatch.setitem(os.environ, "OMP_NUM_THREADS", "1")
