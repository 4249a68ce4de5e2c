"""What every test and every process that it starts has in its environment."""

from __future__ import annotations

import os

# Everything is asked of loopback without TLS; reading the machine's certificates takes 40 ms of each HTTP client.
os.environ.pop("SSL_CERT_FILE", None)
os.environ["SSL_CERT_DIR"] = os.devnull
