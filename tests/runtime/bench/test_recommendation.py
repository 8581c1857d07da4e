from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from offbeat.bench.contender import Contender
from offbeat.bench.recommendation import Recommendation, digest_of, read_recommendation, recommend
from offbeat.bench.survey import Measured
from offbeat.bench.turns import Turns
from offbeat.errors import ConfigurationError
from tests.runtime import folders


def measured(folder: Path, backend: str, n_threads: int, seconds: dict[int, float]) -> list[Measured]:
    contender = Contender(
        folder=str(folder), model="level", version=1, precision="fp32", backend=backend, n_threads=n_threads
    )
    return [
        Measured(contender=contender, batch=batch, runs=(Turns(times=[value] * 3, references=[1e-5] * 3),))
        for batch, value in seconds.items()
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return folders.write_version(tmp_path / "models", "level")


def test_the_engine_with_the_lowest_times_is_chosen_with_its_own_batch_size(folder: Path) -> None:
    slow = measured(folder, "onnxruntime", 1, {1: 4e-5, 64: 64e-5})
    fast = measured(folder, "native", 1, {1: 1e-5, 64: 32e-5})
    made = recommend([*slow, *fast])
    assert (made.backend, made.n_threads, made.max_batch_size) == ("native", 1, 64)
    assert made.median_us == {"1": 10.0, "64": 320.0}
    assert made.models[0].manifest_sha256 == digest_of(folder)


@pytest.mark.parametrize(("times_faster", "n_threads"), [(1.25, 1), (1.35, 2)])
def test_two_threads_must_be_much_faster_than_one(folder: Path, times_faster: float, n_threads: int) -> None:
    one = measured(folder, "native", 1, {1: 1e-5, 64: 32e-5})
    two = measured(folder, "native", 2, {1: 1e-5 / times_faster, 64: 32e-5 / times_faster})
    assert recommend([*one, *two]).n_threads == n_threads


def test_an_engine_that_did_not_run_every_model_is_not_chosen(folder: Path, tmp_path: Path) -> None:
    other = folders.write_version(tmp_path / "models", "other")
    both = [each for path in (folder, other) for each in measured(path, "onnxruntime", 1, {1: 4e-5})]
    assert recommend([*both, *measured(folder, "native", 1, {1: 1e-5})]).backend == "onnxruntime"
    with pytest.raises(ConfigurationError, match="one engine at least that runs all of them"):
        recommend([*measured(folder, "native", 1, {1: 1e-5}), *measured(other, "onnxruntime", 1, {1: 1e-5})])


def test_a_file_is_read_as_it_was_written_and_strictly(folder: Path, tmp_path: Path) -> None:
    made = recommend(measured(folder, "native", 1, {1: 1e-5}))
    path = tmp_path / "tuned.json"
    path.write_bytes(msgspec.json.encode(made))
    assert read_recommendation(path) == made
    for change, message in (
        ({"n_threads": 0}, "n_threads is 0"),
        ({"speed": 9}, "speed"),
        ({"max_batch_size": "many"}, "max_batch_size"),
        ({"device": "tpu"}, "device"),
    ):
        path.write_text(json.dumps(msgspec.to_builtins(made) | change))
        with pytest.raises(ConfigurationError, match=message):
            read_recommendation(path)
    with pytest.raises(ConfigurationError, match="expected a file that offbeat bench wrote"):
        read_recommendation(tmp_path / "absent.json")


def test_another_machine_is_refused_and_another_model_is_named(folder: Path) -> None:
    made = recommend(measured(folder, "native", 1, {1: 1e-5}))
    made.check_machine(Path("tuned.json"))
    machine = msgspec.structs.replace(made.machine, cpu="Pentium")
    elsewhere: Recommendation = msgspec.structs.replace(made, machine=machine)
    with pytest.raises(ConfigurationError, match=r"expected Pentium .*tuned\.json was measured on"):
        elsewhere.check_machine(Path("tuned.json"))
    repository = folder.parent.parent
    assert made.unmeasured(repository, [("level", 1)]) == []
    assert made.unmeasured(repository, [("level", 2), ("other", 1)]) == ["level version 2", "other version 1"]
    (folder / "manifest.json").write_text("{}")
    assert made.unmeasured(repository, [("level", 1)]) == ["level version 1"]
