"""Compose, Kubernetes and the demo start the same commands, and each of them is an installed service."""

from importlib import metadata

import pytest
from support import manifests
from support.manifests import BASE, DEMO, ROOT

from console.demo import SERVICES

COMMANDS = {name: ["python", "-m", module] for name, module in SERVICES.items()}


def test_the_demo_runs_every_installed_service():
    installed = {point.name: point.value for point in metadata.entry_points(group="kruispost.services")}
    assert installed == {name: f"{module}.__main__:build" for name, module in SERVICES.items()}


def test_compose_starts_what_the_demo_runs():
    services = manifests.compose_file()["services"]
    assert {name: services[name]["command"] for name in SERVICES} == COMMANDS
    assert {*services} == {*SERVICES, "postgres", "rabbitmq", "migrate", "world"}


@pytest.mark.parametrize("folder", [pytest.param(BASE, id="base"), pytest.param(DEMO, id="demo")])
def test_kubernetes_starts_what_the_demo_runs(folder):
    pods = manifests.pods(manifests.render(folder))
    assert {name: pods[name]["containers"][0]["command"] for name in SERVICES} == COMMANDS
    others = {*pods} - {*SERVICES}
    assert others == {"migrate", "tools", *(() if folder == BASE else ("postgres", "rabbitmq", "world"))}


def test_compose_and_kubernetes_migrate_and_play_the_month_alike():
    services = manifests.compose_file()["services"]
    pods = manifests.pods(manifests.render(DEMO))
    assert services["migrate"]["command"] == pods["migrate"]["containers"][0]["command"] == ["python", "-m", "backbone.migrate"]
    in_kubernetes = [part.replace("$(", "${").replace(")", "}") for part in pods["world"]["containers"][0]["command"]]
    assert services["world"]["command"] == in_kubernetes


def test_the_image_can_start_every_command():
    dockerfile = (ROOT / "Dockerfile").read_text()
    for distribution in (
        "shared",
        "services/ingest",
        "services/mapper",
        "services/exact-writer",
        "services/payment-matcher",
        "console",
    ):
        assert f"./{distribution}" in dockerfile
    assert "--require-hashes -r requirements.lock" in dockerfile
    assert "USER 10001:10001" in dockerfile
