from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import offbeat as package
from offbeat.cli.app import run
from tests.runtime import folders
from tests.runtime.cli.conftest import Run

OFFBEAT = str(Path(sys.executable).with_name("offbeat"))
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


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., str]]:
    """What a command line that is none tells, in this process: one line on standard error."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setenv("NO_COLOR", "1")

    def line(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["offbeat", *arguments])
        assert run() == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert len(printed.err.splitlines()) == 1
        return printed.err

    yield line
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("score",), "Missing argument 'data'; "),
        (("score", "x.csv"), "Missing option '--model'"),
        (("score", "x.csv", "y.csv", "--model", "m"), "unexpected extra argument"),
        (("score", "x.csv", "--model"), "'--model' requires an argument"),
        (("score", "x.csv", "--modle", "m"), "No such option: --modle (Possible options: "),
        (("score", "x.csv", "--model", "m", "--per", "day"), "--per: 'day' is not one of 'row', 'window'"),
        (("nonsense",), "No such command 'nonsense'; "),
        (("serve", ".", "--port", "70000"), "--port is '70000'; expected at most 65535; "),
        (("bench", "tune", ".", "--batch", "0"), "--batch is '0'; expected at least 1; "),
        (("train", "x.csv", "--seq-len", "1e3"), "--seq-len is '1e3'; expected a whole number"),
        (("train", "x.csv", "--lr", "\x1b[31m"), "--lr is '\\x1b[31m'; expected a number"),
    ],
)
def test_wrong_usage_is_one_line_that_says_what_was_seen(
    told: Callable[..., str], arguments: tuple[str, ...], words: str
) -> None:
    line = told(*arguments)
    assert line.startswith("error: ")
    assert words in line
    assert line.endswith(" --help tells more\n")


def test_a_variable_that_is_wrong_is_named_as_one(told: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OFFBEAT_SEQ_LEN", "many")
    assert "error: OFFBEAT_SEQ_LEN is 'many'; expected a whole number" in told("train", "x.csv")


def test_wrong_usage_names_the_command_whose_help_tells_more(offbeat: Run) -> None:
    failed = offbeat("bench", "tune", ".", "--batch", "0")
    assert failed.returncode == 2
    assert failed.stderr == "error: --batch is '0'; expected at least 1; offbeat bench tune --help tells more\n"


@pytest.mark.parametrize("arguments", [(), ("bench",)])
def test_where_nothing_is_asked_for_help_is_shown(offbeat: Run, arguments: tuple[str, ...]) -> None:
    shown = offbeat(*arguments)
    assert (shown.returncode, shown.stderr) == (2, "")
    assert "Usage: offbeat" in shown.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("score", "LONG", "--model", "models"),
        ("score", "data.csv", "--model", "LONG"),
        ("score", "data.csv", "--model", "models", "--out", "LONG"),
    ],
)
def test_a_name_that_no_file_can_have_is_one_line(offbeat: Run, model: Path, arguments: tuple[str, ...]) -> None:
    (model.parent / "data.csv").write_text("pressure,flow\n" + "10,-5\n" * 20)
    places = {"LONG": "x" * 300, "models": str(model), "data.csv": str(model.parent / "data.csv")}
    failed = offbeat(*(places.get(word, word) for word in arguments))
    assert failed.returncode == 1
    assert failed.stderr.endswith(": File name too long\n")
    assert len(failed.stderr.splitlines()) == 1


def test_a_target_that_is_a_link_to_itself_is_refused_and_left(offbeat: Run, model: Path) -> None:
    link, data = model.parent / "loop.csv", model.parent / "data.csv"
    link.symlink_to(link)
    data.write_text("pressure,flow\n" + "10,-5\n" * 20)
    failed = offbeat("score", data, "--model", model, "--out", link)
    assert "expected a file that can be written: Too many levels of symbolic links" in failed.stderr
    assert link.is_symlink()


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_ctrl_c_leaves_no_half_file_and_says_so_in_a_line(model: Path, ending: str) -> None:
    data, out = model.parent / "data.csv", model.parent / f"scores.{ending}"
    os.mkfifo(data)
    out.write_text("old")
    command = [OFFBEAT, "score", data, "--format", "csv", "--model", model, "--out", out]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        with data.open("w") as rows:
            # As many as are gathered before a part is written, and what pyarrow reads ahead: so that there is a half file to leave.
            rows.write("pressure,flow\n" + "10,-5\n" * 800_000)
            rows.flush()
            end = time.monotonic() + 100
            while time.monotonic() < end and not any(part.stat().st_size for part in model.parent.glob(".*.part")):
                time.sleep(0.02)
            os.killpg(process.pid, signal.SIGINT)
        # As a terminal does, which interrupts whoever writes into the pipe, too.
        _, told = process.communicate(timeout=100)
    finally:
        process.kill()
    assert process.returncode == 130
    *stopped, interrupted = told.splitlines()
    # Not told of where the signal comes while a part is written.
    for line in stopped:
        n_rows, n_lines = (int(number.replace(",", "")) for number in re.findall(r"[\d,]*\d", line))
        assert 0 < n_lines <= n_rows
    assert interrupted == "interrupted; no file is left half-written"
    assert sorted(path.name for path in model.parent.iterdir()) == ["data.csv", "models", out.name]
    assert out.read_text() == "old"


@pytest.mark.parametrize(("last", "code"), [("10,\n", 1), ("SIGTERM", 143)])
def test_an_error_and_a_signal_end_the_process_though_the_writer_of_its_pipe_is_idle(
    model: Path, last: str, code: int
) -> None:
    command = [OFFBEAT, "score", "-", "--model", model, "--out", model.parent / "scores.csv"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        try:
            process.stdin.write("pressure,flow\n" + "10,-5\n" * 300_000 + (last if code == 1 else ""))
            process.stdin.write("10,-5\n" * 300_000)
            process.stdin.flush()
            end = time.monotonic() + 100
            while code != 1 and time.monotonic() < end and not list(model.parent.glob(".*.part")):
                time.sleep(0.02)
            if code != 1:
                process.send_signal(signal.SIGTERM)
            assert process.wait(100) == code
        finally:
            process.kill()
        told = process.stderr.read()
    assert ("missing value in row 300000" if code == 1 else "interrupted; no file is left half-written") in told
    assert [path.name for path in model.parent.iterdir()] == ["models"]
