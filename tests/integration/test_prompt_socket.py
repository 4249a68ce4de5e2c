"""A call's bytes reach Exact in the moment in which they were found to be in time, or never: also past a loop that keeps them."""

import asyncio
import ipaddress
import itertools
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from backbone.clock import SystemClock
from exact_writer.client import Answer, ExactClient, NotSentError, Request
from exact_writer.timing import Timing

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
BIG = 3_000_000  # more than a socket takes at once
ENDED = b'{"d":{}}'


class Heard:
    """The bodies that a server of one connection heard whole."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def listen(self, connection: socket.socket) -> None:
        """Answer each whole request."""
        left = b""
        while True:
            while b"\r\n\r\n" not in left:
                more = connection.recv(65_536)
                if not more:
                    return
                left += more
            head, _, left = left.partition(b"\r\n\r\n")
            length = int(next(line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")))
            while len(left) < length:
                more = connection.recv(65_536)
                if not more:
                    return
                left += more
            self.bodies.append(left[:length])
            left = left[length:]
            connection.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n" % len(ENDED) + ENDED)


@contextmanager
def served(heard: Heard, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve one connection on loopback, and give the port."""

    def serve() -> None:
        connection, _ = listening.accept()
        with suppress(OSError), connection if context is None else context.wrap_socket(connection, server_side=True) as secured:
            heard.listen(secured)  # a call that is given up is an error here

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(30)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            thread.join(30)


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A certificate of loopback that this process trusts."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    now = SystemClock().now()
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "loopback.pem"
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def post(url: str, body: bytes, is_late: Callable[[], bool], loop: str, calls: int = 1) -> Answer:
    """Make calls one after the other with a client of its own, and return the last answer."""

    async def made() -> Answer:
        client = ExactClient(url, Timing(timeout_seconds=20))
        try:
            for _ in range(calls):
                request = Request(method="POST", endpoint="salesentry/SalesEntries", path="salesentry/SalesEntries", body=body)
                answer = await client.call(100_001, request, "token", is_late)
            return answer
        finally:
            await client.close()

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        return runner.run(made())


@pytest.mark.parametrize("loop", LOOPS)
def test_what_is_written_is_the_kernels_before_the_loop_goes_on(loop: str) -> None:
    """A process that is stopped anywhere later than the look at the clock has sent it, and sends nothing when it wakes."""

    async def write(listening: socket.socket) -> bytes:
        client = ExactClient("http://127.0.0.1", Timing(timeout_seconds=20))
        http: Any = client._http
        stream = await http._transport._pool._network_backend.connect_tcp(*listening.getsockname())
        peer, _ = listening.accept()
        with peer:
            peer.settimeout(5)
            with pytest.raises(StopIteration):
                stream.write(b"INV-1").send(None)  # its one step, without a turn for anything else
            heard = peer.recv(5)
        await stream.aclose()
        await client.close()
        return heard

    with socket.create_server(("127.0.0.1", 0)) as listening, asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        assert runner.run(write(listening)) == b"INV-1"


def late_after(times: int) -> Callable[[], bool]:
    """Be in time so often."""
    asked = itertools.count(1)
    return lambda: next(asked) > times


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("loop", LOOPS)
def test_a_call_that_is_late_before_its_head_or_its_body_reaches_nobody(loop: str, times: int) -> None:
    heard = Heard()
    with served(heard) as port, pytest.raises(NotSentError):
        post(f"http://127.0.0.1:{port}", b"{}", late_after(times), loop)
    assert heard.bodies == []


@pytest.mark.parametrize("loop", LOOPS)
def test_calls_over_tls_on_one_connection_arrive_whole(certificate: ssl.SSLContext, loop: str) -> None:
    heard, body = Heard(), json.dumps({"Attachment": "x" * BIG}).encode()
    with served(heard, certificate) as port:
        answer = post(f"https://127.0.0.1:{port}", body, lambda: False, loop, calls=2)
    assert (answer.status, heard.bodies) == (201, [body, body])


def test_a_late_call_over_tls_reaches_nobody(certificate: ssl.SSLContext) -> None:
    heard = Heard()
    with served(heard, certificate) as port, pytest.raises(NotSentError):
        post(f"https://127.0.0.1:{port}", b"{}", late_after(4), "uvloop")  # two of them for what TLS says before
    assert heard.bodies == []
