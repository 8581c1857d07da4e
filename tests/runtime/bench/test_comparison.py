from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from offbeat.bench.comparison import Thresholds, compare
from offbeat.bench.machine import this_machine
from offbeat.bench.markdown import markdown
from offbeat.bench.samples import as_benchmark, read_result, result_content
from offbeat.errors import ConfigurationError, DataError


def pytest_file(path: Path, times: dict[str, float], group: str | None = "g", **extra_info: Any) -> Path:
    """What pytest-benchmark writes, with 40 noisy rounds of those seconds."""
    random = np.random.default_rng(ord(path.name[0]))
    benchmarks = [
        {
            "group": group,
            "name": name,
            "fullname": f"benchmarks/test_x.py::{name}",
            "extra_info": extra_info,
            "stats": {"median": seconds, "data": list(seconds * np.exp(random.normal(0, 0.01, 40)))},
        }
        for name, seconds in times.items()
    ]
    path.write_text(json.dumps({"machine_info": {"cpu": {"brand_raw": "X"}}, "benchmarks": benchmarks, "version": "5"}))
    return path


def verdicts(a: Path, b: Path, reference: str | None = None, **thresholds: Any) -> dict[str, str]:
    found = compare(read_result(a, reference), read_result(b, reference), Thresholds(**thresholds))
    return {each.name.rpartition(":")[2]: each.verdict for each in found.compared}


def test_a_slow_day_is_no_regression_beside_a_reference(tmp_path: Path) -> None:
    a = pytest_file(tmp_path / "a.json", {"ours": 1e-3, "peer": 2e-3})
    b = pytest_file(tmp_path / "b.json", {"ours": 1.8e-3, "peer": 3.6e-3})
    assert verdicts(a, b, "peer") == {"ours": "same"}
    assert verdicts(a, b) == {"ours": "slower", "peer": "slower"}
    slow = pytest_file(tmp_path / "c.json", {"ours": 2.2e-3, "peer": 3.6e-3})
    assert verdicts(a, slow, "peer") == {"ours": "slower"}
    assert verdicts(slow, a, "peer") == {"ours": "faster"}


def test_seconds_are_compared_with_a_warning_where_a_file_has_no_reference(tmp_path: Path) -> None:
    a, b = (read_result(pytest_file(tmp_path / f"{name}.json", {"ours": 1e-3})) for name in "ab")
    found = compare(a, b, Thresholds())
    assert not found.compared[0].is_relative
    assert "a slow day looks like a slow change" in found.warnings[0]


def test_a_reference_that_took_no_turns_is_warned_of(tmp_path: Path) -> None:
    a, b = (read_result(pytest_file(tmp_path / f"{name}.json", {"ours": 1e-3, "peer": 1e-3}), "peer") for name in "ab")
    assert "not measured in turns" in compare(a, b, Thresholds()).warnings[0]


def test_another_processor_is_warned_of(tmp_path: Path) -> None:
    a, b = (pytest_file(tmp_path / f"{name}.json", {"ours": 1e-3}) for name in "ab")
    b.write_text(b.read_text().replace('"X"', '"Y"'))
    assert "another processor: X and Y" in compare(read_result(a), read_result(b), Thresholds()).warnings


def test_thresholds_go_by_group(tmp_path: Path) -> None:
    a = pytest_file(tmp_path / "a.json", {"ours": 1e-3, "peer": 1e-3}, group="M4 batch 1")
    b = pytest_file(tmp_path / "b.json", {"ours": 1.3e-3, "peer": 1e-3}, group="M4 batch 1")
    assert verdicts(a, b, by_group=(("M1*", 0.5),))["ours"] == "slower"
    assert verdicts(a, b, by_group=(("M1*", 0.01), ("M4*", 0.5)))["ours"] == "same"
    with pytest.raises(ConfigurationError, match=r"threshold is -0\.1"):
        Thresholds(default=-0.1)


def test_noise_beyond_the_threshold_is_told_as_unsure_and_not_as_the_same(tmp_path: Path) -> None:
    for name in "ab":
        path = pytest_file(tmp_path / f"{name}.json", {"ours": 1e-3})
        content = json.loads(path.read_text())
        content["benchmarks"][0]["stats"]["data"] = [1e-3, 2e-3, 1.4e-3]
        path.write_text(json.dumps(content))
    assert verdicts(tmp_path / "a.json", tmp_path / "b.json") == {"ours": "unsure"}


