"""`kruispost login` against a writer that waits for a consent."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from pydantic import SecretStr

from backbone.settings import Settings
from console.login import LoginError, log_in

UNCONNECTED = "exact-writer: division 100001 needs a login at Exact: nobody has logged in at Exact yet; run `kruispost login`"
SETTINGS = Settings(admin_token=SecretStr("right"))


@contextmanager
def writer(ready_after: int):
    """Serve a writer whose token comes after so many looks at its readiness."""
    looks = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status, body = 404, dict[str, object]()
            if self.path == "/oauth/start":
                authorised = self.headers["Authorization"] == "Bearer right"
                status, body = (200, {"url": "https://exact.example/consent"}) if authorised else (401, {})
            elif self.path == "/ready":
                looks.append(self.path)
                waits = len(looks) <= ready_after
                status, body = (503, {"reasons": [UNCONNECTED]}) if waits else (200, {"reasons": []})
            elif self.path.startswith("/oauth/callback?code=abc&state=xyz"):
                status = 200
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_):
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", looks
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_it_waits_until_the_writer_has_its_token():
    told: list[str] = []
    with writer(ready_after=1) as (url, looks):
        log_in(SETTINGS, url, came_back_to=None, wait_seconds=20, tell=told.append)
    assert "https://exact.example/consent" in told[0]
    assert len(looks) == 2


def test_it_does_not_say_connected_when_nobody_consents():
    with writer(ready_after=1000) as (url, _), pytest.raises(LoginError, match="No consent came"):
        log_in(SETTINGS, url, came_back_to=None, wait_seconds=1.5, tell=lambda _: None)


def test_the_address_that_the_browser_came_back_to_is_enough():
    with writer(ready_after=0) as (url, _):
        log_in(SETTINGS, url, came_back_to="https://us/oauth/callback?code=abc&state=xyz", wait_seconds=5, tell=lambda _: None)
        with pytest.raises(LoginError, match="whole address"):
            log_in(SETTINGS, url, came_back_to="abc", wait_seconds=5, tell=lambda _: None)


def test_a_wrong_token_is_said_to_be_wrong():
    wrong = Settings(admin_token=SecretStr("wrong"))
    with writer(ready_after=0) as (url, _), pytest.raises(LoginError, match="KRUISPOST_ADMIN_TOKEN"):
        log_in(wrong, url, came_back_to=None, wait_seconds=5, tell=lambda _: None)
