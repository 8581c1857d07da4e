"""Models and races shared by the engine benchmarks, and their options."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from benchmarks.engines.race import Race, Stable, race
from benchmarks.environment import environment
from benchmarks.models import export_model, random_windows, write_integer_graph
from offbeat.bundle import ModelVersion

_LIMITS = Path(__file__).parents[1] / "build" / "cmake" / "runtime" / "cpp" / "benchmarks" / "limits"

_QUICK = ("M1", "M2", "M5", "preset variational", "preset denoising")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("engines")
    group.addoption("--race-seconds", type=float, default=2.0, help="of each model, batch and number of threads")
    group.addoption("--limits", type=Path, default=_LIMITS, help="the program of that name; `make cpp` builds it")
    group.addoption("--inductor", action="store_true", help="also torch.compile, which takes minutes to compile")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without timing, each engine once on a few quick models is enough to see that all of them run."""
    is_timed = not config.getoption("--benchmark-disable")
    kept, dropped = [], []
    for item in items:
        given = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        is_quick = given.get("model", _QUICK[0]) in _QUICK and given.get("batch", 1) == given.get("threads", 1) == 1
        is_asked = given.get("name") != "inductor" or config.getoption("--inductor")
        (kept if is_asked and (is_timed or is_quick) else dropped).append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=dropped)


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    """Packages, commit and machine, as the other results have them; and numpy's version, which the reference hangs on."""
    machine_info["environment"] = environment()
    machine_info["numpy"] = machine_info["environment"]["packages"]["numpy"]


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
def raced(
    model_version: Callable[[str], ModelVersion], request: pytest.FixtureRequest
) -> Iterator[Callable[[str, int, int], Race]]:
    """The race of all engines by model, batch and threads; run when one of them is first asked for."""
    config = request.config
    is_timed = not config.getoption("--benchmark-disable")
    limits = config.getoption("--limits")
    engines = (
        "eager",
        "torchscript",
        "onnxruntime",
        "onnxruntime-int8",
        "native",
        "native-bf16",
        "native-int8",
        "cuda",
    )
    with ExitStack() as stack:
        stables = cache(lambda n_threads: stack.enter_context(Stable(n_threads)))

        def run(model: str, batch: int, n_threads: int) -> Race:
            return race(
                stables(n_threads),
                model,
                model_version(model).path,
                random_windows(model, batch, seed=2),
                (*engines, "inductor") if config.getoption("--inductor") else engines,
                seconds=config.getoption("--race-seconds") if is_timed else 0.0,
                limits=limits if is_timed and limits.is_file() else None,
            )

        yield cache(run)
