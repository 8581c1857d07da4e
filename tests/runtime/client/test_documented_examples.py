"""What docs/protocol.md tells to copy and paste must run as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ..server.fakes import make_scorer
from ..server.live import Serve

DOCS = Path(__file__).parents[3] / "docs"
EXAMPLES = re.findall(r"```python\n(.*?)```", (DOCS / "protocol.md").read_text(), re.DOTALL)


def test_the_examples_are_found() -> None:
    assert len(EXAMPLES) == 5


@pytest.mark.parametrize(
    "example", EXAMPLES, ids=["Client", "AsyncClient", "tritonclient", "stubs", "streams of tritonclient"]
)
def test_an_example_runs_without_a_warning(serve: Serve, example: str) -> None:
    target = serve(make_scorer(name="server-metrics")).target
    code = example.replace("127.0.0.1:8001", target)
    assert code != example
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
