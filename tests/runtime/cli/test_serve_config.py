from __future__ import annotations

from pathlib import Path

import pytest

from tests.runtime import folders
from tests.runtime.authority import Authority, needs_openssl
from tests.runtime.cli.conftest import Run


@pytest.fixture
def settings(model: Path, tmp_path: Path) -> Path:
    path = tmp_path / "server.toml"
    path.write_text(f'model-repository = "{model}"\nport = 0\nbackend = "onnxruntime"\nhost = "192.0.2.1"\n')
    return path


def test_a_check_tells_all_that_it_looked_at(offbeat: Run, model: Path, settings: Path, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("user-0123456789abcdef\n")
    done = offbeat("serve", "--config", settings, "--check", "--insecure", "--token-file", tmp_path / "tokens")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "ok       configuration",
        f"ok       tokens {tmp_path / 'tokens'}",
        f"ok       repository {model}, 1 models",
        "ok       model level version 1, golden windows replayed on onnxruntime (CPUExecutionProvider)",
    ]


def test_a_check_names_a_folder_that_no_model_can_be_named_by_and_finds_no_fault(
    offbeat: Run, model: Path, settings: Path
) -> None:
    folders.write_version(model, "other").parent.rename(model / "my level")
    done = offbeat("serve", "--config", settings, "--check", "--insecure")
    told = [line for line in done.stdout.splitlines() if line.startswith("skipped")]
    assert done.returncode == 0
    assert told == [
        f"skipped  folder 'my level' in {model} is left out: not a model's name; expected [A-Za-z0-9][A-Za-z0-9._-]{{0,127}}"
    ]


def test_flags_win_over_variables_and_these_over_the_file(offbeat: Run, settings: Path) -> None:
    command = ("serve", "--config", settings, "--check")
    assert "host is '192.0.2.1'" in offbeat(*command).stderr
    assert "host is '192.0.2.2'" in offbeat(*command, OFFBEAT_HOST="192.0.2.2").stderr
    assert offbeat(*command, "--host", "::1", OFFBEAT_HOST="192.0.2.2").returncode == 0


@needs_openssl
def test_a_check_finds_every_fault_and_not_only_the_first(
    offbeat: Run, model: Path, settings: Path, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    cert, other_key = authority.issue("server")[0], authority.issue("other")[1]
    (tmp_path / "tokens").write_text("short\n")
    (folders.write_version(model, "tampered") / "model.onnx").write_bytes(b"other bytes")
    with settings.open("a") as file:
        file.write(f'tls_cert = "{cert}"\ntls_key = "{other_key}"\ntoken_file = "{tmp_path / "tokens"}"\n')
    done = offbeat("serve", "--config", settings, "--check")
    refused = [line for line in done.stdout.splitlines() if line.startswith("refused")]
    assert done.returncode == 1
    assert len(refused) == 3
    for line, words in zip(refused, ("key values mismatch", "line 1 is no token", "tampered"), strict=True):
        assert words in line
    assert "ok       model level version 1" in done.stdout


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("max-queue-sise = 3", "server.toml: unknown key 'max-queue-sise'; did you mean 'max-queue-size'?"),
        ('config = "other.toml"', "server.toml: unknown key 'config'"),
        ("check = true", "server.toml: unknown key 'check'"),
        ('n_workers = "many"', "server.toml: n_workers is 'many'; expected a whole number"),
        ("n_workers = 0", "server.toml: n_workers is '0'; expected at least 1"),
        ("n-workers = 1\nn_workers = 2", "server.toml: key 'n_workers' is given twice"),
        ("port =", "server.toml: not a TOML file"),
    ],
)
def test_a_file_that_is_wrong_is_refused_by_its_key(
    offbeat: Run, model: Path, tmp_path: Path, line: str, words: str
) -> None:
    (tmp_path / "server.toml").write_text(line + "\n")
    done = offbeat("serve", model, "--config", tmp_path / "server.toml", "--check")
    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr


def test_a_variable_that_is_nearly_a_setting_is_warned_of_and_those_of_kubernetes_are_not(
    offbeat: Run, settings: Path
) -> None:
    variables = {
        "OFFBEAT_TOKEN_FILES": "/etc/tokens",
        "OFFBEAT_TLS_CLIENTCA": "/etc/tls.pem",
        # Settings of other commands, and what Kubernetes says of a service that is called offbeat.
        "OFFBEAT_TOKEN": "secret-0123456789abcdef",
        "OFFBEAT_EPOCHS": "3",
        "OFFBEAT_SERVICE_HOST": "10.0.0.1",
        "OFFBEAT_SERVICE_PORT": "9000",
        "OFFBEAT_SERVICE_PORT_METRICS": "8002",
        "OFFBEAT_PORT_9000_TCP": "tcp://10.0.0.1:9000",
        "OFFBEAT_PORT_9000_TCP_ADDR": "10.0.0.1",
        "OFFBEAT_PORT_9000_TCP_PORT": "9000",
        "OFFBEAT_PORT_9000_TCP_PROTO": "tcp",
    }
    done = offbeat("serve", "--config", settings, "--check", "--insecure", **variables)
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        "warning: OFFBEAT_TLS_CLIENTCA is no variable of this command; did you mean OFFBEAT_TLS_CLIENT_CA?",
        "warning: OFFBEAT_TOKEN_FILES is no variable of this command; did you mean OFFBEAT_TOKEN_FILE?",
    ]


def test_a_file_that_an_editor_of_windows_wrote_is_read(offbeat: Run, settings: Path) -> None:
    settings.write_bytes(b"\xef\xbb\xbf" + settings.read_bytes().replace(b"\n", b"\r\n"))
    assert offbeat("serve", "--config", settings, "--check", "--insecure").returncode == 0
