from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import offbeat as package
from tests.runtime import folders
from tests.runtime.cli.conftest import Run

COMMANDS = (
    *("train", "search", "evaluate", "export", "inspect", "verify", "recalibrate", "diff"),
    *("bench", "serve", "score", "listen", "version"),
)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself_with_an_example(offbeat: Run, command: str) -> None:
    shown = offbeat(command, "--help")
    assert shown.returncode == 0
    assert f"offbeat {command}" in shown.stdout.split("Example", 1)[1]
    footer = shown.stdout.rsplit("Exit status: 0 ", 1)[1]
    assert "2 " in footer.split("Environment:")[0]
    assert "a variable named beside a flag sets it" in footer


def test_help_lists_every_command_in_the_order_of_the_work(offbeat: Run) -> None:
    shown = offbeat("--help").stdout
    listed = re.findall(r"^│ ([a-z]+) ", shown, flags=re.MULTILINE)
    assert tuple(listed) == COMMANDS
    assert "Not installed" not in shown


def test_version_names_the_parts(offbeat: Run) -> None:
    facts = json.loads(offbeat("version", "--json").stdout)
    assert facts["offbeat"] == facts["native core"] == package.__version__
    assert "onnxruntime" in facts["backends"]
    assert package.__version__ in offbeat("version").stdout


def test_inspect_shows_what_the_folder_holds(offbeat: Run, model: Path) -> None:
    shown = offbeat("inspect", model)
    assert shown.returncode == 0
    for words in ("level version 1", "pressure, flow", "6 steps, any length", "[batch, time, 2]", "golden.npz", "1.5"):
        assert words in shown.stdout
    assert json.loads(offbeat("inspect", model, "--json").stdout)["name"] == "level"


def test_inspect_shows_names_that_look_like_markup(offbeat: Run, tmp_path: Path) -> None:
    folder = folders.write_version(tmp_path)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest |= {"feature_names": ["disk [/]", "[red]cpu"], "description": "all [/] of it"}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    shown = offbeat("inspect", folder)
    assert shown.returncode == 0, shown.stderr
    assert "disk [/], [red]cpu" in shown.stdout
    assert "all [/] of it" in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("inspect", "absent"), "error: absent: no such file or folder"),
        (("recalibrate", "absent", "data.csv"), "error: absent: no such folder"),
        (("recalibrate", "models", "data.csv"), "the model's threshold is fixed (1.5), and has no method to repeat"),
        (("inspect", "damaged"), "SHA-256"),
        (("score", "absent.csv", "--model", "models"), "absent.csv: no such file"),
        (("score", "data.csv", "--model", "absent"), "absent: no such folder"),
        (("score", "data.csv", "--model", "models", "--backend", "tpu"), "backend is 'tpu'"),
        (("score", "data.csv", "--model", "models", "--device", "cuda"), "device is 'cuda'"),
        (
            ("score", "data.csv", "--model", "models", "--model-version", "1"),
            "--model-version is given, and nothing here reads it",
        ),
        (("score", "short.csv", "--model", "models"), "3 rows; model 'level' needs 6"),
        (("score", "other.csv", "--model", "models"), "no column 'pressure'"),
        (
            ("score", "data.csv", "--model", "models", "--out", "absent/scores.csv"),
            "out is 'absent/scores.csv'; expected a file in a folder that exists",
        ),
        (
            ("score", "data.csv", "--model", "models", "--out", "data.csv"),
            "out is 'data.csv'; expected a file that is not read here",
        ),
        (
            ("score", "data.csv", "--model", "models", "--out", "models/level/1/manifest.json"),
            "a file that is not read here",
        ),
        (("score", "data.csv", "--model", "models", "--out", "x", "--outputs", "x"), "another file than the other one"),
        (("score", "data.csv", "--model", "models", "--outputs", "o.npz", "--row-score", "newest"), "they are means"),
        (
            ("score", "data.csv", "--model", "models", "--outputs", "o.txt"),
            "outputs is 'o.txt'; expected a file whose name ends in .npz",
        ),
        (
            ("score", "data.csv", "--model", "models", "--columns", "error_std, error_std"),
            "columns is 'error_std, error_std'; expected each at most once",
        ),
        (("score", "data.csv", "--model", "models", "--stride", "7"), "stride is 7; expected at most 6"),
        (("score", "data.csv", "--model", "models", "--delimiter", ",,"), "delimiter is ',,'"),
        (("score", ".", "--model", "models"), "a folder; expected a file"),
        (("serve", "absent"), "absent: no such folder"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_code_1(
    offbeat: Run, model: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: str
) -> None:
    monkeypatch.chdir(model.parent)
    Path("data.csv").write_text("pressure,flow\n" + "10,-5\n" * 20)
    Path("short.csv").write_text("pressure,flow\n" + "10,-5\n" * 3)
    Path("other.csv").write_text("a,b\n" + "10,-5\n" * 20)
    Path("damaged").mkdir()
    for file in (model / "level" / "1").iterdir():
        (Path("damaged") / file.name).write_bytes(file.read_bytes())
    content = bytearray((Path("damaged") / "model.onnx").read_bytes())
    content[40] ^= 1
    (Path("damaged") / "model.onnx").write_bytes(content)

    failed = offbeat(*arguments)
    assert failed.returncode == 1
    assert words in failed.stderr
    assert len(failed.stderr.strip().splitlines()) == 1
    assert failed.stdout == ""


@pytest.mark.parametrize(
    "arguments", [("score",), ("score", "x.csv"), ("nonsense",), ("serve", ".", "--port", "70000")]
)
def test_wrong_usage_is_exit_code_2_without_a_traceback(offbeat: Run, arguments: tuple[str, ...]) -> None:
    failed = offbeat(*arguments)
    assert failed.returncode == 2
    assert "Traceback" not in failed.stderr
