"""Settings that only the writer has, from the same environment as all others."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class WriterSettings(BaseSettings):
    """How long a call may last. After `exact_longest_request_seconds` a request without an answer surely has had its effect."""

    model_config = SettingsConfigDict(env_prefix="KRUISPOST_", frozen=True, extra="ignore", env_ignore_empty=True)

    exact_timeout_seconds: float = Field(60.0, gt=0, description="how long the writer waits for an answer of Exact")
    exact_longest_request_seconds: float = Field(
        120.0, gt=0, description="how long after sending an unanswered call is looked up; longer than Exact may work on a request"
    )
