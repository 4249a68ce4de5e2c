"""What differs between installations and is no bookkeeping: addresses, secrets, limits. Read from the environment only."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from backbone.errors import ConfigurationError

PREFIX = "KRUISPOST_"
DEFAULT_PORTS = {"ingest": 8080, "mapper": 8081, "exact-writer": 8082, "payment-matcher": 8083, "console": 8084}


class MountedSecrets(PydanticBaseSettingsSource):
    """Reads any setting from the file that KRUISPOST_<NAME>_FILE names, as Kubernetes and Docker mount secrets."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return the file's text without its trailing newline, or None when no file is named."""
        del field
        path = os.environ.get(f"{PREFIX}{field_name.upper()}_FILE")
        if not path:
            return None, field_name, False
        try:
            return Path(path).read_text(encoding="utf-8").rstrip("\r\n"), field_name, False
        except (OSError, UnicodeDecodeError) as error:
            variable = f"{PREFIX}{field_name.upper()}_FILE"
            raise ConfigurationError(f"{variable} names a file that cannot be read ({error}); mount it.") from error

    def __call__(self) -> dict[str, Any]:
        """Return every setting that a file gives."""
        found = {}
        for name, field in self.settings_cls.model_fields.items():
            value, _, _ = self.get_field_value(field, name)
            if value is not None:
                found[name] = value
        return found


class Settings(BaseSettings):
    """Every setting of every service. Unset `database_url` and `amqp_url` mean the embedded engines."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True)

    config: Path = Field(Path("kruispost.yaml"), description="the YAML file with sites, divisions and the mapping")
    data_dir: Path = Field(Path("var/kruispost"), description="where the embedded engines keep their files")
    database_url: str | None = Field(None, description="postgresql://user:password@host/database; unset: SQLite in data_dir")
    amqp_url: str | None = Field(None, description="amqp://user:password@host/vhost; unset: the in-process transport")
    amqp_prefix: str = Field("", description="begins every exchange and queue name, to share a virtual host")
    database_pool_size: int = Field(5, ge=1, description="connections for writing, and as many for reading, of one service")
    chargebee_url: str | None = Field(None, description="another address for Chargebee, such as the simulator's")
    exact_url: str = Field("https://start.exactonline.nl", description="the address of Exact Online")
    exact_timeout_seconds: float = Field(60.0, gt=0, description="how long an answer of Exact is waited for")
    webhook_username: SecretStr | None = Field(None, description="user name that Chargebee's webhooks carry")
    webhook_password: SecretStr | None = Field(None, description="password that Chargebee's webhooks carry")
    chargebee_api_key: SecretStr | None = Field(None, description="API key of the Chargebee site")
    exact_webhook_secret: SecretStr | None = Field(
        None, description="webhook secret of the app that is registered at Exact; unset: no webhooks of Exact are taken"
    )
    catch_up_seconds: float = Field(300.0, ge=0, description="how often Chargebee is asked for what no webhook brought; 0: never")
    exact_client_id: str | None = Field(None, description="client id of the app that is registered at Exact")
    exact_client_secret: SecretStr | None = Field(None, description="client secret of that app")
    exact_redirect_uri: str | None = Field(None, description="redirect address of that app, ending in /oauth/callback")
    exact_webhook_url: str | None = Field(
        None,
        description="where Exact reaches ingest: https, the domain of the redirect address, /webhooks/exact; unset: polls",
    )
    exact_webhook_topics: str = Field(
        "Accounts,BankEntries,CashEntries,GLAccounts,GeneralJournalEntries,JournalStatusList",
        description="webhooks of Exact that the writer subscribes to, separated by commas; none: it deletes its subscriptions",
    )
    encryption_keys: SecretStr | None = Field(
        None, description="Fernet keys for stored tokens, newest first, separated by commas"
    )
    admin_token: SecretStr | None = Field(None, description="bearer token for the administrative addresses")
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(0, ge=0, le=65535, description="port to listen on; 0: the default of the service")
    log_format: Literal["json", "console"] = Field("json", description="json for machines, console for people")
    otlp_endpoint: str | None = Field(None, description="where traces go by OTLP over HTTP; unset: nowhere")
    drain_seconds: float = Field(20, gt=0, description="how long a stopping process may finish its work")
    max_body_bytes: int = Field(1_000_000, ge=1, description="largest request body that is accepted")
    poll_seconds: float = Field(30.0, gt=0, description="how often the writer asks Exact what changed")
    ledger_seconds: float = Field(
        21_600.0, ge=0, description="how often the writer, when it has nothing to book, reads Exact's ledger; 0: only when asked"
    )
    migrate_on_start: bool = Field(default=True, description="bring the database up to date when a service starts")
    dead_letter_limit: int = Field(20, ge=1, description="dead letters in a row after which a consumer stops its line")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Look at arguments, then the environment, then mounted files."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, MountedSecrets(settings_cls)

    def port_of(self, service: str) -> int:
        """Return the port a service listens on."""
        return self.port or DEFAULT_PORTS.get(service, 8080)
