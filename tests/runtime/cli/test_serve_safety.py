from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.runtime.authority import Authority, needs_openssl
from tests.runtime.cli.conftest import Run


@contextmanager
def server(*arguments: object, **environment: str) -> Iterator[str]:
    """The target of `offbeat serve` in a process of its own."""
    command = [str(Path(sys.executable).with_name("offbeat")), "serve", "--port", "0", *map(str, arguments)]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={"PATH": "/usr/bin:/bin"} | environment,
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()


def write_rows(folder: Path) -> Path:
    path = folder / "data.csv"
    path.write_text("pressure,flow\n" + "1.0,2.0\n" * 20)
    return path


@needs_openssl
def test_a_file_is_scored_over_mutual_tls(offbeat: Run, model: Path, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    cert, key = authority.issue("server")
    mine = authority.issue("client")
    data = write_rows(tmp_path)
    with server(model, "--tls-cert", cert, "--tls-key", key, "--tls-client-ca", authority.ca) as target:
        arguments = ("score", data, "--model", "level", "--server", target, "--tls-ca", authority.ca)
        done = offbeat(*arguments, "--tls-client-cert", mine[0], "--tls-client-key", mine[1])
        assert (done.returncode, len(done.stdout.splitlines())) == (0, 21), done.stderr
        refused = offbeat(*arguments, "--timeout-s", 5)
        assert refused.returncode == 1
        assert "UnavailableError" not in refused.stderr
        assert refused.stderr.startswith(f"error: {target}: ")


def test_a_certificate_without_its_key_and_a_wide_address_without_tls_are_refused(offbeat: Run, model: Path) -> None:
    done = offbeat("serve", model, "--tls-cert", "server.pem")
    assert (done.returncode, done.stderr) == (1, "error: tls_key is None; expected a file, as tls_cert is given\n")
    done = offbeat("serve", model, "--host", "::")
    assert done.returncode == 1
    assert "give --tls-cert and --tls-key, or --insecure" in done.stderr
