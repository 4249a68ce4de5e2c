"""Chargebee's PDFs: the address of a download through the official SDK, then the file behind it.

    PdfError
      NotNowError     no valid answer or no usable file: 429, lock_timeout, 5xx, HTML, a time-out, an expired address; try again
      DeniedError     the API key or the site is wrong (401, 403, site_not_found): nothing works until a person mends it
      NoPdfError      there is none, or none that may go on: final, with its code

The address stands on another host, needs no key, and is valid for an hour, so it is used at once and kept nowhere. The SDK
retries 429 without end, so its retries stay off; it raises bare exceptions for time-outs and for answers that are not JSON.
"""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from typing import Any, ClassVar, Final, Protocol
from urllib.parse import urlsplit

from backbone.chargebee_sdk import READ_TIMEOUT_SECONDS, escaped, is_missing_answer, open_client, retry_after_seconds
from backbone.clock import Clock
from backbone.telemetry import Telemetry
from contracts.parcels import LARGEST_PDF_BYTES

DOWNLOAD_SECONDS: Final = 60.0
CHUNK_BYTES: Final = 65_536
BEGINNING: Final = b"%PDF"
TOO_MANY_REQUESTS, CONFLICT, SERVER_ERRORS_FROM = 429, 409, 500
NOT_FOUND: Final = 404
DENIED: Final = frozenset((401, 403))


class PdfError(Exception):
    """A PDF that was not fetched; `code` is stable and `message` a sentence for people."""

    outcome: ClassVar[str]

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class NotNowError(PdfError):
    """No valid answer; `code` is what the PDF ends with when it stays so. `retry_after_seconds` is Chargebee's wish, if any."""

    outcome = "unavailable"

    def __init__(self, code: str, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(code, message)
        self.retry_after_seconds = retry_after_seconds


class DeniedError(PdfError):
    """The API key is refused or the site does not exist."""

    outcome = "denied"


class NoPdfError(PdfError):
    """There is no PDF to be had; `code` is stable."""

    outcome = "refused"


class PdfApi(Protocol):
    """What fetching a PDF needs of Chargebee."""

    async def fetch(self, site: str, kind: str, number: str) -> bytes:
        """Return the PDF of an invoice or a credit note; raises a PdfError."""


class ChargebeePdfs:
    """Fetches PDFs, each in a thread: the SDK blocks, and so does the download."""

    def __init__(self, *, api_key: str, base_url: str | None, clock: Clock, telemetry: Telemetry) -> None:
        self._api_key = api_key
        self._base_url = base_url
        self._clock = clock
        self._telemetry = telemetry
        self._clients: dict[str, Any] = {}

    async def fetch(self, site: str, kind: str, number: str) -> bytes:
        """Return the PDF, at most LARGEST_PDF_BYTES long; raises a PdfError."""
        try:
            content = await asyncio.to_thread(self._fetch, site, kind, number)
        except PdfError as error:
            self._telemetry.count("chargebee_calls", operation="pdf", outcome=error.outcome)
            raise
        self._telemetry.count("chargebee_calls", operation="pdf", outcome="ok")
        return content

    def _fetch(self, site: str, kind: str, number: str) -> bytes:
        name = f"{kind.replace('_', ' ')} {number}"
        return self._download(self._address(site, kind, number, name), name)

    def _address(self, site: str, kind: str, number: str, name: str) -> str:
        # Importing the SDK costs more than a second, so only a process that really calls Chargebee pays for it.
        from chargebee import APIError  # noqa: PLC0415 (see above)

        try:
            client = self._client(site)
            resource = client.CreditNote if kind == "credit_note" else client.Invoice
            return str(resource.pdf(escaped(number)).download.download_url)
        except APIError as error:
            retry_after = retry_after_seconds(error.http_headers)
            raise classify(int(error.http_status_code), str(error.api_error_code), str(error), name, retry_after) from error
        except (KeyError, AttributeError, TypeError, ValueError) as error:
            raise NotNowError("pdf_unavailable", f"Chargebee's answer about the PDF of {name} cannot be read.") from error
        except Exception as error:
            if not is_missing_answer(error):
                raise
            raise NotNowError("pdf_unavailable", f"Chargebee gave no valid answer about the PDF of {name}.") from error

    def _download(self, address: str, name: str) -> bytes:
        if urlsplit(address).scheme != "https" and self._base_url is None:
            raise NoPdfError("pdf_refused", f"Chargebee offers the PDF of {name} at an address that is not https.")
        try:
            with urllib.request.urlopen(address, timeout=READ_TIMEOUT_SECONDS) as answer:  # noqa: S310 - checked above
                content = self._read(answer, name)
        except urllib.error.HTTPError as error:
            raise NotNowError("pdf_unavailable", f"The download of the PDF of {name} answered {error.code}.") from error
        except (OSError, ValueError) as error:
            raise NotNowError("pdf_unavailable", f"The PDF of {name} could not be downloaded: {type(error).__name__}.") from error
        if not content.startswith(BEGINNING):
            raise NotNowError("pdf_unusable", f"What Chargebee sent for {name} is no PDF.")
        return content

    def _read(self, answer: Any, name: str) -> bytes:
        """Read the file; a server that trickles it or sends without end is left."""
        started, content = self._clock.monotonic(), bytearray()
        while chunk := answer.read(CHUNK_BYTES):
            content += chunk
            if len(content) > LARGEST_PDF_BYTES:
                raise NoPdfError("pdf_too_large", f"The PDF of {name} is larger than {LARGEST_PDF_BYTES:,} bytes.")
            if self._clock.monotonic() - started > DOWNLOAD_SECONDS:
                raise NotNowError("pdf_unavailable", f"The download of the PDF of {name} takes too long.")
        expected = answer.headers.get("Content-Length")
        if expected is not None and expected.isdigit() and int(expected) != len(content):
            raise NotNowError("pdf_unavailable", f"The download of the PDF of {name} was cut off.")
        return bytes(content)

    def _client(self, site: str) -> Any:
        if site not in self._clients:
            from chargebee import Chargebee  # noqa: PLC0415 (a second of import time, only where it is used)

            self._clients[site] = open_client(Chargebee, site=site, api_key=self._api_key, base_url=self._base_url)
        return self._clients[site]


def classify(status: int, code: str, message: str, name: str, retry_after: float | None) -> PdfError:
    """Turn an error answer of Chargebee into one of this module's errors; an unknown 4xx is final."""
    if status in {TOO_MANY_REQUESTS, CONFLICT} or status >= SERVER_ERRORS_FROM:
        said = f"Chargebee did not make the PDF of {name}: {message}"
        return NotNowError("pdf_unavailable", said, retry_after_seconds=retry_after)
    if status in DENIED or code == "site_not_found":
        return DeniedError("pdf_unavailable", f"Chargebee refuses the API key for PDFs ({message})")
    if status == NOT_FOUND:
        return NoPdfError("pdf_missing", f"Chargebee has no {name}.")
    return NoPdfError("pdf_refused", f"Chargebee refused the PDF of {name}: {message}")
