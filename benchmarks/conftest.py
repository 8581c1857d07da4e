"""Models and races shared by the engine benchmarks, their options, and what a result tells beside the figures."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.engines.race import ENGINES, Race, Stable, race
from benchmarks.environment import environment
from benchmarks.models import export_model, random_windows, write_integer_graph
from benchmarks.progress import tell
from offbeat.bundle import ModelVersion

Key = tuple[str, int, int]
_LIMITS = Path(__file__).parents[1] / "build" / "cmake" / "runtime" / "cpp" / "benchmarks" / "limits"
_QUICK = ("M1", "M2", "M5", "preset variational", "preset denoising")
# The races that were run, by model, batch and threads; and how many there will be.
_RACES = pytest.StashKey[dict[Key, Race]]()
_N_RACES = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("engines")
    group.addoption(
        "--race-seconds", type=float, default=2.0, help="of each model, batch and number of threads; 0: one round"
    )
    group.addoption("--limits", type=Path, default=_LIMITS, help="the program of that name; `make cpp` builds it")
    group.addoption(
        "--without-inductor", action="store_true", help="no torch.compile, which takes seconds for each of them"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_RACES] = {}
    config.stash[_N_RACES] = 0


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without timing, each engine once on a few quick models is enough to see that all of them run. Last, so that -k has chosen."""
    is_timed = not config.getoption("--benchmark-disable")
    kept, dropped, keys = [], [], set()
    for item in items:
        given = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        is_quick = given.get("model", _QUICK[0]) in _QUICK and given.get("batch", 1) == given.get("threads", 1) == 1
        is_asked = given.get("name") in (None, *_engines(config))
        is_kept = is_asked and (is_timed or is_quick)
        (kept if is_kept else dropped).append(item)
        if is_kept and "model" in given:
            keys.add((given["model"], given["batch"], given["threads"]))
    items[:] = kept
    config.stash[_N_RACES] = len(keys)
    config.hook.pytest_deselected(items=dropped)


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    """Packages, commit and machine, as the other results have them; and numpy's version, which the reference hangs on."""
    machine_info["environment"] = environment()
    machine_info["numpy"] = machine_info["environment"]["packages"]["numpy"]


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_json(config: pytest.Config, output_json: dict[str, Any]) -> None:
    """What the processor could do while this was measured, and why engines did not run, by race."""
    races = config.stash[_RACES]
    output_json["machine_info"]["limits"] = _quartiles([each for race in races.values() for each in race.machine])
    output_json["left_out"] = {_words(key): race.left_out for key, race in races.items() if race.left_out}


def _quartiles(machine: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Quartiles over all rounds of `fma_per_ns`, bytes read a nanosecond by cache, and `activation_ns`; None if not measured."""
    if not machine:
        return None
    names = [name for name in machine[0] if name != "isa"]
    found = {name: np.quantile([each[name] for each in machine], (0.25, 0.5, 0.75)).tolist() for name in names}
    return {"isa": machine[0]["isa"], "n_rounds": len(machine), **found}


def _words(key: Key) -> str:
    """As the groups of benchmarks are called."""
    model, batch, n_threads = key
    return f"{model} batch {batch} threads {n_threads}"


def pytest_report_header(config: pytest.Config) -> str:
    program: Path = config.getoption("--limits")
    return f"limits: {program if program.is_file() else f'{program} is not built: no share_of_limit (make cpp)'}"


@pytest.fixture(scope="session")
def model_version(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], ModelVersion]:
    """A model by name, exported once a session, with its graph in integers beside it."""
    repository: Path = tmp_path_factory.mktemp("models")

    def export(name: str) -> ModelVersion:
        version = export_model(name, repository)
        write_integer_graph(name, version)
        return version

    return cache(export)


@pytest.fixture(scope="session")
def limits(request: pytest.FixtureRequest) -> Path | None:
    """The program that measures what the processor can do; None where nothing is timed, it is not built, or it knows no such processor."""
    program: Path = request.config.getoption("--limits")
    if request.config.getoption("--benchmark-disable") or not program.is_file():
        return None
    return program if subprocess.run([program], capture_output=True, check=False).returncode == 0 else None


@pytest.fixture(scope="session")
def raced(
    model_version: Callable[[str], ModelVersion], limits: Path | None, request: pytest.FixtureRequest
) -> Iterator[Callable[[str, int, int], Race]]:
    """The race of all engines by model, batch and threads; run when one of them is first asked for."""
    config = request.config
    engines = _engines(config)
    seconds = 0.0 if config.getoption("--benchmark-disable") else config.getoption("--race-seconds")
    races, began = config.stash[_RACES], time.perf_counter()
    with ExitStack() as stack:
        stables = cache(lambda n_threads: stack.enter_context(Stable(n_threads)))

        def run(model: str, batch: int, n_threads: int) -> Race:
            key = (model, batch, n_threads)
            if key not in races:
                _tell(config, key, time.perf_counter() - began)
                windows = random_windows(model, batch, seed=2)
                folder = model_version(model).path
                races[key] = race(stables(n_threads), folder, windows, engines, seconds=seconds, limits=limits)
            return races[key]

        yield run


def _engines(config: pytest.Config) -> tuple[str, ...]:
    """Those that race. Where nothing is timed, what takes long to compile is left out too."""
    has_inductor = not (config.getoption("--without-inductor") or config.getoption("--benchmark-disable"))
    return tuple(name for name in ENGINES if name != "inductor" or has_inductor)


def _tell(config: pytest.Config, key: Key, seconds: float) -> None:
    """A line on the terminal, past what pytest catches of a test's own."""
    done, total = len(config.stash[_RACES]), config.stash[_N_RACES]
    left = f", about {seconds / done * (total - done) / 60:.0f} minutes left" if done else ""
    catching: Any = config.pluginmanager.getplugin("capturemanager")
    with catching.global_and_fixture_disabled():
        tell(f"race {done + 1} of {total}: {_words(key)}{left}")
