"""HTTP Basic authentication of a webhook: the only proof of origin that Chargebee offers (it signs nothing)."""

from __future__ import annotations

import base64
import binascii
import hmac

from pydantic import SecretStr

from backbone.errors import ConfigurationError


class Credentials:
    """The user name and password that Chargebee's webhook endpoint is set up with."""

    def __init__(self, username: SecretStr | None, password: SecretStr | None) -> None:
        """Keep the pair; raises ConfigurationError when either is missing or empty."""
        if username is None or password is None or not username.get_secret_value() or not password.get_secret_value():
            raise ConfigurationError(
                "The webhook door has no user name or password, so anybody could post invoices through it: set"
                " KRUISPOST_WEBHOOK_USERNAME and KRUISPOST_WEBHOOK_PASSWORD to what Chargebee's webhook endpoint sends."
            )
        self._username = username.get_secret_value().encode()
        self._password = password.get_secret_value().encode()

    def admit(self, authorization: str | None) -> bool:
        """Tell whether an Authorization header carries the pair; takes the same time whichever half is wrong."""
        username, password = _read(authorization)
        right_username = hmac.compare_digest(username, self._username)
        right_password = hmac.compare_digest(password, self._password)
        return right_username and right_password


def _read(authorization: str | None) -> tuple[bytes, bytes]:
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return b"", b""
    try:
        pair = base64.b64decode(token.strip().encode("latin-1"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return b"", b""
    username, _, password = pair.partition(b":")
    return username, password
