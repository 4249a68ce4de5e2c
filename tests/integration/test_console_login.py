"""`kruispost login` against a writer that waits for a consent."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from pydantic import SecretStr
from support.command_line import kruispost

from backbone.settings import Settings
from console.login import LoginError, log_in

UNCONNECTED = "exact-writer: division 100001 needs a login at Exact: nobody has logged in at Exact yet; run `kruispost login`"
SETTINGS = Settings(admin_token=SecretStr("right"))


@contextmanager
def writer(ready_after: int, *, says: str | None = None):
    """Serve a writer whose token comes after so many looks at its readiness, or that begins no login and says why."""
    looks = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status, body = 404, dict[str, object]()
            if self.path == "/oauth/start":
                authorised = self.headers["Authorization"] == "Bearer right"
                status, body = (200, {"url": "https://exact.example/consent"}) if authorised else (401, {})
                if says is not None:
                    status, body = 403, {"code": "admin_token_missing", "message": says}
            elif self.path == "/ready":
                looks.append(self.path)
                if len(looks) == 1 and ready_after:
                    # The writer restarts, and a proxy answers for it.
                    self.send_response(502)
                    self.send_header("content-type", "text/html")
                    self.end_headers()
                    return
                waits = len(looks) <= ready_after
                status, body = (503, {"reasons": [UNCONNECTED]}) if waits else (200, {"reasons": []})
            elif self.path.startswith("/oauth/callback?code=abc&state=xyz"):
                status = 200
            elif self.path.startswith("/oauth/callback"):
                status, body = 400, {"code": "consent_unknown", "message": "This login is too old."}
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
    with writer(ready_after=2) as (url, looks):
        log_in(SETTINGS, url, came_back_to=None, wait_seconds=20, tell=told.append)
    assert "https://exact.example/consent" in told[0]
    assert len(looks) == 3


def test_it_does_not_say_connected_when_nobody_consents():
    with writer(ready_after=1000) as (url, _), pytest.raises(LoginError, match="No consent came"):
        log_in(SETTINGS, url, came_back_to=None, wait_seconds=1.5, tell=lambda _: None)


def test_the_address_that_the_browser_came_back_to_is_enough():
    with writer(ready_after=0) as (url, _):
        log_in(SETTINGS, url, came_back_to="https://us/oauth/callback?code=abc&state=xyz", wait_seconds=5, tell=lambda _: None)
        with pytest.raises(LoginError, match="whole address"):
            log_in(SETTINGS, url, came_back_to="abc", wait_seconds=5, tell=lambda _: None)


def test_a_code_that_is_too_old_and_a_refusal_are_said_in_the_words_of_who_refused():
    with writer(ready_after=0) as (url, _):
        with pytest.raises(LoginError, match=r"^The writer could not use the code: This login is too old\.$"):
            log_in(SETTINGS, url, came_back_to="https://us/?code=old&state=xyz", wait_seconds=5, tell=lambda _: None)
        with pytest.raises(LoginError, match=r"consent was not given \(access_denied\)"):
            log_in(SETTINGS, url, came_back_to="https://us/?error=access_denied&state=xyz", wait_seconds=5, tell=lambda _: None)


def test_a_writer_that_begins_no_login_says_why_and_another_service_is_no_writer():
    with writer(ready_after=0, says="Set it first.") as (url, _):
        with pytest.raises(LoginError, match="Set it first"):
            log_in(SETTINGS, url, came_back_to=None, wait_seconds=5, tell=lambda _: None)
        with pytest.raises(LoginError, match="answers 404 and is no writer"):
            log_in(SETTINGS, f"{url}/elsewhere", came_back_to=None, wait_seconds=5, tell=lambda _: None)
    for address in (url, "http://127.0.0.1:99999", "nowhere"):
        with pytest.raises(LoginError, match="is it running there"):
            log_in(SETTINGS, address, came_back_to=None, wait_seconds=5, tell=lambda _: None)


def test_the_command_prints_the_page_for_people_and_the_outcome_for_machines(tmp_path: Path):
    right, wrong = ({"KRUISPOST_ADMIN_TOKEN": token} for token in ("right", "wrong"))
    with writer(ready_after=0) as (url, _):
        done = kruispost("login", "--writer-url", url, "--json", directory=tmp_path, settings=right)
        assert (done.returncode, json.loads(done.stdout)) == (0, {"connected": True, "writer": url})
        assert "https://exact.example/consent" in done.stderr
        back = "https://us/oauth/callback?code=abc&state=xyz"
        done = kruispost("login", "--writer-url", url, "--code", back, directory=tmp_path, settings=right)
        assert (done.returncode, done.stdout) == (0, "Connected: the writer has its token.\n")
        for settings in (wrong, {}):
            refused = kruispost("login", "--writer-url", url, directory=tmp_path, settings=settings)
            assert (refused.returncode, refused.stdout) == (2, "")
            assert "KRUISPOST_ADMIN_TOKEN" in refused.stderr


def test_a_wrong_token_is_said_to_be_wrong():
    wrong = Settings(admin_token=SecretStr("wrong"))
    with writer(ready_after=0) as (url, _), pytest.raises(LoginError, match="KRUISPOST_ADMIN_TOKEN"):
        log_in(wrong, url, came_back_to=None, wait_seconds=5, tell=lambda _: None)
