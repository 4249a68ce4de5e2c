"""A load generator on raw sockets: so many connections, each posting a new event as soon as the last one was answered."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from pathlib import Path

import uvloop

SAMPLE = Path(__file__).parent.parent / "golden" / "chargebee" / "payment_succeeded.json"
MARK = b"ev_################"


class Connection(asyncio.Protocol):
    """One keep-alive connection in a closed loop."""

    def __init__(self, before: bytes, after: bytes, number: int, seconds: list[float], deadline: float) -> None:
        """Post `before` + a new id + `after` until the deadline, and note how long each answer took."""
        self._before, self._after = before, after
        self._number, self._sent = number, 0
        self._seconds, self._deadline = seconds, deadline
        self._transport: asyncio.Transport | None = None
        self._started = 0.0
        self._answer = b""
        self.refused = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport = transport  # type: ignore[assignment]  # uvloop's transports derive from none of asyncio's classes
        self._send()

    def _send(self) -> None:
        assert self._transport is not None
        self._sent += 1
        self._started = time.perf_counter()
        self._transport.write(b"%s%04d_%011d%s" % (self._before, self._number % 10_000, self._sent, self._after))

    def data_received(self, data: bytes) -> None:
        """Take an answer, whole when its closing brace came, and send the next request."""
        self._answer += data
        if not self._answer.endswith(b"}"):
            return
        now = time.perf_counter()
        self._seconds.append(now - self._started)
        self.refused += not self._answer.startswith(b"HTTP/1.1 200")
        self._answer = b""
        if now < self._deadline:
            self._send()
            return
        assert self._transport is not None
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        del exc
        if not self.done.done():
            self.done.set_result(None)


def request(port: int, site: str, authorization: str) -> tuple[bytes, bytes]:
    """Return the bytes before and after the place of the event id."""
    event = json.loads(SAMPLE.read_text(encoding="utf-8")) | {"id": MARK.decode()}
    body = json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()
    head = (
        f"POST /webhooks/chargebee/{site} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: ChargeBee\r\n"
        f"Authorization: {authorization}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    before, _, after = (head + body).partition(MARK)
    return before + b"ev_", after


async def load(port: int, site: str, authorization: str, connections: int, seconds: float, run: int) -> dict[str, float]:
    """Post for some seconds; returns the rate and two percentiles. Raises RuntimeError when an answer was not 200."""
    before, after = request(port, site, authorization)
    took: list[float] = []
    started = time.perf_counter()
    loop = asyncio.get_running_loop()
    opened: list[Connection] = []
    async with asyncio.timeout(seconds + 30):
        for number in range(connections):
            one = Connection(before, after, run * 100 + number, took, started + seconds)
            await loop.create_connection(lambda one=one: one, "127.0.0.1", port)  # type: ignore[misc]  # the default binds it now
            opened.append(one)
        for one in opened:
            await one.done
    elapsed = time.perf_counter() - started
    if any(one.refused for one in opened):
        raise RuntimeError(f"{sum(one.refused for one in opened)} of {len(took)} webhooks were not answered 200")
    hundredths = statistics.quantiles(took, n=100)
    return {"per_second": len(took) / elapsed, "p50_ms": hundredths[49] * 1000, "p99_ms": hundredths[98] * 1000}


if __name__ == "__main__":
    port, site, authorization, connections, seconds, run = sys.argv[1:]
    result = uvloop.run(load(int(port), site, authorization, int(connections), float(seconds), int(run)))
    sys.stdout.write(json.dumps(result) + "\n")
