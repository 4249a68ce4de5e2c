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


# Why there is no PDF, in English and Dutch; `name` is that of the document.
WHYS: Final[dict[str, tuple[str, str]]] = {
    "unreadable": (
        "Chargebee's answer about the PDF of {name} cannot be read.",
        "Het antwoord van Chargebee over de pdf van {name} is niet te lezen.",
    ),
    "no_answer": (
        "Chargebee gave no valid answer about the PDF of {name}.",
        "Chargebee gaf geen geldig antwoord over de pdf van {name}.",
    ),
    "not_https": (
        "Chargebee offers the PDF of {name} at an address that is not https.",
        "Chargebee biedt de pdf van {name} aan op een adres dat geen https is.",
    ),
    "download_answered": (
        "The download of the PDF of {name} answered {status}.",
        "De download van de pdf van {name} antwoordde {status}.",
    ),
    "download_failed": (
        "The PDF of {name} could not be downloaded: {error}.",
        "De pdf van {name} kon niet gedownload worden: {error}.",
    ),
    "no_pdf": ("What Chargebee sent for {name} is no PDF.", "Wat Chargebee voor {name} stuurde, is geen pdf."),
    "too_large": ("The PDF of {name} is larger than {most:,} bytes.", "De pdf van {name} is groter dan {most:,} bytes."),
    "too_slow": ("The download of the PDF of {name} takes too long.", "De download van de pdf van {name} duurt te lang."),
    "cut_off": ("The download of the PDF of {name} was cut off.", "De download van de pdf van {name} werd afgebroken."),
    "not_made": (
        "Chargebee did not make the PDF of {name}: {message}",
        "Chargebee maakte de pdf van {name} niet: {message}",
    ),
    "denied": (
        "Chargebee refuses the API key for PDFs ({message})",
        "Chargebee weigert de API-sleutel voor pdf's ({message})",
    ),
    "missing": ("Chargebee has no {name}.", "Chargebee heeft geen {name}."),
    "refused": ("Chargebee refused the PDF of {name}: {message}", "Chargebee weigerde de pdf van {name}: {message}"),
}
_KINDS_NL = {"invoice": "factuur", "credit note": "creditnota"}


class PdfError(Exception):
    """A PDF that was not fetched; `code` is stable, `message` a sentence for people, which stands in Dutch as well."""

    outcome: ClassVar[str]

    def __init__(self, code: str, why: str, **values: object) -> None:
        english, dutch = WHYS[why]
        self.code = code
        self.message = english.format_map(values)
        kind, _, number = str(values.get("name", "")).rpartition(" ")
        self.message_nl = dutch.format_map({**values, "name": f"{_KINDS_NL.get(kind, kind)} {number}"})
        super().__init__(self.message)


class NotNowError(PdfError):
    """No valid answer; `code` is what the PDF ends with when it stays so. `retry_after_seconds` is Chargebee's wish, if any."""

    outcome = "unavailable"

    def __init__(self, code: str, why: str, *, retry_after_seconds: float | None = None, **values: object) -> None:
        super().__init__(code, why, **values)
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
            raise NotNowError("pdf_unavailable", "unreadable", name=name) from error
        except Exception as error:
            if not is_missing_answer(error):
                raise
            raise NotNowError("pdf_unavailable", "no_answer", name=name) from error

    def _download(self, address: str, name: str) -> bytes:
        if urlsplit(address).scheme != "https" and self._base_url is None:
            raise NoPdfError("pdf_refused", "not_https", name=name)
        try:
            with urllib.request.urlopen(address, timeout=READ_TIMEOUT_SECONDS) as answer:  # noqa: S310 - checked above
                content = self._read(answer, name)
        except urllib.error.HTTPError as error:
            raise NotNowError("pdf_unavailable", "download_answered", name=name, status=error.code) from error
        except (OSError, ValueError) as error:
            raise NotNowError("pdf_unavailable", "download_failed", name=name, error=type(error).__name__) from error
        if not content.startswith(BEGINNING):
            raise NotNowError("pdf_unusable", "no_pdf", name=name)
        return content

    def _read(self, answer: Any, name: str) -> bytes:
        """Read the file; a server that trickles it or sends without end is left."""
        started, content = self._clock.monotonic(), bytearray()
        while chunk := answer.read(CHUNK_BYTES):
            content += chunk
            if len(content) > LARGEST_PDF_BYTES:
                raise NoPdfError("pdf_too_large", "too_large", name=name, most=LARGEST_PDF_BYTES)
            if self._clock.monotonic() - started > DOWNLOAD_SECONDS:
                raise NotNowError("pdf_unavailable", "too_slow", name=name)
        expected = answer.headers.get("Content-Length")
        if expected is not None and expected.isdigit() and int(expected) != len(content):
            raise NotNowError("pdf_unavailable", "cut_off", name=name)
        return bytes(content)

    def _client(self, site: str) -> Any:
        if site not in self._clients:
            from chargebee import Chargebee  # noqa: PLC0415 (a second of import time, only where it is used)

            self._clients[site] = open_client(Chargebee, site=site, api_key=self._api_key, base_url=self._base_url)
        return self._clients[site]


def classify(status: int, code: str, message: str, name: str, retry_after: float | None) -> PdfError:
    """Turn an error answer of Chargebee into one of this module's errors; an unknown 4xx is final."""
    if status in {TOO_MANY_REQUESTS, CONFLICT} or status >= SERVER_ERRORS_FROM:
        return NotNowError("pdf_unavailable", "not_made", name=name, message=message, retry_after_seconds=retry_after)
    if status in DENIED or code == "site_not_found":
        return DeniedError("pdf_unavailable", "denied", message=message)
    if status == NOT_FOUND:
        return NoPdfError("pdf_missing", "missing", name=name)
    return NoPdfError("pdf_refused", "refused", name=name, message=message)
