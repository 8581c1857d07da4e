from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.runtime import folders
from tests.runtime.cli.conftest import Run
from tests.runtime.precision_example import RECORD

QUICK = (
    "--seconds",
    "0.2",
    "--backend",
    "onnxruntime",
    "--batch",
    "1",
    "--batch",
    "4",
    "--threads",
    "1",
    "--processes",
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved result, measured once."""
    folder = tmp_path_factory.mktemp("bench")
    folders.write_version(folder / "models")
    command = [str(Path(sys.executable).with_name("offbeat")), "bench", "run", str(folder / "models"), "--save", "old"]
    done = subprocess.run(
        [*command, "--results", str(folder), *QUICK, "2"],
        capture_output=True,
        text=True,
        env={**os.environ},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "saved 2 benchmarks" in done.stdout
    assert "1/2 level/1 onnxruntime, 1 thread" in done.stderr
    return folder / "old.json"


def slowed(path: Path, times: float) -> None:
    """The same file with a contender that many times as slow, beside the same reference."""
    content = json.loads(path.read_text())
    for benchmark in content["benchmarks"]:
        benchmark["stats"]["data"] = [times * each for each in benchmark["stats"]["data"]]
    path.with_name("new.json").write_text(json.dumps(content))


def test_a_result_is_a_file_of_pytest_benchmark_with_every_round_and_the_reference_beside_it(saved: Path) -> None:
    content = json.loads(saved.read_text())
    names = [each["fullname"] for each in content["benchmarks"]]
    assert names == ["level[onnxruntime-batch1-threads1]", "level[onnxruntime-batch4-threads1]"]
    for each in content["benchmarks"]:
        info, stats = each["extra_info"], each["stats"]
        assert len(info["reference_data"]) == stats["rounds"] == len(stats["data"]) == sum(info["rounds_by_process"])
        assert len(info["rounds_by_process"]) == 2
        assert info["windows_per_s"] == pytest.approx(info["batch"] / stats["median"], rel=1e-3)


def test_nothing_slower_exits_with_0_and_something_slower_with_1_and_a_table(
    offbeat: Run, saved: Path, tmp_path: Path
) -> None:
    slowed(saved, 1.0)
    same = offbeat("bench", "compare", "old", "new", "--results", saved.parent)
    assert (same.returncode, "0 of 2 benchmarks slower" in same.stdout) == (0, True)
    slowed(saved, 3.0)
    summary = tmp_path / "summary.md"
    worse = offbeat("bench", "compare", "old", "new", "--results", saved.parent, "--markdown", summary)
    assert worse.returncode == 1
    assert "+200.0 %" in worse.stdout
    assert "2 of 2 benchmarks slower" in summary.read_text()
    allowed = offbeat("bench", "compare", "old", "new", "--results", saved.parent, "--threshold", "level*=4")
    assert allowed.returncode == 0
    facts = json.loads(offbeat("bench", "compare", saved, saved.with_name("new.json"), "--json").stdout)
    assert [each["verdict"] for each in facts["compared"]] == ["slower", "slower"]


def test_one_result_is_compared_with_the_stored_baseline(offbeat: Run, saved: Path) -> None:
    saved.with_name("baseline.json").write_bytes(saved.read_bytes())
    slowed(saved, 3.0)
    assert offbeat("bench", "compare", "new", "--results", saved.parent).returncode == 1
    assert offbeat("bench", "compare", "old", "--results", saved.parent).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("old", "gone"), "gone.json: No such file"),
        (("old", "old", "--threshold", "much"), "threshold is 'much'"),
        (("old", "old", "--reference", "peer"), "no benchmark has 'peer'"),
    ],
)
def test_what_cannot_be_compared_exits_with_2_and_says_why(
    offbeat: Run, saved: Path, arguments: tuple[str, ...], message: str
) -> None:
    result = offbeat("bench", "compare", *arguments, "--results", saved.parent)
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_a_backend_asked_for_that_cannot_run_the_model_is_told(offbeat: Run, model: Path, tmp_path: Path) -> None:
    result = offbeat("bench", model, "--backend", "nothing", "--output", tmp_path / "t.json", "--seconds", 0.1)
    assert result.returncode == 1
    assert "backend is 'nothing'; expected auto" in result.stderr
    assert not (tmp_path / "t.json").exists()


def test_a_place_that_cannot_be_written_is_told_before_anything_is_timed(
    offbeat: Run, model: Path, tmp_path: Path
) -> None:
    for place in (model / "r.json", tmp_path / "absent" / "r.json"):
        result = offbeat("bench", "run", model, "--save", place, *QUICK, 1)
        assert result.returncode == 1
        assert "error: save is" in result.stderr
        assert "level/1" not in result.stderr


def test_a_folder_is_timed_and_served_with_what_that_recommends(offbeat: Run, model: Path, tmp_path: Path) -> None:
    tuned = tmp_path / "tuned.json"
    told = offbeat("bench", model, "--output", tuned, *QUICK, 1, COLUMNS="80")
    assert told.returncode == 0, told.stderr
    assert "level/1: µs of one call by its windows" in told.stdout
    assert "recommended: --backend onnxruntime --device auto --n-threads 1" in told.stdout
    checked = offbeat("serve", model, "--tuned", tuned, "--check")
    assert checked.returncode == 0, checked.stderr
    assert "onnxruntime" in checked.stdout


def test_a_recommendation_of_another_machine_refuses_the_start(offbeat: Run, model: Path, tmp_path: Path) -> None:
    tuned = tmp_path / "tuned.json"
    facts = json.loads(offbeat("bench", model, "--output", tuned, "--json", *QUICK, 1).stdout)
    assert facts["recommendation"] == json.loads(tuned.read_text())
    assert {each["batch"] for each in facts["measured"]} == {1, 4}
    tuned.write_text(
        json.dumps(facts["recommendation"] | {"machine": {"cpu": "Z80", "n_cores": 1, "architecture": "z80"}})
    )
    result = offbeat("serve", model, "--tuned", tuned, "--check")
    assert result.returncode == 1
    assert "expected Z80 (z80) with 1 cores" in result.stderr


def test_variants_of_lower_precision_are_timed_beside_their_model_and_never_recommended(
    offbeat: Run, model: Path, tmp_path: Path
) -> None:
    variant = folders.write_version(model, "level-int8")
    manifest = json.loads((variant / "manifest.json").read_text())
    source = RECORD["source"] | {"name": "level", "version": 1}
    (variant / "manifest.json").write_text(json.dumps(manifest | {"precision": RECORD | {"source": source}}))
    folders.write_version(model, "level-other")
    broken = folders.write_version(model, "level-broken")
    (broken / "manifest.json").write_text("{")
    told = offbeat("bench", model / "level", "--output", tmp_path / "t.json", "--json", *QUICK, 1)
    assert told.returncode == 0, told.stderr
    facts = json.loads(told.stdout)
    assert {(each["model"], each["precision"]) for each in facts["measured"]} == {
        ("level", "fp32"),
        ("level-int8", "int8"),
    }
    assert [each["name"] for each in facts["recommendation"]["models"]] == ["level"]
    assert "left out: " in told.stderr
    assert "level-broken" in told.stderr


@pytest.mark.parametrize("command", ["tune", "run"])
def test_more_threads_than_cores_are_refused_before_anything_is_timed(
    offbeat: Run, model: Path, tmp_path: Path, command: str
) -> None:
    target = ("--save", tmp_path / "r.json") if command == "run" else ("--output", tmp_path / "r.json")
    result = offbeat("bench", command, model, *target, "--threads", 5000)
    assert result.returncode == 1
    assert "error: threads is 5000; expected 1 to " in result.stderr
    assert "cores that this process may use" in result.stderr
    assert not (tmp_path / "r.json").exists()


def test_folders_that_hold_nothing_to_time_say_so_in_one_line(offbeat: Run, model: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (model / "level" / "1" / "model.onnx").write_bytes(b"not a graph")
    for folder, message in (
        (tmp_path / "empty", "expected a model version folder, a model, or a repository"),
        (tmp_path / "absent", "absent"),
        (model, "model.onnx"),
    ):
        result = offbeat("bench", folder, "--output", tmp_path / "t.json", *QUICK, 1)
        assert result.returncode == 1
        assert message in result.stderr
        assert "Traceback" not in result.stderr
        assert not (tmp_path / "t.json").exists()


def is_running(process: int) -> bool:
    """Not so once it is gone, or only waits to be asked how it ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_run_that_is_killed_leaves_what_was_written_before_and_no_process(
    offbeat: Run, model: Path, tmp_path: Path
) -> None:
    tuned = tmp_path / "tuned.json"
    tuned.write_text("of yesterday")
    command = [str(Path(sys.executable).with_name("offbeat")), "bench", str(model), "--output", str(tuned)]
    with subprocess.Popen([*command, "--backend", "onnxruntime", "--seconds", "60"], stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert b"1/" in process.stderr.readline()
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while not (timing := [int(each) for each in children.read_text().split()]):
            time.sleep(0.01)
        # It knows of its parent before it loads an engine.
        while "onnxruntime" not in Path(f"/proc/{timing[0]}/maps").read_text():
            time.sleep(0.01)
        process.kill()
        assert process.wait() == -9
    end = time.monotonic() + 60
    while any(is_running(each) for each in timing):
        assert time.monotonic() < end
        time.sleep(0.01)
    assert tuned.read_text() == "of yesterday"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("tuned")] == ["tuned.json"]


@pytest.mark.parametrize(("command", "flag"), [("tune", "--output"), ("run", "--save")])
def test_a_result_that_cannot_be_written_is_refused_before_anything_is_timed(
    offbeat: Run, model: Path, tmp_path: Path, command: str, flag: str
) -> None:
    refused = offbeat("bench", command, model, flag, tmp_path / f"{'x' * 245}.json", "--seconds", "600")
    assert refused.returncode == 1
    assert refused.stderr.endswith("expected a file that can be written: File name too long\n")
    assert len(refused.stderr.splitlines()) == 1
