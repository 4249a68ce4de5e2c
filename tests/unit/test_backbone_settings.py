"""Settings: from the environment or from mounted files, and never shown."""

from __future__ import annotations

import os

import pytest
from pydantic import ValidationError

from backbone.errors import ConfigurationError
from backbone.settings import Settings


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    for name in list(os.environ):
        if name.startswith("KRUISPOST_"):
            monkeypatch.delenv(name)


def test_without_any_setting_the_embedded_engines_are_meant():
    settings = Settings()
    assert settings.database_url is None
    assert settings.amqp_url is None
    assert settings.exact_url == "https://start.exactonline.nl"


def test_a_secret_can_come_from_a_mounted_file(monkeypatch, tmp_path):
    (tmp_path / "secret").write_text("geheim\n", encoding="utf-8")
    monkeypatch.setenv("KRUISPOST_WEBHOOK_PASSWORD_FILE", str(tmp_path / "secret"))
    monkeypatch.setenv("KRUISPOST_DATABASE_URL_FILE", str(tmp_path / "secret"))
    settings = Settings()
    assert settings.webhook_password is not None
    assert settings.webhook_password.get_secret_value() == "geheim"
    assert settings.database_url == "geheim"


def test_the_environment_wins_over_a_file(monkeypatch, tmp_path):
    (tmp_path / "secret").write_text("from the file", encoding="utf-8")
    monkeypatch.setenv("KRUISPOST_EXACT_CLIENT_SECRET_FILE", str(tmp_path / "secret"))
    monkeypatch.setenv("KRUISPOST_EXACT_CLIENT_SECRET", "from the environment")
    secret = Settings().exact_client_secret
    assert secret is not None
    assert secret.get_secret_value() == "from the environment"


def test_a_mounted_file_that_is_missing_is_an_error_and_not_an_empty_secret(monkeypatch, tmp_path):
    monkeypatch.setenv("KRUISPOST_ADMIN_TOKEN_FILE", str(tmp_path / "absent"))
    with pytest.raises(ConfigurationError, match="KRUISPOST_ADMIN_TOKEN_FILE"):
        Settings()


def test_an_empty_variable_counts_as_unset(monkeypatch):
    monkeypatch.setenv("KRUISPOST_AMQP_URL", "")
    assert Settings().amqp_url is None


def test_secrets_are_not_printed(monkeypatch):
    monkeypatch.setenv("KRUISPOST_CHARGEBEE_API_KEY", "live_abc")
    assert "live_abc" not in repr(Settings())


@pytest.mark.parametrize(
    ("name", "value"), [("PORT", "70000"), ("DRAIN_SECONDS", "0"), ("LOG_FORMAT", "xml"), ("POLL_SECONDS", "-1")]
)
def test_a_value_that_makes_no_sense_is_refused(monkeypatch, name, value):
    monkeypatch.setenv(f"KRUISPOST_{name}", value)
    with pytest.raises(ValidationError):
        Settings()


def test_each_service_has_a_port_of_its_own_until_one_is_set():
    ports = [Settings().port_of(name) for name in ("ingest", "mapper", "exact-writer", "payment-matcher", "console")]
    assert ports == [8080, 8081, 8082, 8083, 8084]
    assert Settings(port=9000).port_of("mapper") == 9000
