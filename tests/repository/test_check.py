"""`make bench-check`: slower twice fails, slower once or on another kind of machine does not."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from benchmarks.check import BASELINE, MODELS, judge, other_machine
from offbeat.bench import Result, read_result, this_machine
from offbeat.bench.samples import as_benchmark, result_content


def result(path: Path, seed: int, **slowdowns: float) -> Result:
    """Two benchmarks of five processes with 20 noisy rounds each, `a=1.2` a fifth slower."""
    random = np.random.default_rng(seed)
    benchmarks = []
    for name in ("a", "b"):
        runs = [
            (list(1e-4 * slowdowns.get(name, 1.0) * np.exp(random.normal(0, 0.02, 20))), [1e-5] * 20) for _ in range(5)
        ]
        benchmarks.append(as_benchmark(name, name, runs, "probe", {}))
    path.write_bytes(result_content(benchmarks, this_machine()))
    return read_result(path)


def test_an_unchanged_tree_is_measured_once_and_passes(tmp_path: Path) -> None:
    runs = iter([result(tmp_path / "now.json", 2)])
    slower, text = judge(result(tmp_path / "before.json", 1), lambda: next(runs))
    assert slower == set()
    assert text.startswith("### 0 of 2 benchmarks slower")


def test_what_is_a_fifth_slower_twice_fails_with_a_table(tmp_path: Path) -> None:
    runs = iter(result(tmp_path / f"now-{seed}.json", seed, a=1.2) for seed in (2, 3))
    slower, text = judge(result(tmp_path / "before.json", 1), lambda: next(runs))
    assert slower == {"a"}
    assert "### 1 of 2 benchmarks slower" in text
    assert "Slower both times: a." in text


@pytest.mark.parametrize("second", [{}, {"b": 1.2}])
def test_what_is_slower_only_once_is_forgiven_and_told(tmp_path: Path, second: dict[str, float]) -> None:
    runs = iter([result(tmp_path / "1.json", 2, a=1.2), result(tmp_path / "2.json", 3, **second)])
    slower, text = judge(result(tmp_path / "before.json", 1), lambda: next(runs))
    assert slower == set()
    assert "Slower both times: nothing" in text


def test_a_baseline_of_another_kind_of_machine_is_not_compared_with(tmp_path: Path) -> None:
    result(path := tmp_path / "baseline.json", 1)
    assert other_machine(path) is None
    content = msgspec.json.decode(path.read_bytes())
    content["machine_info"]["cpu"]["brand_raw"] = "Z80"
    path.write_bytes(msgspec.json.encode(content))
    assert "was measured on Z80" in str(other_machine(path))
    content["machine_info"]["cpu"]["brand_raw"] = this_machine().cpu
    content["machine_info"]["numpy"] = "0.9"
    path.write_bytes(msgspec.json.encode(content))
    assert "numpy 0.9" in str(other_machine(path))


@pytest.mark.parametrize("model", MODELS)
def test_the_stored_baseline_has_every_model_that_is_checked(model: str) -> None:
    names = {f"{model}[{backend}-batch{batch}-threads1]" for backend in ("native", "onnxruntime") for batch in (1, 8)}
    assert names <= set(read_result(BASELINE).samples)
