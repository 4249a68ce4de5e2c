"""`.env.example` names every setting, with its default, and no secret."""

import re

import pytest
from support.manifests import ROOT, read_env

from backbone.roles import installed_services, role_of
from backbone.settings import Settings

EXAMPLE = ROOT / ".env.example"
VARIABLES = {f"KRUISPOST_{name.upper()}": field for name, field in Settings.model_fields.items()}


def test_it_names_each_setting_and_what_compose_reads():
    in_compose = {*re.findall(r"\$\{(KRUISPOST_[A-Z_]+)", (ROOT / "docker-compose.yml").read_text())}
    assert read_env(EXAMPLE).keys() == VARIABLES.keys() | in_compose


def test_the_values_are_the_defaults_so_that_a_copy_changes_nothing(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    untouched = Settings()
    for name, value in read_env(EXAMPLE).items():
        monkeypatch.setenv(name, value)
    assert Settings() == untouched


def test_it_holds_no_secret():
    for name, value in read_env(EXAMPLE).items():
        if "SecretStr" in str(getattr(VARIABLES.get(name), "annotation", "")) or "PASSWORD" in name:
            assert value == "", name


@pytest.mark.parametrize("file", ["Dockerfile", "docker-compose.yml", "deploy/k8s/base/environment.env"])
def test_deployments_set_only_settings_that_exist(file):
    only_compose = {"KRUISPOST_VERSION", "KRUISPOST_YAML", "KRUISPOST_POSTGRES_PASSWORD", "KRUISPOST_RABBITMQ_PASSWORD"}
    only_compose |= {f"KRUISPOST_AMQP_URL_{role_of(service, '')[1:].upper()}" for service in installed_services()}
    named = {*re.findall(r"\bKRUISPOST_[A-Z_]+\b", (ROOT / file).read_text())}
    assert named <= VARIABLES.keys() | only_compose
