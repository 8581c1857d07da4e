"""What docs/protocol.md tells to copy and paste must run as it stands."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ..server.fakes import make_scorer
from ..server.live import Serve

DOCS = Path(__file__).parents[3] / "docs"
EXAMPLES = re.findall(r"```python\n(.*?)```", (DOCS / "protocol.md").read_text(), re.DOTALL)


COMMANDS = re.findall(r"```sh\n(.*?)```", (DOCS / "protocol.md").read_text(), re.DOTALL)


def test_the_examples_are_found() -> None:
    assert (len(EXAMPLES), len(COMMANDS)) == (6, 2)


@pytest.mark.skipif(shutil.which("curl") is None, reason="the commands are curl's")
@pytest.mark.parametrize("commands", COMMANDS, ids=["JSON", "binary"])
def test_the_commands_for_curl_are_answered(serve: Serve, tmp_path: Path, commands: str) -> None:
    server = serve(make_scorer(name="server-metrics"), metrics_port=0, rest=True).server
    code = commands.replace("127.0.0.1:8002", f"127.0.0.1:{server.metrics_port}").replace("curl ", "curl -sS --fail ")
    done = subprocess.run(["bash", "-ec", code], capture_output=True, text=True, timeout=200, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('"outputs"') == commands.count("curl http")


@pytest.mark.parametrize(
    "example", EXAMPLES, ids=["Client", "AsyncClient", "series", "tritonclient", "stubs", "streams of tritonclient"]
)
def test_an_example_runs_without_a_warning(serve: Serve, example: str) -> None:
    target = serve(make_scorer(name="server-metrics")).target
    code = example.replace("127.0.0.1:8001", target)
    assert code != example
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
