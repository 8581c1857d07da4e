"""`offbeat-edge score`: rows in, scores out."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

import offbeat
from tests.native.edge_program import EDGE, GOLDEN, csv_rows, expected_errors, needs_build, run_edge, windows_of

pytestmark = needs_build
MODEL = GOLDEN / "state"
FILE = MODEL / "1" / "model.safetensors"
N_STEPS = 12
ROWS = csv_rows(n_rows=40, n_features=2)
LINES = ROWS.splitlines()


def score(*words: str | Path, stdin: str | bytes = ROWS) -> list[dict[str, str]]:
    """The lines of a run that must succeed, by column."""
    result = run_edge("score", *words, stdin=stdin)
    assert result.returncode == 0, result.stderr
    header, *lines = result.stdout.splitlines()
    return [dict(zip(header.split(","), line.split(","), strict=True)) for line in lines]


def column(lines: list[dict[str, str]], name: str) -> np.ndarray:
    return np.array([float(line[name]) for line in lines])


def test_scores_are_those_of_onnx_runtime_at_the_row_that_ends_the_window() -> None:
    lines = score(MODEL)
    assert [int(line["row"]) for line in lines] == list(range(N_STEPS - 1, 40))
    np.testing.assert_allclose(
        column(lines, "reconstruction_error"), expected_errors("state", ROWS, N_STEPS), rtol=1e-5
    )


@pytest.mark.parametrize("model", ["repeat-classifier", "repeat-forecast", "flexible", "variational"])
def test_every_output_is_that_of_onnx_runtime(model: str) -> None:
    with offbeat.load(GOLDEN / model / "1", backend="onnxruntime") as scorer:
        manifest, n_features = scorer.manifest, len(scorer.manifest.feature_names)
        rows = csv_rows(15, n_features)
        windows = windows_of(rows, N_STEPS) if manifest.window else windows_of(rows, 1)[:, 0]
        expected = scorer.score(windows, manifest.output_names)
    lines = score(GOLDEN / model, "--outputs", ",".join(manifest.output_names), stdin=rows)
    for name in manifest.output_names:
        values = np.asarray(getattr(expected, name), np.float64).reshape(len(lines), -1)
        columns = [key for key in lines[0] if key == name or key.startswith(f"{name}.")]
        seen = np.stack([column(lines, key) for key in columns], axis=1)
        np.testing.assert_allclose(seen, values, rtol=2e-5, atol=2e-5, err_msg=name)


def test_columns_of_outputs_are_named_after_features_and_steps() -> None:
    [line, *_] = score(MODEL, "--outputs", "feature_error,step_error,reconstruction")
    assert list(line)[:4] == ["row", "feature_error.sensor 0", "feature_error.sensor 1", "step_error.0"]
    assert list(line)[-1] == f"reconstruction.{N_STEPS - 1}.sensor 1"


def test_columns_are_taken_by_the_models_names() -> None:
    swapped = [",".join(["x", *reversed(line.split(","))]) for line in LINES]
    assert score(MODEL, stdin="\n".join(swapped)) == score(MODEL)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_recognised(delimiter: str) -> None:
    assert score(MODEL, stdin=ROWS.replace(",", delimiter)) == score(MODEL)


def test_files_of_other_systems_are_read_alike() -> None:
    expected = score(MODEL)
    quoted = "\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in LINES)
    for text in ("\ufeff" + ROWS, ROWS.replace("\n", "\r\n"), ROWS.rstrip("\n"), ROWS.replace("\n", "\n\n"), quoted):
        assert score(MODEL, stdin=text) == expected


def test_rows_without_a_line_of_names_are_taken_in_order() -> None:
    expected = score(MODEL)
    assert score(MODEL, stdin="\n".join(LINES[1:])) == expected
    stamped = "\n".join(f"2026-01-01 00:{minute:02d},{line}" for minute, line in enumerate(LINES[1:]))
    assert score(MODEL, "--header", "absent", "--columns", "2,3", stdin=stamped) == expected


def test_raw_rows_get_the_scores_of_the_same_csv() -> None:
    values = np.loadtxt(LINES[1:], delimiter=",", dtype="<f4")
    assert score(MODEL, "--format", "raw", stdin=values.tobytes()) == score(MODEL)


def test_a_file_alone_is_scored_when_the_length_is_said() -> None:
    assert score(FILE, "--steps", "12") == score(MODEL)
    result = run_edge("score", FILE, stdin=ROWS)
    assert result.returncode == 2
    assert "--steps" in result.stderr


def test_stride_leaves_windows_out_and_every_leaves_lines_out() -> None:
    whole = score(MODEL)
    assert score(MODEL, "--stride", "5") == whole[::5]
    calm = [line for line in whole if line["is_anomaly"] == "0"]
    printed = score(MODEL, "--every", "5")
    assert printed == [line for index, line in enumerate(whole) if index % 5 == 0 or line["is_anomaly"] == "1"]
    assert len(printed) < len(whole) or not calm


def test_an_anomaly_is_printed_whatever_is_left_out() -> None:
    calm = "\n".join([LINES[0], *["4.0,-2.0"] * 30, "900,900", *["4.0,-2.0"] * 5])
    assert [line["row"] for line in score(MODEL, "--every", "1000", "--outputs", "anomaly_score", stdin=calm)][
        -1
    ] >= "30"


def test_rows_are_answered_before_more_are_waited_for() -> None:
    with subprocess.Popen(
        [EDGE, "score", MODEL, "--no-header"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for line in LINES[: N_STEPS + 1]:
            process.stdin.write(f"{line}\n".encode())
        process.stdin.flush()
        assert process.stdout.readline().startswith(b"11,")
        for row in range(N_STEPS, 20):
            process.stdin.write(f"{LINES[row + 1]}\n".encode())
            process.stdin.flush()
            assert process.stdout.readline().startswith(f"{row},".encode())
        process.stdin.close()
        assert process.wait(timeout=10) == 0


def spoilt(line: int, text: str) -> str:
    """The rows with another text in the place of one line, counted from 1."""
    return "\n".join([*LINES[: line - 1], text, *LINES[line:]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1.0,abc", "line 20, column 2 (sensor 1): 'abc' is not a number"),
        ("1.0,", "line 20, column 2 (sensor 1): no value"),
        ("nan,1.0", "line 20, column 1 (sensor 0): no value"),
        ("1e99,1.0", "line 20, column 1 (sensor 0): '1e99' is beyond float32"),
        ("1.0", "line 20: 1 columns; expected 2"),
        ("1.0,2.0,3.0", "line 20: 3 columns; expected 2"),
    ],
)
def test_a_bad_row_stops_the_run_and_is_named(text: str, message: str) -> None:
    result = run_edge("score", MODEL, stdin=spoilt(20, text))
    assert result.returncode == 4
    assert message in result.stderr
    # What was scored before is told.
    assert result.stdout.splitlines()[-1].startswith("17,")


def test_a_bad_row_can_be_skipped_or_begin_the_window_anew() -> None:
    bad = spoilt(20, "1.0,abc")
    skipped = score(MODEL, "--on-bad-row", "skip", stdin=bad)
    assert [line["row"] for line in skipped] == [str(row) for row in range(11, 40) if row != 18]
    restarted = score(MODEL, "--on-bad-row", "restart", stdin=bad)
    assert [line["row"] for line in restarted] == [str(row) for row in range(11, 40) if not 18 <= row < 30]
    assert restarted[-1] == score(MODEL)[-1]


def test_a_missing_value_can_be_filled_with_the_last_one() -> None:
    first, second = LINES[18].split(",")
    filled = score(MODEL, stdin=spoilt(20, f"{first},7.5"))
    assert score(MODEL, "--missing", "forward-fill", stdin=spoilt(20, ",7.5")) == filled
    assert score(MODEL, "--missing", "forward-fill", stdin=spoilt(20, "NA,7.5")) == filled
    result = run_edge("score", MODEL, "--missing", "forward-fill", stdin=spoilt(2, f",{second}"))
    assert result.returncode == 4
    assert "none before it" in result.stderr


@pytest.mark.parametrize(
    ("words", "stdin", "message"),
    [
        ([], "a,b\n1,2\n", "no column is named sensor 0, sensor 1; the columns are a, b"),
        ([], "1,2,3\n", "3 columns; expected one for each feature: sensor 0, sensor 1"),
        (["--columns", "1,9"], ROWS, "there is no column '9'"),
        (["--columns", "1"], ROWS, "--columns has 1; expected one for each feature"),
        (["--format", "raw"], b"\0" * 21, "the input ends within it; expected 8 bytes"),
        ([], "x" * 2_000_000, "line 1: longer than"),
    ],
)
def test_a_stream_that_is_not_of_the_model_is_refused(words: list[str], stdin: str | bytes, message: str) -> None:
    result = run_edge("score", MODEL, *words, stdin=stdin)
    assert result.returncode == 4
    assert message in result.stderr


@pytest.mark.parametrize(
    "stdin", ["\x1b[31mred,b\n1,2\n", "sensor 0,sensor 1\n1,\x1b]0;title\x07\n", ",".join(["name"] * 5000)]
)
def test_a_message_neither_steers_the_terminal_nor_fills_it(stdin: str) -> None:
    result = run_edge("score", MODEL, stdin=stdin)
    assert result.returncode == 4
    assert result.stderr.strip().isprintable()
    assert len(result.stderr) < 500


def test_nothing_to_score_is_no_error() -> None:
    for text in ("", LINES[0], "\n\n"):
        assert score(MODEL, stdin=text) == []


def test_output_that_cannot_be_written_is_told() -> None:
    with Path("/dev/full").open("wb") as full:
        command = [str(EDGE), "score", str(MODEL)]
        result = subprocess.run(command, input=ROWS.encode(), stdout=full, stderr=subprocess.PIPE, check=False)
    assert result.returncode == 5
    assert b"standard output" in result.stderr
