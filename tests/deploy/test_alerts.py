"""The alerts ask for metrics that there are, with the outcomes that are counted, and say what to do by commands that exist."""

import re
from typing import get_args

import pytest
import yaml
from support.command_line import kruispost_here
from support.manifests import ROOT

from backbone.telemetry import CounterName, GaugeName

FILE = ROOT / "deploy" / "prometheus" / "alerts.yml"
RULES = [rule for group in yaml.safe_load(FILE.read_text())["groups"] for rule in group["rules"]]
METRICS = {f"kruispost_{name}" for name in get_args(GaugeName)} | {f"kruispost_{name}_total" for name in get_args(CounterName)}
TELEMETRY = (ROOT / "shared" / "src" / "backbone" / "telemetry.py").read_text()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_what_is_measured_and_says_what_to_do(rule, tmp_path):
    asked = re.findall(r"\bkruispost_\w+", rule["expr"])
    assert asked
    assert set(asked) <= METRICS
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert rule["annotations"].keys() == {"summary", "description"}
    for outcome in re.findall(r'outcome="(\w+)"', rule["expr"]):
        name = asked[0].removeprefix("kruispost_").removesuffix("_total")
        assert re.search(rf'"{name}",  # .*\b{outcome}\b', TELEMETRY)
    for command in re.findall(r"`kruispost ([\w-]+)", rule["annotations"]["description"]):
        done = kruispost_here(command, "--help", directory=tmp_path)
        assert done.returncode == 0, command


def test_the_alert_for_a_consent_is_there():
    (rule,) = (rule for rule in RULES if "kruispost_exact_connected" in rule["expr"])
    assert "kruispost login" in rule["annotations"]["description"]