@pytest.mark.parametrize(("n_rounds", "verdict"), [(1, "unsure"), (4, "unsure"), (5, "slower")])
def test_too_few_rounds_are_told_and_call_nothing_slower(tmp_path: Path, n_rounds: int, verdict: str) -> None:
    """One round of a benchmark, as `benchmark.pedantic` takes by default, would else be known exactly, and surely slower."""
    a = pytest_file(tmp_path / "a.json", {"ours": 1e-3})
    b = pytest_file(tmp_path / "b.json", {"ours": 1.3e-3})
    content = json.loads(b.read_text())
    content["benchmarks"][0]["stats"]["data"] = content["benchmarks"][0]["stats"]["data"][:n_rounds]
    b.write_text(json.dumps(content))
    assert verdicts(a, b) == {"ours": verdict}
    assert verdicts(b, a) == {"ours": "faster" if verdict == "slower" else "unsure"}
    told = compare(read_result(a), read_result(b), Thresholds()).warnings
    assert any("1 of 1 benchmarks have too few rounds" in warning for warning in told) == (verdict == "unsure")


def test_benchmarks_that_came_and_went_are_named(tmp_path: Path) -> None:
    a = pytest_file(tmp_path / "a.json", {"ours": 1e-3, "old": 1e-3})
    b = pytest_file(tmp_path / "b.json", {"ours": 1e-3, "new": 1e-3})
    found = compare(read_result(a), read_result(b), Thresholds())
    assert (found.only_a, found.only_b) == (("benchmarks/test_x.py::old",), ("benchmarks/test_x.py::new",))
    with pytest.raises(DataError, match="no benchmark in common"):
        compare(read_result(a), read_result(pytest_file(tmp_path / "c.json", {"else": 1})), Thresholds())


def test_what_is_written_is_read_again_with_its_reference_and_its_processes(tmp_path: Path) -> None:
    runs = [([1e-3, 2e-3], [1e-5, 2e-5]), ([3e-3], [3e-5])]
    content = result_content([as_benchmark("M1", "g", runs, "probe", {"batch": 1})], this_machine())
    (tmp_path / "r.json").write_bytes(content)
    sample = read_result(tmp_path / "r.json").samples["M1"]
    assert sample.reference == "probe"
    assert [len(run) for run in sample.times] == [2, 1]
    np.testing.assert_allclose(np.exp(np.concatenate(sample.logarithms(is_relative=True))), 100)
    assert read_result(tmp_path / "r.json").cpu == this_machine().cpu


def test_a_summary_for_a_pull_request_shows_what_got_slower_and_folds_the_rest(tmp_path: Path) -> None:
    a = pytest_file(tmp_path / "a.json", {"ours": 1e-3, "quick": 1e-3, "peer": 1e-3})
    b = pytest_file(tmp_path / "b.json", {"ours": 1.25e-3, "quick": 1e-3, "peer": 1e-3})
    text = markdown(compare(read_result(a, "peer"), read_result(b, "peer"), Thresholds()))
    assert text.startswith("### 1 of 2 benchmarks slower")
    head, _, rest = text.partition("<details>")
    assert "::ours" in head
    assert "+25." in head
    assert "::quick" in rest


def test_a_summary_keeps_a_name_with_markdowns_own_characters_in_its_cell(tmp_path: Path) -> None:
    paths = [pytest_file(tmp_path / f"{name}.json", {"a|`b`\n<i>": 1e-3}) for name in "ab"]
    text = markdown(compare(read_result(paths[0]), read_result(paths[1]), Thresholds()))
    assert "| `` benchmarks/test_x.py::a\\|`b`\\n<i> `` (same) |" in text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not the JSON of pytest-benchmark"),
        ("[]", "not the JSON of pytest-benchmark"),
        ('{"benchmarks": []}', "holds 0 benchmarks"),
        ('{"benchmarks": [{"fullname": "x", "stats": {"median": 1}}]}', r"no stats\.data"),
        ('{"benchmarks": [{"fullname": "x", "stats": {"data": []}}]}', "at least one"),
        ('{"benchmarks": [{"fullname": "x", "stats": {"data": [0.0]}}]}', "above 0"),
        (
            '{"benchmarks": [{"fullname": "x", "stats": {"data": [1.0]}, "extra_info": {"reference_data": [1, 2]}}]}',
            "2 rounds of the reference; expected 1",
        ),
        (
            '{"benchmarks": [{"fullname": "x", "stats": {"data": [1.0]}, "extra_info": {"rounds_by_process": [2]}}]}',
            "counts that sum to 1",
        ),
    ],
)
def test_a_file_that_is_no_result_says_what_is_wrong(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "r.json").write_text(content)
    with pytest.raises(DataError, match=message):
        read_result(tmp_path / "r.json")


def test_a_reference_that_no_benchmark_or_two_have_is_refused(tmp_path: Path) -> None:
    path = pytest_file(tmp_path / "a.json", {"ours": 1e-3, "peer[1]": 1e-3, "peer[2]": 1e-3})
    with pytest.raises(DataError, match="no benchmark has 'other'"):
        read_result(path, "other")
    with pytest.raises(DataError, match="has two benchmarks with 'peer'"):
        read_result(path, "peer")
