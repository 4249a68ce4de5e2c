"""The Compose file fits the Compose Specification, holds no secret and confines what it starts."""

import json
import os
import re
import shutil
import subprocess
from urllib.parse import urlsplit

import jsonschema
import pytest
from support.manifests import DEMO, ROOT, compose_file, read_env

from backbone.settings import DEFAULT_PORTS, Settings

SERVICES = ("ingest", "mapper", "exact-writer", "payment-matcher", "console")
FILES = ["docker-compose.yml", "deploy/test-services.yml"]
REFERENCE = re.compile(r"\$\{(?P<name>[A-Z_]+)(?::[-?](?:\$\{[^}]*\}|[^}])*)?\}")


def has_compose() -> bool:
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("name", FILES)
def test_the_file_fits_the_compose_specification(name):
    schema = json.loads((ROOT / "tests" / "deploy" / "compose-spec.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(compose_file(ROOT / name))


@pytest.mark.skipif(not has_compose(), reason="Docker Compose is not installed; the specification's schema is checked either way")
def test_compose_itself_accepts_the_file():
    command = ["docker", "compose", "--env-file", str(DEMO / "demo.env"), "--profile", "demo", "config", "--quiet"]
    done = subprocess.run(command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_services_are_confined():
    compose = compose_file()
    for name in (*SERVICES, "migrate", "world"):
        service = compose["services"][name]
        assert service["user"] == "10001:10001", name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
    for name, service in compose["services"].items():
        assert not service.get("privileged"), name
        assert service["deploy"]["resources"]["limits"]["memory"], name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), f"{name} listens beyond this host"
        assert ":latest" not in service["image"], name


def test_services_wait_for_their_servers_and_say_whether_they_live():
    compose = compose_file()
    waits = {
        "postgres": {"condition": "service_healthy"},
        "rabbitmq": {"condition": "service_healthy"},
        "migrate": {"condition": "service_completed_successfully"},
    }
    for name in SERVICES:
        service = compose["services"][name]
        assert service["depends_on"] == waits, name
        assert f"http://127.0.0.1:{DEFAULT_PORTS[name]}/live" in service["healthcheck"]["test"][-1], name
        seconds = int(service["stop_grace_period"].removesuffix("s"))
        assert seconds > Settings.model_fields["drain_seconds"].default, name
    for name in ("postgres", "rabbitmq"):
        assert compose["services"][name]["healthcheck"]["test"], name


def test_every_secret_comes_from_the_environment():
    secrets = {
        f"KRUISPOST_{name.upper()}" for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)
    }
    secrets |= {"KRUISPOST_DATABASE_URL", "KRUISPOST_AMQP_URL"}
    known = {f"KRUISPOST_{name.upper()}" for name in Settings.model_fields}
    for name in SERVICES:
        for variable, value in compose_file()["services"][name]["environment"].items():
            assert variable in known, f"{name}: {variable} is no setting"
            if variable in secrets:
                found = REFERENCE.fullmatch(value)
                assert found is not None, f"{name}: {variable} has its value in the file"
                own = f"{variable}_{name.replace('-', '_').upper()}"
                assert found["name"] == (own if variable == "KRUISPOST_AMQP_URL" else variable)


def test_a_service_gets_only_the_secrets_it_uses():
    services = compose_file()["services"]

    def holders(variable: str) -> set[str]:
        return {name for name, service in services.items() if variable in service.get("environment", {})}

    assert holders("KRUISPOST_EXACT_CLIENT_SECRET") == holders("KRUISPOST_ENCRYPTION_KEYS") == {"exact-writer"}
    assert holders("KRUISPOST_WEBHOOK_PASSWORD") == holders("KRUISPOST_EXACT_WEBHOOK_SECRET") == {"ingest"}
    assert holders("KRUISPOST_CHARGEBEE_API_KEY") == {"ingest", "payment-matcher"}


def test_the_demo_values_fill_every_gap_and_fit_each_other():
    text = (ROOT / "docker-compose.yml").read_text()
    values = read_env(DEMO / "demo.env")
    required = {*re.findall(r"\$\{([A-Z_]+):\?", text)}
    assert required <= values.keys()
    assert urlsplit(values["KRUISPOST_DATABASE_URL"]).password == values["KRUISPOST_POSTGRES_PASSWORD"]
    assert urlsplit(values["KRUISPOST_AMQP_URL"]).password == values["KRUISPOST_RABBITMQ_PASSWORD"]
    addresses = [urlsplit(value).hostname for name, value in values.items() if name.endswith(("_URL", "_URI"))]
    assert {*addresses} <= compose_file()["services"].keys()
