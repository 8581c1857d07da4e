from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from offbeat import native
from offbeat.backends import names
from offbeat.cli import verify as module
from offbeat.cli.verify import verify
from offbeat.errors import BundleError, ConfigurationError
from tests.runtime import folders

GOLDEN = Path(__file__).parents[3] / "runtime" / "cpp" / "tests" / "golden" / "state" / "1"


def run(*arguments: object) -> Result:
    app = typer.Typer()
    app.command("verify")(verify)
    return CliRunner().invoke(app, [*map(str, arguments)], env={"COLUMNS": "200"})


def facts(*arguments: object) -> tuple[int, list[dict[str, Any]]]:
    result = run(*arguments, "--json")
    return result.exit_code, json.loads(result.stdout)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for version in (1, 2):
        folders.write_version(tmp_path, "level", version)
    folders.write_version(tmp_path, "other")
    return tmp_path


def damage(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_a_good_repository_passes_with_every_version_on_every_backend(repository: Path) -> None:
    code, checks = facts(repository)
    assert code == 0
    assert [(check["name"], check["version"]) for check in checks] == [("level", 1), ("level", 2), ("other", 1)]
    for check in checks:
        by_name = {each["backend"]: each for each in check["backends"]}
        assert check["is_good"]
        assert by_name["onnxruntime"]["verdict"] == "ok"
        assert by_name["onnxruntime"]["deviation"] <= 1
        assert by_name["onnxruntime"]["load_ms"] > 0
        # The hand-made folders hold no other format.
        assert by_name["torchscript"]["verdict"] == by_name["eager"]["verdict"] == "absent"


def test_the_table_says_the_same_in_words(repository: Path) -> None:
    result = run(repository)
    assert result.exit_code == 0
    for words in ("level/1", "onnxruntime", "ok", "3 of 3 versions are what they claim to be"):
        assert words in result.stdout


def test_one_damaged_file_fails_and_the_others_are_still_checked(repository: Path) -> None:
    damage(repository / "level" / "1" / "model.onnx")
    code, checks = facts(repository)
    assert code == 1
    assert [check["is_good"] for check in checks] == [False, True, True]
    assert "model.onnx: SHA-256" in checks[0]["problem"]
    result = run(repository)
    assert result.exit_code == 1
    assert "model.onnx: SHA-256" in result.stdout


def test_outputs_that_are_not_the_golden_ones_fail_with_their_distance(tmp_path: Path) -> None:
    outputs = folders.expected_outputs(folders.random_windows(8))
    outputs["step_error"] = (outputs["step_error"] + np.float32(1e-3)).astype(np.float32)
    folder = folders.write_version(tmp_path, golden=folders.golden_bytes(outputs))
    code, (check,) = facts(folder)
    assert code == 1
    replay = next(each for each in check["backends"] if each["backend"] == "onnxruntime")
    assert (replay["verdict"], replay["output"]) == ("refused", "step_error")
    assert replay["deviation"] > 1
    assert "step_error is off by" in replay["message"]


def test_a_model_folder_stands_for_all_its_versions(repository: Path) -> None:
    _, checks = facts(repository / "level")
    assert [check["version"] for check in checks] == [1, 2]


def test_a_version_in_a_place_that_is_not_its_own_fails(repository: Path) -> None:
    shutil.copytree(repository / "level" / "1", repository / "renamed" / "1")
    code, checks = facts(repository)
    assert code == 1
    assert "says model 'level' version 1; the folder says 'renamed' version 1" in checks[-1]["problem"]


def test_a_copy_of_one_version_may_lie_anywhere(repository: Path, tmp_path: Path) -> None:
    shutil.copytree(repository / "level" / "1", tmp_path / "copies" / "7")
    assert facts(tmp_path / "copies" / "7")[0] == 0


def test_a_backend_that_was_asked_for_must_be_there(repository: Path) -> None:
    code, checks = facts(repository / "other", "--backend", "torchscript")
    assert code == 1
    (replay,) = checks[0]["backends"]
    assert replay["verdict"] == "refused"
    assert "model.pt is not in this folder" in replay["message"]


def test_the_native_core_replays_on_the_instruction_set_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    plainest = "neon" if native.cpu_features()["neon"] else "baseline"
    code, checks = facts(GOLDEN, "--backend", "native", "--isa", plainest)
    assert (code, checks[0]["backends"][0]["description"]) == (0, f"native ({plainest})")
    foreign = "avx2" if plainest == "neon" else "neon"
    monkeypatch.setenv("OFFBEAT_ISA", foreign)
    code, checks = facts(GOLDEN, "--backend", "native")
    assert code == 1
    assert f'has no instruction set "{foreign}"; it has {plainest}' in checks[0]["backends"][0]["message"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [("native", {"native"}), ("native onnxruntime", {"native", "onnxruntime"}), ("auto", set(names("cpu")))],
)
def test_backends_come_from_the_environment_too_and_a_flag_wins(
    monkeypatch: pytest.MonkeyPatch, words: str, expected: set[str]
) -> None:
    monkeypatch.setenv("OFFBEAT_BACKEND", words)
    _, checks = facts(GOLDEN)
    assert {each["backend"] for each in checks[0]["backends"]} == expected
    _, checks = facts(GOLDEN, "--backend", "onnxruntime")
    assert [each["backend"] for each in checks[0]["backends"]] == ["onnxruntime"]


def test_an_unknown_backend_and_an_empty_folder_are_said_so(repository: Path, tmp_path: Path) -> None:
    unknown = run(repository, "--backend", "tpu")
    assert isinstance(unknown.exception, ConfigurationError)
    assert "backend is 'tpu'" in str(unknown.exception)
    (tmp_path / "empty").mkdir()
    empty = run(tmp_path / "empty")
    assert isinstance(empty.exception, BundleError)
    assert "found none of these" in str(empty.exception)


def test_nothing_that_could_replay_is_no_pass(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "names", lambda *_: ("eager",))
    result = run(repository / "other")
    assert result.exit_code == 1
    assert "no backend that could replay it is installed" in result.stdout
