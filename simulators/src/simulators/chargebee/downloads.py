"""PDF downloads: an address that works without a key and for an hour only."""

from typing import Any

from .clock import Clock
from .settings import ChargebeeSettings
from .site import Resource, Site


class Downloads:
    """Offered downloads by token."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._settings: ChargebeeSettings = site.settings
        self._clock: Clock = site.clock
        self._offered: dict[str, tuple[float, bytes]] = {}
        self.instead: bytes | None = None
        """What every download answers instead of its PDF, as a failing file server would: an HTML page, nothing, too much."""

    def offer(self, document: Resource, base_url: str) -> dict[str, Any]:
        """A download object for an invoice or a credit note; `valid_till` is in seconds since 1970."""
        token = self._site.new_id()
        expires = self._clock.elapsed() + self._settings.pdf_seconds
        self._offered[token] = (expires, pdf_of(document))
        return {
            "download_url": f"{base_url}downloads/{token}/{document['id']}.pdf",
            "valid_till": self._clock.now() + int(self._settings.pdf_seconds),
            "mime_type": "application/pdf",
            "object": "download",
        }

    def fetch(self, token: str) -> bytes | None:
        """The bytes behind a token, None when it is unknown or its hour is over."""
        expires, content = self._offered.get(token, (0.0, b""))
        if self._clock.elapsed() >= expires:
            return None
        return content if self.instead is None else self.instead


def pdf_of(document: Resource) -> bytes:
    """A one-page PDF that names the document, its customer and its total in minor units."""
    text = f"{document['object']} {document['id']} {document['currency_code']} {document['total']}"
    stream = f"BT /F1 12 Tf 72 770 Td ({text}) Tj ET".encode("latin-1", "replace")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    content = b"%PDF-1.4\n"
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(content))
        content += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    start = len(content)
    content += b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(objects) + 1, table)
    return content + b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
