"""Traces cross messages, metrics are named and typed, log lines carry the document."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import structlog
from support.logs import note
from support.untouched_log import log_as_it_was, tell_apart

from backbone.clock import ManualClock
from backbone.telemetry import Telemetry, child_traceparent, configure_logging, current_traceparent, log, metric_names

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def run(program: str, *arguments: str) -> str:
    """Run a program in a process of its own and return what it wrote to standard error."""
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_a_span_carries_on_the_trace_of_its_message():
    telemetry = Telemetry()
    with telemetry.span("handle", msgspec.structs.replace(note("a"), traceparent=PARENT)):
        own = telemetry.current_traceparent() or ""
        with telemetry.span("inner"):
            inner = current_traceparent() or ""
    assert own[3:35] == inner[3:35] == PARENT[3:35]
    assert len({own[36:52], inner[36:52], PARENT[36:52]}) == 3
    assert current_traceparent() is None


@pytest.mark.parametrize("parent", [None, "", "nonsense", "00-" + "0" * 10, PARENT.upper()])
def test_without_a_readable_parent_a_new_trace_begins(parent):
    made = child_traceparent(parent)
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", made)
    assert made[3:35] != PARENT[3:35]


def test_metrics_appear_under_our_name_with_their_labels():
    telemetry = Telemetry()
    telemetry.count("documents_held", code="no_vat_code")
    telemetry.count("documents_held", 2, code="no_vat_code")
    telemetry.gauge("commands_waiting", 7, division="1")
    telemetry.observe("handling_seconds", 0.2, consumer="mapper")
    text = telemetry.exposition().decode()
    assert 'kruispost_documents_held_total{code="no_vat_code"} 3.0' in text
    assert 'kruispost_commands_waiting{division="1"} 7.0' in text
    assert 'kruispost_handling_seconds_count{consumer="mapper"} 1.0' in text
    assert len(set(metric_names())) == len(metric_names())


def test_json_log_lines_carry_the_document_and_the_trace():
    program = """
import logging
from support.logs import note
from backbone.telemetry import Telemetry, configure_logging, log
configure_logging("json")
with Telemetry().span("handle", note("a")):
    log.info("handled", amount_minor=12100)
logging.getLogger("a.library").warning("it happened %s", "twice")
logging.getLogger("aiormq.connection").error("told by who used the connection")
import warnings
warnings.warn("odd")
"""
    first, second, third = map(json.loads, run(program).splitlines())
    assert (first["event"], first["subject"], first["message_id"]) == ("handled", "acme-test/note/a", "a")
    assert first["amount_minor"] == 12100
    assert re.fullmatch("[0-9a-f]{32}", first["trace_id"])
    assert (second["event"], second["level"]) == ("it happened twice", "warning")
    assert "odd" in third["event"]


def test_spans_go_to_the_collector_when_one_is_configured():
    """Each span is sent with the trace of the message that it handled."""
    program = """
import http.server, sys, threading
bodies = []
class Collector(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        bodies.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(200); self.end_headers()
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Collector)
threading.Thread(target=server.serve_forever, daemon=True).start()
import msgspec
from support.logs import note
from backbone.telemetry import Telemetry
telemetry = Telemetry("trial", f"http://127.0.0.1:{server.server_port}")
with telemetry.span("handle", msgspec.structs.replace(note("a"), traceparent=sys.argv[1])):
    carried = telemetry.current_traceparent()
telemetry.close()
import gzip
(path, body), = bodies
body = gzip.decompress(body) if body[:2] == b"\\x1f\\x8b" else body
assert path == "/v1/traces", path
assert bytes.fromhex("4bf92f3577b34da6a3ce929d0e0e4736") in body and bytes.fromhex(carried[36:52]) in body
assert b"acme-test/note/a" in body
"""
    run(program, PARENT)


async def test_a_manual_clock_moves_only_when_it_is_moved():
    clock = ManualClock()
    before = clock.now()
    assert clock.now() == before
    await clock.sleep(90)
    clock.advance(30)
    assert (clock.now() - before).total_seconds() == clock.monotonic() == 120
    assert clock.random_id() != clock.random_id()
    assert ManualClock().random_id() == ManualClock().random_id()


def test_a_command_in_a_tests_own_process_leaves_its_log_usable(capfd):
    """Whatever an earlier one left set, others log beside a command's output and not into it."""
    with log_as_it_was():
        configure_logging("json")
        log.warning("told as a service tells")
        tell_apart()
        log.warning("told beside a command")
    assert not isinstance(structlog.get_config()["logger_factory"], structlog.stdlib.LoggerFactory)
    out, errors = capfd.readouterr()
    assert (out, "told beside a command" in errors) == ("", True)
