"""The server behaves as the manifests expect of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

import offbeat
from tests.runtime import folders
from tests.runtime.authority import Authority, needs_openssl

from .container import Container, confinement, started
from .manifests import ROOT, container_of, object_of, objects

MANIFESTS = ["kubernetes/offbeat.yaml", "kserve/serving-runtime.yaml"]
WINDOWS = folders.random_windows(4, seed=3)


def assert_behaves(container: Container, within_s: float) -> None:
    """Up, scores, says so on every probe, and gone after SIGTERM with 0, with its log as JSON."""
    container.wait_for("startupProbe")
    assert container.passes("readinessProbe")
    assert container.passes("livenessProbe")
    with offbeat.Client(container.target) as client:
        assert np.isfinite(client.score(WINDOWS, model="level").reconstruction_error).all()
    assert container.terminate(within_s) == 0
    assert not container.passes("readinessProbe")
    ready, *log = sorted(container.output().splitlines(), key=lambda line: line.startswith("{"))
    assert ready.startswith("offbeat is ready on 0.0.0.0:")
    assert [json.loads(line)["level"] for line in log].count("ERROR") == 0


@pytest.mark.parametrize("path", MANIFESTS)
def test_the_server_starts_is_probed_scores_and_ends_as_the_manifest_has_it(path: str, tmp_path: Path) -> None:
    folders.write_version(tmp_path)
    with started(container_of(path), tmp_path) as container:
        assert_behaves(container, within_s=30)


@pytest.mark.parametrize("path", MANIFESTS)
def test_it_needs_neither_root_nor_a_file_system_to_write_to(path: str, tmp_path: Path) -> None:
    confined_by = confinement()
    if not confined_by:
        pytest.skip("needs the right to make a mount namespace")
    # pytest's own folders are root's alone.
    with tempfile.TemporaryDirectory() as models:
        folders.write_version(Path(models))
        subprocess.run(["chmod", "-R", "a+rX", models], check=True)
        with started(container_of(path), Path(models), confined_by) as container:
            assert_behaves(container, within_s=30)


def test_the_autoscaler_and_the_annotations_find_the_metric(tmp_path: Path) -> None:
    folders.write_version(tmp_path)
    deployment = object_of("kubernetes/offbeat.yaml", "Deployment")
    said = deployment["spec"]["template"]["metadata"]["annotations"]
    runtime = object_of("kserve/serving-runtime.yaml", "ServingRuntime")["spec"]["annotations"]
    assert {runtime[f"prometheus.kserve.io/{each}"] for each in ("port", "path")} == {
        said[f"prometheus.io/{each}"] for each in ("port", "path")
    }
    (metric,) = object_of("kubernetes/offbeat.yaml", "HorizontalPodAutoscaler")["spec"]["metrics"]
    with started(container_of("kubernetes/offbeat.yaml"), tmp_path) as container:
        container.wait_for("startupProbe")
        scraped = container.scrape(int(said["prometheus.io/port"]), said["prometheus.io/path"])
    name = metric["pods"]["metric"]["name"]
    assert re.search(rf'^{name}{{model="level",version="1"}} 0.0$', scraped, re.MULTILINE)


def test_a_repository_without_a_good_model_never_gets_ready_and_says_why(tmp_path: Path) -> None:
    version = folders.write_version(tmp_path)
    (version / "model.onnx").write_bytes(b"not a model")
    with started(container_of(MANIFESTS[1]), tmp_path) as container:
        assert container.process.wait(60) == 1
        assert not container.passes("readinessProbe")
        assert "model.onnx" in container.output()


@needs_openssl
def test_with_tls_as_the_page_has_it_a_start_would_succeed(tmp_path: Path) -> None:
    folders.write_version(tmp_path / "models")
    cert, key = Authority(tmp_path).issue("offbeat")
    settings = {each["name"]: each["value"] for each in container_of(MANIFESTS[0])["env"]}
    del settings["OFFBEAT_INSECURE"]
    tls = {"OFFBEAT_TLS_CERT": str(cert), "OFFBEAT_TLS_KEY": str(key), "OFFBEAT_METRICS_TLS": "true"}
    told = (ROOT / "docs" / "kubernetes.md").read_text()
    assert all(name in told for name in tls)
    command = [sys.executable, "-m", "offbeat", "serve", str(tmp_path / "models"), "--check"]
    done = subprocess.run(
        command, env={**os.environ, **settings, **tls}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_kind_of_the_manifests_is_known() -> None:
    kinds = [each["kind"] for path in MANIFESTS for each in objects(path)]
    assert kinds == ["Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget", "ServingRuntime"]
