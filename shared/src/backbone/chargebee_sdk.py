"""What the services that call Chargebee share: its official SDK opened with its traps mended, and what its failures mean.

The SDK's class is handed in, for two reasons: only those services may import it, and the import costs more than a second, which
a process that never calls Chargebee should not pay.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

CONNECT_TIMEOUT_SECONDS: Final = 5
READ_TIMEOUT_SECONDS: Final = 20
# Stands for "/" inside an id until the URL is complete: the SDK escapes every character of an id but the slash.
_SLASH_IN_ID, _SLASH_IN_ID_QUOTED = "\ue000", "%EE%80%80"


def open_client(sdk: Any, *, site: str, api_key: str, base_url: str | None) -> Any:
    """Return a client of the SDK's class `Chargebee` for a site; `base_url` is where a stand-in listens, None for Chargebee.

    Its retries stay off: it repeats 429 without end and without the Retry-After of the answer.
    """
    client = sdk(api_key=api_key, site=site, connection_time_out=CONNECT_TIMEOUT_SECONDS, read_time_out=READ_TIMEOUT_SECONDS)
    if base_url is not None:
        client.env.api_endpoint = base_url.rstrip("/") + "/api/v2"
        client.env.protocol = urlsplit(base_url).scheme
        if client.env.protocol == "http":
            # The SDK forces https as long as this attribute of the class is set, whatever the client says.
            sdk.verify_ca_certs = False
    plain_url = client.env.api_url
    client.env.api_url = lambda url, sub_domain=None: plain_url(url, sub_domain).replace(_SLASH_IN_ID_QUOTED, "%2F")
    return client


def escaped(resource_id: str) -> str:
    """Return an id as the SDK's calls must get it."""
    return resource_id.replace("/", _SLASH_IN_ID)


def retry_after_seconds(headers: Mapping[str, str] | None) -> float | None:
    """Read Retry-After in seconds; its other form, a date, is undocumented for Chargebee and read as absent."""
    try:
        seconds = float((headers or {}).get("retry-after") or "")
    except ValueError:
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def is_missing_answer(error: Exception) -> bool:
    """Whether the SDK raised for the network or for an answer it could not read, rather than for a mistake of ours.

    It raises plain `Exception` for answers without api_error_code and lets httpx's errors through as they are.
    """
    return type(error) is Exception or isinstance(error, OSError) or type(error).__module__.split(".")[0] in {"httpx", "httpcore"}
