"""What the alert rules find, by Prometheus' own program."""

from __future__ import annotations

import shutil
import subprocess

import pytest
import yaml

from .manifests import DEPLOY

RULES, CASES = DEPLOY / "prometheus" / "alerts.yaml", DEPLOY / "prometheus" / "alerts.test.yaml"


def test_prometheus_finds_what_the_cases_expect() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("needs promtool")
    done = subprocess.run(
        [promtool, "test", "rules", str(CASES)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_ask_for_no_job_by_name_and_the_cases_for_rules_that_exist() -> None:
    [group] = yaml.safe_load(RULES.read_text())["groups"]
    assert [rule["alert"] for rule in group["rules"] if "job=" in rule["expr"]] == []
    asked = {
        each["alertname"] for case in yaml.safe_load(CASES.read_text())["tests"] for each in case["alert_rule_test"]
    }
    assert asked <= {rule["alert"] for rule in group["rules"]}
    assert any(rule["expr"].startswith("up == 0 ") for rule in group["rules"])
