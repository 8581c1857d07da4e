"""The unit as systemd reads it, and its settings as the server does."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.runtime import folders

from .manifests import DEPLOY, ROOT

UNIT, SETTINGS = DEPLOY / "systemd" / "offbeat.service", DEPLOY / "systemd" / "server.toml"
# What systemd calls the exposure of a service: 10 is one without any confinement, and below 2 it says OK, with a smile.
MAX_EXPOSURE = 20


def service() -> configparser.SectionProxy:
    unit = configparser.RawConfigParser()
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(UNIT.read_text())
    return unit["Service"]


def analysed(*arguments: object) -> subprocess.CompletedProcess[str]:
    found = shutil.which("systemd-analyze")
    if found is None:
        pytest.skip("needs systemd-analyze")
    command = [found, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)


def test_systemd_knows_every_line_of_the_unit(tmp_path: Path) -> None:
    # It would look for the program, too.
    unit = tmp_path / "offbeat.service"
    unit.write_text(UNIT.read_text().replace(service()["ExecStart"].split()[0], "/bin/true"))
    done = analysed("verify", "--man=no", unit)
    assert (done.returncode, [line for line in done.stderr.splitlines() if "offbeat.service" in line]) == (0, [])
    unit.write_text(unit.read_text().replace("ProtectHome", "ProtectHouse"))
    assert "ProtectHouse" in analysed("verify", "--man=no", unit).stderr


def test_the_service_may_little(tmp_path: Path) -> None:
    done = analysed("security", "--offline=true", f"--threshold={MAX_EXPOSURE}", "--no-pager", UNIT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_its_settings_are_ones_that_the_server_takes(tmp_path: Path) -> None:
    folders.write_version(tmp_path / "models")
    elsewhere = {"OFFBEAT_MODEL_REPOSITORY": str(tmp_path / "models"), "OFFBEAT_STATE_DIR": str(tmp_path / "state")}
    command = [sys.executable, "-m", "offbeat", "serve", "--config", str(SETTINGS), "--check"]
    done = subprocess.run(
        command, env={**os.environ, **elsewhere}, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_unit_its_settings_and_the_page_agree() -> None:
    settings, unit = tomllib.loads(SETTINGS.read_text()), service()
    assert float(unit["TimeoutStopSec"]) > settings["grace-s"]
    assert settings["state-dir"] == f"/var/lib/{unit['StateDirectory']}"
    page = (ROOT / "docs" / "serving.md").read_text()
    program, *_, given = unit["ExecStart"].split()
    for told in (program, f"--config {given}", settings["model-repository"], f"useradd --system {unit['User']}"):
        assert told in page, told
