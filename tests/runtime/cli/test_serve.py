from __future__ import annotations

import subprocess
import sys

import pytest

from offbeat.cli.serve import _announce

PROGRAM = """
import atexit, sys, threading, time
from offbeat.cli.serve import _end_process

atexit.register(print, "the interpreter ended")
seconds = float(sys.argv[2])
thread = threading.Thread(target=time.sleep, args=(seconds,), name=sys.argv[1], daemon=True)
thread.start()
if not seconds:
    thread.join()
print("before")
_end_process()
"""


@pytest.mark.parametrize(("host", "told"), [("127.0.0.1", "127.0.0.1:7"), ("::1", "[::1]:7")])
def test_the_address_that_it_says_to_be_ready_on_is_one_for_a_client(
    host: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _announce(host, 7)
    assert capsys.readouterr().out == f"offbeat is ready on {told}\n"


@pytest.mark.parametrize("standard_output", ["| true", ">&-"])
def test_a_server_whose_output_nobody_reads_goes_on(standard_output: str) -> None:
    program = "import time; time.sleep(0.5); from offbeat.cli.serve import _announce; _announce('::1', 7); raise SystemExit(7)"
    command = f'set -o pipefail; "{sys.executable}" -c "{program}" {standard_output}'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=200, check=False)
    assert (done.returncode, done.stderr) == (7, "")


@pytest.mark.parametrize(
    ("thread", "seconds", "told"),
    [
        ("offbeat-worker-0", 600, ["before"]),
        ("offbeat-loader-0", 600, ["before"]),
        ("offbeat-worker-0", 0, ["before", "the interpreter ended"]),
        ("another", 600, ["before", "the interpreter ended"]),
    ],
)
def test_a_thread_that_still_computes_is_not_cut_off_by_the_interpreters_end(
    thread: str, seconds: int, told: list[str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, thread, str(seconds)], capture_output=True, text=True, timeout=200, check=False
    )
    assert (done.returncode, done.stdout.splitlines(), done.stderr) == (0, told, "")
